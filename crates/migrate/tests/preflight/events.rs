//! Events and reports for programs.

use serde_json::Value;

use crate::command::{Desk, code, fixture, json, migrate, stderr};
use crate::support::{copy_with, events};

#[test]
fn a_copy_tells_its_phases_and_ends_in_a_report() {
    let desk = Desk::new();
    let source = fixture("node.db").display().to_string();
    let copied = copy_with(&source, &desk.url("sqlite", "a"), &[]);
    assert_eq!(code(&copied), 0);
    let events = events(&copied);
    let of = |name: &str| events.iter().filter(|it| it["event"] == name).collect::<Vec<_>>();
    let phases: Vec<_> = of("phase").iter().map(|it| it["phase"].as_str().unwrap()).collect();
    let expected =
        ["checking", "rehearsing", "searching", "measuring", "copying", "comparing", "verifying"];
    assert_eq!(phases[..7], expected);
    assert_eq!(of("preflight").len(), 1);
    // The report is one line too.
    assert_eq!(copied.stdout.iter().filter(|byte| **byte == b'\n').count(), 1);
    let report = json(&copied);
    assert_eq!(report["event"], "report");
    let times = report["phases"].as_array().unwrap();
    let names: Vec<_> = times.iter().map(|time| time["phase"].as_str().unwrap()).collect();
    assert_eq!(names, expected);
}

#[test]
fn records_and_residues_add_up() {
    let desk = Desk::new();
    let source = fixture("node.db").display().to_string();
    let report = json(&copy_with(&source, &desk.url("sqlite", "a"), &[]));
    let sum = |values: Vec<&Value>| values.iter().map(|it| it.as_u64().unwrap()).sum::<u64>();
    let kinds = report["preflight"]["records"].as_object().unwrap();
    let records = sum(kinds.values().map(|amount| &amount["records"]).collect());
    assert_eq!(report["records"], records);
    assert_eq!(kinds["revoked states"]["records"], 651);
    let reasons = report["residues_by_reason"].as_object().unwrap();
    assert_eq!(report["residues"], sum(reasons.values().collect()));
    let shell = rusqlite::Connection::open(desk.0.path().join("a")).unwrap();
    let count = |table: &str| -> i64 {
        let sql = format!("select count(*) from {table}");
        shell.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(kinds["revoked states"]["records"], count("revoked_state"));
    assert_eq!(kinds["link node addresses"]["records"], count("link_node_address"));
    let size = std::fs::metadata(desk.0.path().join("a")).unwrap().len();
    assert_eq!(report["written_bytes"], size);
}

#[test]
fn findings_are_events_and_part_of_the_result() {
    let source = fixture("damaged/shachain.db").display().to_string();
    let checked = migrate(&["check", "--json", &source]);
    let told = events(&checked);
    let found = told.iter().find(|event| event["event"] == "finding").unwrap();
    assert_eq!(found["severity"], "inconsistency");
    assert_eq!(json(&checked)["findings"][0]["place"], found["place"]);
    assert_eq!(json(&checked)["event"], "report");
}

#[test]
fn a_usage_error_is_a_refusal_with_its_code() {
    let refused = migrate(&["check", "--json", "mysql:x"]);
    assert_eq!(code(&refused), 2);
    assert_eq!(json(&refused)["event"], "refusal");
    assert_eq!(json(&refused)["code"], 2);
    assert_eq!(stderr(&refused), "");
}

#[test]
fn people_get_no_json() {
    let desk = Desk::new();
    let source = fixture("node.db").display().to_string();
    let target = desk.url("sqlite", "a");
    let copied = migrate(&["copy", "--from", &source, "--to", &target]);
    let text = [stderr(&copied), String::from_utf8(copied.stdout).unwrap()].concat();
    assert!(!text.contains('{'), "{text}");
    for part in ["preflight: ", "copying: 1,465 records", "records by kind", "time by phase"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
