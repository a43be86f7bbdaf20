//! Opening and closing a store.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::path::Path;

use channelcoord::{Backend, BackendError, Batch, ClaimError, CommitError, MetaRecord, Record};
use chanstate::key::{KeyRange, Kind};
use pollster::block_on;
use rusqlite::Connection;
use sqlstore::{OpenError, SqliteBackend};
use support::extremes::every_kind;
use support::records::channel;
use support::{Fixture, puts};

fn note() -> Record {
    Record::Meta(MetaRecord { name: "name".into(), value: "value".into() })
}

/// A database at a fresh path, made by `sql`.
fn database(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    (directory, path)
}

#[test]
fn create_refuses_what_exists() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    drop(SqliteBackend::create(&path).unwrap());
    assert!(matches!(SqliteBackend::create(&path), Err(OpenError::Exists(_))));
    fs::write(&path, "").unwrap();
    assert!(matches!(SqliteBackend::create(&path), Err(OpenError::Exists(_))));
}

#[test]
fn open_existing_creates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    assert!(matches!(SqliteBackend::open_existing(&path), Err(OpenError::Absent(_))));
    assert!(matches!(SqliteBackend::open_read_only(&path), Err(OpenError::Absent(_))));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn open_creates_and_opens() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    // What a crash during the creation may leave.
    fs::write(&path, "").unwrap();
    for epoch in 1..3 {
        let backend = SqliteBackend::open(&path).unwrap();
        assert_eq!(block_on(backend.claim(None)).unwrap().epoch.0, epoch);
    }
}

#[test]
fn an_empty_database_is_no_store_yet() {
    let (_directory, path) = database("vacuum");
    assert!(fs::metadata(&path).unwrap().len() > 0);
    assert!(matches!(SqliteBackend::open_existing(&path), Err(OpenError::Absent(_))));
    assert!(matches!(SqliteBackend::open_read_only(&path), Err(OpenError::Absent(_))));
    SqliteBackend::open(&path).unwrap();
}

#[test]
fn a_path_without_directory_is_reported() {
    let error = SqliteBackend::open(Path::new("/nowhere/at/all")).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error:?}");
}

#[test]
fn a_second_writer_is_refused_while_the_first_lives() {
    let store = Fixture::new();
    assert!(matches!(SqliteBackend::open(store.path()), Err(OpenError::InUse(_))));
    assert!(matches!(SqliteBackend::open_existing(store.path()), Err(OpenError::InUse(_))));
    // After a failed attempt too.
    assert!(matches!(SqliteBackend::open(store.path()), Err(OpenError::InUse(_))));
    let path = store.path();
    drop(store.backend);
    SqliteBackend::open(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn a_link_leads_to_the_same_lock() {
    let store = Fixture::new();
    let link = store.directory.path().join("link");
    std::os::unix::fs::symlink(store.path(), &link).unwrap();
    assert!(matches!(SqliteBackend::open(&link), Err(OpenError::InUse(_))));
}

#[test]
fn a_database_of_something_else_is_refused_and_left_as_it_is() {
    for sql in [
        "create table t (x)",
        "pragma application_id = 1",
        "pragma user_version = 1",
        "create table t (x); pragma application_id = 1667789684",
    ] {
        let (_directory, path) = database(sql);
        let before = fs::read(&path).unwrap();
        for open in
            [SqliteBackend::open, SqliteBackend::open_existing, SqliteBackend::open_read_only]
        {
            let error = open(path.clone()).unwrap_err();
            assert!(matches!(error, OpenError::Foreign(_)), "{sql}: {error:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.sqlite");
    fs::write(&path, [7; 10_000]).unwrap();
    assert!(matches!(SqliteBackend::open(&path), Err(OpenError::Foreign(_))));
    assert!(matches!(SqliteBackend::open_read_only(&path), Err(OpenError::Foreign(_))));
}

#[test]
fn a_newer_schema_is_refused() {
    let store = Fixture::new();
    let path = store.path();
    drop(store.backend);
    Connection::open(&path).unwrap().execute_batch("pragma user_version = 2").unwrap();
    for open in [SqliteBackend::open, SqliteBackend::open_read_only] {
        let error = open(path.clone()).unwrap_err();
        assert!(matches!(error, OpenError::Newer { found: 2, newest: 1 }), "{error:?}");
    }
}

#[test]
fn another_history_is_refused() {
    let store = Fixture::new();
    let path = store.path();
    drop(store.backend);
    Connection::open(&path).unwrap().execute_batch("update schema_step set digest = 0").unwrap();
    for open in [SqliteBackend::open, SqliteBackend::open_read_only] {
        let error = open(path.clone()).unwrap_err();
        assert!(matches!(error, OpenError::History { version: 1 }), "{error:?}");
    }
}

#[test]
fn everything_committed_is_there_after_reopening() {
    let mut store = Fixture::new();
    store.put(every_kind());
    store.put([Record::Channel(chanstate::Record::Channel(channel(2)))]);
    let seq = store.head.seq;
    let before: Vec<_> = Kind::ALL.iter().map(|kind| store.scan(&KeyRange::all(*kind))).collect();
    let store = store.reopen();
    let after: Vec<_> = Kind::ALL.iter().map(|kind| store.scan(&KeyRange::all(*kind))).collect();
    assert_eq!(after, before);
    assert_eq!(store.head.seq, seq);
}

#[test]
fn release_leaves_one_complete_file_and_serves_nothing_more() {
    let mut store = Fixture::new();
    store.put([note()]);
    // Somebody who has looked at it and has not gone yet.
    let shell = store.shell();
    shell.execute_batch("select * from meta").unwrap();
    block_on(store.backend.release()).unwrap();
    // Twice is no error.
    block_on(store.backend.release()).unwrap();
    let read = block_on(store.backend.read(&[note().key()])).unwrap_err();
    assert!(matches!(read, BackendError::Unavailable(_)), "{read:?}");
    let claim = block_on(store.backend.claim(None)).unwrap_err();
    assert!(matches!(claim, ClaimError::Backend(BackendError::Unavailable(_))), "{claim:?}");
    let commit = store.try_commit(&[puts([note()])]).unwrap_err();
    assert!(matches!(commit, CommitError::NotStored(_)), "{commit:?}");

    let copy = store.directory.path().join("copy.sqlite");
    fs::copy(store.path(), &copy).unwrap();
    let copy = SqliteBackend::open_existing(&copy).unwrap();
    assert_eq!(block_on(copy.read(&[note().key()])).unwrap(), [Some(note())]);
    // The lock is given back although the first backend still exists.
    SqliteBackend::open_existing(store.path()).unwrap();
}

#[test]
fn release_does_not_wait_for_readers_of_other_processes() {
    let mut store = Fixture::new();
    let shell = store.shell();
    shell.execute_batch("begin; select * from meta").unwrap();
    store.put([note()]);
    block_on(store.backend.release()).unwrap();
    drop(shell);
    let store = store.reopen();
    assert_eq!(store.read(&note().key()), Some(note()));
}

#[test]
fn a_read_only_store_is_read_beside_its_writer() {
    let mut store = Fixture::new();
    let reader = SqliteBackend::open_read_only(store.path()).unwrap();
    store.put([note()]);
    assert_eq!(block_on(reader.read(&[note().key()])).unwrap(), [Some(note())]);
}

#[test]
fn a_read_only_store_takes_no_writes() {
    let store = Fixture::new();
    let reader = SqliteBackend::open_read_only(store.path()).unwrap();
    let claim = block_on(reader.claim(None)).unwrap_err();
    assert!(matches!(claim, ClaimError::Backend(BackendError::Unavailable(_))), "{claim:?}");
    let batch = Batch { epoch: store.head.epoch, before: store.head.seq, sets: &[] };
    let commit = block_on(reader.commit(batch)).unwrap_err();
    assert!(matches!(commit, CommitError::NotStored(_)), "{commit:?}");
    block_on(reader.release()).unwrap();
}

#[test]
fn an_operator_may_read_while_the_store_lives() {
    let mut store = Fixture::new();
    store.put([note()]);
    let shell = store.shell();
    let count = |_| shell.query_row("select count(*) from meta", [], |row| row.get::<_, i64>(0));
    assert_eq!(count(()), Ok(1));
}

#[test]
fn a_store_that_is_closed_is_one_file() {
    for release in [false, true] {
        let mut store = Fixture::new();
        store.put([note()]);
        let Fixture { backend, directory, .. } = store;
        let kept = if release {
            block_on(backend.release()).unwrap();
            Some(backend)
        } else {
            drop(backend);
            None
        };
        let files = fs::read_dir(directory.path()).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["store.sqlite", "store.sqlite.lock"]);
        drop(kept);
    }
}
