//! In lnd's table in SQLite.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use migrate::lnd::source::{LndSource, SourceError};
use migrate::lnd::tombstone::{Home, TombstoneError, remove, write};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::bolt_writer::Tree;
use crate::kv::{self, Order, rows};
use crate::pages::{NAME, fixture};

fn desk(name: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("channel.sqlite");
    kv::write(&path, &rows(&Tree::read(&fixture(name)), Order::Scattered), 4096);
    (dir, path)
}

type Rows = Vec<(i64, Option<i64>, Vec<u8>, Option<Vec<u8>>, Option<i64>)>;

fn content(path: &PathBuf) -> Rows {
    let shell = Connection::open(path).unwrap();
    let sql = "select id, parent_id, key, value, sequence from channeldb_kv order by id";
    let mut all = shell.prepare(sql).unwrap();
    let rows = all
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_mark_is_two_rows_and_nothing_else() {
    let (_dir, path) = desk("legacy31.db");
    let before = content(&path);
    write(Home::Sqlite(&path), "moved").unwrap();
    let mut after = content(&path);
    after.retain(|row| !before.contains(row));
    assert_eq!(after.len(), 2);
    let (bucket, ..) = after[0];
    assert_eq!(after[0], (bucket, None, NAME.to_vec(), None, None));
    assert_eq!(after[1].1, Some(bucket));
    assert_eq!((after[1].2.as_slice(), after[1].3.as_deref()), (NAME, Some(&b"moved"[..])));
    let refused = LndSource::open_sqlite(&path, false);
    assert!(
        matches!(&refused, Err(SourceError::Tombstoned(text)) if text == "moved"),
        "{refused:?}"
    );
    assert_eq!(remove(Home::Sqlite(&path)).unwrap().as_deref(), Some("moved"));
    assert!(content(&path) == before);
    LndSource::open_sqlite(&path, false).unwrap();
    assert_eq!(remove(Home::Sqlite(&path)).unwrap(), None);
}

#[test]
fn the_mark_of_another_tool_can_be_removed() {
    let (_dir, path) = desk("tombstoned.db");
    let refused = write(Home::Sqlite(&path), "text");
    assert!(matches!(refused, Err(TombstoneError::Tombstoned(_))), "{refused:?}");
    assert!(remove(Home::Sqlite(&path)).unwrap().unwrap().starts_with("lndinit migrate-db"));
    let tree = Tree::read(&fixture("node.db"));
    assert!(content(&path).len() == rows(&tree, Order::Walk).len());
}

#[test]
fn an_empty_mark_is_none_and_others_are_not_lost() {
    let (_dir, path) = desk("empty.db");
    let shell = kv::connect(&path);
    shell.execute("insert into channeldb_kv (id, key) values (900, ?)", [NAME]).unwrap();
    shell
        .execute("insert into channeldb_kv (parent_id, key, value) values (900, ?, x'')", [NAME])
        .unwrap();
    drop(shell);
    write(Home::Sqlite(&path), "text").unwrap();
    remove(Home::Sqlite(&path)).unwrap().unwrap();
    let shell = kv::connect(&path);
    shell.execute("insert into channeldb_kv (id, key) values (900, ?)", [NAME]).unwrap();
    shell
        .execute_batch(
            "insert into channeldb_kv (parent_id, key, value) values (900, x'01', x'02')",
        )
        .unwrap();
    drop(shell);
    let before = content(&path);
    assert!(matches!(write(Home::Sqlite(&path), "text"), Err(TombstoneError::Occupied)));
    assert!(matches!(remove(Home::Sqlite(&path)), Err(TombstoneError::Occupied)));
    assert!(content(&path) == before);
}

#[test]
fn a_damaged_table_is_left_as_it_is() {
    for change in [
        "update channeldb_kv set sequence = -1 where key = cast('nib' as blob)",
        "insert into channeldb_kv (parent_id, key, value) values (90000, x'01', x'02')",
    ] {
        let (_dir, path) = desk("empty.db");
        let shell = Connection::open(&path).unwrap();
        shell.pragma_update(None, "foreign_keys", "off").unwrap();
        assert_eq!(shell.execute(change, []).unwrap(), 1);
        drop(shell);
        let before = content(&path);
        let refused = write(Home::Sqlite(&path), "text");
        assert!(matches!(refused, Err(TombstoneError::Damaged { .. })), "{refused:?}");
        assert!(matches!(remove(Home::Sqlite(&path)), Err(TombstoneError::Damaged { .. })));
        assert!(content(&path) == before);
    }
}

/// A write that stops half-way stores nothing.
#[test]
fn a_mark_is_written_whole_or_not_at_all() {
    let (_dir, path) = desk("empty.db");
    let shell = Connection::open(&path).unwrap();
    // The second row of the mark is refused.
    shell
        .execute_batch(
            "create trigger stop before insert on channeldb_kv when new.value is not null \
             begin select raise(abort, 'no more'); end",
        )
        .unwrap();
    drop(shell);
    let before = content(&path);
    let refused = write(Home::Sqlite(&path), "text");
    assert!(matches!(refused, Err(TombstoneError::Engine(_))), "{refused:?}");
    assert!(content(&path) == before);
}

#[test]
fn a_writer_in_the_middle_of_something_keeps_its_file() {
    let (_dir, path) = desk("empty.db");
    let lnd = kv::connect(&path);
    lnd.execute_batch("begin immediate").unwrap();
    let refused = write(Home::Sqlite(&path), "text");
    assert!(matches!(refused, Err(TombstoneError::Engine(_))), "{refused:?}");
    lnd.execute_batch("rollback").unwrap();
    drop(lnd);
    write(Home::Sqlite(&path), "text").unwrap();
}

/// Opens a database as lnd does and holds it until its input ends: locks tell only processes apart.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn hold() {
    let Some(path) = std::env::var_os(HELD) else { return };
    let lnd = kv::connect(std::path::Path::new(&path));
    lnd.query_row("select count(*) from channeldb_kv", [], |_| Ok(())).unwrap();
    println!("\nholding");
    std::io::read_to_string(std::io::stdin()).unwrap();
}

/// Names the database to hold.
const HELD: &str = "MIGRATE_TEST_HELD";

#[test]
fn a_database_that_another_process_has_open_is_left_as_it_is() {
    let (_dir, path) = desk("empty.db");
    let mut lnd = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::hold", "--ignored", "--nocapture"])
        .env(HELD, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(lnd.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "holding"));
    for refused in [write(Home::Sqlite(&path), "text"), remove(Home::Sqlite(&path)).map(drop)] {
        let Err(TombstoneError::InUse(user)) = refused else { panic!("{refused:?}") };
        assert!(user.contains(&format!("process {}", lnd.id())), "{user}");
    }
    drop(lnd.stdin.take());
    // Its input ends, and it with it.
    said.for_each(drop);
    assert!(lnd.wait().unwrap().success());
    write(Home::Sqlite(&path), "text").unwrap();
}
