//! What `copy` says about a target that is there already.

use migrate::command::{CopyOptions, CopyReport, copy_to};
use migrate::opened::{self, Failure};

use crate::command::{Desk, fixture};
use crate::stopping::{Silent, Stop, Stopper, StoppingSite, url};

fn node() -> String {
    format!("lnd-bolt:{}", fixture("legacy31.db").display())
}

fn copy(from: &str, to: &str) -> Result<CopyReport, Failure> {
    copy_as(from, to, CopyOptions::default())
}

fn resume(from: &str, to: &str) -> Result<CopyReport, Failure> {
    copy_as(from, to, CopyOptions { resume: true, ..CopyOptions::default() })
}

fn copy_as(from: &str, to: &str, options: CopyOptions) -> Result<CopyReport, Failure> {
    let (from, to) = (url(from), url(to));
    migrate::command::copy(&from, &opened::open(&from, false)?, &to, options, &Silent)
}

/// Copies until a commit.
fn copy_until(number: u64, from: &str, to: &str, options: CopyOptions) {
    let (from, to) = (url(from), url(to));
    let source = opened::open(&from, false).unwrap();
    let site = StoppingSite { url: &to, stopper: Stopper::at(number, Stop::After) };
    assert!(copy_to(&from, &source, &site, options, &Silent).is_err());
    assert!(site.stopper.has_stopped());
}

/// Which exit code a failure leads to.
fn exit(failure: &Failure) -> i32 {
    match failure {
        Failure::Content(_) => 1,
        Failure::Usage(_) => 2,
        _ => 3,
    }
}

#[track_caller]
fn refused(copied: Result<CopyReport, Failure>, code: i32, why: &str) {
    let failure = copied.unwrap_err();
    assert_eq!(exit(&failure), code, "{failure}");
    assert!(failure.to_string().contains(why), "{failure}");
}

#[test]
fn half_a_copy_is_not_taken_for_free_room() {
    let desk = Desk::new();
    let target = desk.url("sqlite", "a");
    copy_until(2, &node(), &target, CopyOptions { batch: 100, ..CopyOptions::default() });
    refused(copy(&node(), &target), 2, "half filled by a copy that was stopped; --resume goes on");
    assert!(resume(&node(), &target).unwrap().resumed_after.unwrap() >= 100);
}

#[test]
fn another_source_is_refused() {
    let desk = Desk::new();
    let target = desk.url("redb", "a");
    copy_until(2, &node(), &target, CopyOptions { batch: 100, ..CopyOptions::default() });
    let other = format!("lnd-bolt:{}", fixture("empty.db").display());
    refused(resume(&other, &target), 2, "is not that store or was written since");
    // The same content elsewhere is the same source.
    let moved = desk.0.path().join("channel.db");
    std::fs::copy(fixture("legacy31.db"), &moved).unwrap();
    resume(&format!("lnd-bolt:{}", moved.display()), &target).unwrap();
}

#[test]
fn a_source_that_was_written_since_is_refused() {
    let desk = Desk::new();
    let (source, target) = (desk.url("sqlite", "source"), desk.url("sqlite", "a"));
    copy(&node(), &source).unwrap();
    copy_until(2, &source, &target, CopyOptions { batch: 100, ..CopyOptions::default() });
    let store = opened::open_to_write(&url(&source)).unwrap();
    let mut writer = migrate::writer::Writer::claim(store.as_ref()).unwrap();
    let found = pollster::block_on(channelcoord::Transfer::of(store.as_ref())).unwrap().unwrap();
    writer.set_transfer(&found).unwrap();
    pollster::block_on(store.release()).unwrap();
    refused(resume(&source, &target), 2, "is not that store or was written since");
}

#[test]
fn other_options_are_refused() {
    let desk = Desk::new();
    let source = format!("lnd-bolt:{}", fixture("damaged/log-gap.db").display());
    let target = desk.url("sqlite", "a");
    let options = CopyOptions { accept: true, batch: 100, ..CopyOptions::default() };
    copy_until(2, &source, &target, options);
    refused(resume(&source, &target), 2, "was begun with --accept");
    copy_as(&source, &target, CopyOptions { resume: true, ..options }).unwrap();
}

#[test]
fn a_complete_copy_is_compared_again() {
    let desk = Desk::new();
    let target = desk.url("sqlite", "a");
    let first = resume(&node(), &target).unwrap();
    let again = resume(&node(), &target).unwrap();
    assert_eq!((first.was_complete, again.was_complete), (false, true));
    let counts = |report: &CopyReport| (report.records, report.residues, report.verified);
    assert_eq!(counts(&first), counts(&again));
    assert_eq!(first.digest, again.digest);
    refused(copy(&node(), &target), 2, "is a complete copy; `migrate activate`");
}

#[test]
fn a_complete_copy_that_was_spoilt_is_found() {
    let desk = Desk::new();
    let target = desk.url("sqlite", "a");
    copy(&node(), &target).unwrap();
    let shell = rusqlite::Connection::open(desk.0.path().join("a")).unwrap();
    assert!(shell.execute("delete from lnd_residue", []).unwrap() > 0);
    drop(shell);
    refused(resume(&node(), &target), 1, "differs from the source");
    refused(resume(&node(), &target), 1, "delete it and copy again");
}

#[test]
fn what_no_copy_began_is_not_gone_on_with() {
    let desk = Desk::new();
    let target = desk.url("sqlite", "a");
    drop(sqlstore::SqliteBackend::create(desk.0.path().join("a")).unwrap());
    refused(resume(&node(), &target), 2, "was not begun by a copy");
}

#[test]
fn a_source_in_use_is_recognised_by_any_name() {
    let desk = Desk::new();
    let source = desk.url("sqlite", "source");
    copy(&node(), &source).unwrap();
    std::os::unix::fs::symlink("source", desk.0.path().join("link")).unwrap();
    let held = opened::open_to_write(&url(&source)).unwrap();
    refused(copy(&desk.url("sqlite", "link"), &desk.url("redb", "a")), 3, "is in use");
    drop(held);
    copy(&desk.url("sqlite", "link"), &desk.url("redb", "a")).unwrap();
}

#[test]
fn half_a_copy_is_no_source() {
    let desk = Desk::new();
    let half = desk.url("redb", "half");
    copy_until(2, &node(), &half, CopyOptions { batch: 100, ..CopyOptions::default() });
    refused(copy(&half, &desk.url("sqlite", "a")), 1, "is only half a copy");
}

#[test]
fn a_draft_of_a_killed_copy_is_removed_and_one_of_a_living_copy_is_not() {
    let desk = Desk::new();
    let (dead, living) =
        (desk.0.path().join(".migrate-dead"), desk.0.path().join(".migrate-living"));
    for draft in [&dead, &living] {
        std::fs::create_dir(draft).unwrap();
        std::fs::write(draft.join("store"), "half").unwrap();
    }
    let held = std::fs::File::open(&living).unwrap();
    held.lock().unwrap();
    copy(&node(), &desk.url("redb", "a")).unwrap();
    assert!(!dead.exists());
    assert!(living.join("store").exists());
}
