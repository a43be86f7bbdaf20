//! A value that somebody changed is reported with the record that it belongs to.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use channelcoord::{Backend, BackendError, CommitError, PackageAck, Record};
use chanstate::key::{KeyRange, Kind};
use chanstate::{ChannelNo, CommitmentHeight, PackageList, ShortChannelId};
use pollster::block_on;
use rusqlite::Connection;
use rusqlite::types::Value;
use support::extremes::every_kind;
use support::records::channel;
use support::{Fixture, puts};

/// Columns of a table, with their types and whether they are part of the key.
fn columns(shell: &Connection, table: &str) -> Vec<(String, String, bool)> {
    let mut statement =
        shell.prepare("select name, type, pk > 0 from pragma_table_info(?1) order by cid").unwrap();
    let columns =
        statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    columns.collect::<Result<_, _>>().unwrap()
}

/// A value of the same type that differs.
fn other(value: Value, ty: &str) -> Value {
    match value {
        Value::Null if ty.eq_ignore_ascii_case("integer") => Value::Integer(0),
        Value::Null => Value::Blob(vec![]),
        Value::Integer(value) => Value::Integer(value ^ 1),
        Value::Blob(mut bytes) => {
            match bytes.last_mut() {
                Some(last) => *last ^= 1,
                None => bytes.push(0),
            }
            Value::Blob(bytes)
        }
        Value::Text(text) => Value::Text(text + "x"),
        Value::Real(value) => panic!("{value}"),
    }
}

fn is_corrupt(error: &BackendError, name: &str) {
    let BackendError::Corrupt { record, cause } = error else { panic!("{error:?}") };
    assert_eq!(record, name);
    assert_eq!(cause.to_string(), "wrong checksum");
}

#[test]
fn every_column_of_every_kind() {
    let mut store = Fixture::new();
    let records = every_kind();
    store.put(records.clone());
    let shell = store.shell();
    shell.pragma_update(None, "foreign_keys", false).unwrap();
    let tables: Vec<String> = {
        let sql = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' \
                   and name not in ('schema_step', 'store', 'epoch') order by rootpage";
        let mut statement = shell.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(tables.len(), Kind::ALL.len());
    for (kind, table) in Kind::ALL.into_iter().zip(tables) {
        let of_kind = records.iter().filter(|record| record.key().kind == kind);
        let record = of_kind.min_by_key(|record| record.key()).unwrap();
        let name = record.key().to_string();
        let columns = columns(&shell, &table);
        let key: Vec<_> =
            columns.iter().filter(|(_, _, key)| *key).map(|(name, _, _)| name).collect();
        // The record is the first one in key order.
        let names = key.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        // Numbers from 2^63 on come last.
        let order = format!("typeof({0}) = 'integer' and {0} < 0, {names}", key[0]);
        for (column, ty, _) in columns.iter().filter(|(_, _, key)| !key) {
            let find = format!("select {column} from {table} order by {order} limit 1");
            let before: Value = shell.query_row(&find, [], |row| row.get(0)).unwrap();
            let keys = format!("select {names} from {table} order by {order} limit 1");
            let set = format!("update {table} set {column} = ?1 where ({names}) = ({keys})");
            assert_eq!(shell.execute(&set, [other(before.clone(), ty)]).unwrap(), 1);
            let read = block_on(store.backend.read(&[record.key()])).unwrap_err();
            is_corrupt(&read, &name);
            let scan = block_on(store.backend.scan(&KeyRange::all(kind), 1)).unwrap_err();
            is_corrupt(&scan, &name);
            shell.execute(&set, [before]).unwrap();
        }
        assert_eq!(store.read(&record.key()).as_ref(), Some(record));
    }
}

#[test]
fn a_row_that_moved_to_another_key() {
    let mut store = Fixture::new();
    let records = every_kind();
    store.put(records);
    store.shell().execute_batch("update opening_state set key = x'01' where key = x''").unwrap();
    let error = block_on(store.backend.scan(&KeyRange::all(Kind::OpeningState), 1)).unwrap_err();
    is_corrupt(&error, "OpeningState/01");
}

#[test]
fn an_update_to_acknowledge() {
    let mut store = Fixture::new();
    store.put(every_kind());
    store.shell().execute_batch("update package_update set log_index = 5").unwrap();
    let ack = PackageAck {
        source: ShortChannelId(0),
        height: CommitmentHeight(0),
        list: PackageList::Adds,
        index: 0,
    };
    let mut set = puts([]);
    set.acks.push(ack);
    let CommitError::NotStored(cause) = store.try_commit(&[set]).unwrap_err() else {
        panic!("stored");
    };
    assert_eq!(cause.to_string(), "damaged record PackageUpdate/0/0/0/0");
}

#[test]
fn the_row_that_says_where_the_store_stands() {
    let mut store = Fixture::new();
    store.shell().execute_batch("update store set seq = 7").unwrap();
    let error = block_on(store.backend.claim(None)).unwrap_err();
    let channelcoord::ClaimError::Backend(error) = error else { panic!("{error:?}") };
    is_corrupt(&error, "store");
    let row = Record::Channel(chanstate::Record::Channel(channel(1)));
    let error = store.try_commit(&[puts([row])]).unwrap_err();
    assert!(matches!(error, CommitError::NotStored(_)), "{error:?}");
    let key = chanstate::key::RecordKey::single(Kind::Channel, ChannelNo(1));
    assert_eq!(store.read(&key), None);
}

#[test]
fn a_damaged_page() {
    let mut store = Fixture::new();
    store.put(every_kind());
    let root: u64 = store
        .shell()
        .query_row("select rootpage from sqlite_schema where name = 'secret'", [], |row| {
            row.get::<_, u32>(0)
        })
        .unwrap()
        .into();
    let path = store.path();
    block_on(store.backend.release()).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let page = (root - 1) as usize * 4096;
    bytes[page..page + 4096].fill(0xaa);
    std::fs::write(&path, bytes).unwrap();
    let store = store.reopen();
    let error = block_on(store.backend.scan(&KeyRange::all(Kind::Secret), 1)).unwrap_err();
    let BackendError::Corrupt { record, .. } = &error else { panic!("{error:?}") };
    assert_eq!(record, "secret");
}

#[test]
fn a_row_that_moved_to_a_table_of_the_same_shape() {
    let mut store = Fixture::new();
    store.put(every_kind());
    let sql = "delete from lnd_residue; insert into lnd_residue select * from opening_state";
    store.shell().execute_batch(sql).unwrap();
    let error = block_on(store.backend.scan(&KeyRange::all(Kind::Lnd), 1)).unwrap_err();
    is_corrupt(&error, "Lnd/");
}

#[test]
fn a_damaged_row_can_be_looked_at() {
    let mut store = Fixture::new();
    store.put([Record::Channel(chanstate::Record::Channel(channel(1)))]);
    store.shell().execute_batch("update channel set scid = 77").unwrap();
    let checked = sqlstore::SqliteBackend::open_read_only(store.path()).unwrap();
    let all = KeyRange::all(Kind::Channel);
    is_corrupt(&block_on(checked.scan(&all, 1)).unwrap_err(), "Channel/1");
    let found = block_on(checked.without_checksums().scan(&all, 1)).unwrap();
    let Some(Record::Channel(chanstate::Record::Channel(row))) = found.first() else {
        panic!("{found:?}");
    };
    assert_eq!(row.scid, ShortChannelId(77));
}
