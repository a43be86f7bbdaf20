//! Writes records into a fresh store in large batches.

use channelcoord::{Backend, Batch, ChangeSet, ClaimError, CommitError, Head, Record, Verdict};
use chanstate::Version;
use thiserror::Error;

/// Records in one change set.
const RECORDS_PER_SET: usize = 512;

/// Records after which a batch is committed: few enough to stay flat in memory.
const RECORDS_PER_BATCH: usize = 4096;

/// Why a batch could not be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The store cannot be claimed.
    #[error("store cannot be claimed")]
    Claim(#[from] ClaimError),
    /// The engine refused the batch.
    #[error("batch cannot be committed")]
    Commit(#[from] CommitError),
    /// The engine refused a member of the batch.
    #[error("record was not stored: {0}")]
    Refused(String),
}

/// Collects change sets and commits them together.
pub struct Writer<'a> {
    backend: &'a dyn Backend,
    head: Head,
    sets: Vec<ChangeSet>,
    blind: ChangeSet,
    waiting: usize,
}

impl<'a> Writer<'a> {
    /// Claims the store.
    ///
    /// # Errors
    /// `Claim`.
    pub fn claim(backend: &'a dyn Backend) -> Result<Writer<'a>, WriteError> {
        let head = pollster::block_on(backend.claim(None))?;
        Ok(Writer { backend, head, sets: Vec::new(), blind: ChangeSet::default(), waiting: 0 })
    }

    /// Adds a change set.
    ///
    /// # Errors
    /// `Commit`, `Refused` if the batch is full and cannot be written.
    pub fn add(&mut self, set: ChangeSet) -> Result<(), WriteError> {
        self.close_blind();
        self.waiting += set.ops().count();
        self.sets.push(set);
        self.flush_if_full()
    }

    /// Adds a record that no version guards.
    ///
    /// # Errors
    /// As [`add`](Writer::add).
    pub fn put(&mut self, record: Record) -> Result<(), WriteError> {
        self.blind.puts.push(record);
        self.waiting += 1;
        if self.blind.puts.len() >= RECORDS_PER_SET {
            self.close_blind();
        }
        self.flush_if_full()
    }

    /// Writes what waits, durably.
    ///
    /// # Errors
    /// `Commit`, `Refused`.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.close_blind();
        if self.sets.is_empty() {
            return Ok(());
        }
        let mut sets = std::mem::take(&mut self.sets);
        self.waiting = 0;
        for (version, set) in (self.head.seq.0 + 1..).zip(&mut sets) {
            set.stamp(Version(version));
        }
        let batch = Batch { epoch: self.head.epoch, before: self.head.seq, sets: &sets };
        for verdict in pollster::block_on(self.backend.commit(batch))? {
            match verdict {
                Verdict::Applied => {}
                Verdict::Conflict(subject) => {
                    return Err(WriteError::Refused(format!("{subject:?} exists already")));
                }
                Verdict::Refused { record, cause } | Verdict::Damaged { record, cause } => {
                    return Err(WriteError::Refused(format!("{record}: {cause}")));
                }
            }
        }
        self.head.seq = batch.last();
        Ok(())
    }

    fn flush_if_full(&mut self) -> Result<(), WriteError> {
        if self.waiting >= RECORDS_PER_BATCH { self.flush() } else { Ok(()) }
    }

    /// Keeps the order between guarded and blind writes.
    fn close_blind(&mut self) {
        if !self.blind.is_empty() {
            self.sets.push(std::mem::take(&mut self.blind));
        }
    }
}
