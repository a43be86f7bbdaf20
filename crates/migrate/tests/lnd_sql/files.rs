//! Files: nothing of the user's is written, the log counts, and a running lnd is noticed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use migrate::lnd::source::{LndSource, Refused};
use migrate::opened::Failure;

use crate::bolt_writer::Tree;
use crate::command::{Desk, code, copy, fixture, json, migrate, stderr};
use crate::kv::{Order, connect, rows, write};
use crate::meanwhile::copy_with;

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// A desk with a database of lnd.
fn desk(name: &str) -> (Desk, PathBuf) {
    let desk = Desk::new();
    let path = desk.0.path().join("channel.sqlite");
    write(&path, &rows(&Tree::read(&fixture(name)), Order::Walk), 4096);
    (desk, path)
}

/// Copies a database with a log whose changes are not in the file yet, as it is found after a crash
/// or taken from a running lnd. One link node fewer is what the log says.
fn with_log() -> (Desk, PathBuf) {
    let (live, path) = desk("legacy31.db");
    let shell = connect(&path);
    shell.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
    let gone = "delete from channeldb_kv where id = (select max(node.id) from channeldb_kv as node \
                join channeldb_kv as nib on nib.id = node.parent_id where nib.key = cast('nib' as blob))";
    assert_eq!(shell.execute(gone, []).unwrap(), 1);
    let desk = Desk::new();
    let copy = desk.0.path().join("channel.sqlite");
    fs::copy(&path, &copy).unwrap();
    fs::copy(beside(&path, "-wal"), beside(&copy, "-wal")).unwrap();
    drop((shell, live));
    (desk, copy)
}

fn link_nodes(path: &Path) -> i64 {
    let inspected = migrate(&["inspect", "--json", &format!("lnd-sqlite:{}", path.display())]);
    assert_eq!(code(&inspected), 0, "{}", stderr(&inspected));
    json(&inspected)["counts"]["link_nodes"].as_i64().unwrap()
}

/// Names and content of what is in a directory, but for shared memory and logs without content.
fn content(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
    });
    entries.filter(|(name, bytes)| !(name.ends_with("-shm") || bytes.is_empty())).collect()
}

#[test]
fn a_database_is_recognised_by_its_content() {
    let (desk, path) = desk("empty.db");
    let plain = json(&migrate(&["inspect", "--json", path.to_str().unwrap()]));
    assert_eq!(plain["format"], "lnd-sqlite");
    let store = desk.url("sqlite", "store");
    assert_eq!(code(&copy(path.to_str().unwrap(), &store)), 0);
    let ours =
        json(&migrate(&["inspect", "--json", desk.0.path().join("store").to_str().unwrap()]));
    assert_eq!(ours["format"], "sqlite");
    // Somebody else's file is neither.
    let foreign = desk.0.path().join("foreign");
    connect(&foreign).execute_batch("create table a (b)").unwrap();
    let refused = migrate(&["inspect", foreign.to_str().unwrap()]);
    assert_eq!(code(&refused), 3);
    let refused = migrate(&["check", &format!("lnd-sqlite:{}", foreign.display())]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("no table channeldb_kv"), "{}", stderr(&refused));
}

#[test]
fn the_log_counts_and_stays_as_it_is() {
    let (desk, path) = with_log();
    let before = content(desk.0.path());
    assert_eq!(before.len(), 2);
    assert_eq!(link_nodes(&path), 3);
    assert_eq!(content(desk.0.path()), before);
    fs::remove_file(beside(&path, "-wal")).unwrap();
    fs::remove_file(beside(&path, "-shm")).unwrap();
    assert_eq!(link_nodes(&path), 4);
}

#[test]
fn a_copy_writes_nothing_into_its_source() {
    let (desk, path) = desk("legacy31.db");
    let (before, stores) = (content(desk.0.path()), Desk::new());
    assert_eq!(code(&copy(path.to_str().unwrap(), &stores.url("redb", "store"))), 0);
    assert_eq!(content(desk.0.path()), before);
}

/// As in a directory where no file can be made, SQLite gets no shared memory: it follows no links.
/// Permissions would not keep the superuser out.
fn close_directory(path: &Path) {
    std::os::unix::fs::symlink("nowhere", beside(path, "-shm")).unwrap();
}

#[test]
fn a_file_in_a_closed_directory_is_read_as_it_is() {
    let (_desk, path) = desk("legacy31.db");
    close_directory(&path);
    assert_eq!(link_nodes(&path), 4);
}

#[test]
fn the_log_counts_in_a_closed_directory_too() {
    let (desk, path) = with_log();
    close_directory(&path);
    let names = || fs::read_dir(desk.0.path()).unwrap().count();
    let before = (names(), fs::read(&path).unwrap(), fs::read(beside(&path, "-wal")).unwrap());
    assert_eq!(link_nodes(&path), 3);
    let after = (names(), fs::read(&path).unwrap(), fs::read(beside(&path, "-wal")).unwrap());
    assert!(before == after);
}

/// The file alone is neither the state before the transaction nor the one after it.
#[test]
fn a_file_in_the_middle_of_a_transaction_is_refused() {
    let (live, path) = desk("legacy31.db");
    let shell = connect(&path);
    shell.pragma_update(None, "journal_mode", "delete").unwrap();
    shell.pragma_update(None, "cache_size", 2).unwrap();
    shell.execute_batch("begin; update channeldb_kv set value = zeroblob(5000)").unwrap();
    let desk = Desk::new();
    let copy = desk.0.path().join("channel.sqlite");
    fs::copy(&path, &copy).unwrap();
    fs::copy(beside(&path, "-journal"), beside(&copy, "-journal")).unwrap();
    drop((shell, live));
    let before = content(desk.0.path());
    assert_eq!(before.len(), 2);
    let refused = migrate(&["check", &format!("lnd-sqlite:{}", copy.display())]);
    assert_eq!(code(&refused), 3, "{}", stderr(&refused));
    assert!(content(desk.0.path()) == before);
}

#[test]
fn a_running_lnd_is_looked_at_but_not_copied() {
    let (_desk, path) = desk("legacy31.db");
    let stores = Desk::new();
    let lnd = connect(&path);
    lnd.query_row("select count(*) from channeldb_kv", [], |_| Ok(())).unwrap();
    assert_eq!(link_nodes(&path), 4);
    let refused = copy(path.to_str().unwrap(), &stores.url("sqlite", "store"));
    assert_eq!(code(&refused), 3);
    let process = format!("process {} has it open", std::process::id());
    assert!(stderr(&refused).contains(&process), "{}", stderr(&refused));
    assert_eq!(fs::read_dir(stores.0.path()).unwrap().count(), 0);
    drop(lnd);
    assert_eq!(code(&copy(path.to_str().unwrap(), &stores.url("sqlite", "store"))), 0);
}

/// Copies a database and does something to it when a phase begins.
fn copied(path: &Path, phase: &'static str, act: impl Fn() + Sync) -> Result<(), Failure> {
    let stores = Desk::new();
    let copied = copy_with(path.to_str().unwrap(), &stores.url("sqlite", "store"), phase, act);
    assert_eq!(stores.0.path().join("store").exists(), copied.is_ok());
    copied.map(drop)
}

#[test]
fn a_copy_of_a_database_that_was_written_meanwhile_is_discarded() {
    for phase in ["checking", "copying", "verifying"] {
        let (_desk, path) = desk("legacy31.db");
        // The job sees one state all the same.
        let written = || {
            let counted = "update channeldb_kv set sequence = coalesce(sequence, 0) + 1 \
                           where key = cast('nib' as blob)";
            assert_eq!(connect(&path).execute(counted, []).unwrap(), 1);
        };
        let discarded = copied(&path, phase, written);
        let Err(Failure::Access(what)) = discarded else { panic!("{phase}: {discarded:?}") };
        assert!(what.contains("in use while it was copied"), "{what}");
    }
}

#[test]
fn a_job_sees_one_state() {
    let (_desk, path) = desk("deep.db");
    let source = LndSource::open_sqlite(&path, false).unwrap();
    let refused = Refused::default();
    let mut walk = source.walk(&refused);
    // Somewhere in the middle of a bucket.
    let seen: Vec<_> = walk.by_ref().take(5000).map(Result::unwrap).collect();
    let lnd = connect(&path);
    lnd.execute("delete from channeldb_kv where value is not null", []).unwrap();
    lnd.query_row("pragma wal_checkpoint(passive)", [], |_| Ok(())).unwrap();
    let rest: Vec<_> = walk.map(Result::unwrap).collect();
    let bolt = LndSource::open(&fixture("deep.db"), false).unwrap();
    let whole: Vec<_> = bolt.walk(&refused).map(Result::unwrap).collect();
    assert!(seen.into_iter().chain(rest).eq(whole));
    drop(source);
    assert_eq!(link_nodes(&path), 0);
}

#[test]
fn a_database_that_rests_is_copied() {
    let (_desk, path) = desk("legacy31.db");
    copied(&path, "copying", || {}).unwrap();
}

#[test]
fn what_is_no_database_is_refused_and_keeps_its_log() {
    let desk = Desk::new();
    let path = desk.0.path().join("channel.sqlite");
    let name = format!("lnd-sqlite:{}", path.display());
    assert_eq!(code(&migrate(&["check", &name])), 3);
    fs::write(&path, "").unwrap();
    // SQLite deletes the log of an empty file.
    fs::write(beside(&path, "-wal"), "log").unwrap();
    let refused = migrate(&["check", &name]);
    assert_eq!(code(&refused), 1);
    assert!(stderr(&refused).contains("the file is empty"), "{}", stderr(&refused));
    assert_eq!(fs::read(beside(&path, "-wal")).unwrap(), b"log");
    fs::write(&path, "neither").unwrap();
    assert_eq!(code(&migrate(&["check", &name])), 1);
    assert_eq!(code(&migrate(&["check", "lnd-sqlite:/"])), 3);
}
