//! lnd's table as rows, made from a tree, and written as lnd does.
#![allow(dead_code, reason = "no file of tests needs all of it")]

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::bolt_writer::{Node, Tree};

/// Statements with which lnd makes its table in SQLite.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS channeldb_kv
(
    key BLOB NOT NULL,
    value BLOB,
    parent_id BIGINT,
    id INTEGER PRIMARY KEY,
    sequence BIGINT,
    CONSTRAINT channeldb_kv_parent FOREIGN KEY (parent_id)
        REFERENCES channeldb_kv (id)
        ON UPDATE NO ACTION
        ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS channeldb_kv_p
    ON channeldb_kv (parent_id);
CREATE UNIQUE INDEX IF NOT EXISTS channeldb_kv_up
    ON channeldb_kv
    (parent_id, key) WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS channeldb_kv_unp
    ON channeldb_kv (key) WHERE parent_id IS NULL;
";

/// A table that lets everything in: what is left of lnd's after somebody moved it by hand.
const LOOSE: &str =
    "create table channeldb_kv (key, value, parent_id, id integer primary key, sequence)";

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct KvRow {
    pub(crate) id: i64,
    pub(crate) parent: Option<i64>,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) sequence: Option<i64>,
}

/// In which order rows were written, and so what their numbers are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Each bucket before what is in it, keys in order.
    Walk,
    /// Keys from the last to the first.
    Backward,
    /// Numbers that say nothing, with gaps between them and below zero.
    Scattered,
}

/// The rows of a tree.
pub(crate) fn rows(tree: &Tree, order: Order) -> Vec<KvRow> {
    let mut rows = Vec::new();
    add(tree, None, order, &mut rows);
    if let Order::Scattered = order {
        let count = rows.len() as i64;
        // Odd factors give each number another one.
        let number = |id: i64| (id * 7919) % (count * 16 + 1) - 8 * count;
        let factor_fits = (count * 16 + 1) % 7919 != 0;
        assert!(factor_fits);
        for row in &mut rows {
            row.id = number(row.id);
            row.parent = row.parent.map(number);
        }
        rows.sort_by_key(|row| row.id);
    }
    rows
}

fn add(tree: &Tree, parent: Option<i64>, order: Order, rows: &mut Vec<KvRow>) {
    let mut nodes: Vec<_> = tree.nodes.iter().collect();
    if let Order::Backward = order {
        nodes.reverse();
    }
    for (key, node) in nodes {
        let id = rows.len() as i64 + 1;
        let (value, sequence) = match node {
            Node::Value(value) => (Some(value.clone()), None),
            Node::Bucket(bucket) => (None, (bucket.sequence > 0).then_some(bucket.sequence as i64)),
        };
        rows.push(KvRow { id, parent, key: key.clone(), value, sequence });
        if let Node::Bucket(bucket) = node {
            add(bucket, Some(id), order, rows);
        }
    }
}

/// Opens a file as lnd does.
pub(crate) fn connect(path: &Path) -> Connection {
    let shell = Connection::open(path).unwrap();
    shell.pragma_update(None, "auto_vacuum", "incremental").unwrap();
    shell.pragma_update(None, "journal_mode", "wal").unwrap();
    shell.pragma_update(None, "foreign_keys", "on").unwrap();
    shell
}

/// Writes rows into a new file with lnd's constraints.
pub(crate) fn write(path: &Path, rows: &[KvRow], page_size: u32) {
    let shell = Connection::open(path).unwrap();
    shell.pragma_update(None, "page_size", page_size).unwrap();
    drop(shell);
    let mut shell = Connection::open(path).unwrap();
    shell.pragma_update(None, "page_size", page_size).unwrap();
    shell.pragma_update(None, "auto_vacuum", "incremental").unwrap();
    shell.pragma_update(None, "journal_mode", "wal").unwrap();
    shell.execute_batch(SCHEMA).unwrap();
    // Another database of lnd's shares the file.
    shell.execute_batch(&SCHEMA.replace("channeldb_kv", "decayedlogdb_kv")).unwrap();
    fill(&mut shell, rows);
    shell.pragma_update(None, "foreign_keys", "on").unwrap();
    let orphans = shell.prepare("pragma foreign_key_check").unwrap().exists([]).unwrap();
    assert!(!orphans);
}

/// Writes rows into a new file without any constraint.
pub(crate) fn write_loose(path: &Path, rows: &[KvRow]) {
    let mut shell = Connection::open(path).unwrap();
    shell.execute_batch(LOOSE).unwrap();
    fill(&mut shell, rows);
}

fn fill(shell: &mut Connection, rows: &[KvRow]) {
    shell.pragma_update(None, "foreign_keys", "off").unwrap();
    let transaction = shell.transaction().unwrap();
    {
        let sql =
            "insert into channeldb_kv (id, parent_id, key, value, sequence) values (?, ?, ?, ?, ?)";
        let mut insert = transaction.prepare(sql).unwrap();
        for row in rows {
            let value = row.value.clone().map_or(Value::Null, Value::Blob);
            insert.execute((row.id, row.parent, &row.key, value, row.sequence)).unwrap();
        }
    }
    transaction.commit().unwrap();
}
