//! The command, killed again and again. Apart from tests that hold locks themselves: a process that is
//! being started has them too for a moment.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/command.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod command;
#[path = "common/kills.rs"]
mod kills;
#[path = "common/stopping.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod stopping;

use command::{Desk, fixture};
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
