//! How far a long job is.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts finished records, and tells whoever watches.
#[derive(Default)]
pub struct Progress {
    done: AtomicU64,
    watcher: Option<Box<dyn Fn(u64) + Send + Sync>>,
}

impl Progress {
    /// Counts, and tells nobody.
    pub fn silent() -> Progress {
        Progress::default()
    }

    /// Calls `watcher` with the total each time it grows.
    pub fn watched(watcher: impl Fn(u64) + Send + Sync + 'static) -> Progress {
        Progress { done: AtomicU64::new(0), watcher: Some(Box::new(watcher)) }
    }

    /// Adds finished records.
    pub fn add(&self, records: usize) {
        let done = self.done.fetch_add(records as u64, Ordering::Relaxed) + records as u64;
        if let Some(watcher) = &self.watcher {
            watcher(done);
        }
    }

    /// Finished records.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}
