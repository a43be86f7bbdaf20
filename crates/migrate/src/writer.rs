//! Writes records into a store in large batches.

use channelcoord::{
    Backend, Batch, ChangeSet, ClaimError, CommitError, Head, Record, Stage, Transfer, Verdict,
};
use chanstate::Version;
use chanstate::key::RecordKey;
use thiserror::Error;

use crate::journal::{Journal, Phase};

/// Records in one change set.
const RECORDS_PER_SET: usize = 512;

/// Records after which a batch is committed: few enough to stay flat in memory.
pub const RECORDS_PER_BATCH: usize = 4096;

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
///
/// With a journal, each commit also stores how far the copy is. A source that hands over the same
/// steps in the same order again then goes on where the last commit ended: the steps that are stored
/// are dropped.
pub struct Writer<'a> {
    backend: &'a dyn Backend,
    head: Head,
    sets: Vec<ChangeSet>,
    blind: ChangeSet,
    waiting: usize,
    batch: usize,
    journal: Option<Journal>,
    /// Steps that were handed over, and records in them.
    handed: Handed,
    /// Steps to drop.
    stored: u64,
}

#[derive(Default)]
struct Handed {
    steps: u64,
    records: u64,
    after: Option<RecordKey>,
}

impl<'a> Writer<'a> {
    /// Claims the store.
    ///
    /// # Errors
    /// `Claim`.
    pub fn claim(backend: &'a dyn Backend) -> Result<Writer<'a>, WriteError> {
        let head = pollster::block_on(backend.claim(None))?;
        Ok(Writer::at(backend, head))
    }

    /// Writes under a claim that was made before.
    pub fn at(backend: &'a dyn Backend, head: Head) -> Writer<'a> {
        Writer {
            backend,
            head,
            sets: Vec::new(),
            blind: ChangeSet::default(),
            waiting: 0,
            batch: RECORDS_PER_BATCH,
            journal: None,
            handed: Handed::default(),
            stored: 0,
        }
    }

    /// Claims the store that a copy fills, to go on where its journal ends. Commits after `batch`
    /// records.
    ///
    /// # Errors
    /// `Claim`.
    pub fn go_on(
        backend: &'a dyn Backend,
        journal: Journal,
        batch: usize,
    ) -> Result<Writer<'a>, WriteError> {
        let writer = Writer::claim(backend)?;
        let stored = if journal.phase == Phase::Content { journal.steps } else { 0 };
        Ok(Writer { stored, batch, journal: Some(journal), ..writer })
    }

    /// Where the store stands.
    pub fn head(&self) -> Head {
        self.head
    }

    /// What the copy writes now.
    pub fn phase(&self) -> Phase {
        self.journal.as_ref().map_or(Phase::Content, |journal| journal.phase)
    }

    /// How far the copy is.
    pub fn into_journal(self) -> Option<Journal> {
        self.journal
    }

    /// Notes how many differences of encoding are kept.
    pub fn count_residues(&mut self, residues: u64) {
        if let Some(journal) = &mut self.journal {
            journal.residues = residues;
        }
    }

    /// For a source that is read in key order: the key to go on after, which spares handing over
    /// again what is stored.
    pub fn skip_stored(&mut self) -> Option<RecordKey> {
        let Journal { steps, records, after, .. } = self.journal.as_ref()?;
        let after = after.clone()?;
        self.handed = Handed { steps: *steps, records: *records, after: Some(after.clone()) };
        Some(after)
    }

    /// Says which record of a source in key order is handed over next.
    pub fn comes_to(&mut self, key: RecordKey) {
        self.handed.after = Some(key);
    }

    /// Adds a change set.
    ///
    /// # Errors
    /// `Commit`, `Refused` if the batch is full and cannot be written.
    pub fn add(&mut self, set: ChangeSet) -> Result<(), WriteError> {
        let records = set.ops().count();
        if self.is_stored(records) {
            return Ok(());
        }
        self.close_blind();
        self.waiting += records;
        self.sets.push(set);
        self.flush_if_full()
    }

    /// Adds a record that no version guards.
    ///
    /// # Errors
    /// As [`add`](Writer::add).
    pub fn put(&mut self, record: Record) -> Result<(), WriteError> {
        if self.is_stored(1) {
            return Ok(());
        }
        self.blind.puts.push(record);
        self.waiting += 1;
        if self.blind.puts.len() >= RECORDS_PER_SET {
            self.close_blind();
        }
        self.flush_if_full()
    }

    /// Counts a step; whether it is stored already.
    fn is_stored(&mut self, records: usize) -> bool {
        self.handed.steps += 1;
        self.handed.records += records as u64;
        self.handed.steps <= self.stored
    }

    /// Writes what waits, durably.
    ///
    /// # Errors
    /// `Commit`, `Refused`.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.close_blind();
        if self.sets.is_empty() { Ok(()) } else { self.commit() }
    }

    /// Writes what waits, and that the next phase begins, durably.
    ///
    /// # Errors
    /// As [`flush`](Writer::flush).
    pub fn enter(&mut self, phase: Phase) -> Result<(), WriteError> {
        self.flush()?;
        self.stored = 0;
        if let Some(journal) = &mut self.journal {
            journal.phase = phase;
            self.commit()?;
        }
        Ok(())
    }

    /// Writes another stage of the transfer, durably. Nothing may wait.
    ///
    /// # Errors
    /// As [`flush`](Writer::flush).
    pub fn set_transfer(&mut self, transfer: &Transfer) -> Result<(), WriteError> {
        self.journal = None;
        self.put(transfer.to_record())?;
        self.flush()
    }

    fn commit(&mut self) -> Result<(), WriteError> {
        if let Some(progress) = self.progress() {
            self.sets.push(ChangeSet { puts: vec![progress], ..ChangeSet::default() });
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

    /// How far the copy is once what waits is stored.
    fn progress(&mut self) -> Option<Record> {
        let journal = self.journal.as_mut()?;
        if journal.phase == Phase::Content {
            let Handed { steps, records, after } = &self.handed;
            *journal = Journal {
                steps: *steps,
                records: *records,
                after: after.clone(),
                ..journal.clone()
            };
        }
        Some(journal.at(Stage::Filling).to_record())
    }

    fn flush_if_full(&mut self) -> Result<(), WriteError> {
        if self.waiting >= self.batch { self.flush() } else { Ok(()) }
    }

    /// Keeps the order between guarded and blind writes.
    fn close_blind(&mut self) {
        if !self.blind.is_empty() {
            self.sets.push(std::mem::take(&mut self.blind));
        }
    }
}
