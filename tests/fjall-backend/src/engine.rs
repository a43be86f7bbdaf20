//! fjall as an engine.

use std::ops::Bound;
use std::sync::Arc;

use channelcoord::BackendError;
use chanstate::Cause;
use fjall::{
    Iter, PersistMode, Readable, SingleWriterTxDatabase, SingleWriterTxKeyspace,
    SingleWriterWriteTx, Snapshot,
};
use kvstore::kv::{Bounds, Engine, ReadRows, Row, Table, WriteError, WriteRows};
use thiserror::Error;

/// Longest key that fjall takes; it panics over a longer one.
const MAX_KEY: usize = u16::MAX as usize;
/// Longest value that fjall takes.
const MAX_VALUE: usize = u32::MAX as usize;

/// An open directory of fjall. It is locked until this is dropped.
pub struct Fjall {
    pub(crate) db: SingleWriterTxDatabase,
    pub(crate) rows: SingleWriterTxKeyspace,
}

/// A row is too long for fjall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("key of {key} bytes, value of {value}: the most are 65,535 and 4,294,967,295")]
pub struct TooLong {
    /// Length of its key.
    pub key: usize,
    /// Length of its value.
    pub value: usize,
}

/// Rows as they were at one moment.
struct Reading<'a> {
    snapshot: Snapshot,
    rows: &'a SingleWriterTxKeyspace,
}

/// Rows of a transaction. Dropping it undoes what was written.
struct Writing<'a> {
    txn: SingleWriterWriteTx<'a>,
    rows: &'a SingleWriterTxKeyspace,
}

impl Engine for Fjall {
    fn read<T>(
        &self,
        work: impl FnOnce(&mut dyn ReadRows) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        work(&mut Reading { snapshot: self.db.read_tx(), rows: &self.rows })
    }

    fn write<T, E>(
        &self,
        work: impl FnOnce(&mut dyn WriteRows) -> Result<T, E>,
    ) -> Result<T, WriteError<E>> {
        let txn = self.db.write_tx().durability(Some(PersistMode::SyncAll));
        let mut writing = Writing { txn, rows: &self.rows };
        let done = work(&mut writing).map_err(WriteError::Work)?;
        match writing.txn.commit() {
            Ok(()) => Ok(done),
            // fjall looks at this before it writes to the journal.
            Err(error @ fjall::Error::Poisoned) => Err(WriteError::NotStored(Arc::new(error))),
            Err(error) => Err(WriteError::Unknown(Arc::new(error))),
        }
    }
}

impl ReadRows for Reading<'_> {
    fn get(&mut self, _: Table, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        get(&self.snapshot, self.rows, key)
    }

    fn range(&mut self, _: Table, bounds: Bounds, limit: usize) -> Result<Vec<Row>, BackendError> {
        first(self.snapshot.range(self.rows, within(bounds)), limit)
    }

    fn fits(&self, key: usize, value: usize) -> Result<(), Cause> {
        fits(key, value)
    }
}

impl ReadRows for Writing<'_> {
    fn get(&mut self, _: Table, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        get(&self.txn, self.rows, key)
    }

    fn range(&mut self, _: Table, bounds: Bounds, limit: usize) -> Result<Vec<Row>, BackendError> {
        first(self.txn.range(self.rows, within(bounds)), limit)
    }

    fn fits(&self, key: usize, value: usize) -> Result<(), Cause> {
        fits(key, value)
    }
}

impl WriteRows for Writing<'_> {
    fn put(&mut self, _: Table, key: &[u8], value: &[u8]) -> Result<(), BackendError> {
        self.txn.insert(self.rows, key, value);
        Ok(())
    }

    fn remove(&mut self, _: Table, key: &[u8]) -> Result<(), BackendError> {
        if key.len() <= MAX_KEY {
            self.txn.remove(self.rows, key);
        }
        Ok(())
    }
}

/// fjall panics over rows that are longer.
fn fits(key: usize, value: usize) -> Result<(), Cause> {
    match key <= MAX_KEY && value <= MAX_VALUE {
        true => Ok(()),
        false => Err(Arc::new(TooLong { key, value })),
    }
}

fn get(
    rows: &impl Readable,
    keyspace: &SingleWriterTxKeyspace,
    key: &[u8],
) -> Result<Option<Vec<u8>>, BackendError> {
    if key.len() > MAX_KEY {
        return Ok(None);
    }
    let value = rows.get(keyspace, key).map_err(failed)?;
    Ok(value.map(|value| value.to_vec()))
}

/// The same keys, between bounds that fjall takes: what is cut off a bound no key has.
fn within((start, end): Bounds) -> Bounds {
    let cut = |key: Vec<u8>| key[..MAX_KEY].to_vec();
    let start = match start {
        Bound::Included(key) | Bound::Excluded(key) if key.len() > MAX_KEY => {
            Bound::Excluded(cut(key))
        }
        start => start,
    };
    let end = match end {
        Bound::Included(key) | Bound::Excluded(key) if key.len() > MAX_KEY => {
            Bound::Included(cut(key))
        }
        end => end,
    };
    (start, end)
}

fn first(rows: Iter, limit: usize) -> Result<Vec<Row>, BackendError> {
    rows.take(limit)
        .map(|row| {
            let (key, value) = row.into_inner().map_err(failed)?;
            Ok((key.to_vec(), value.to_vec()))
        })
        .collect()
}

/// Damage is what fjall read and could not believe; everything else may pass.
pub(crate) fn failed(error: fjall::Error) -> BackendError {
    let damaged = match &error {
        fjall::Error::Storage(fjall::LsmError::Io(_)) | fjall::Error::Io(_) => false,
        fjall::Error::Storage(_)
        | fjall::Error::JournalRecovery(_)
        | fjall::Error::Decompress(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::InvalidTag(_)
        | fjall::Error::Unrecoverable => true,
        _ => false,
    };
    let cause = Arc::new(error);
    match damaged {
        true => BackendError::Corrupt { record: "file".into(), cause },
        false => BackendError::Unavailable(cause),
    }
}
