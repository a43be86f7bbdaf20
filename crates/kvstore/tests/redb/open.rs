use std::fs;

use channelcoord::{Backend, ClaimError, CommitError, Record};
use kvstore::{Fault, OpenError, Options, RedbBackend, kv};
use redb::{Database, MultimapTableDefinition, TableDefinition};

use crate::samples;
use crate::support::*;

const STORE: TableDefinition<'static, &'static [u8], &'static [u8]> = TableDefinition::new("store");
const FORMAT: &[u8] = b"\0format";

#[test]
fn everything_is_there_after_reopening() {
    let mut store = Fixture::new();
    let all = samples::all();
    store.commit(all.iter().cloned().map(put).collect());
    let store = store.reopen();
    for record in all {
        assert_eq!(get(&store.store, &record.key()).as_ref(), Some(&record), "{}", record.key());
    }
    let head = run(store.store.claim(None)).unwrap();
    assert_eq!(head.seq, store.head.seq);
}

#[test]
fn open_creates_and_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    drop(RedbBackend::open(&path).unwrap());
    let store = RedbBackend::open(&path).unwrap();
    assert_eq!(run(store.claim(None)).unwrap().epoch.0, 1);
}

#[test]
fn open_completes_an_empty_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    fs::write(&path, b"").unwrap();
    RedbBackend::open(&path).unwrap();
}

#[test]
fn create_refuses_an_existing_file() {
    let store = Fixture::new();
    let path = store.dir.path().join("other");
    fs::write(&path, b"").unwrap();
    assert!(matches!(RedbBackend::create(&path), Err(OpenError::Exists)));
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn open_existing_refuses_a_missing_file_and_creates_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    assert!(matches!(RedbBackend::open_existing(&path), Err(OpenError::Missing)));
    assert!(matches!(RedbBackend::open_read_only(&path), Err(OpenError::Missing)));
    assert!(!path.exists());
}

#[test]
fn a_missing_directory_is_an_error_of_the_file_system() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("missing").join("store.redb");
    assert!(matches!(RedbBackend::open(&path), Err(OpenError::Io(_))));
    assert!(matches!(RedbBackend::create(&path), Err(OpenError::Io(_))));
}

#[test]
fn a_directory_is_an_error_of_the_file_system() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(RedbBackend::open(dir.path()), Err(OpenError::Io(_))));
    assert!(matches!(RedbBackend::open_existing(dir.path()), Err(OpenError::Io(_))));
}

#[test]
fn an_unfinished_creation_is_no_existing_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    drop(Database::create(&path).unwrap());
    assert!(matches!(RedbBackend::open_existing(&path), Err(OpenError::NotOurs)));
    RedbBackend::open(&path).unwrap();
}

#[test]
fn a_store_in_use_is_refused() {
    let store = Fixture::new();
    assert!(matches!(RedbBackend::open(store.path()), Err(OpenError::InUse)));
    assert!(matches!(RedbBackend::open_existing(store.path()), Err(OpenError::InUse)));
    assert!(matches!(RedbBackend::open_read_only(store.path()), Err(OpenError::InUse)));
}

#[test]
fn a_released_store_can_be_opened_while_its_backend_lives() {
    let store = Fixture::new();
    run(store.store.release()).unwrap();
    RedbBackend::open_existing(store.path()).unwrap();
    let refused = unavailable(run(store.store.read(&[])));
    assert!(matches!(kv_fault(&refused), kv::Fault::Released));
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    for content in [&b"x"[..], &[0x5a; 10_000]] {
        fs::write(&path, content).unwrap();
        assert!(matches!(RedbBackend::open(&path), Err(OpenError::NotOurs)));
        assert!(matches!(RedbBackend::open_existing(&path), Err(OpenError::NotOurs)));
        assert!(matches!(RedbBackend::open_read_only(&path), Err(OpenError::NotOurs)));
        assert_eq!(fs::read(&path).unwrap(), content);
    }
}

#[test]
fn a_database_of_somebody_else_is_refused() {
    let table = TableDefinition::<u64, u64>::new("theirs");
    refused_after(|db| write(db, |txn| drop(txn.open_table(table).unwrap())));
}

#[test]
fn a_database_of_multimaps_is_refused() {
    let table = MultimapTableDefinition::<u64, u64>::new("theirs");
    refused_after(|db| write(db, |txn| drop(txn.open_multimap_table(table).unwrap())));
}

#[test]
fn a_table_named_like_ours_of_other_types_is_refused() {
    let table = TableDefinition::<u64, u64>::new("store");
    refused_after(|db| write(db, |txn| drop(txn.open_table(table).unwrap())));
}

#[test]
fn a_table_like_ours_without_a_format_is_refused() {
    refused_after(|db| write_row(db, b"\0head", b"ours?"));
}

#[test]
fn a_table_like_ours_with_another_format_is_refused() {
    refused_after(|db| write_row(db, FORMAT, b"somebody else's"));
}

#[test]
fn a_newer_format_is_refused() {
    let store = Fixture::new();
    let path = store.path();
    run(store.store.release()).unwrap();
    write_row(&Database::open(&path).unwrap(), FORMAT, &format_row(2));
    for opened in [
        RedbBackend::open(&path),
        RedbBackend::open_existing(&path),
        RedbBackend::open_read_only(&path),
    ] {
        assert!(matches!(opened, Err(OpenError::NewerFormat { found: 2, newest: 1 })));
    }
}

#[test]
fn the_format_row_is_as_documented() {
    let store = Fixture::new();
    run(store.store.release()).unwrap();
    let db = Database::open(store.path()).unwrap();
    let txn = redb::ReadableDatabase::begin_read(&db).unwrap();
    let row = txn.open_table(STORE).unwrap().get(FORMAT).unwrap().unwrap();
    assert_eq!(row.value(), format_row(1));
}

#[test]
fn a_damaged_format_row_is_reported() {
    let store = Fixture::new();
    run(store.store.release()).unwrap();
    let mut row = format_row(1);
    row[12] ^= 2;
    write_row(&Database::open(store.path()).unwrap(), FORMAT, &row);
    assert!(matches!(RedbBackend::open(store.path()), Err(OpenError::Damaged(_))));
}

#[test]
fn several_readers_share_a_closed_store() {
    let mut store = Fixture::new();
    let record = Record::Meta(samples::meta("name", b"value"));
    store.commit(vec![put(record.clone())]);
    run(store.store.release()).unwrap();
    let readers = [0, 1].map(|_| RedbBackend::open_read_only(store.path()).unwrap());
    for reader in &readers {
        assert_eq!(get(reader, &record.key()), Some(record.clone()));
    }
    assert!(matches!(RedbBackend::open(store.path()), Err(OpenError::InUse)));
}

#[test]
fn a_reader_can_neither_claim_nor_commit() {
    let store = Fixture::new();
    run(store.store.release()).unwrap();
    let reader = RedbBackend::open_read_only(store.path()).unwrap();
    match run(reader.claim(None)).unwrap_err() {
        ClaimError::Backend(error) => {
            assert!(matches!(fault(&unavailable::<()>(Err(error))), Fault::ReadOnly));
        }
        other => panic!("{other:?}"),
    }
    match commit(&reader, store.head, &[]).unwrap_err() {
        CommitError::NotStored(cause) => assert!(matches!(fault(&cause), Fault::ReadOnly)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_store_left_open_by_a_crash_is_repaired_by_a_writer_only() {
    let mut store = Fixture::new();
    let record = Record::Meta(samples::meta("name", b"value"));
    store.commit(vec![put(record.clone())]);
    let left = store.dir.path().join("left");
    fs::copy(store.path(), &left).unwrap();
    assert!(matches!(RedbBackend::open_read_only(&left), Err(OpenError::NeedsRepair)));
    assert_eq!(get(&RedbBackend::open_existing(&left).unwrap(), &record.key()), Some(record));
    RedbBackend::open_read_only(&left).unwrap();
}

#[test]
fn a_store_works_with_a_small_cache() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options::default().cache_bytes(64 << 10);
    let store = options.create(dir.path().join("store.redb")).unwrap();
    let head = run(store.claim(None)).unwrap();
    let sets: Vec<_> = samples::all().into_iter().map(put).collect();
    assert!(commit(&store, head, &sets).unwrap().iter().all(is_applied));
}

fn refused_after(spoil: impl FnOnce(&Database)) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.redb");
    let db = Database::create(&path).unwrap();
    spoil(&db);
    drop(db);
    assert!(matches!(RedbBackend::open(&path), Err(OpenError::NotOurs)));
    assert!(matches!(RedbBackend::open_existing(&path), Err(OpenError::NotOurs)));
    assert!(matches!(RedbBackend::open_read_only(&path), Err(OpenError::NotOurs)));
}

fn write(db: &Database, work: impl FnOnce(&redb::WriteTransaction)) {
    let txn = db.begin_write().unwrap();
    work(&txn);
    txn.commit().unwrap();
}

fn write_row(db: &Database, row: &[u8], value: &[u8]) {
    write(db, |txn| drop(txn.open_table(STORE).unwrap().insert(row, value).unwrap()));
}

fn format_row(format: u32) -> Vec<u8> {
    let mut row = [&b"chanstore"[..], &format.to_be_bytes()].concat();
    kv::seal(FORMAT, &mut row);
    row
}
