//! Faults in the raw rows of redb.

use std::path::Path;

use channelcoord::Record;
use chanstate::key::Kind;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};

use crate::base;
use crate::command::Desk;
use crate::judge::{Judge, nameless, open};
use crate::record_faults::unversioned;

type Rows = Vec<(Vec<u8>, Vec<u8>)>;
type Definition<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;

/// Bytes of a row that are changed at most.
const BYTES: usize = 8;

fn tables(path: &Path) -> Vec<(String, Rows)> {
    let db = Database::open(path).unwrap();
    let read = db.begin_read().unwrap();
    let mut found = Vec::new();
    for handle in read.list_tables().unwrap() {
        let name = handle.name().to_owned();
        let table = read.open_table(Definition::new(&name)).unwrap();
        let mut rows = Rows::new();
        for row in table.iter().unwrap() {
            let (key, value) = row.unwrap();
            rows.push((key.value().to_vec(), value.value().to_vec()));
        }
        found.push((name, rows));
    }
    found
}

/// Puts and removes rows, whatever they hold.
fn write(path: &Path, table: &str, rows: &[(Vec<u8>, Option<Vec<u8>>)]) {
    let db = Database::open(path).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut table = txn.open_table(Definition::new(table)).unwrap();
        for (key, value) in rows {
            match value {
                Some(value) => drop(table.insert(&key[..], &value[..]).unwrap()),
                None => drop(table.remove(&key[..]).unwrap()),
            }
        }
    }
    txn.commit().unwrap();
}

/// A value with the checksum that belongs to it.
fn sealed(key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(content);
    [content, &hasher.finalize().to_be_bytes()].concat()
}

struct Fault {
    name: String,
    rows: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn faults(rows: &Rows) -> Vec<Fault> {
    let mut faults = Vec::new();
    let kinds = Kind::ALL
        .into_iter()
        .map(|kind| (kind, rows.iter().filter(move |(key, _)| key[0] == kind as u8)));
    for (kind, rows) in kinds {
        let rows: Vec<_> = rows.collect();
        let Some((first, last)) = rows.first().zip(rows.last()) else { continue };
        faults
            .push(Fault { name: format!("missing {kind:?}"), rows: vec![(last.0.clone(), None)] });
        // Under a key that follows the last one; what the value says of its key is another.
        let mut key = last.0.clone();
        *key.last_mut().unwrap() ^= 3;
        let value = sealed(&key, &last.1[..last.1.len() - 4]);
        if rows.iter().all(|(other, _)| *other != key) {
            faults.push(Fault { name: format!("extra {kind:?}"), rows: vec![(key, Some(value))] });
        }
        if first.0 != last.0 {
            let put = |key: &[u8], value: &[u8]| {
                (key.to_vec(), Some(sealed(key, &value[..value.len() - 4])))
            };
            let rows = vec![put(&first.0, &last.1), put(&last.0, &first.1)];
            faults.push(Fault { name: format!("swapped {kind:?}"), rows });
        }
        let richest =
            rows.iter().filter(|(_, value)| value.len() < 5000).max_by_key(|row| row.1.len());
        if let Some((key, value)) = richest {
            let content = &value[..value.len() - 4];
            let mut changed: Vec<(String, Vec<u8>)> = Vec::new();
            for at in (0..content.len()).step_by(content.len().div_ceil(BYTES)) {
                let mut bytes = content.to_vec();
                bytes[at] ^= 1;
                changed.push((format!("byte {at} of {kind:?}"), bytes));
            }
            changed.push((format!("lost tail of {kind:?}"), content[..content.len() - 1].to_vec()));
            changed.push((format!("longer {kind:?}"), [content, &[0]].concat()));
            let same = |bytes: &[u8]| {
                let decode = |bytes: &[u8]| Record::decode(kind, bytes.to_vec().into()).ok();
                decode(bytes).map(unversioned) == decode(content).map(unversioned)
            };
            for (name, bytes) in changed.into_iter().filter(|(_, bytes)| !same(bytes)) {
                let rows = vec![(key.clone(), Some(sealed(key, &bytes)))];
                faults.push(Fault { name, rows });
            }
            let mut unsealed = value.clone();
            *unsealed.last_mut().unwrap() ^= 1;
            let rows = vec![(key.clone(), Some(unsealed))];
            faults.push(Fault { name: format!("checksum of {kind:?}"), rows });
        }
    }
    faults
}

#[test]
fn every_fault_in_a_raw_row_is_found() {
    let desk = Desk::new();
    let content = base::content();
    let path = desk.0.path().join("store");
    base::fill(&kvstore::RedbBackend::create(&path).unwrap(), &content);
    let (from, source) = nameless(base::in_memory(&content));
    let url = desk.url("redb", "store");
    let mut judge = {
        let (to, target) = open(&url);
        Judge::new(from, source, &to, &target)
    };
    for (table, rows) in tables(&path) {
        for fault in faults(&rows) {
            let row = |key: &Vec<u8>| rows.iter().find(|(other, _)| other == key);
            let before: Vec<_> = fault
                .rows
                .iter()
                .map(|(key, _)| (key.clone(), row(key).map(|row| row.1.clone())))
                .collect();
            write(&path, &table, &fault.rows);
            let names = fault.rows.iter().map(|(key, _)| {
                let key = kvstore::kv::parse_key(key).map(|key| key.to_string());
                key.into_iter().collect()
            });
            let (to, target) = open(&url);
            judge.found(&fault.name, &names.collect(), &Vec::new(), &to, &target);
            drop(target);
            write(&path, &table, &before);
        }
    }
    judge.conclude("redb");
}
