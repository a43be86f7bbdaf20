//! The command, killed again and again. Apart from tests that hold locks themselves: a process that is
//! being started has them too for a moment.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/command.rs"]
mod command;
#[path = "common/kills.rs"]
mod kills;
#[path = "common/stopping.rs"]
mod stopping;

use command::{Desk, code, copy, fixture};
use kills::survives_kills;

#[test]
fn a_killed_copy_into_sqlite_goes_on() {
    let desk = Desk::new();
    let from = fixture("legacy31.db").display().to_string();
    survives_kills(&from, &desk.url("sqlite", "a"), &desk.url("sqlite", "b"));
    desk.holds_no_drafts();
}

#[test]
fn a_killed_copy_into_redb_goes_on() {
    let desk = Desk::new();
    let from = fixture("legacy31.db").display().to_string();
    survives_kills(&from, &desk.url("redb", "a"), &desk.url("redb", "b"));
    desk.holds_no_drafts();
}

/// As [`survives_kills`], into an archive.
fn survives_kills_as_archive(desk: &Desk, from: &str) {
    survives_kills(from, &desk.url("archive", "a"), &desk.url("archive", "b"));
    let [killed, whole] = ["a", "b"].map(|name| std::fs::read(desk.0.path().join(name)).unwrap());
    assert!(killed == whole, "bytes differ");
    desk.holds_no_drafts();
}

#[test]
fn a_killed_archive_of_lnd_s_state_goes_on() {
    survives_kills_as_archive(&Desk::new(), &fixture("legacy31.db").display().to_string());
}

#[test]
fn a_killed_archive_of_a_store_goes_on() {
    let desk = Desk::new();
    let store = desk.url("redb", "store");
    assert_eq!(code(&copy(&fixture("legacy31.db").display().to_string(), &store)), 0);
    survives_kills_as_archive(&desk, &store);
}
