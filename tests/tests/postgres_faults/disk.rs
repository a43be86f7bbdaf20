//! A disk that is full.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::cluster::{Cluster, is_root};
use crate::conflicts::{fail_at_times, stop_failing};
use crate::server::Server;
use crate::trial::{CALLS, Trial, open};

/// A small file system of its own.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts it, which the system may not allow.
    fn mount() -> Option<SmallDisk> {
        let dir = is_root().then(|| TempDir::new().unwrap())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=96m,mode=755", "tmpfs"]).arg(dir.path());
        mount.status().is_ok_and(|status| status.success()).then(|| SmallDisk(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it to the last byte; the file that does so is to be deleted.
    fn fill(&self) -> PathBuf {
        let file = self.path().join("ballast");
        let mut ballast = fs::File::create(&file).unwrap();
        let page = vec![1; 4096];
        while std::io::Write::write_all(&mut ballast, &page).is_ok() {}
        file
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    const TIMES: u64 = 3;
    let Some(disk) = SmallDisk::mount() else {
        println!("no small disk can be mounted: its error is made instead");
        return made();
    };
    let cluster = Cluster::within(TempDir::new_in(disk.path()).unwrap());
    let place = cluster.server.place();
    let mut host = open(&place);
    let mut trial = Trial::new("disk full", &host);
    for _ in 0..TIMES {
        host = trial.round(host, |watch| {
            watch.await_calls(CALLS / 3);
            let before = watch.tally().not_stored;
            let ballast = disk.fill();
            // Where there is no room for the log, the server ends and cannot come back.
            let mut shell = cluster.server.try_shell("public");
            watch.wait("the disk is missed", |tally| {
                tally.not_stored > before || shell.as_mut().map_or(true, |shell| shell.is_lost())
            });
            fs::remove_file(ballast).unwrap();
            // It may be on its way down still.
            cluster.await_restarted();
            1
        });
    }
    drop(host);
    trial.end(TIMES);
    drop((place, cluster));
}

/// The server says that its disk is full.
fn made() {
    const FAILURES: u64 = 5;
    let server = Server::shared();
    let place = server.place();
    let host = open(&place);
    let mut trial = Trial::new("disk said to be full", &host);
    let host = trial.round(host, |watch| {
        let mut shell = server.shell(place.schema());
        fail_at_times(&mut shell, "53100");
        watch.await_calls(CALLS * 3 / 4);
        // A batch that fails is parted, and its members may be stored: one has to fail alone.
        watch.wait("a call is not stored", |tally| tally.not_stored > 0);
        stop_failing(&mut shell, FAILURES)
    });
    drop(host);
    assert!(trial.tally.not_stored > 0);
    trial.end(FAILURES);
}

#[test]
fn an_error_of_a_full_disk_loses_nothing() {
    made();
}
