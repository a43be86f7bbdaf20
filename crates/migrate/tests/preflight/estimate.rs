//! What a copy is said to take.

use crate::command::{Desk, code, fixture, json, stderr};
use crate::support::{checks, copy_with, files, preflight};

#[test]
fn the_size_is_told_before_and_is_about_right() {
    let desk = Desk::new();
    let source = fixture("node.db").display().to_string();
    for engine in ["sqlite", "redb", "archive"] {
        let copied = copy_with(&source, &desk.url(engine, engine), &[]);
        assert_eq!(code(&copied), 0, "{}", stderr(&copied));
        let estimate = preflight(&copied)["estimate"].clone();
        // The sample is all of a small database.
        assert_eq!(estimate["sampled"], estimate["records"]);
        assert!(estimate["seconds"].as_f64().unwrap() > 0.0, "{estimate}");
        let (told, written) = (&estimate["bytes"], &json(&copied)["written_bytes"]);
        let (told, written) = (told.as_u64().unwrap(), written.as_u64().unwrap());
        // What the sample does not have are residues; a log beside the file shrinks when it is closed.
        assert!(
            written <= told * 2 && told <= written * 4,
            "{engine}: {told} told, {written} there"
        );
        assert!(estimate["room"].as_u64().unwrap() >= told, "{estimate}");
        let space = checks(&preflight(&copied), "space");
        assert!(space[0]["what"].as_str().unwrap().contains(" free at "), "{space:?}");
    }
}

#[test]
fn measuring_leaves_nothing() {
    let desk = Desk::new();
    let source = fixture("node.db").display().to_string();
    for engine in ["sqlite", "redb", "archive"] {
        let dry = copy_with(&source, &desk.url(engine, "a"), &["--dry-run"]);
        assert_eq!(code(&dry), 0);
        assert!(json(&dry)["preflight"]["estimate"]["bytes"].as_u64().unwrap() > 0);
        assert_eq!(files(&desk), [""; 0], "{engine}");
    }
}

#[test]
fn a_refused_copy_is_not_measured() {
    let desk = Desk::new();
    let source = fixture("damaged/log-gap.db").display().to_string();
    let refused = copy_with(&source, &desk.url("sqlite", "a"), &[]);
    assert!(preflight(&refused)["estimate"].is_null());
}
