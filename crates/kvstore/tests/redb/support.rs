//! Short forms of what most tests do.

use std::future::Future;
use std::path::PathBuf;

use channelcoord::{
    Backend, BackendError, Batch, ChangeSet, CommitError, Head, Record, Seq, Verdict,
};
use chanstate::key::{KeyRange, RecordKey};
use chanstate::{Cause, ChannelChange, ChannelNo, Version};
use kvstore::{Fault, RedbBackend, kv};
use tempfile::TempDir;

use crate::samples;

/// A new store in a directory of its own, with a claim.
pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) store: RedbBackend,
    pub(crate) head: Head,
}

impl Fixture {
    pub(crate) fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let store = RedbBackend::create(dir.path().join("store.redb")).unwrap();
        let head = run(store.claim(None)).unwrap();
        Fixture { dir, store, head }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("store.redb")
    }

    /// Commits after the last commit, with subjects stamped as the coordinator does.
    pub(crate) fn commit(&mut self, sets: Vec<ChangeSet>) -> Vec<Verdict> {
        let sets = stamped(self.head.seq, sets);
        let verdicts = commit(&self.store, self.head, &sets).unwrap();
        self.head.seq = Seq(self.head.seq.0 + sets.len() as u64);
        verdicts
    }

    /// Closes the file and opens it again, without a claim.
    pub(crate) fn reopen(self) -> Fixture {
        let Fixture { dir, store, head } = self;
        drop(store);
        let store = RedbBackend::open_existing(dir.path().join("store.redb")).unwrap();
        Fixture { dir, store, head }
    }
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

pub(crate) fn stamped(before: Seq, mut sets: Vec<ChangeSet>) -> Vec<ChangeSet> {
    for (number, set) in (before.0 + 1..).zip(&mut sets) {
        set.stamp(Version(number));
    }
    sets
}

pub(crate) fn commit(
    store: &RedbBackend,
    head: Head,
    sets: &[ChangeSet],
) -> Result<Vec<Verdict>, CommitError> {
    run(store.commit(Batch { epoch: head.epoch, before: head.seq, sets }))
}

pub(crate) fn get(store: &RedbBackend, key: &RecordKey) -> Option<Record> {
    run(store.read(std::slice::from_ref(key))).unwrap().remove(0)
}

pub(crate) fn scan(store: &RedbBackend, range: &KeyRange) -> Vec<Record> {
    run(store.scan(range, usize::MAX)).unwrap()
}

pub(crate) fn put(record: Record) -> ChangeSet {
    ChangeSet { puts: vec![record], ..ChangeSet::default() }
}

/// Writes the row of channel `no`, computed from version `expect`.
pub(crate) fn touch(no: u64, expect: u64) -> ChangeSet {
    let row = samples::channel(ChannelNo(no), Version(expect));
    ChangeSet { channels: vec![ChannelChange::new(row)], ..ChangeSet::default() }
}

pub(crate) fn is_applied(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Applied)
}

pub(crate) fn fault(cause: &Cause) -> &Fault {
    cause.downcast_ref().unwrap()
}

pub(crate) fn kv_fault(cause: &Cause) -> &kv::Fault {
    cause.downcast_ref().unwrap()
}

/// The reason for which a call was `Unavailable`.
pub(crate) fn unavailable<T: std::fmt::Debug>(result: Result<T, BackendError>) -> Cause {
    match result.unwrap_err() {
        BackendError::Unavailable(cause) => cause,
        other => panic!("{other:?}"),
    }
}
