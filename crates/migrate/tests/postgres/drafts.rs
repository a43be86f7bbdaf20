//! A target is at its place from the start, and no node opens it before it is complete.

use std::process::{Command, Stdio};
use std::time::Duration;

use channelcoord::{NotReady, OpenError, Store, StoreOptions};
use migrate::opened::Failure;
use pollster::block_on;

use crate::command::{code, copy, fixture, migrate, stderr, verify};
use crate::database::Database;
use crate::meanwhile::copy_with;

fn source() -> String {
    fixture("legacy31.db").display().to_string()
}

#[test]
fn a_target_is_not_opened_before_it_is_complete() {
    let database = Database::new();
    let not_ready = || {
        let backend = database.options("store").open_existing().unwrap();
        match block_on(Store::open(backend, StoreOptions::default())) {
            Err(OpenError::NotReady(not_ready)) => not_ready,
            Err(error) => panic!("{error:?}"),
            Ok(_) => panic!("opened"),
        }
    };
    copy_with(&source(), &database.url("store"), "verifying", || {
        assert!(matches!(not_ready(), NotReady::Filling { .. }));
    })
    .unwrap();
    assert_eq!(database.schemas(), ["store"]);
    assert!(matches!(not_ready(), NotReady::Inactive { .. }));
}

#[test]
fn a_copy_that_differs_is_kept_from_everybody() {
    let database = Database::new();
    let target = database.url("store");
    let spoilt = copy_with(&source(), &target, "verifying", || {
        database.run("delete from store.lnd_residue; delete from store.final_htlc");
    });
    let Err(Failure::Content(what)) = spoilt else { panic!("{spoilt:?}") };
    assert!(what.contains("differs from the source"), "{what}");
    let resumed = migrate(&["copy", "--resume", "--from", &source(), "--to", &target]);
    assert_eq!(code(&resumed), 1, "{}", stderr(&resumed));
    let again = copy(&source(), &target);
    assert_eq!(code(&again), 2);
    assert!(stderr(&again).contains("differs from its source"), "{}", stderr(&again));
    let backend = database.options("store").open_existing().unwrap();
    let opened = block_on(Store::open(backend, StoreOptions::default()));
    assert!(matches!(opened.err(), Some(OpenError::NotReady(NotReady::Differing { .. }))));
}

#[test]
fn a_schema_that_exists_is_not_touched() {
    let database = Database::new();
    assert_eq!(code(&copy(&source(), &database.url("ours"))), 0);
    database.run("create schema empty; create schema other create table other.thing (id int)");
    for (schema, why) in [("ours", "is a complete copy"), ("empty", "exists"), ("other", "exists")]
    {
        let refused = copy(&fixture("empty.db").display().to_string(), &database.url(schema));
        assert_eq!(code(&refused), 2, "{}", stderr(&refused));
        assert!(stderr(&refused).contains(&format!("schema={schema} {why}")));
    }
    assert_eq!(database.schemas(), ["empty", "other", "ours"]);
    assert_eq!(code(&verify(&source(), &database.url("ours"))), 0);
    assert_eq!(database.number("select count(*) from other.thing"), 0);
}

#[test]
fn a_schema_that_appears_during_the_copy_is_not_touched() {
    let database = Database::new();
    assert_eq!(code(&copy(&source(), &database.url("first"))), 0);
    let refused = copy_with(&database.url("first"), &database.url("store"), "checking", || {
        database.run("create schema store create table thing (id int)");
    });
    assert!(matches!(refused, Err(Failure::Usage(_))), "{refused:?}");
    assert_eq!(database.schemas(), ["first", "store"]);
    assert_eq!(database.number("select count(*) from store.thing"), 0);
}

#[test]
fn of_two_copies_to_one_schema_one_is_published() {
    let database = Database::new();
    let target = database.url("store");
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let copy = || code(&copy(&source(), &target));
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(copy)).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 2).count(), 2, "{codes:?}");
    assert_eq!(code(&verify(&source(), &target)), 0);
    assert_eq!(database.schemas(), ["store"]);
}

#[test]
fn a_dry_run_and_a_refused_copy_leave_nothing() {
    let database = Database::new();
    let target = database.url("store");
    let dry = migrate(&["copy", "--from", &source(), "--to", &target, "--dry-run"]);
    assert_eq!(code(&dry), 0, "{}", stderr(&dry));
    let damaged = fixture("damaged/log-gap.db").display().to_string();
    assert_eq!(code(&copy(&damaged, &target)), 1);
    assert!(database.schemas().is_empty());
    database.run("create schema store");
    let dry = migrate(&["copy", "--from", &source(), "--to", &target, "--dry-run"]);
    assert_eq!(code(&dry), 2, "{}", stderr(&dry));
}

/// Sessions that wait for the name of a schema.
const WAITING: &str = "from pg_stat_activity \
                       where datname = current_database() and wait_event_type = 'Lock'";

/// Waits until a copy does; it must still be running.
fn await_waiting(database: &Database, mut running: impl FnMut()) {
    while database.number(&format!("select count(*) {WAITING}")) == 0 {
        running();
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn a_copy_whose_connection_breaks_while_it_gets_its_name_leaves_nothing() {
    let database = Database::new();
    let mut other = database.another_shell();
    // Nobody sees this schema yet, but its name is taken for as long as the transaction is open.
    other.run("begin; create schema store");
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| copy(&source(), &database.url("store")));
        await_waiting(&database, || assert!(!copying.is_finished()));
        database.run(&format!("select pg_terminate_backend(pid) {WAITING}"));
        let broken = copying.join().unwrap();
        assert_eq!(code(&broken), 3, "{}", stderr(&broken));
    });
    other.run("rollback");
    assert!(database.schemas().is_empty());
}

#[test]
fn a_copy_that_is_killed_leaves_a_draft_that_can_be_dropped() {
    let database = Database::new();
    let mut other = database.another_shell();
    other.run("begin; create schema store");
    let mut copying = Command::new(env!("CARGO_BIN_EXE_migrate"))
        .args(["copy", "--from", &source(), "--to", &database.url("store")])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    await_waiting(&database, || assert_eq!(copying.try_wait().unwrap(), None));
    copying.kill().unwrap();
    copying.wait().unwrap();
    database.run(&format!("select pg_terminate_backend(pid) {WAITING}"));
    while database.number(&format!("select count(*) {WAITING}")) > 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    other.run("rollback");
    let [draft] = &database.schemas()[..] else { panic!("{:?}", database.schemas()) };
    assert!(draft.starts_with("migrate_draft_"), "{draft}");
    let copied = copy(&source(), &database.url("store"));
    assert_eq!(code(&copied), 0, "{}", stderr(&copied));
    let told = String::from_utf8(copied.stdout).unwrap();
    assert!(
        told.contains(&format!(
            "left behind by a copy that was killed, unless it still runs: {draft}"
        )),
        "{told}"
    );
}
