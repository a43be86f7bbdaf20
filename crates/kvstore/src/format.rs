//! What the store keeps about itself: format, head, and when each claim began.
//!
//! | Table | Key | Value |
//! |---|---|---|
//! | `store` | `format` | `chanstore`, format as 4 bytes big-endian, checksum |
//! | `store` | `head` | epoch and sequence number as 8 bytes big-endian each, checksum |
//! | `epoch` | epoch | sequence number of the store when the epoch was claimed |

use channelcoord::{Epoch, Head, Seq};
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};

use crate::error::{Fault, OpenError};
use crate::{kv, tables};

const STORE: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("store");
const EPOCH: TableDefinition<'static, u64, u64> = TableDefinition::new("epoch");

const FORMAT_ROW: &str = "format";
const HEAD_ROW: &str = "head";
const MAGIC: &[u8] = b"chanstore";

/// Upgrades from one format to the next; format 0 is a file without tables. Each runs in a
/// transaction of its own, together with the format row.
const STEPS: &[Step] = &[create];

type Step = fn(&WriteTransaction) -> Result<(), Fault>;

/// The format that this release reads and writes.
pub(crate) const NEWEST: u32 = STEPS.len() as u32;

/// Takes the store to the newest format. Tells whether it was created just now.
pub(crate) fn upgrade(db: &Database) -> Result<bool, OpenError> {
    let txn = db.begin_read().map_err(Fault::from)?;
    let found = found(&txn)?;
    drop(txn);
    for (format, step) in (1..).zip(STEPS).skip(found as usize) {
        let txn = db.begin_write().map_err(Fault::from)?;
        step(&txn)?;
        put_row(&txn, FORMAT_ROW, format_row(format))?;
        txn.commit().map_err(Fault::from)?;
    }
    Ok(found == 0)
}

/// Refuses a store that is not in the newest format.
pub(crate) fn require_newest(txn: &ReadTransaction) -> Result<(), OpenError> {
    match found(txn)? {
        NEWEST => Ok(()),
        0 => Err(OpenError::NotOurs),
        found => Err(OpenError::OlderFormat { found, newest: NEWEST }),
    }
}

/// Format of the file; 0 if it has no tables at all.
fn found(txn: &ReadTransaction) -> Result<u32, OpenError> {
    let empty = txn.list_tables().map_err(Fault::from)?.next().is_none()
        && txn.list_multimap_tables().map_err(Fault::from)?.next().is_none();
    if empty {
        return Ok(0);
    }
    let table = match txn.open_table(STORE) {
        Ok(table) => table,
        Err(TableError::Storage(error)) => return Err(Fault::from(error).into()),
        Err(_) => return Err(OpenError::NotOurs),
    };
    let row = table.get(FORMAT_ROW).map_err(Fault::from)?.ok_or(OpenError::NotOurs)?;
    let value = row.value().to_vec();
    let magic = value.strip_prefix(MAGIC).ok_or(OpenError::NotOurs)?.len() == 8;
    let value = unseal(FORMAT_ROW, value)?;
    let number = value.last_chunk::<4>().filter(|_| magic).ok_or(OpenError::NotOurs)?;
    match u32::from_be_bytes(*number) {
        0 => Err(OpenError::NotOurs),
        found @ 1..=NEWEST => Ok(found),
        found => Err(OpenError::NewerFormat { found, newest: NEWEST }),
    }
}

fn create(txn: &WriteTransaction) -> Result<(), Fault> {
    tables::create_all(txn)?;
    set_head(txn, Head::default())?;
    txn.open_table(EPOCH)?.insert(0, 0)?;
    Ok(())
}

fn format_row(format: u32) -> Vec<u8> {
    [MAGIC, &format.to_be_bytes()].concat()
}

/// Where the store stands.
pub(crate) fn head(txn: &WriteTransaction) -> Result<Head, Fault> {
    head_in(&txn.open_table(STORE)?)
}

/// Where the store stands.
pub(crate) fn head_for_reading(txn: &ReadTransaction) -> Result<Head, Fault> {
    head_in(&txn.open_table(STORE)?)
}

fn head_in(table: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Head, Fault> {
    let row = table.get(HEAD_ROW)?.ok_or(Fault::MissingRow { row: HEAD_ROW })?;
    let value = unseal(HEAD_ROW, row.value().to_vec())?;
    let damage = kv::Damage::Length { len: value.len() };
    match value.as_chunks::<8>() {
        ([epoch, seq], []) => Ok(Head {
            epoch: Epoch(u64::from_be_bytes(*epoch)),
            seq: Seq(u64::from_be_bytes(*seq)),
        }),
        _ => Err(Fault::DamagedRow { row: HEAD_ROW, damage }),
    }
}

/// Moves the store on.
pub(crate) fn set_head(txn: &WriteTransaction, head: Head) -> Result<(), Fault> {
    let value = [head.epoch.0.to_be_bytes(), head.seq.0.to_be_bytes()].concat();
    put_row(txn, HEAD_ROW, value)
}

/// Starts the next epoch.
pub(crate) fn raise_epoch(txn: &WriteTransaction) -> Result<Head, Fault> {
    let Head { epoch, seq } = head(txn)?;
    let head = Head { epoch: Epoch(epoch.0 + 1), seq };
    txn.open_table(EPOCH)?.insert(head.epoch.0, seq.0)?;
    set_head(txn, head)?;
    Ok(head)
}

/// Sequence number at which an epoch was claimed.
pub(crate) fn began_at(txn: &ReadTransaction, epoch: Epoch) -> Result<Seq, Fault> {
    let began = txn.open_table(EPOCH)?.get(epoch.0)?.ok_or(Fault::MissingRow { row: "epoch" })?;
    Ok(Seq(began.value()))
}

fn put_row(txn: &WriteTransaction, row: &'static str, mut value: Vec<u8>) -> Result<(), Fault> {
    kv::seal(row.as_bytes(), &mut value);
    txn.open_table(STORE)?.insert(row, value.as_slice())?;
    Ok(())
}

fn unseal(row: &'static str, value: Vec<u8>) -> Result<bytes::Bytes, Fault> {
    kv::unseal(row.as_bytes(), value).map_err(|damage| Fault::DamagedRow { row, damage })
}
