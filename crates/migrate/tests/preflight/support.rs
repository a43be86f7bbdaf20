//! What the tests share.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::bolt_writer::Tree;
use crate::command::{Desk, fixture, migrate};

/// Content of a sound database with a few channels.
pub(crate) fn base() -> Tree {
    Tree::read(&fixture("damaged/base.db"))
}

/// A database with this content.
pub(crate) fn database(desk: &Desk, tree: &Tree) -> String {
    let path: PathBuf = desk.0.path().join("channel.db");
    std::fs::write(&path, tree.to_file()).unwrap();
    path.display().to_string()
}

/// Names of the files on a desk.
pub(crate) fn files(desk: &Desk) -> Vec<String> {
    let entries = std::fs::read_dir(desk.0.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// A copy with options, told in events.
pub(crate) fn copy_with(from: &str, to: &str, options: &[&str]) -> Output {
    migrate(&[&["copy", "--json", "--from", from, "--to", to], options].concat())
}

/// Events on standard error.
pub(crate) fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// What was looked at before the copy.
pub(crate) fn preflight(output: &Output) -> Value {
    let mut events = events(output).into_iter();
    events.find(|event| event["event"] == "preflight").expect("no preflight")
}

/// The checks of a name.
pub(crate) fn checks(preflight: &Value, name: &str) -> Vec<Value> {
    let checks = preflight["checks"].as_array().unwrap();
    checks.iter().filter(|check| check["name"] == name).cloned().collect()
}

/// Names of the checks that refuse the copy. Each says what to do.
pub(crate) fn refusals(preflight: &Value) -> Vec<String> {
    let checks = preflight["checks"].as_array().unwrap();
    let refused = checks.iter().filter(|check| check["verdict"] == "refused");
    let name = |check: &Value| {
        assert!(check["advice"].as_str().is_some_and(|advice| !advice.is_empty()), "{check}");
        check["name"].as_str().unwrap().to_owned()
    };
    refused.map(name).collect()
}
