//! A copy to a disk that is full goes on when there is room.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/command.rs"]
mod command;

use std::fs::File;
use std::path::Path;
use std::process::Command;

use command::{Desk, code, copy, fixture, migrate, stderr, verify};
use tempfile::TempDir;

/// A small file system of its own.
struct SmallDisk(TempDir);

/// Bytes of room that each run has more than the one before it.
const MORE: u64 = 128 << 10;

/// Bytes that are taken at first.
const TAKEN: u64 = 32 << 20;

impl SmallDisk {
    /// Mounts it, which the system may not allow.
    fn mount() -> Option<SmallDisk> {
        let dir = TempDir::new().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=32m,mode=755", "tmpfs"]).arg(dir.path());
        mount.status().is_ok_and(|status| status.success()).then(|| SmallDisk(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

/// Copies with a little more room each time. Returns how often there was too little.
fn survives(engine: &str) -> Option<u64> {
    let Some(disk) = SmallDisk::mount() else {
        println!("no small disk can be mounted: nothing was tested");
        return None;
    };
    let (desk, from) = (Desk::new(), fixture("node.db").display().to_string());
    let (to, whole) =
        (format!("{engine}:{}", disk.path().join("a").display()), desk.url(engine, "b"));
    assert_eq!(code(&copy(&from, &whole)), 0);
    let path = disk.path().join("ballast");
    let mut ballast = File::create(&path).unwrap();
    let page = vec![1; 4096];
    while std::io::Write::write_all(&mut ballast, &page).is_ok() {}
    let (mut full, mut room) = (0, 0);
    loop {
        let copied = migrate(&["copy", "--resume", "--batch", "40", "--from", &from, "--to", &to]);
        match code(&copied) {
            0 => break,
            3 => full += 1,
            other => panic!("{other}: {}", stderr(&copied)),
        }
        room += MORE;
        assert!(room < TAKEN, "{}", stderr(&copied));
        ballast.set_len(TAKEN - room).unwrap();
    }
    for store in [&from, &whole] {
        let verified = verify(store, &to);
        assert_eq!(code(&verified), 0, "{}", stderr(&verified));
    }
    Some(full)
}

#[test]
fn a_copy_into_sqlite_goes_on_when_there_is_room() {
    assert!(survives("sqlite").is_none_or(|full| full > 3));
}

#[test]
fn a_copy_into_redb_goes_on_when_there_is_room() {
    assert!(survives("redb").is_none_or(|full| full > 3));
}
