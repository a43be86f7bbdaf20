//! How long the phases of a job took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use super::{Preflight, Watch};
use crate::finding::Finding;
use crate::progress::{Clock, Progress};

/// A phase that is over.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseTime {
    /// Its name.
    pub phase: String,
    /// Records it went through.
    pub records: u64,
    /// How long it took.
    pub seconds: f64,
    /// Records in a second; `None` if it took no time.
    pub per_second: Option<f64>,
}

/// Takes the time of phases while somebody watches them.
pub(super) struct Stopwatch<'a> {
    watch: &'a dyn Watch,
    clock: &'a dyn Clock,
    phases: Mutex<Vec<Phase>>,
}

struct Phase {
    name: String,
    began: Duration,
    done: Arc<AtomicU64>,
}

impl<'a> Stopwatch<'a> {
    pub(super) fn new(watch: &'a dyn Watch, clock: &'a dyn Clock) -> Stopwatch<'a> {
        Stopwatch { watch, clock, phases: Mutex::default() }
    }

    /// The phases so far, the last of which ends now. Each ends where the next one begins; phases of
    /// one name count as one.
    pub(super) fn times(&self) -> Vec<PhaseTime> {
        let phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = phases.iter().skip(1).map(|phase| phase.began).chain([self.clock.now()]);
        let mut times: Vec<PhaseTime> = Vec::new();
        for (phase, end) in phases.iter().zip(ends) {
            let seconds = end.saturating_sub(phase.began).as_secs_f64();
            let records = phase.done.load(Ordering::Relaxed);
            match times.iter_mut().find(|time| time.phase == phase.name) {
                Some(time) => {
                    time.seconds += seconds;
                    time.records += records;
                }
                None => {
                    let phase = phase.name.clone();
                    times.push(PhaseTime { phase, records, seconds, per_second: None });
                }
            }
        }
        for time in &mut times {
            let rate = time.records as f64 / time.seconds;
            time.per_second = (time.seconds > 0.0).then_some(rate);
        }
        times
    }
}

impl Watch for Stopwatch<'_> {
    fn phase(&self, name: &str, total: Option<u64>) -> Progress {
        let shown = self.watch.phase(name, total);
        let done = Arc::new(AtomicU64::new(0));
        let phase =
            Phase { name: name.to_owned(), began: self.clock.now(), done: Arc::clone(&done) };
        self.phases.lock().unwrap_or_else(PoisonError::into_inner).push(phase);
        Progress::watched(move |count| {
            let before = done.fetch_max(count, Ordering::Relaxed);
            shown.add(count.saturating_sub(before) as usize);
        })
    }

    fn finding(&self, finding: &Finding) {
        self.watch.finding(finding);
    }

    fn preflight(&self, preflight: &Preflight) {
        self.watch.preflight(preflight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Watch for Nobody {
        fn phase(&self, _: &str, _: Option<u64>) -> Progress {
            Progress::silent()
        }

        fn finding(&self, _: &Finding) {}
    }

    #[derive(Default)]
    struct SetClock(AtomicU64);

    impl Clock for SetClock {
        fn now(&self) -> Duration {
            Duration::from_secs(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn a_phase_ends_where_the_next_begins_and_names_come_once() {
        let clock = SetClock::default();
        let stopwatch = Stopwatch::new(&Nobody, &clock);
        for (name, begins, records) in
            [("copying", 0, 10), ("verifying", 4, 6), ("verifying", 6, 2)]
        {
            clock.0.store(begins, Ordering::Relaxed);
            stopwatch.phase(name, None).add(records);
        }
        clock.0.store(8, Ordering::Relaxed);
        let time = |phase: &str, records, seconds, rate| PhaseTime {
            phase: phase.into(),
            records,
            seconds,
            per_second: Some(rate),
        };
        let expected = [time("copying", 10, 4.0, 2.5), time("verifying", 8, 4.0, 2.0)];
        assert_eq!(stopwatch.times(), expected);
    }
}
