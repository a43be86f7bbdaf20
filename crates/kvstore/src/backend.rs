//! The backend: one write transaction for each batch.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use channelcoord::{
    Backend, BackendError, Batch, ClaimError, CommitError, Head, Record, Seq, Settled, Verdict,
};
use chanstate::key::{KeyRange, RecordKey};
use redb::{ReadTransaction, WriteTransaction};

use crate::engine::{Engine, Handle, WriteError};
use crate::error::{Fault, OpenError};
use crate::format;
use crate::kv::{self, ReadError};
use crate::open::Options;
use crate::tables::{ReadTables, WriteTables};

/// A store in a file of redb.
///
/// The file is locked for as long as the backend lives or until it is released, so a second
/// process, or a second backend in this one, is refused with [`OpenError::InUse`].
///
/// After a commit of unknown outcome the backend refuses every call with `Unavailable`: open the
/// store again and [`settle`](Backend::settle) the batch there.
#[derive(Debug)]
pub struct RedbBackend {
    handle: Handle,
}

impl RedbBackend {
    /// [`Options::open`] with default options.
    ///
    /// # Errors
    /// As there.
    pub fn open(path: impl AsRef<Path>) -> Result<RedbBackend, OpenError> {
        Options::default().open(path)
    }

    /// [`Options::create`] with default options.
    ///
    /// # Errors
    /// As there.
    pub fn create(path: impl AsRef<Path>) -> Result<RedbBackend, OpenError> {
        Options::default().create(path)
    }

    /// [`Options::open_existing`] with default options.
    ///
    /// # Errors
    /// As there.
    pub fn open_existing(path: impl AsRef<Path>) -> Result<RedbBackend, OpenError> {
        Options::default().open_existing(path)
    }

    /// [`Options::open_read_only`] with default options.
    ///
    /// # Errors
    /// As there.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<RedbBackend, OpenError> {
        Options::default().open_read_only(path)
    }

    /// Checks the checksum of every page of the file, which takes as long as reading it; other
    /// calls wait.
    ///
    /// Only this finds damage to the structure around the records, which can make a record seem
    /// absent. redb repairs what it can, and that may mean going back to an earlier commit, so
    /// after an error the backend refuses every call: open the store again and claim it with the
    /// last known sequence number.
    ///
    /// # Errors
    /// `Corrupt` if a page is damaged, repaired or not; `Unavailable`, also for a store that is
    /// open for reading only.
    pub fn check(&self) -> Result<(), BackendError> {
        self.handle.check().map_err(|fault| match fault {
            Fault::DamagedFile | Fault::Panicked { .. } => {
                BackendError::Corrupt { record: "file".into(), cause: Arc::new(fault) }
            }
            other => other.into(),
        })
    }

    pub(crate) fn new(engine: Engine) -> RedbBackend {
        RedbBackend { handle: Handle::new(engine) }
    }
}

#[async_trait]
impl Backend for RedbBackend {
    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError> {
        self.handle.write(|txn| claim(txn, at_least)).map_err(|failed| match failed {
            WriteError::Work(error) => error,
            WriteError::NotStored(cause) | WriteError::Unknown(cause) => {
                ClaimError::Backend(BackendError::Unavailable(cause))
            }
        })
    }

    /// Closes the file. Every later call fails with `Unavailable`.
    async fn release(&self) -> Result<(), BackendError> {
        self.handle.release();
        Ok(())
    }

    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        self.handle.write(|txn| commit(txn, batch)).map_err(|failed| match failed {
            WriteError::Work(error) => error,
            WriteError::NotStored(cause) => CommitError::NotStored(cause),
            WriteError::Unknown(cause) => CommitError::Unknown(cause),
        })
    }

    /// `Unavailable` from the backend whose commit was `Unknown`; the answer comes from the store
    /// when it is open again, before or after the next claim. The lock on the file makes it
    /// impossible that the lost batch is stored later.
    ///
    /// The answer follows from the sequence number that the store had reached when the batch's
    /// epoch ended. The verdicts follow from the versions that the subjects carry, so a change set
    /// that would remove a link node that was gone already counts as applied, and
    /// `Unavailable` is returned if later batches changed the same subjects.
    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        self.handle.read(|txn| settle(txn, batch))
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        self.handle.read(|txn| {
            let mut tables = ReadTables::new(txn);
            let records = keys.iter().map(|key| kv::read(&mut tables, key));
            records.collect::<Result<_, _>>().map_err(read_failed)
        })
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        self.handle.read(|txn| scan(txn, range, limit))
    }
}

fn claim(txn: &WriteTransaction, at_least: Option<Seq>) -> Result<Head, ClaimError> {
    let head = format::raise_epoch(txn).map_err(BackendError::from)?;
    match at_least {
        Some(at_least) if head.seq < at_least => {
            Err(ClaimError::TooOld { at_least, found: head.seq })
        }
        _ => Ok(head),
    }
}

fn commit(txn: &WriteTransaction, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
    let head = format::head(txn).map_err(not_stored)?;
    if head.epoch != batch.epoch {
        return Err(CommitError::Fenced { ours: batch.epoch, found: head.epoch });
    }
    if head.seq != batch.before {
        return Err(not_stored(Fault::OutOfOrder { before: batch.before, found: head.seq }));
    }
    let verdicts = kv::apply(&mut WriteTables::new(txn), batch.sets);
    let verdicts = verdicts.map_err(|error| not_stored(error.into()))?;
    let head = Head { epoch: head.epoch, seq: batch.last() };
    format::set_head(txn, head).map_err(not_stored)?;
    Ok(verdicts)
}

fn not_stored(fault: Fault) -> CommitError {
    CommitError::NotStored(Arc::new(fault))
}

fn settle(txn: &ReadTransaction, batch: Batch<'_>) -> Result<Settled, BackendError> {
    let head = format::head_for_reading(txn)?;
    if head.epoch < batch.epoch {
        return Err(Fault::FutureEpoch { ours: batch.epoch, found: head.epoch }.into());
    }
    let reached = match head.epoch == batch.epoch {
        true => head.seq,
        false => format::began_at(txn, channelcoord::Epoch(batch.epoch.0 + 1))?,
    };
    if reached < batch.last() {
        return Ok(Settled::NotStored(head));
    }
    let verdicts = kv::verdicts_of(&mut ReadTables::new(txn), batch, head.seq);
    let verdicts = verdicts.map_err(read_failed)?.ok_or(Fault::Overwritten)?;
    Ok(Settled::Stored(verdicts, head))
}

fn scan(
    txn: &ReadTransaction,
    range: &KeyRange,
    limit: usize,
) -> Result<Vec<Record>, BackendError> {
    let Some((start, end)) = kv::bounds(range) else { return Ok(Vec::new()) };
    let bounds = (start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice));
    let mut tables = ReadTables::new(txn);
    let table = tables.table(range.kind).map_err(Fault::from)?;
    let rows = table.range::<&[u8]>(bounds).map_err(Fault::from)?;
    rows.take(limit)
        .map(|row| {
            let (key, value) = row.map_err(Fault::from)?;
            kv::decode(range.kind, key.value(), value.value().to_vec()).map_err(|damage| {
                let record = kv::key_name(key.value());
                BackendError::Corrupt { record, cause: Arc::new(damage) }
            })
        })
        .collect()
}

fn read_failed(error: ReadError<redb::Error>) -> BackendError {
    match error {
        ReadError::Damaged { key, damage } => {
            BackendError::Corrupt { record: key.to_string(), cause: Arc::new(damage) }
        }
        ReadError::Engine { key, error: error @ redb::Error::Corrupted(_) } => {
            BackendError::Corrupt { record: key.to_string(), cause: Arc::new(Fault::Redb(error)) }
        }
        ReadError::Engine { error, .. } => Fault::Redb(error).into(),
    }
}
