//! Whoever dies, a copy goes on.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use migrate::command::{CopyOptions, Watch, copy};
use migrate::finding::Finding;
use migrate::opened::{self, Failure};
use migrate::progress::Progress;

use crate::command::{Desk, code, fixture, stderr, verify};
use crate::database::{Database, try_connect};
use crate::kills::survives_kills;
use crate::stopping::{Silent, content, url};

/// Crashes of the server in one copy.
const CRASHES: u64 = 5;

/// A crash takes every connection away, so tests follow one another.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills a process of the server when so many records were copied: it then ends all others, and
/// recovers from its log.
struct Crash {
    process: i32,
    after: u64,
    crashed: Arc<AtomicBool>,
}

impl Watch for Crash {
    fn phase(&self, name: &str, _total: Option<u64>) -> Progress {
        if name != "copying" {
            return Progress::silent();
        }
        let Crash { process, after, crashed } = self;
        let (process, after, crashed) = (*process, *after, Arc::clone(crashed));
        Progress::watched(move |done| {
            if done >= after && !crashed.swap(true, Ordering::Relaxed) {
                let killed = Command::new("kill").args(["-KILL", &process.to_string()]).status();
                assert!(killed.unwrap().success());
            }
        })
    }

    fn finding(&self, _finding: &Finding) {}
}

fn await_recovered() {
    let limit = Instant::now() + Duration::from_secs(60);
    while try_connect().is_err() {
        assert!(Instant::now() < limit, "the server does not come back");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_copy_goes_on_after_its_server_crashed() {
    let _alone = alone();
    let (desk, database) = (Desk::new(), Database::new());
    let from = url(&format!("lnd-bolt:{}", fixture("legacy31.db").display()));
    let (to, whole) = (url(&database.url("store")), url(&desk.url("sqlite", "whole")));
    let options = CopyOptions { resume: true, batch: 40, ..CopyOptions::default() };
    copy(&from, &opened::open(&from, false).unwrap(), &whole, options, &Silent).unwrap();
    for crash in 1..=CRASHES {
        let mut shell = database.another_shell();
        let process = sqlx::Row::get(&shell.rows("select pg_backend_pid()")[0], 0);
        let watch = Crash { process, after: crash * 150, crashed: Arc::default() };
        let source = opened::open(&from, false).unwrap();
        let stopped = copy(&from, &source, &to, options, &watch);
        assert!(watch.crashed.load(Ordering::Relaxed), "{crash}: {stopped:?}");
        assert!(matches!(stopped, Err(Failure::Access(_))), "{crash}: {stopped:?}");
        await_recovered();
    }
    let copied = copy(&from, &opened::open(&from, false).unwrap(), &to, options, &Silent).unwrap();
    assert!(copied.resumed_after.unwrap() > CRASHES * 100, "{:?}", copied.resumed_after);
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
