//! Archives on the command line.

use std::os::unix::fs::PermissionsExt;

use crate::command::{Desk, code, copy, fixture, json, migrate, stderr, verify};

#[track_caller]
fn copied(from: &str, to: &str) {
    let copied = copy(from, to);
    assert_eq!(code(&copied), 0, "{from} to {to}: {}", stderr(&copied));
}

/// A database of lnd as an archive.
fn archived(desk: &Desk) -> String {
    let archive = desk.url("archive", "node.archive");
    copied(&fixture("node.db").display().to_string(), &archive);
    archive
}

fn path(url: &str) -> &str {
    url.split_once(':').unwrap().1
}

fn names(desk: &Desk) -> Vec<String> {
    let entries = std::fs::read_dir(desk.0.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn only_its_owner_reads_it_and_nothing_else_is_left() {
    let desk = Desk::new();
    let archive = archived(&desk);
    assert_eq!(names(&desk), ["node.archive"]);
    let mode = std::fs::metadata(path(&archive)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_existing_one_is_not_touched() {
    let desk = Desk::new();
    let archive = archived(&desk);
    let before = std::fs::read(path(&archive)).unwrap();
    assert_eq!(code(&copy(&fixture("empty.db").display().to_string(), &archive)), 2);
    assert_eq!(std::fs::read(path(&archive)).unwrap(), before);
    assert_eq!(names(&desk), ["node.archive"]);
}

#[test]
fn its_path_alone_names_it() {
    let desk = Desk::new();
    let archive = archived(&desk);
    let inspected = migrate(&["inspect", "--json", path(&archive)]);
    assert_eq!(code(&inspected), 0);
    let told = json(&inspected);
    assert_eq!(told["format"], "archive");
    let of_lnd = json(&migrate(&["inspect", "--json", fixture("node.db").to_str().unwrap()]));
    for part in ["counts", "channels"] {
        assert_eq!(told[part], of_lnd[part], "{part}");
    }
    assert_eq!(told["size"], std::fs::metadata(path(&archive)).unwrap().len());
}

#[test]
fn a_sound_one_has_no_findings() {
    let desk = Desk::new();
    let checked = migrate(&["check", "--json", &archived(&desk)]);
    assert_eq!(code(&checked), 0);
    assert_eq!(json(&checked)["findings"], serde_json::json!([]));
}

#[test]
fn contradictions_in_it_are_found_as_in_a_store() {
    let desk = Desk::new();
    let (store, archive) = (desk.url("sqlite", "store"), desk.url("archive", "archive"));
    let source = fixture("damaged/log-gap.db").display().to_string();
    for to in [&store, &archive] {
        let copied = migrate(&["copy", "--accept", "--from", &source, "--to", to]);
        assert_eq!(code(&copied), 0, "{}", stderr(&copied));
    }
    let findings = |store: &str| {
        let checked = migrate(&["check", "--json", store]);
        assert_eq!(code(&checked), 1);
        json(&checked)["findings"].clone()
    };
    assert_eq!(findings(&archive), findings(&store));
    assert!(!findings(&store).as_array().unwrap().is_empty());
}

#[test]
fn damage_is_reported_and_stops_a_copy() {
    let desk = Desk::new();
    let archive = archived(&desk);
    let good = std::fs::read(path(&archive)).unwrap();
    let flipped = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bad
    };
    for (bad, place) in [
        (flipped(10), "header"),
        (flipped(100), "block 0"),
        (good[..good.len() - 1].to_vec(), "footer"),
        (good[..good.len() / 2].to_vec(), "block 2"),
        ([&good[..], b"\n"].concat(), "footer"),
        (Vec::new(), "header"),
    ] {
        std::fs::write(path(&archive), bad).unwrap();
        let checked = migrate(&["check", "--json", &archive]);
        assert_eq!(code(&checked), 1, "{place}: {}", stderr(&checked));
        let told = json(&checked);
        assert_eq!(told["damages"], 1, "{told}");
        assert_eq!(told["findings"][0]["place"], place, "{told}");
        let stopped = copy(&archive, &desk.url("redb", "copy"));
        assert_eq!(code(&stopped), 1, "{place}: {}", stderr(&stopped));
        assert_eq!(names(&desk), ["node.archive"], "{place}");
    }
}

#[test]
fn a_record_that_differs_is_named() {
    let desk = Desk::new();
    let (store, archive) = (desk.url("sqlite", "store"), desk.url("archive", "archive"));
    copied(&archived(&desk), &store);
    let shell = rusqlite::Connection::open(path(&store)).unwrap();
    let gone = "delete from opening_state where key = (select min(key) from opening_state)";
    assert_eq!(shell.execute(gone, []).unwrap(), 1);
    drop(shell);
    copied(&store, &archive);
    let verified = verify(&desk.url("archive", "node.archive"), &archive);
    assert_eq!(code(&verified), 1);
    let text = String::from_utf8(verified.stdout).unwrap();
    assert!(text.contains("OpeningState/") && text.contains("only in the source"), "{text}");
}

#[test]
fn one_that_is_not_there_cannot_be_read() {
    let desk = Desk::new();
    let absent = desk.url("archive", "absent");
    for command in ["check", "inspect"] {
        assert_eq!(code(&migrate(&[command, &absent])), 3, "{command}");
    }
    let directory = format!("archive:{}", desk.0.path().display());
    assert_eq!(code(&migrate(&["check", &directory])), 3);
}
