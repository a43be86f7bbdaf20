//! What happens while a copy runs.
#![allow(dead_code, reason = "no file of tests needs all of it")]

use migrate::command::{self, CopyOptions, CopyReport, Watch};
use migrate::finding::Finding;
use migrate::opened::{self, Failure};
use migrate::progress::Progress;
use migrate::url::StoreUrl;

/// Copies a store, and does something when a phase of the copy begins.
pub(crate) fn copy_with(
    from: &str,
    to: &str,
    phase: &'static str,
    act: impl Fn() + Sync,
) -> Result<CopyReport, Failure> {
    let (from, to) = (StoreUrl::resolve(from).unwrap(), StoreUrl::resolve(to).unwrap());
    let source = opened::open(&from, false).unwrap();
    command::copy(&from, &source, &to, CopyOptions::default(), &At { phase, act })
}

struct At<F> {
    phase: &'static str,
    act: F,
}

impl<F: Fn() + Sync> Watch for At<F> {
    fn phase(&self, name: &str, _total: Option<u64>) -> Progress {
        if name == self.phase {
            (self.act)();
        }
        Progress::silent()
    }

    fn finding(&self, _finding: &Finding) {}
}
