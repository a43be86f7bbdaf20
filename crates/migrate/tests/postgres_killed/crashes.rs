//! Whoever dies, a copy goes on.

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use migrate::command::{CopyOptions, Watch, copy};
use migrate::finding::Finding;
use migrate::opened::{self, Failure};
use migrate::progress::Progress;

use crate::command::{Desk, code, fixture, stderr, verify};
use crate::database::{Database, Shell};
use crate::kills::survives_kills;
use crate::stopping::{Silent, content, url};

/// Crashes of the server in one copy.
const CRASHES: u64 = 5;

/// Records between them, at least.
const EVERY: u64 = 40;

/// A crash takes every connection away, so tests follow one another.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Crashes the server again and again, each time after some more records.
struct Crashes(Arc<AtomicU64>);

impl Watch for Crashes {
    fn phase(&self, name: &str, _total: Option<u64>) -> Progress {
        if name != "copying" {
            return Progress::silent();
        }
        let (left, last) = (Arc::clone(&self.0), AtomicU64::new(0));
        Progress::watched(move |done| {
            let is_due = done >= last.load(Ordering::Relaxed) + EVERY;
            if is_due && left.load(Ordering::Relaxed) > 0 {
                crash();
                last.store(done, Ordering::Relaxed);
                left.fetch_sub(1, Ordering::Relaxed);
            }
        })
    }

    fn finding(&self, _finding: &Finding) {}
}

/// Kills a process of the server: it then ends all others, and recovers from its log.
fn crash() {
    let (process, _shell) = await_server();
    let killed = Command::new("kill").args(["-KILL", &process.to_string()]).status();
    assert!(killed.unwrap().success());
}

/// Waits until the server takes connections; returns one, and its process.
fn await_server() -> (i32, Shell) {
    let limit = Instant::now() + Duration::from_secs(60);
    loop {
        match Shell::try_new() {
            Ok(connected) => return connected,
            Err(error) => assert!(Instant::now() < limit, "the server stays away: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_copy_goes_on_after_its_server_crashed() {
    let _alone = alone();
    let (desk, database) = (Desk::new(), Database::new());
    let from = url(&format!("lnd-bolt:{}", fixture("legacy31.db").display()));
    let (to, whole) = (url(&database.url("store")), url(&desk.url("sqlite", "whole")));
    let options = CopyOptions { resume: true, batch: 20, ..CopyOptions::default() };
    let source = opened::open(&from, false).unwrap();
    copy(&from, &source, &whole, options, &Silent).unwrap();
    let crashes = Crashes(Arc::new(AtomicU64::new(CRASHES)));
    // A run may outlive a crash by itself.
    let copied = loop {
        match copy(&from, &source, &to, options, &crashes) {
            Ok(copied) => break copied,
            Err(Failure::Access(_)) => drop(await_server()),
            Err(failure) => panic!("{failure}"),
        }
    };
    assert_eq!(crashes.0.load(Ordering::Relaxed), 0, "{:?}", copied.phases);
    drop(await_server());
    let verified = verify(&from.to_string(), &database.url("store"));
    assert_eq!(code(&verified), 0, "{}", stderr(&verified));
    assert!(content(&to) == content(&whole));
}

#[test]
fn a_killed_copy_into_postgres_goes_on() {
    let _alone = alone();
    let database = Database::new();
    let from = fixture("legacy31.db").display().to_string();
    survives_kills(&from, &database.url("a"), &database.url("b"));
}
