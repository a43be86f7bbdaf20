//! Runs the command.
#![allow(dead_code, reason = "no file of tests needs all of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/lnd").join(name)
}

/// A directory of its own for each test.
pub(crate) struct Desk(pub(crate) TempDir);

impl Desk {
    pub(crate) fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    /// Fails if a draft was left behind.
    pub(crate) fn holds_no_drafts(&self) {
        let names =
            std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let drafts: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with('.')).collect();
        assert!(drafts.is_empty(), "{drafts:?}");
    }

    pub(crate) fn url(&self, engine: &str, name: &str) -> String {
        format!("{engine}:{}", self.0.path().join(name).display())
    }
}

pub(crate) fn migrate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_migrate")).args(arguments).output().unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn copy(from: &str, to: &str) -> Output {
    migrate(&["copy", "--from", from, "--to", to])
}

pub(crate) fn verify(from: &str, to: &str) -> Output {
    migrate(&["verify", "--from", from, "--to", to])
}

#[track_caller]
pub(crate) fn succeeds(output: &Output) {
    assert_eq!(code(output), 0, "{}{}", String::from_utf8_lossy(&output.stdout), stderr(output));
}

/// What a command tells, but for the name and size of the store.
pub(crate) fn told(command: &str, store: &str) -> Value {
    let mut told = json(&migrate(&[command, "--json", store]));
    for own in ["store", "format", "size"] {
        told.as_object_mut().unwrap().remove(own);
    }
    told
}
