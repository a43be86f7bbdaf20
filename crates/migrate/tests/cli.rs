//! The command line: exit codes, what appears on disk, what is printed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/command.rs"]
mod command;

use std::path::Path;
use std::process::Command;

use command::{Desk, code, copy, fixture, json, migrate, stderr, verify};

/// Databases that lnd wrote and that are sound.
const SOUND: [&str; 7] =
    ["node.db", "deep.db", "legacy.db", "legacy31.db", "pages16k.db", "freelist.db", "empty.db"];

impl Desk {
    /// Names of the files that are there.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Copies an lnd database to both engines, and from redb on to SQLite; everything must be equal.
fn survives(source: &Path) {
    let desk = Desk::new();
    let source = format!("lnd-bolt:{}", source.display());
    let sqlite = desk.url("sqlite", "a.sqlite");
    let redb = desk.url("redb", "a.redb");
    let by_redb = desk.url("sqlite", "b.sqlite");
    for (from, to) in [(&source, &sqlite), (&source, &redb), (&redb, &by_redb)] {
        let copied = copy(from, to);
        assert_eq!(code(&copied), 0, "{from} to {to}: {}", stderr(&copied));
    }
    let pairs = [(&source, &sqlite), (&source, &redb), (&source, &by_redb), (&sqlite, &by_redb)];
    for (from, to) in pairs {
        let verified = verify(from, to);
        assert_eq!(code(&verified), 0, "{from} and {to}: {}", stderr(&verified));
    }
    let counts = |store: &str| json(&migrate(&["inspect", "--json", store]))["counts"].clone();
    assert_eq!(counts(&source), counts(&sqlite));
    assert_eq!(counts(&source), counts(&redb));
}

#[test]
fn sound_databases_survive() {
    SOUND.iter().for_each(|name| survives(&fixture(name)));
}

/// Written by a daemon of somebody else, so it is not part of this repository.
#[test]
#[ignore = "needs ../shared/fixtures/lnd/regtest-real.db beside the project"]
fn a_real_daemon_s_database_survives() {
    let shared = "../../../shared/fixtures/lnd/regtest-real.db";
    survives(&Path::new(env!("CARGO_MANIFEST_DIR")).join(shared));
}

#[test]
fn a_copy_leaves_the_store_and_its_lock() {
    let desk = Desk::new();
    let source = fixture("node.db").display().to_string();
    assert_eq!(code(&copy(&source, &desk.url("sqlite", "a.sqlite"))), 0);
    assert_eq!(code(&copy(&source, &desk.url("redb", "a.redb"))), 0);
    assert_eq!(desk.files(), ["a.redb", "a.sqlite", "a.sqlite.lock"]);
}

/// The commands that a copy suggests.
#[track_caller]
fn next(from: &str, to: &str) -> Vec<String> {
    let copied = migrate(&["copy", "--json", "--allow-tombstoned", "--from", from, "--to", to]);
    assert_eq!(code(&copied), 0, "{}", stderr(&copied));
    serde_json::from_value(json(&copied)["next"].clone()).unwrap()
}

#[test]
fn the_next_command_can_be_pasted() {
    let desk = Desk::new();
    let dir = desk.0.path().join("it's a $(new) \"place\" & more");
    std::fs::create_dir(&dir).unwrap();
    let store = format!("sqlite:{}", dir.join("store").display());
    let next = next(&fixture("empty.db").display().to_string(), &store);
    let programs = Path::new(env!("CARGO_BIN_EXE_migrate")).parent().unwrap();
    let pasted =
        Command::new("/bin/sh").args(["-c", &next.join("\n")]).env("PATH", programs).output();
    let pasted = pasted.unwrap();
    assert_eq!(code(&pasted), 0, "{next:?}: {}", stderr(&pasted));
    let told = String::from_utf8(pasted.stdout).unwrap();
    assert!(told.starts_with(&format!("{store} is the store in use")), "{told}");
}

#[test]
fn no_command_is_suggested_that_would_be_refused() {
    let desk = Desk::new();
    let source = fixture("empty.db").display().to_string();
    let (copy, archive) = (desk.url("redb", "copy"), desk.url("archive", "archive"));
    assert_eq!(next(&source, &copy).len(), 1);
    assert_eq!(next(&source, &archive), [""; 0]);
    // The first copy is not in use itself.
    assert_eq!(next(&copy, &desk.url("sqlite", "a")), [""; 0]);
    let tombstoned = fixture("tombstoned.db").display().to_string();
    assert_eq!(next(&tombstoned, &desk.url("sqlite", "b")), [""; 0]);
    let dry = migrate(&["copy", "--json", "--dry-run", "--from", &source, "--to", "redb:c"]);
    assert_eq!(json(&dry)["next"], serde_json::json!([]));
}

#[test]
fn a_refused_copy_leaves_nothing() {
    let desk = Desk::new();
    for name in ["page-cycle.db", "log-gap.db", "dbp36.db", "zero-length.db", "trunc-middle.db"] {
        let source = fixture("damaged").join(name).display().to_string();
        let refused = copy(&source, &desk.url("sqlite", "a.sqlite"));
        assert_eq!(code(&refused), 1, "{name}: {}", stderr(&refused));
    }
    assert_eq!(desk.files(), [""; 0]);
}

#[test]
fn accepted_inconsistencies_are_carried() {
    let desk = Desk::new();
    let source = fixture("damaged/log-gap.db").display().to_string();
    let target = desk.url("sqlite", "a.sqlite");
    let copied = migrate(&["copy", "--from", &source, "--to", &target, "--accept"]);
    assert_eq!(code(&copied), 0, "{}", stderr(&copied));
    assert_eq!(code(&verify(&source, &target)), 0);
}

#[test]
fn skipped_damage_is_listed_and_the_rest_copied() {
    let desk = Desk::new();
    let source = fixture("damaged/page-cycle.db").display().to_string();
    let target = desk.url("redb", "a.redb");
    let copied = migrate(&["copy", "--from", &source, "--to", &target, "--skip-damaged", "--json"]);
    assert_eq!(code(&copied), 0, "{}", stderr(&copied));
    let skipped = json(&copied)["skipped"].clone();
    assert!(skipped[0]["place"].as_str().unwrap().ends_with("/revocation-log"), "{skipped}");
    assert!(skipped[0]["why"].as_str().unwrap().starts_with("page "), "{skipped}");
    // What could not be compared keeps the verdict from being clean.
    let verified = verify(&source, &target);
    assert_eq!(code(&verified), 1);
    assert!(String::from_utf8_lossy(&verified.stdout).contains("were not compared"));
}

#[test]
fn a_dry_run_writes_nothing() {
    let desk = Desk::new();
    let source = fixture("node.db").display().to_string();
    let target = desk.url("sqlite", "a.sqlite");
    let dry = migrate(&["copy", "--from", &source, "--to", &target, "--dry-run"]);
    assert_eq!(code(&dry), 0);
    assert_eq!(desk.files(), [""; 0]);
}

#[test]
fn an_existing_target_is_not_touched() {
    let desk = Desk::new();
    let target = desk.0.path().join("a.sqlite");
    std::fs::write(&target, "mine").unwrap();
    let source = fixture("node.db").display().to_string();
    assert_eq!(code(&copy(&source, &desk.url("sqlite", "a.sqlite"))), 2);
    assert_eq!(std::fs::read(&target).unwrap(), b"mine");
}

#[test]
fn what_an_older_store_left_at_the_place_is_not_taken_in() {
    let desk = Desk::new();
    std::fs::write(desk.0.path().join("a.sqlite-wal"), "older").unwrap();
    let source = fixture("node.db").display().to_string();
    assert_eq!(code(&copy(&source, &desk.url("sqlite", "a.sqlite"))), 2);
    assert_eq!(desk.files(), ["a.sqlite-wal"]);
}

#[test]
fn only_the_owner_reads_a_copy() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let source = fixture("empty.db").display().to_string();
    for (engine, name) in [("sqlite", "a.sqlite"), ("redb", "a.redb")] {
        assert_eq!(code(&copy(&source, &desk.url(engine, name))), 0);
        let mode = desk.0.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn of_two_copies_to_one_place_one_is_published() {
    let desk = Desk::new();
    let target = desk.url("sqlite", "a.sqlite");
    let source = fixture("node.db").display().to_string();
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let runs: Vec<_> = (0..3).map(|_| scope.spawn(|| code(&copy(&source, &target)))).collect();
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert_eq!(code(&verify(&source, &target)), 0);
}

#[test]
fn a_store_in_use_is_not_copied() {
    let desk = Desk::new();
    let (live, target) = (desk.url("sqlite", "live"), desk.url("sqlite", "copy"));
    assert_eq!(code(&copy(&fixture("node.db").display().to_string(), &live)), 0);
    std::os::unix::fs::symlink("live", desk.0.path().join("link")).unwrap();
    let held = sqlstore::SqliteBackend::open_existing(desk.0.path().join("live")).unwrap();
    for name in [&live, &desk.url("sqlite", "link")] {
        assert_eq!(code(&copy(name, &target)), 3, "{name}");
    }
    drop(held);
    assert_eq!(code(&copy(&live, &target)), 0);
}

#[test]
fn a_refusal_as_json_names_what_was_found() {
    let desk = Desk::new();
    let source = fixture("damaged/log-gap.db").display().to_string();
    let target = desk.url("sqlite", "a.sqlite");
    let refused = migrate(&["copy", "--json", "--from", &source, "--to", &target]);
    assert_eq!(code(&refused), 1);
    let told = json(&refused);
    assert!(told["error"].as_str().unwrap().contains("--accept"), "{told}");
    assert!(told["findings"][0]["place"].as_str().unwrap().ends_with("/revocation-log"), "{told}");
}

#[test]
fn a_reader_that_stops_reading_is_no_failure() {
    let source = fixture("node.db");
    let mut child = Command::new(env!("CARGO_BIN_EXE_migrate"))
        .args(["inspect", source.to_str().unwrap()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_changed_field_is_named() {
    let desk = Desk::new();
    let source = fixture("node.db").display().to_string();
    let target = desk.url("sqlite", "a.sqlite");
    assert_eq!(code(&copy(&source, &target)), 0);
    let shell = rusqlite::Connection::open(desk.0.path().join("a.sqlite")).unwrap();
    let changed = "update channel_terms set capacity = capacity + 1 where no = 1";
    assert_eq!(shell.execute(changed, []).unwrap(), 1);
    let verified = verify(&source, &target);
    assert_eq!(code(&verified), 1);
    let text = String::from_utf8(verified.stdout).unwrap();
    assert!(text.contains("Terms/1") && text.contains("(capacity)"), "{text}");
}

#[test]
fn a_missing_row_is_found() {
    let desk = Desk::new();
    let source = fixture("node.db").display().to_string();
    let target = desk.url("sqlite", "a.sqlite");
    assert_eq!(code(&copy(&source, &target)), 0);
    let shell = rusqlite::Connection::open(desk.0.path().join("a.sqlite")).unwrap();
    let removed = "delete from revoked_state where no = 1 and height = 3";
    assert_eq!(shell.execute(removed, []).unwrap(), 1);
    let verified = verify(&source, &target);
    assert_eq!(code(&verified), 1);
    let text = String::from_utf8(verified.stdout).unwrap();
    let named = |line: &&str| line.contains("revocation-log/0000000000000003");
    let line = text.lines().find(named).unwrap_or_else(|| panic!("{text}"));
    assert!(line.contains("only in the source"), "{line}");
}

#[test]
fn a_running_lnd_keeps_its_file() {
    let desk = Desk::new();
    let source = desk.0.path().join("channel.db");
    std::fs::copy(fixture("empty.db"), &source).unwrap();
    let held = std::fs::File::open(&source).unwrap();
    held.lock().unwrap();
    let refused = migrate(&["check", source.to_str().unwrap()]);
    assert_eq!(code(&refused), 3);
    assert!(stderr(&refused).contains("locked by a running writer"), "{}", stderr(&refused));
}

#[test]
fn a_tombstoned_database_is_refused_unless_allowed() {
    let source = fixture("tombstoned.db").display().to_string();
    assert_eq!(code(&migrate(&["check", &source])), 1);
    assert_eq!(code(&migrate(&["check", &source, "--allow-tombstoned"])), 0);
}

#[test]
fn what_cannot_be_named_or_read_has_its_own_exit_code() {
    assert_eq!(code(&migrate(&["inspect", "mysql:x"])), 2);
    assert_eq!(code(&migrate(&["inspect", "./no/such/file"])), 3);
    assert_eq!(code(&migrate(&["inspect", "/"])), 3);
    assert_eq!(code(&migrate(&["inspect", "lnd-bolt:/no/such/file"])), 3);
    assert_eq!(code(&migrate(&["copy", "--from", "x"])), 2);
}

#[test]
fn inspect_counts_records() {
    let inspected = migrate(&["inspect", "--json", fixture("node.db").to_str().unwrap()]);
    assert_eq!(code(&inspected), 0);
    let counts = json(&inspected)["counts"].clone();
    let expected = serde_json::json!({
        "open_channels": 28,
        "closed_channels": 12,
        "historical_channels": 12,
        "link_nodes": 16,
        "forwarding_packages": 33,
        "revoked_states": 651,
        "final_htlcs": 215,
        "opening_states": 3,
        "forwarding_policies": 4,
    });
    assert_eq!(counts, expected);
}

#[test]
fn check_as_json_holds_the_findings() {
    let source = fixture("damaged/shachain.db");
    let checked = migrate(&["check", "--json", source.to_str().unwrap()]);
    assert_eq!(code(&checked), 1);
    let report = json(&checked);
    assert_eq!(report["inconsistencies"], 1);
    let place = report["findings"][0]["place"].as_str().unwrap().to_owned();
    assert!(place.ends_with("/revocation-state-key"), "{place}");
}
