//! A clock that goes on while the machine sleeps.
//!
//! `std::time::Instant` does not on Linux, where it reads `CLOCK_MONOTONIC`: see `clock_gettime(2)`.
//! After a night in a bag it would say that the last beat was a second ago. Nothing would be stored
//! twice by that, as the server checks each commit; but an instance that slept would go on where one
//! that was paused for as long is fenced.

use std::time::Duration;

/// A moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    /// This moment.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn now() -> Instant {
        use rustix::time::{ClockId, clock_gettime};

        let time = clock_gettime(ClockId::Boottime);
        let seconds = Duration::from_secs(time.tv_sec.unsigned_abs());
        let nanoseconds = Duration::from_nanos(time.tv_nsec.unsigned_abs());
        Instant(seconds + nanoseconds)
    }

    /// This moment, as well as the system says it to everybody.
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn now() -> Instant {
        use std::sync::LazyLock;
        use std::time;

        static START: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);
        // Room for moments before the start.
        Instant(Duration::from_secs(1 << 32) + START.elapsed())
    }

    /// Time that passed since an earlier moment.
    pub(crate) fn since(self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// The moment so long before.
    #[cfg(test)]
    pub(crate) fn before(self, duration: Duration) -> Instant {
        Instant(self.0.checked_sub(duration).unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes() {
        let start = Instant::now();
        while Instant::now().since(start).is_zero() {}
        assert!(Instant::now() > start);
        assert_eq!(start.since(Instant::now()), Duration::ZERO);
    }

    // The kernel's own count of the time since the machine was started, sleep included. It differs
    // from the other clock on a machine that slept, and under `unshare --time --boottime 1000`.
    #[cfg(target_os = "linux")]
    #[test]
    fn sleep_counts() {
        let uptime = || {
            let line = std::fs::read_to_string("/proc/uptime").unwrap();
            let (seconds, _) = line.split_once(' ').unwrap();
            // It is cut to hundredths.
            Instant(Duration::from_secs_f64(seconds.parse().unwrap()))
        };
        let before = uptime();
        let now = Instant::now();
        assert!(before <= now && now.before(Duration::from_millis(10)) <= uptime());
    }
}
