//! What an engine has to provide. It knows records, not rules.

use std::time::Duration;

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
/// them touch the same record, acknowledgements of one package excepted. What to check of a set is
/// in [`ChangeSet::guards`], what to carry out in [`ChangeSet::ops`].
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
    /// Not stored: this record, which the set depends on, is damaged.
    Damaged {
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
/// A store is opened, claimed, written by batches and read, and in the end released. It has one
/// owner, the holder of the newest claim, who commits one batch after the other. Where these
/// promises say nothing, a caller relies on nothing.
///
/// # Obligations: records
/// * `every_kind`: a record of any [`Kind`](chanstate::key::Kind) reads back as it was put. Absent,
///   empty and zero stay apart; numbers may be as large as their type, bytes may be any bytes.
/// * `replace`: a put replaces the whole record that has its key.
/// * `remove`: a removal takes the record away; one of a record that is not there passes.
/// * `ack`: an acknowledgement sets `acked` of its update and changes nothing else. One that is set
///   already stays, one whose update is not there passes.
/// * `large`: a record of 16 MiB is stored, and so is a set of 10,000 records.
/// * `refused`: a set with a record that does not fit is `Refused` with its key. Numbers in keys fit
///   up to 2^63 - 1, short channel ids up to 2^64 - 1; a backend may take more.
///
/// The caller sees to it that a record's parent is stored before or with it and not removed before
/// it, and that no two channels share a funding outpoint or a channel id.
///
/// # Obligations: commits
/// * `whole`: a change set is applied whole or not at all, whatever happens to others of its batch.
/// * `guards`: a set is applied only if each subject has the version that the set expects, or does
///   not exist if it expects [`ABSENT`](chanstate::Version::ABSENT). Otherwise the verdict is a
///   `Conflict` on one that does not.
/// * `unguarded`: a set without subjects has no guard.
/// * `verdicts`: there is one verdict for each set, in the order of the sets.
/// * `sequence`: a commit takes the store to `batch.last()`; sets that are not applied leave gaps.
///   A batch without sets changes nothing.
/// * `in_step`: a batch that does not start where the store stands is `NotStored`, so of several
///   that start at the same number one is stored.
/// * `failed`: a failed call changes nothing, unless it says `Unknown`. A claim that fails with the
///   engine may have raised the epoch.
///
/// # Obligations: claims
/// * `epoch`: a claim gives the store a higher epoch than it ever had, also after reopening, and
///   says where the store stands.
/// * `too_old`: a claim of a store below `at_least` is `TooOld` and leaves the older claim valid.
/// * `fenced`: a batch of any other claim than the newest is `Fenced`, whatever else is wrong with
///   it, and nothing of it is stored.
/// * `exclusive`: of two backends that are open on one store, one at most can write. Opening the
///   store again fails, or claiming it does, and the first goes on; or the first is `Fenced`.
///
/// # Obligations: reads
/// * `fresh`: a read sees every commit that returned before it started.
/// * `moment`: one call of `read` or `scan` shows the store at one moment between two batches. Two
///   calls, also those for two pages, may show two moments.
/// * `read_order`: `read` answers in the order of its keys, one answer for each, with `None` for
///   what is not there.
/// * `scan_order`: `scan` goes in the order of [`RecordKey`], in one kind: numbers as unsigned,
///   bytes one by one, the shorter first.
/// * `prefix`: a range holds the keys whose first components equal its prefix, whole components; one
///   that only begins with the same bytes is outside.
/// * `after`: a scan goes on after the key given, whether or not there is such a record. A key
///   before the range is as good as none; behind one after it nothing comes.
/// * `limit`: `scan` returns as many records as there are, up to `limit`.
///
/// # Obligations: durability
/// * `durable`: what a claim or a commit returned with `Ok` survives a power cut and a crash. It does
///   not wait for the backend to be released or dropped.
/// * `released`: after `release` the store can be opened again at once. A second `release` passes,
///   every other call fails and changes nothing.
/// * `newer_format`: a store that a newer release wrote is not opened, and stays as it is.
///   An engine that keeps nothing beyond its process has no format.
///
/// # Obligations: unknown outcomes
/// * `settle`: `settle`, asked about the last batch of a claim, says where the store stands and
///   whether the batch is stored, with the verdicts of its commit. A set that removes link nodes
///   and nothing else may count as applied if they were gone; one that removes them and has steps
///   without a guard may make `settle` `Unavailable`.
/// * `settle_later`: newer claims and their commits make no difference, except that `settle` is
///   `Unavailable` where they hide a verdict.
///
/// A batch that is not stored, as its commit or `settle` said, never comes back. Its sets may be
/// committed again, in a batch that starts where the store stands then; that may be the same batch.
///
/// # Obligations: callers
/// * `threads`: calls may come from many threads at once.
/// * `any_executor`: a call needs no runtime around it. It may block its thread.
/// * `dropped`: a read that is dropped halfway disturbs nobody.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Takes the store over: raises the epoch, so that older claims cannot commit any more.
    ///
    /// # Errors
    /// `TooOld` if the store's sequence number is below `at_least`, `Held` if another instance holds
    /// the store; then nothing changes.
    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError>;

    /// Gives the store up in an orderly way: everything is durable and nothing runs any more.
    async fn release(&self) -> Result<(), BackendError>;

    /// Stores every change set whose guards hold, in one durable commit, and gives a verdict on
    /// each in the same order.
    ///
    /// # Errors
    /// `Fenced` if `batch.epoch` is not the newest claim, or its lease ran out. `NotStored`: nothing
    /// of the batch. `Unknown`: all or nothing of it.
    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError>;

    /// Finds out what became of a batch whose commit was `Unknown`, after making it impossible
    /// that the batch is stored later. May raise the sequence number for that.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be found out now. A backend that has to be opened again first
    /// says so to every call.
    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError>;

    /// Reads records by key, in the order of `keys`; `None` where there is none.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt` if one of them does not decode or fails its checksum.
    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError>;

    /// Reads up to `limit` records of a range in key order. Fewer than `limit` means the end of it.
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

/// Why a store could not be claimed. Nothing changed, except perhaps the epoch: an older claim may be
/// fenced if the engine failed.
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
    /// Another instance holds the store.
    #[error("store is held by {by} for {remaining:?} unless renewed")]
    Held {
        /// Its name.
        by: String,
        /// When it has to renew its hold at the latest.
        remaining: Duration,
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
    /// A newer claim exists, or the lease of this one ran out. Nothing of the batch is stored.
    #[error("claim {} is over, the newest is {}", ours.0, found.0)]
    Fenced {
        /// The batch's claim.
        ours: Epoch,
        /// The newest claim.
        found: Epoch,
    },
}
