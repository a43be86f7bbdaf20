//! What an engine has to provide. It knows records, not rules.

use async_trait::async_trait;
use chanstate::Cause;
use chanstate::key::{KeyRange, RecordKey};
use thiserror::Error;

use crate::change_set::{ChangeSet, Subject};
use crate::record::Record;

/// Counts the times a store was claimed. Only the newest claim may commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The store's sequence number: set `i` of a batch that starts after `s` gets `s + 1 + i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

/// Where a store stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Newest claim.
    pub epoch: Epoch,
    /// Sequence number of the last commit.
    pub seq: Seq,
}

/// Change sets to commit together. Their subjects carry their new versions already, and no two of
/// them touch the same record, acknowledgements of one package excepted.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The claim under which the batch is committed.
    pub epoch: Epoch,
    /// Sequence number that the store must be at.
    pub before: Seq,
    /// The change sets.
    pub sets: &'a [ChangeSet],
}

impl Batch<'_> {
    /// Sequence number of the store once the batch is committed. Refused sets leave gaps.
    pub fn last(&self) -> Seq {
        Seq(self.before.0 + self.sets.len() as u64)
    }
}

/// What became of one change set of a batch that was committed.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Stored, durably.
    Applied,
    /// Not stored: this subject has another version.
    Conflict(Subject),
    /// Not stored: this record does not fit.
    Refused {
        /// The record.
        record: RecordKey,
        /// What is wrong with it.
        cause: Cause,
    },
}

/// What became of a batch whose commit had an unknown outcome, and where the store stands now:
/// finding it out may raise the sequence number.
#[derive(Clone, Debug)]
pub enum Settled {
    /// It is stored.
    Stored(Vec<Verdict>, Head),
    /// It is not stored and never will be.
    NotStored(Head),
}

/// Storage engine of a store.
///
/// # Obligations
/// * A change set is applied whole or not at all, whatever happens to others of its batch.
/// * When `commit` returns `Ok`, every applied set survives a power cut.
/// * A failed call changes nothing that a later read can see, unless it says `Unknown`.
/// * Reads see every commit that returned before they started, and nothing of one that is not
///   durable.
/// * Within a kind, `scan` goes in the order of the keys.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Takes the store over: raises the epoch, so that older claims cannot commit any more.
    ///
    /// # Errors
    /// `TooOld` if the store's sequence number is below `at_least`; then nothing changes.
    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError>;

    /// Gives the store up in an orderly way: everything is durable and nothing runs any more.
    async fn release(&self) -> Result<(), BackendError>;

    /// Stores every change set whose guards hold, in one durable commit, and gives a verdict on
    /// each in the same order.
    ///
    /// # Errors
    /// `Fenced` if `batch.epoch` is not the newest claim. `NotStored`: nothing of the batch.
    /// `Unknown`: all or nothing of it.
    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError>;

    /// Finds out what became of a batch whose commit was `Unknown`, after making it impossible
    /// that the batch is stored later.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be found out now.
    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError>;

    /// Reads records by key, in the order of `keys`; `None` where there is none.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt` if one of them does not decode or fails its checksum.
    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError>;

    /// Reads up to `limit` records of a range in key order. Fewer than `limit` means the end.
    ///
    /// # Errors
    /// As for [`read`](Backend::read).
    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError>;
}

/// Why a read failed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The engine cannot serve now.
    #[error("engine unavailable")]
    Unavailable(#[source] Cause),
    /// A record does not decode or fails its checksum.
    #[error("damaged record {record}")]
    Corrupt {
        /// Names the record.
        record: String,
        /// What is wrong with it.
        #[source]
        cause: Cause,
    },
}

/// Why a store could not be claimed. Nothing changed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ClaimError {
    /// The store is older than the caller knows it to be.
    #[error("store is at sequence number {}, expected at least {}", found.0, at_least.0)]
    TooOld {
        /// What the caller asked for.
        at_least: Seq,
        /// Where the store stands.
        found: Seq,
    },
    /// The engine failed.
    #[error("engine failed")]
    Backend(#[from] BackendError),
}

/// Why a batch was not committed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum CommitError {
    /// Nothing of the batch is stored, and the engine lives on.
    #[error("not stored")]
    NotStored(#[source] Cause),
    /// It is not known whether the batch is stored.
    #[error("outcome unknown")]
    Unknown(#[source] Cause),
    /// A newer claim exists. Nothing of the batch is stored.
    #[error("claim {} was replaced by {}", ours.0, found.0)]
    Fenced {
        /// The batch's claim.
        ours: Epoch,
        /// The newest claim.
        found: Epoch,
    },
}
