//! What `copy` says about an archive that was begun, or is there already.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;

use migrate::command::{CopyOptions, CopyReport};
use migrate::opened::{self, Failure};
use migrate::url::StoreUrl;

use crate::command::{Desk, fixture};
use crate::site::{Stops, Target, copy_as, copy_until};
use crate::stopping::{Stop, Stopper, url};

const FRESH: CopyOptions = CopyOptions {
    dry_run: false,
    accept: false,
    skip_damaged: false,
    node: None,
    network: None,
    resume: false,
    allow_moved: false,
    batch: 100,
};
const RESUME: CopyOptions = CopyOptions { resume: true, ..FRESH };

fn lnd(name: &str) -> StoreUrl {
    url(&format!("lnd-bolt:{}", fixture(name).display()))
}

/// A store of ours with something in it.
fn store(desk: &Desk, engine: &str) -> StoreUrl {
    let store = url(&desk.url(engine, "source"));
    let from = lnd("node.db");
    let source = opened::open(&from, false).unwrap();
    migrate::command::copy(&from, &source, &store, FRESH, &crate::stopping::Silent).unwrap();
    store
}

/// An archive that was stopped in the midst of its import.
fn half(desk: &Desk, from: &StoreUrl, options: CopyOptions) -> Target {
    let to = Target::new(desk, "a");
    copy_until(from, &to, options, Stops::Commit(Stopper::at(2, Stop::After)));
    to
}

#[track_caller]
fn refused(copied: Result<CopyReport, Failure>, code: i32, why: &str) {
    let failure = copied.unwrap_err();
    let found = match failure {
        Failure::Content(_) => 1,
        Failure::Usage(_) => 2,
        _ => 3,
    };
    assert_eq!(found, code, "{failure}");
    assert!(failure.to_string().contains(why), "{failure}");
}

#[test]
fn half_an_archive_is_not_taken_for_free_room() {
    let (desk, from) = (Desk::new(), lnd("node.db"));
    let to = half(&desk, &from, FRESH);
    let before = fs::read(to.draft.join("journal")).unwrap();
    refused(copy_as(&from, &to, FRESH), 2, "a.draft is half filled by a copy that was stopped");
    refused(copy_as(&from, &to, FRESH), 2, "--resume goes on with it, or delete it");
    assert!(fs::read(to.draft.join("journal")).unwrap() == before);
    assert!(copy_as(&from, &to, RESUME).unwrap().resumed_after.unwrap() >= 100);
}

#[test]
fn what_was_deleted_is_begun_anew() {
    let (desk, from) = (Desk::new(), lnd("node.db"));
    let to = half(&desk, &from, FRESH);
    fs::remove_dir_all(&to.draft).unwrap();
    assert_eq!(copy_as(&from, &to, FRESH).unwrap().resumed_after, None);
}

#[test]
fn another_source_is_refused() {
    let (desk, from) = (Desk::new(), lnd("node.db"));
    let to = half(&desk, &from, FRESH);
    refused(copy_as(&lnd("empty.db"), &to, RESUME), 2, "is not that store or was written since");
    refused(copy_as(&lnd("empty.db"), &to, RESUME), 2, "a.draft and copy again");
    copy_as(&from, &to, RESUME).unwrap();
}

#[test]
fn a_store_that_was_written_since_is_refused() {
    let desk = Desk::new();
    let from = store(&desk, "sqlite");
    let to = Target::new(&desk, "a");
    copy_until(&from, &to, FRESH, Stops::Bytes(500));
    let node = opened::open_to_write(&from).unwrap();
    let mut writer = migrate::writer::Writer::claim(node.as_ref()).unwrap();
    writer.set_transfer(&crate::stopping::transfer(&from).unwrap()).unwrap();
    pollster::block_on(node.release()).unwrap();
    drop(node);
    refused(copy_as(&from, &to, RESUME), 2, "is not that store or was written since");
    assert!(!to.path.exists());
}

#[test]
fn other_options_are_refused() {
    let (desk, from) = (Desk::new(), lnd("damaged/log-gap.db"));
    let accept = CopyOptions { accept: true, ..RESUME };
    let to = half(&desk, &from, accept);
    refused(copy_as(&from, &to, RESUME), 2, "was begun with --accept; go on like that");
    copy_as(&from, &to, accept).unwrap();
}

#[test]
fn two_runs_do_not_write_one_archive() {
    let (desk, from) = (Desk::new(), lnd("node.db"));
    let to = half(&desk, &from, FRESH);
    let held = File::open(&to.draft).unwrap();
    held.lock().unwrap();
    refused(copy_as(&from, &to, RESUME), 3, "is being written by process");
    refused(copy_as(&from, &to, FRESH), 3, "is being written by process");
    drop(held);
    copy_as(&from, &to, RESUME).unwrap();
}

#[test]
fn a_draft_is_its_owner_s_alone() {
    let desk = Desk::new();
    let from = store(&desk, "redb");
    let to = Target::new(&desk, "a");
    copy_until(&from, &to, FRESH, Stops::Bytes(500));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&to.draft), 0o700);
    assert_eq!((mode(&to.half()), mode(&to.draft.join("journal"))), (0o600, 0o600));
    copy_as(&from, &to, RESUME).unwrap();
    assert_eq!(mode(&to.path), 0o600);
}

#[test]
fn a_directory_of_somebody_else_is_left_alone() {
    let (desk, from) = (Desk::new(), lnd("empty.db"));
    let to = Target::new(&desk, "a");
    fs::write(&to.draft, "text").unwrap();
    refused(copy_as(&from, &to, RESUME), 2, "and is none; copy to a new place");
    assert_eq!(fs::read(&to.draft).unwrap(), b"text");
    fs::remove_file(&to.draft).unwrap();
    fs::create_dir(&to.draft).unwrap();
    fs::write(to.draft.join("letter"), "text").unwrap();
    refused(copy_as(&from, &to, FRESH), 2, "and is none; copy to a new place");
    assert_eq!(fs::read(to.draft.join("letter")).unwrap(), b"text");
}

#[test]
fn a_run_that_was_killed_before_it_had_a_journal_is_none() {
    let (desk, from) = (Desk::new(), lnd("empty.db"));
    let to = Target::new(&desk, "a");
    fs::create_dir_all(to.draft.join(".migrate-dead")).unwrap();
    copy_as(&from, &to, FRESH).unwrap();
    assert!(to.path.exists() && !to.draft.exists());
}

#[test]
fn a_dry_run_leaves_what_was_begun() {
    let (desk, from) = (Desk::new(), lnd("node.db"));
    let to = half(&desk, &from, FRESH);
    copy_as(&from, &to, CopyOptions { dry_run: true, ..RESUME }).unwrap();
    assert!(copy_as(&from, &to, RESUME).unwrap().resumed_after.unwrap() >= 100);
}

#[test]
fn a_finished_archive_is_compared_again() {
    let desk = Desk::new();
    for from in [lnd("legacy31.db"), store(&desk, "redb")] {
        let to = Target::new(&desk, from.format());
        let first = copy_as(&from, &to, RESUME).unwrap();
        let before = to.bytes();
        let again = copy_as(&from, &to, RESUME).unwrap();
        assert_eq!((first.was_complete, again.was_complete), (false, true));
        let counts = |report: &CopyReport| (report.records, report.residues, report.verified);
        assert_eq!(counts(&first), counts(&again));
        assert_eq!(first.digest, again.digest);
        assert!(to.bytes() == before);
        refused(copy_as(&from, &to, FRESH), 2, "--resume compares it with the source");
    }
}

#[test]
fn a_finished_archive_of_something_else_stays() {
    let (desk, from) = (Desk::new(), lnd("node.db"));
    let to = Target::new(&desk, "a");
    copy_as(&lnd("empty.db"), &to, FRESH).unwrap();
    let before = to.bytes();
    refused(copy_as(&from, &to, RESUME), 1, "differs from the source");
    assert!(to.bytes() == before);
}

#[test]
fn a_finished_archive_that_was_spoilt_is_found() {
    let (desk, from) = (Desk::new(), lnd("node.db"));
    let to = Target::new(&desk, "a");
    copy_as(&from, &to, FRESH).unwrap();
    let mut bytes = to.bytes();
    bytes[100] ^= 1;
    fs::write(&to.path, &bytes).unwrap();
    refused(copy_as(&from, &to, RESUME), 1, "damage: block 0");
    assert!(to.bytes() == bytes);
}
