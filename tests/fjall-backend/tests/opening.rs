//! What opens, what is refused, and what is found damaged.

#![allow(clippy::unwrap_used, reason = "a directory that cannot be prepared fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

use channelcoord::{
    Backend, BackendError, Batch, ChangeSet, Head, MetaRecord, Record, Verdict, meta_key,
};
use chanstate::key::{KeyRange, Kind};
use fjall::{KeyspaceCreateOptions, PersistMode, SingleWriterTxDatabase};
use fjall_backend::{FjallBackend, OpenError, TooLong, open};
use kvstore::kv::{self, Damage};
use pollster::block_on;
use tempfile::TempDir;

/// A store that was created, given one value and closed.
struct Closed(TempDir);

impl Closed {
    fn new() -> Closed {
        let closed = Closed(tempfile::tempdir().unwrap());
        let store = open(closed.path()).unwrap();
        let head = block_on(store.claim(None)).unwrap();
        assert!(matches!(put(&store, head, "name", b"value")[..], [Verdict::Applied]));
        block_on(store.release()).unwrap();
        closed
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("channels")
    }

    /// Changes a row behind the backend's back.
    fn write(&self, key: &[u8], value: &[u8]) {
        let db = SingleWriterTxDatabase::builder(self.path()).open().unwrap();
        let rows = db.keyspace("chanstore", KeyspaceCreateOptions::default).unwrap();
        rows.insert(key, value).unwrap();
        db.persist(PersistMode::SyncAll).unwrap();
    }
}

fn meta(name: &str, value: &'static [u8]) -> Record {
    Record::Meta(MetaRecord { name: name.into(), value: value.into() })
}

fn put(store: &FjallBackend, head: Head, name: &str, value: &'static [u8]) -> Vec<Verdict> {
    let sets = [ChangeSet { puts: vec![meta(name, value)], ..ChangeSet::default() }];
    let batch = Batch { epoch: head.epoch, before: head.seq, sets: &sets };
    block_on(store.commit(batch)).unwrap()
}

fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(path).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn a_store_in_use_is_refused() {
    let closed = Closed::new();
    let store = open(closed.path()).unwrap();
    assert!(matches!(open(closed.path()), Err(OpenError::InUse)));
    block_on(store.release()).unwrap();
    open(closed.path()).unwrap();
}

#[test]
fn a_directory_of_somebody_else_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("theirs"), b"1").unwrap();
    assert!(matches!(open(dir.path()), Err(OpenError::NotOurs)));
    assert_eq!(files(dir.path()), [dir.path().join("theirs")]);
}

#[test]
fn a_file_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, b"1").unwrap();
    assert!(matches!(open(&path), Err(OpenError::Io(_))));
    assert_eq!(fs::read(path).unwrap(), b"1");
}

#[test]
fn a_database_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = SingleWriterTxDatabase::builder(dir.path()).open().unwrap();
    db.keyspace("theirs", KeyspaceCreateOptions::default).unwrap();
    drop(db);
    assert!(matches!(open(dir.path()), Err(OpenError::NotOurs)));
}

#[test]
fn a_creation_that_was_not_finished_is_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let db = SingleWriterTxDatabase::builder(dir.path()).open().unwrap();
    db.keyspace("chanstore", KeyspaceCreateOptions::default).unwrap();
    drop(db);
    assert!(matches!(open(dir.path()), Err(OpenError::NotOurs)));
}

#[test]
fn a_newer_format_is_refused() {
    let closed = Closed::new();
    let (key, value) = kv::format_row(2);
    closed.write(&key, &value);
    assert!(matches!(open(closed.path()), Err(OpenError::NewerFormat { found: 2 })));
}

#[test]
fn another_release_of_the_engine_is_refused() {
    let closed = Closed::new();
    fs::write(closed.path().join("version"), b"FJL\x02").unwrap();
    assert!(matches!(open(closed.path()), Err(OpenError::NotOurs)));
}

#[test]
fn a_damaged_value_is_reported_with_its_name() {
    let closed = Closed::new();
    closed.write(&meta_key("name").to_bytes(), b"not what it was");
    let store = open(closed.path()).unwrap();
    match block_on(store.read(&[meta_key("name")])).unwrap_err() {
        BackendError::Corrupt { record, cause } => {
            assert_eq!(record, "Meta/6e616d65");
            assert!(matches!(cause.downcast_ref(), Some(Damage::Checksum { .. })));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_damaged_journal_is_refused() {
    let closed = Closed::new();
    let journal = files(&closed.path()).into_iter().find(|f| f.extension().is_some()).unwrap();
    let mut bytes = fs::read(&journal).unwrap();
    let at = bytes.windows(5).rposition(|bytes| bytes == b"value").unwrap();
    bytes[at] ^= 1;
    fs::write(&journal, bytes).unwrap();
    assert!(matches!(open(closed.path()), Err(OpenError::Damaged(_))));
}

#[test]
fn a_record_that_does_not_fit_leaves_out_its_set_alone() {
    let closed = Closed::new();
    let store = open(closed.path()).unwrap();
    let head = block_on(store.claim(None)).unwrap();
    let long = "n".repeat(70_000);
    let set = |names: &[&str]| ChangeSet {
        puts: names.iter().map(|name| meta(name, b"1")).collect(),
        ..ChangeSet::default()
    };
    let sets = [set(&["beside", &long]), set(&["free"])];
    let batch = Batch { epoch: head.epoch, before: head.seq, sets: &sets };
    match &block_on(store.commit(batch)).unwrap()[..] {
        [Verdict::Refused { record, cause }, Verdict::Applied] => {
            assert_eq!(*record, meta_key(&long));
            assert!(cause.is::<TooLong>());
        }
        other => panic!("{other:?}"),
    }
    let keys = [meta_key("beside"), meta_key(&long), meta_key("free")];
    assert_eq!(block_on(store.read(&keys)).unwrap(), [None, None, Some(meta("free", b"1"))]);
    let after = |key: &str| KeyRange::all(Kind::Meta).after(meta_key(key));
    let scan = |range: KeyRange| block_on(store.scan(&range, 9)).unwrap();
    assert_eq!(scan(after(&long)), []);
    assert_eq!(scan(after(&long.replace('n', "m"))), [meta("name", b"value")]);
}
