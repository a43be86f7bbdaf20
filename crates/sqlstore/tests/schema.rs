//! `SCHEMA.md` says what the schema is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::fmt::Write as _;
use std::path::Path;

use rusqlite::Connection;
use support::Fixture;

const WRITE: &str = "SQLSTORE_WRITE_SCHEMA";

#[test]
fn the_document_is_the_schema() {
    let store = Fixture::new();
    let document = describe(&store.shell());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("SCHEMA.md");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &document).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, document, "run this test with {WRITE}=1 to write SCHEMA.md anew");
}

struct Part {
    name: String,
    sql: String,
}

fn parts(shell: &Connection, ty: &str) -> Vec<Part> {
    let sql = "select name, sql from sqlite_schema \
               where type = ?1 and name not like 'sqlite_%' order by rowid";
    let mut statement = shell.prepare(sql).unwrap();
    let parts = statement.query_map([ty], |row| Ok(Part { name: row.get(0)?, sql: row.get(1)? }));
    parts.unwrap().collect::<Result<_, _>>().unwrap()
}

fn describe(shell: &Connection) -> String {
    let mut out = String::from(
        "# Schema of a store in SQLite\n\n\
         Made from the comments in the schema by the test `the_document_is_the_schema`.\n\n\
         Unsigned 64-bit numbers are stored as signed ones with the same bits. Transaction and block \
         hashes are in display order, as explorers print them. Rows carry a checksum, so change \
         nothing by hand.\n\n\
         ## Views\n\nFor operators; names and columns are stable.\n",
    );
    for view in parts(shell, "view") {
        write!(out, "\n### {}\n\n{}\n\n", view.name, comment(&view.sql, "create view")).unwrap();
        out.push_str("| Column | |\n|---|---|\n");
        for column in columns(shell, &view.name) {
            let doc = comment(&view.sql, &format!(" as {}", column.name));
            writeln!(out, "| {} | {doc} |", column.name).unwrap();
        }
    }
    out.push_str("\n## Tables\n");
    for table in parts(shell, "table") {
        write!(out, "\n### {}\n\n{}\n\n", table.name, comment(&table.sql, "create table")).unwrap();
        out.push_str("| Column | Type | Key | |\n|---|---|---|---|\n");
        for column in columns(shell, &table.name) {
            let doc = comment(&table.sql, &format!("    {}", column.name));
            let Column { name, ty, null, key } = column;
            let null = if null { ", may be null" } else { "" };
            let key = if key == 0 { String::new() } else { key.to_string() };
            writeln!(out, "| {name} | {}{null} | {key} | {doc} |", ty.to_lowercase()).unwrap();
        }
    }
    out
}

struct Column {
    name: String,
    ty: String,
    null: bool,
    key: u32,
}

fn columns(shell: &Connection, table: &str) -> Vec<Column> {
    let sql = "select name, type, \"notnull\" = 0, pk from pragma_table_xinfo(?1) order by cid";
    let mut statement = shell.prepare(sql).unwrap();
    let column = |row: &rusqlite::Row<'_>| {
        Ok(Column { name: row.get(0)?, ty: row.get(1)?, null: row.get(2)?, key: row.get(3)? })
    };
    statement.query_map([table], column).unwrap().collect::<Result<_, _>>().unwrap()
}

/// The comment at the end of the one line on which `mark` is a word.
fn comment(sql: &str, mark: &str) -> String {
    let is_word = |rest: &str| rest.starts_with([',', ' ']);
    let marked = |line: &&str| {
        let line = line.to_lowercase();
        line.split_once(mark).is_some_and(|(_, rest)| is_word(rest))
    };
    let lines: Vec<_> = sql.lines().filter(marked).collect();
    let [line] = lines[..] else { panic!("{mark:?} is on {} lines", lines.len()) };
    let (_, doc) = line.split_once(" -- ").unwrap_or_else(|| panic!("{line} has no comment"));
    doc.to_owned()
}
