//! What cannot be brought about from outside.

use bytes::Bytes;
use channelcoord::{
    Backend, BackendError, Batch, ChangeSet, ClaimError, CommitError, Epoch, Head, Record, Seq,
    Verdict,
};
use chanstate::key::{KeyRange, Kind};
use chanstate::{OpeningStateRecord, Record as Part};
use pollster::block_on;
use rusqlite::Connection;
use tempfile::TempDir;

use super::text;
use super::{SqliteBackend, hold};
use crate::text::Entry;
use crate::value::Type;

fn store() -> (TempDir, SqliteBackend, Head) {
    let directory = tempfile::tempdir().unwrap();
    let backend = SqliteBackend::create(directory.path().join("store.sqlite")).unwrap();
    let head = block_on(backend.claim(None)).unwrap();
    (directory, backend, head)
}

fn with_writer<T>(backend: &SqliteBackend, work: impl FnOnce(&mut Connection) -> T) -> T {
    work(hold(&backend.writer).as_mut().unwrap())
}

fn with_reader<T>(backend: &SqliteBackend, work: impl FnOnce(&Connection) -> T) -> T {
    work(hold(&backend.reader).as_ref().unwrap())
}

fn value(key: &'static str, len: usize) -> [ChangeSet; 1] {
    let record = OpeningStateRecord { key: key.into(), value: vec![1; len].into() };
    let record = Record::Channel(Part::OpeningState(record));
    [ChangeSet { puts: vec![record], ..ChangeSet::default() }]
}

fn keys(backend: &SqliteBackend) -> Vec<Bytes> {
    let records = block_on(backend.scan(&KeyRange::all(Kind::OpeningState), 100)).unwrap();
    let key = |record| match record {
        Record::Channel(Part::OpeningState(record)) => record.key,
        other => panic!("{other:?}"),
    };
    records.into_iter().map(key).collect()
}

#[test]
fn a_full_database_stores_nothing_and_lives_on() {
    let (_directory, backend, head) = store();
    with_writer(&backend, |connection| {
        let pages: i64 = connection.query_row("pragma page_count", [], |row| row.get(0)).unwrap();
        connection.pragma_update(None, "max_page_count", pages + 4).unwrap();
    });
    let large = value("large", 1 << 20);
    let small = value("small", 10);
    let both = [small.clone(), large].concat();
    let batch = |sets| Batch { epoch: head.epoch, before: head.seq, sets };
    let error = block_on(backend.commit(batch(&both))).unwrap_err();
    let CommitError::NotStored(cause) = &error else { panic!("{error:?}") };
    let cause = cause.source().unwrap();
    assert_eq!(cause.to_string(), "database or disk is full");
    assert!(keys(&backend).is_empty());
    let verdicts = block_on(backend.commit(batch(&small))).unwrap();
    assert!(matches!(verdicts[..], [Verdict::Applied]));
    assert_eq!(keys(&backend), ["small"]);
}

#[test]
fn a_commit_of_unknown_outcome_shuts_the_store() {
    let (directory, backend, head) = store();
    // Makes COMMIT itself fail.
    with_writer(&backend, |connection| connection.commit_hook(Some(|| true)).unwrap());
    let set = value("key", 1);
    let batch = Batch { epoch: head.epoch, before: head.seq, sets: &set };
    let error = block_on(backend.commit(batch)).unwrap_err();
    assert!(matches!(error, CommitError::Unknown(_)), "{error:?}");

    with_writer(&backend, |connection| connection.commit_hook(None::<fn() -> bool>).unwrap());
    let unavailable = |error: BackendError| assert!(matches!(error, BackendError::Unavailable(_)));
    unavailable(block_on(backend.settle(batch)).unwrap_err());
    unavailable(block_on(backend.read(&[])).unwrap_err());
    unavailable(block_on(backend.scan(&KeyRange::all(Kind::Meta), 1)).unwrap_err());
    let error = block_on(backend.claim(None)).unwrap_err();
    assert!(matches!(error, ClaimError::Backend(BackendError::Unavailable(_))), "{error:?}");
    let error = block_on(backend.commit(batch)).unwrap_err();
    assert!(matches!(error, CommitError::NotStored(_)), "{error:?}");
    block_on(backend.release()).unwrap();

    // Reopening finds out.
    let backend = SqliteBackend::open_existing(directory.path().join("store.sqlite")).unwrap();
    let settled = block_on(backend.settle(batch)).unwrap();
    assert!(matches!(settled, channelcoord::Settled::NotStored(_)), "{settled:?}");
    let head = block_on(backend.claim(None)).unwrap();
    assert_eq!(head, Head { epoch: Epoch(2), seq: Seq(0) });
}

#[test]
fn a_transaction_left_open_shuts_the_store() {
    let (_directory, backend, head) = store();
    let left = backend.write(|connection| connection.execute_batch("begin").unwrap());
    left.unwrap();
    let set = value("key", 1);
    let batch = Batch { epoch: head.epoch, before: head.seq, sets: &set };
    let error = block_on(backend.commit(batch)).unwrap_err();
    let CommitError::NotStored(cause) = &error else { panic!("{error:?}") };
    assert!(cause.to_string().contains("could not be rolled back"));
}

#[test]
fn a_busy_database_stores_nothing_and_lives_on() {
    let (directory, backend, head) = store();
    with_writer(&backend, |connection| {
        connection.pragma_update(None, "busy_timeout", 0).unwrap();
    });
    let shell = Connection::open(directory.path().join("store.sqlite")).unwrap();
    shell.execute_batch("begin immediate").unwrap();
    let set = value("key", 1);
    let batch = Batch { epoch: head.epoch, before: head.seq, sets: &set };
    let error = block_on(backend.commit(batch)).unwrap_err();
    assert!(matches!(error, CommitError::NotStored(_)), "{error:?}");
    shell.execute_batch("rollback").unwrap();
    block_on(backend.commit(batch)).unwrap();
}

#[test]
fn connections_have_their_settings() {
    let (_directory, backend, _) = store();
    let setting = |connection: &Connection, name: &str| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
            .unwrap()
    };
    let integer = rusqlite::types::Value::Integer;
    with_writer(&backend, |connection| {
        assert_eq!(setting(connection, "journal_mode"), "wal".to_owned().into());
        assert_eq!(setting(connection, "synchronous"), integer(2));
        assert_eq!(setting(connection, "foreign_keys"), integer(1));
        assert_eq!(setting(connection, "page_size"), integer(4096));
        assert_eq!(setting(connection, "application_id"), integer(0x6368_7374));
        assert_eq!(setting(connection, "user_version"), integer(1));
    });
    with_reader(&backend, |connection| {
        assert_eq!(setting(connection, "query_only"), integer(1));
        assert!(connection.execute_batch("delete from meta").is_err());
    });
}

#[test]
fn tables_have_the_columns_that_records_are_mapped_to() {
    let (_directory, backend, _) = store();
    let entries = Kind::ALL.map(text::of_kind).into_iter().chain([text::store(), text::epoch()]);
    for entry in entries {
        let name = entry.table.name;
        let found = with_reader(&backend, |connection| columns(connection, name));
        let key = entry.table.key;
        let mapped = entry.table.columns.iter().enumerate().map(|(index, column)| {
            let ty = match column.ty {
                Type::Int | Type::Bool => "INTEGER",
                Type::Blob => "BLOB",
                Type::Text => "TEXT",
            };
            let place = if index < key { index as u32 + 1 } else { 0 };
            (column.name.clone(), ty.to_owned(), column.null, place)
        });
        let checksum = ("checksum".to_owned(), "INTEGER".to_owned(), false, 0);
        let mapped: Vec<_> = mapped.chain([checksum]).collect();
        assert_eq!(found, mapped, "{name}");
    }
}

/// Name, type, whether it may be null, and place in the primary key.
fn columns(connection: &Connection, table: &str) -> Vec<(String, String, bool, u32)> {
    let sql =
        "select name, upper(type), \"notnull\" = 0, pk from pragma_table_xinfo(?1) order by cid";
    let mut statement = connection.prepare(sql).unwrap();
    let column = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
    statement.query_map([table], column).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_statement_seeks_by_all_that_is_given_of_the_key() {
    let (_directory, backend, _) = store();
    for kind in Kind::ALL {
        let Entry { table, statements, .. } = text::of_kind(kind);
        // A key that is one number is the row id.
        let row_id = table.key == 1 && table.columns[0].ty == Type::Int;
        let names = table.key_columns().iter().map(|column| &*column.name);
        let names: Vec<_> = names.map(|name| if row_id { "rowid" } else { name }).collect();
        let equal =
            |names: &[&str]| names.iter().map(|name| format!("{name}=?")).collect::<Vec<_>>();
        let mut expected =
            vec![(&statements.get, equal(&names)), (&statements.delete, equal(&names))];
        for (given, scan) in statements.scans.iter().enumerate() {
            let (prefix, rest) = names.split_at(given);
            let after = match rest {
                [name] => format!("{name}>?"),
                names => format!("({})>({})", names.join(","), vec!["?"; names.len()].join(",")),
            };
            let (mut all, mut after) = (equal(prefix), [equal(prefix), vec![after]].concat());
            if table.wide && given == 0 {
                all = vec![format!("{}>?", names[0]), format!("{}<?", names[0])];
                after.push(format!("{}<?", names[0]));
            }
            expected.extend([(&scan.all, all), (&scan.after, after)]);
        }
        for (sql, terms) in expected {
            let steps = with_writer(&backend, |connection| plan(connection, sql));
            let seek = format!("({})", terms.join(" AND "));
            let walk = terms.is_empty() && steps[0].starts_with("SCAN");
            assert!(walk || steps[0].ends_with(&seek), "{sql}: {steps:?}");
            assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}: {steps:?}");
        }
    }
}

fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("explain query plan {sql}")).unwrap();
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get("detail").unwrap());
    }
    steps
}
