//! Layouts of the file: which one it has, and the way to the newest.

use redb::{Database, ReadTransaction, ReadableDatabase, TableError, WriteTransaction};

use super::error::{Fault, OpenError};
use super::tables::{self, ReadTables, WriteTables};
use crate::kv;

/// Upgrades from one format to the next; format 0 is a file without tables. Each runs in a
/// transaction of its own, together with the format row.
const STEPS: &[Step] = &[create];

type Step = fn(&WriteTransaction) -> Result<(), OpenError>;

/// The format that this release writes, the newest that it reads.
pub const NEWEST: u32 = STEPS.len() as u32;

/// Takes the store to the newest format. Tells whether it was created just now.
pub(crate) fn upgrade(db: &Database) -> Result<bool, OpenError> {
    let txn = db.begin_read().map_err(Fault::from)?;
    let found = found(&txn)?;
    drop(txn);
    for (format, step) in (1..).zip(STEPS).skip(found as usize) {
        let txn = db.begin_write().map_err(Fault::from)?;
        step(&txn)?;
        kv::set_format(&mut WriteTables::new(&txn), format)?;
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
    match txn.open_table(tables::STORE) {
        Ok(_) => {}
        Err(TableError::Storage(error)) => return Err(Fault::from(error).into()),
        Err(_) => return Err(OpenError::NotOurs),
    }
    match kv::format(&mut ReadTables::new(txn))?.ok_or(OpenError::NotOurs)? {
        found @ ..=NEWEST => Ok(found),
        found => Err(OpenError::NewerFormat { found, newest: NEWEST }),
    }
}

fn create(txn: &WriteTransaction) -> Result<(), OpenError> {
    tables::create_all(txn).map_err(Fault::from)?;
    Ok(kv::create(&mut WriteTables::new(txn))?)
}
