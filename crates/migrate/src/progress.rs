//! How far a long job is, how fast, and how much longer it takes.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Time since a moment that stays the same.
    fn now(&self) -> Duration;
}

/// The clock of the machine. It is not set back.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock that starts at 0.
    pub fn start() -> SystemClock {
        SystemClock(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Moments that a rate is taken over.
const WINDOW: usize = 6;

/// How fast a phase is, told from its last few moments: what comes later may be slower or faster
/// than its beginning.
#[derive(Clone, Debug)]
pub struct Pace {
    total: Option<u64>,
    moments: VecDeque<(Duration, u64)>,
}

/// Where a phase stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Finished records.
    pub done: u64,
    /// All records of the phase, if that is known.
    pub total: Option<u64>,
    /// Records in a second; `None` as long as no time has passed.
    pub per_second: Option<f64>,
    /// Time until the end at this rate; `None` if it cannot be told.
    pub remaining: Option<Duration>,
}

impl Pace {
    /// A phase that begins now.
    pub fn new(total: Option<u64>, now: Duration) -> Pace {
        Pace { total, moments: VecDeque::from([(now, 0)]) }
    }

    /// Where the phase stands with `done` records.
    pub fn at(&mut self, now: Duration, done: u64) -> Position {
        self.moments.push_back((now, done));
        if self.moments.len() > WINDOW {
            self.moments.pop_front();
        }
        let (since, before) = self.moments.front().copied().unwrap_or((now, done));
        let passed = now.saturating_sub(since).as_secs_f64();
        let rate = (done.saturating_sub(before)) as f64 / passed;
        let per_second = (passed > 0.0).then_some(rate);
        // A count that was told beforehand may fall short.
        let left = self.total.map(|total| total.saturating_sub(done) as f64);
        let remaining = per_second.filter(|rate| *rate > 0.0).zip(left);
        let remaining =
            remaining.and_then(|(rate, left)| Duration::try_from_secs_f64(left / rate).ok());
        Position { done, total: self.total, per_second, remaining }
    }
}

impl Position {
    /// Finished part in percent, at most 100; `None` if the total is not known.
    pub fn percent(&self) -> Option<f64> {
        let total = self.total.filter(|total| *total > 0)?;
        Some((self.done as f64 * 100.0 / total as f64).min(100.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_remaining_time_follows_from_rate_and_total() {
        let mut pace = Pace::new(Some(1000), seconds(10));
        let position = pace.at(seconds(15), 100);
        assert_eq!(position.per_second, Some(20.0));
        assert_eq!(position.percent(), Some(10.0));
        assert_eq!(position.remaining, Some(seconds(45)));
    }

    #[test]
    fn a_rate_forgets_how_it_began() {
        let mut pace = Pace::new(None, seconds(0));
        for second in 1..=10 {
            pace.at(seconds(second), 1);
        }
        let position = pace.at(seconds(11), 1001);
        assert_eq!(position.per_second, Some(200.0));
        assert_eq!((position.remaining, position.percent()), (None, None));
    }

    #[test]
    fn nothing_is_told_from_no_time_or_no_progress() {
        let mut pace = Pace::new(Some(10), seconds(3));
        assert_eq!(pace.at(seconds(3), 5).per_second, None);
        assert_eq!(pace.at(seconds(4), 5).remaining, Some(seconds(1)));
        let mut stuck = Pace::new(Some(10), seconds(3));
        assert_eq!(stuck.at(seconds(9), 0).remaining, None);
    }

    #[test]
    fn more_than_was_told_is_no_more_than_everything() {
        let position = Pace::new(Some(10), seconds(0)).at(seconds(1), 12);
        assert_eq!((position.percent(), position.remaining), (Some(100.0), Some(seconds(0))));
    }
}
