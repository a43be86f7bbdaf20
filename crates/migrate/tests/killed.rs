//! The command, killed again and again. Apart from tests that hold locks themselves: a process that is
//! being started has them too for a moment.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/command.rs"]
mod command;
#[path = "common/stopping.rs"]
mod stopping;

use std::process::{Command, Stdio};

use command::{Desk, code, copy, fixture, stderr, verify};
use stopping::{content, url};

/// Kills the command at random points until a run comes to its end, then compares with `whole`.
pub(crate) fn survives_kills(from: &str, to: &str, whole: &str) {
    assert_eq!(code(&copy(from, whole)), 0);
    let arguments = ["copy", "--resume", "--batch", "40", "--from", from, "--to", to];
    let mut random = fastrand::Rng::with_seed(7);
    // Each run gets longer until one is not killed in time.
    let mut limit = std::time::Duration::from_millis(2);
    let mut kills = 0;
    loop {
        let mut run = Command::new(env!("CARGO_BIN_EXE_migrate"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(limit.mul_f64(random.f64()));
        // A run that has ended cannot be killed, and one that failed by itself fails the test.
        if let Some(ended) = run.try_wait().unwrap() {
            assert_eq!(ended.code(), Some(0), "after {kills} kills");
            break;
        }
        run.kill().unwrap();
        run.wait().unwrap();
        kills += 1;
        limit += limit / 8;
    }
    assert!(kills > 0);
    let verified = verify(from, to);
    assert_eq!(code(&verified), 0, "{}", stderr(&verified));
    assert!(content(&url(to)) == content(&url(whole)));
}

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
