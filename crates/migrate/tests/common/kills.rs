//! The command, killed again and again.
#![allow(dead_code, reason = "no file of tests needs all of it")]

use std::process::{Command, Stdio};

use crate::command::{code, copy, stderr, verify};
use crate::stopping::{content, url};

/// Kills the command at random points until a run comes to its end, then compares with `whole`.
pub(crate) fn survives_kills(from: &str, to: &str, whole: &str) {
    assert_eq!(code(&copy(from, whole)), 0);
    let arguments = ["copy", "--resume", "--batch", "40", "--from", from, "--to", to];
    let mut random = fastrand::Rng::with_seed(7);
    // Each run gets longer until one is not killed in time.
    let mut limit = std::time::Duration::from_millis(2);
    let mut kills = 0;
    loop {
        let mut run = Command::new(env!("CARGO_BIN_EXE_migrate"))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(limit.mul_f64(random.f64()));
        // A run that has ended cannot be killed, and one that failed by itself fails the test.
        if let Some(ended) = run.try_wait().unwrap() {
            assert_eq!(ended.code(), Some(0), "after {kills} kills");
            break;
        }
        run.kill().unwrap();
        run.wait().unwrap();
        kills += 1;
        limit += limit / 8;
    }
    assert!(kills > 0);
    let verified = verify(from, to);
    assert_eq!(code(&verified), 0, "{}", stderr(&verified));
    assert!(content(&url(to)) == content(&url(whole)));
}
