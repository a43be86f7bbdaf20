//! Faults in every table of SQLite.

use std::collections::HashSet;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::command::Desk;
use crate::judge::{Judge, nameless, open};
use crate::sql::{Column, Shell, Table, Type, Value, order};
use crate::trial::Trial;
use crate::{base, table_faults};

/// Changes of a column where each takes a whole comparison with lnd's database.
const CHANGES: usize = 1;

struct Sqlite(Connection);

impl Sqlite {
    fn open(path: &Path) -> Sqlite {
        let connection = Connection::open(path).unwrap();
        // An operator's tool does not enforce them either.
        connection.execute_batch("pragma foreign_keys = off; pragma synchronous = off").unwrap();
        Sqlite(connection)
    }

    fn strings(&self, sql: &str) -> Vec<String> {
        let mut statement = self.0.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(|row| row.unwrap()).collect()
    }
}

impl Shell for Sqlite {
    fn tables(&mut self) -> Vec<Table> {
        let names = "select name from sqlite_master where type = 'table' order by name";
        let mut tables = Vec::new();
        for name in self.strings(names) {
            let sql =
                format!("select name, type, \"notnull\", pk from pragma_table_info('{name}')");
            let mut statement = self.0.prepare(&sql).unwrap();
            let (mut columns, mut key) = (Vec::new(), 0);
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let ty = match row.get::<_, String>(1).unwrap().to_lowercase().as_str() {
                    "integer" => Type::Int,
                    "blob" => Type::Blob,
                    "text" => Type::Text,
                    other => panic!("{name} has a column of type {other}"),
                };
                let nullable = !row.get::<_, bool>(2).unwrap();
                key += usize::from(row.get::<_, i64>(3).unwrap() > 0);
                columns.push(Column { name: row.get(0).unwrap(), ty, nullable });
            }
            let sql = format!("select * from \"{name}\" order by {}", order(key));
            let mut statement = self.0.prepare(&sql).unwrap();
            let mut rows = statement.query([]).unwrap();
            let mut found = Vec::new();
            while let Some(row) = rows.next().unwrap() {
                let value = |at| match row.get_ref(at).unwrap() {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(value) => Value::Int(value),
                    ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
                    ValueRef::Text(bytes) => Value::Text(bytes.to_vec()),
                    ValueRef::Real(_) => panic!("{name} holds a real"),
                };
                found.push((0..columns.len()).map(value).collect());
            }
            tables.push(Table { name, columns, key, rows: found });
        }
        tables
    }

    fn run(&mut self, statements: &str) -> Result<(), String> {
        let run = self.0.execute_batch(&format!("begin;{statements}commit"));
        run.map_err(|error| {
            self.0.execute_batch("rollback").unwrap();
            error.to_string()
        })
    }

    fn literal(&self, value: &Value) -> String {
        match value {
            Value::Null => "null".into(),
            Value::Int(value) => value.to_string(),
            Value::Bool(value) => u8::from(*value).to_string(),
            Value::Blob(bytes) => format!("x'{}'", table_faults::hex(bytes)),
            Value::Text(bytes) => format!("cast(x'{}' as text)", table_faults::hex(bytes)),
        }
    }
}

#[test]
fn every_fault_in_a_copy_of_a_store_is_found() {
    let desk = Desk::new();
    let content = base::content();
    let path = desk.0.path().join("store");
    base::fill(&sqlstore::SqliteBackend::create(&path).unwrap(), &content);
    let mut shell = Sqlite::open(&path);
    let tables = shell.tables();
    table_faults::require_every_option(&tables);
    let (from, source) = nameless(base::in_memory(&content));
    let url = desk.url("sqlite", "store");
    let mut judge = {
        let (to, target) = open(&url);
        Judge::new(from, source, &to, &target)
    };
    let mut trial = Trial { shell: &mut shell, tables: &tables, judge: &mut judge };
    trial.run(usize::MAX, false, &mut |judge| {
        let (to, target) = open(&url);
        judge(&to, &target);
    });
    judge.conclude("SQLite against a store");
}

#[test]
fn every_fault_in_a_copy_of_lnd_s_database_is_found() {
    let mut seen = HashSet::new();
    for name in ["node.db", "legacy.db"] {
        let desk = Desk::new();
        let database = base::pruned(name, desk.0.path());
        let content = base::imported(&database);
        let path = desk.0.path().join("store");
        base::fill(&sqlstore::SqliteBackend::create(&path).unwrap(), &content);
        let mut shell = Sqlite::open(&path);
        let mut tables = shell.tables();
        // What one database holds need not be tried with the other.
        let is_new = |table: &Table| table.name == "channel" || !seen.contains(&table.name);
        tables.iter_mut().filter(|table| !is_new(table)).for_each(|table| table.rows.clear());
        seen.extend(tables.iter().filter(|table| !table.rows.is_empty()).map(|t| t.name.clone()));
        let (from, source) = open(&format!("lnd-bolt:{}", database.display()));
        let url = desk.url("sqlite", "store");
        let mut judge = {
            let (to, target) = open(&url);
            Judge::new(from, source, &to, &target)
        };
        let mut trial = Trial { shell: &mut shell, tables: &tables, judge: &mut judge };
        trial.run(CHANGES, true, &mut |judge| {
            let (to, target) = open(&url);
            judge(&to, &target);
        });
        judge.conclude(&format!("SQLite against {name}"));
    }
}
