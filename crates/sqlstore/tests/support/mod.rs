//! A store in a fresh directory, and records to put into it.

#![allow(dead_code, reason = "no test needs all of it")]

pub(crate) mod extremes;
pub(crate) mod records;

use std::path::PathBuf;

use channelcoord::{Backend, Batch, ChangeSet, CommitError, Head, Record, Verdict};
use chanstate::key::{KeyRange, RecordKey};
use pollster::block_on;
use rusqlite::Connection;
use sqlstore::SqliteBackend;
use tempfile::TempDir;

/// A claimed store, and the directory that it lives in.
pub(crate) struct Fixture {
    pub(crate) backend: SqliteBackend,
    pub(crate) head: Head,
    pub(crate) directory: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        let backend = SqliteBackend::create(directory.path().join("store.sqlite")).unwrap();
        let head = block_on(backend.claim(None)).unwrap();
        Fixture { backend, head, directory }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("store.sqlite")
    }

    /// Commits a batch and follows the sequence number.
    pub(crate) fn try_commit(&mut self, sets: &[ChangeSet]) -> Result<Vec<Verdict>, CommitError> {
        let batch = Batch { epoch: self.head.epoch, before: self.head.seq, sets };
        let verdicts = block_on(self.backend.commit(batch))?;
        self.head.seq = batch.last();
        Ok(verdicts)
    }

    /// Commits sets that all apply.
    pub(crate) fn commit(&mut self, sets: &[ChangeSet]) {
        let verdicts = self.try_commit(sets).unwrap();
        assert_eq!(verdicts.len(), sets.len());
        assert!(verdicts.iter().all(applied), "{verdicts:?}");
    }

    /// Puts records that fit, in one set.
    pub(crate) fn put(&mut self, records: impl IntoIterator<Item = Record>) {
        self.commit(&[puts(records)]);
    }

    pub(crate) fn read(&self, key: &RecordKey) -> Option<Record> {
        block_on(self.backend.read(std::slice::from_ref(key))).unwrap().remove(0)
    }

    pub(crate) fn scan(&self, range: &KeyRange) -> Vec<Record> {
        block_on(self.backend.scan(range, usize::MAX)).unwrap()
    }

    /// Closes the store and opens it again.
    pub(crate) fn reopen(self) -> Fixture {
        let Fixture { backend, directory, .. } = self;
        drop(backend);
        let backend = SqliteBackend::open_existing(directory.path().join("store.sqlite")).unwrap();
        let head = block_on(backend.claim(None)).unwrap();
        Fixture { backend, head, directory }
    }

    /// A connection like the one of an operator.
    pub(crate) fn shell(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

pub(crate) fn applied(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Applied)
}

/// A set without guards.
pub(crate) fn puts(records: impl IntoIterator<Item = Record>) -> ChangeSet {
    ChangeSet { puts: records.into_iter().collect(), ..ChangeSet::default() }
}
