//! What the store keeps about itself: format, head, and when each claim began.
//!
//! | Key | Value, followed by a checksum |
//! |---|---|
//! | 0, `format` | `chanstore`, format as 4 bytes big-endian |
//! | 0, `head` | epoch and sequence number as 8 bytes big-endian each |
//! | 0, `epoch`, epoch as 8 bytes big-endian | sequence number of the store when it was claimed |

use std::sync::Arc;

use bytes::Bytes;
use channelcoord::{
    BackendError, Batch, ClaimError, CommitError, Epoch, Head, Seq, Settled, Verdict,
};

use super::fault::cause_of;
use super::{Damage, Fault, ReadRows, Table, WriteRows, apply, seal, unseal, verdicts_of};

const FORMAT: &[u8] = b"\0format";
const HEAD: &[u8] = b"\0head";
const EPOCH: &[u8] = b"\0epoch";
const MAGIC: &[u8] = b"chanstore";

/// The format of a store; `None` if the rows are not those of a channel store.
///
/// The number belongs to the engine, which counts up its layouts from 1. The form of rows and
/// records is part of them.
///
/// # Errors
/// The engine's; `Corrupt` if the row is damaged.
pub fn format<R: ReadRows + ?Sized>(rows: &mut R) -> Result<Option<u32>, BackendError> {
    let Some(value) = rows.get(Table::Store, FORMAT)? else { return Ok(None) };
    let checked = value.strip_prefix(MAGIC).is_some_and(|rest| rest.len() == 8);
    if !checked {
        return Ok(None);
    }
    let value = unsealed("format", FORMAT, value)?;
    let number = value.last_chunk().map(|number| u32::from_be_bytes(*number));
    Ok(number.filter(|number| *number > 0))
}

/// Sets the format of a store.
///
/// # Errors
/// The engine's.
pub fn set_format<R: WriteRows + ?Sized>(rows: &mut R, format: u32) -> Result<(), BackendError> {
    let (key, value) = format_row(format);
    rows.put(Table::Store, &key, &value)
}

/// Key and value that say a store's format.
pub fn format_row(format: u32) -> (Vec<u8>, Vec<u8>) {
    let mut value = [MAGIC, &format.to_be_bytes()].concat();
    seal(FORMAT, &mut value);
    (FORMAT.to_vec(), value)
}

/// Writes the rows of an empty store, without a format.
///
/// # Errors
/// The engine's.
pub fn create<R: WriteRows + ?Sized>(rows: &mut R) -> Result<(), BackendError> {
    set_head(rows, Head::default())?;
    put(rows, &epoch_key(Epoch(0)), 0u64.to_be_bytes().to_vec())
}

/// Where the store stands.
pub(super) fn head<R: ReadRows + ?Sized>(rows: &mut R) -> Result<Head, BackendError> {
    let [epoch, seq] = numbers(rows, "head", HEAD)?;
    Ok(Head { epoch: Epoch(epoch), seq: Seq(seq) })
}

/// [`Backend::claim`](channelcoord::Backend::claim) within a write transaction.
pub(super) fn claim<R: WriteRows + ?Sized>(
    rows: &mut R,
    at_least: Option<Seq>,
) -> Result<Head, ClaimError> {
    let Head { epoch, seq } = head(rows)?;
    match at_least {
        Some(at_least) if seq < at_least => {
            return Err(ClaimError::TooOld { at_least, found: seq });
        }
        _ => {}
    }
    let head = Head { epoch: Epoch(epoch.0 + 1), seq };
    put(rows, &epoch_key(head.epoch), seq.0.to_be_bytes().to_vec())?;
    set_head(rows, head)?;
    Ok(head)
}

/// [`Backend::commit`](channelcoord::Backend::commit) within a write transaction.
pub(super) fn commit<R: WriteRows + ?Sized>(
    rows: &mut R,
    batch: Batch<'_>,
) -> Result<Vec<Verdict>, CommitError> {
    let not_stored = |error| CommitError::NotStored(cause_of(error));
    let head = head(rows).map_err(not_stored)?;
    if head.epoch != batch.epoch {
        return Err(CommitError::Fenced { ours: batch.epoch, found: head.epoch });
    }
    if head.seq != batch.before {
        let fault = Fault::OutOfOrder { before: batch.before, found: head.seq };
        return Err(CommitError::NotStored(Arc::new(fault)));
    }
    let verdicts = apply(rows, batch.sets).map_err(not_stored)?;
    set_head(rows, Head { epoch: head.epoch, seq: batch.last() }).map_err(not_stored)?;
    Ok(verdicts)
}

/// [`Backend::settle`](channelcoord::Backend::settle) within a read transaction of a store that
/// was opened after the batch's commit failed.
///
/// The answer follows from the sequence number that the store had reached when the batch's epoch
/// ended, the verdicts from the versions that the subjects carry. So a change set that would
/// remove a link node that was gone already counts as applied.
///
/// # Errors
/// `Unavailable` if later batches changed the same subjects, or if the store never saw the
/// batch's claim; `Corrupt`; the engine's.
pub(super) fn settle<R: ReadRows + ?Sized>(
    rows: &mut R,
    batch: Batch<'_>,
) -> Result<Settled, BackendError> {
    let head = head(rows)?;
    if head.epoch < batch.epoch {
        return Err(Fault::FutureEpoch { ours: batch.epoch, found: head.epoch }.into());
    }
    let reached = match head.epoch == batch.epoch {
        true => head.seq,
        false => began_at(rows, Epoch(batch.epoch.0 + 1))?,
    };
    if reached < batch.last() {
        return Ok(Settled::NotStored(head));
    }
    let verdicts = verdicts_of(rows, batch, head.seq)?.ok_or(Fault::Overwritten)?;
    Ok(Settled::Stored(verdicts, head))
}

/// Sequence number at which an epoch was claimed.
fn began_at<R: ReadRows + ?Sized>(rows: &mut R, epoch: Epoch) -> Result<Seq, BackendError> {
    let [seq] = numbers(rows, "epoch", &epoch_key(epoch))?;
    Ok(Seq(seq))
}

fn set_head<R: WriteRows + ?Sized>(rows: &mut R, head: Head) -> Result<(), BackendError> {
    put(rows, HEAD, [head.epoch.0.to_be_bytes(), head.seq.0.to_be_bytes()].concat())
}

fn epoch_key(epoch: Epoch) -> Vec<u8> {
    [EPOCH, &epoch.0.to_be_bytes()].concat()
}

fn put<R: WriteRows + ?Sized>(
    rows: &mut R,
    key: &[u8],
    mut value: Vec<u8>,
) -> Result<(), BackendError> {
    seal(key, &mut value);
    rows.put(Table::Store, key, &value)
}

/// The numbers in a row that must be there.
fn numbers<const N: usize, R: ReadRows + ?Sized>(
    rows: &mut R,
    name: &'static str,
    key: &[u8],
) -> Result<[u64; N], BackendError> {
    let value = rows.get(Table::Store, key)?.ok_or(Fault::MissingRow { row: name })?;
    let value = unsealed(name, key, value)?;
    let damage = Damage::Length { len: value.len() };
    let (numbers, rest) = value.as_chunks::<8>();
    match <&[[u8; 8]; N]>::try_from(numbers) {
        Ok(numbers) if rest.is_empty() => Ok(numbers.map(u64::from_be_bytes)),
        _ => Err(Fault::DamagedRow { row: name, damage }.into()),
    }
}

fn unsealed(name: &'static str, key: &[u8], value: Vec<u8>) -> Result<Bytes, Fault> {
    unseal(key, value).map_err(|damage| Fault::DamagedRow { row: name, damage })
}
