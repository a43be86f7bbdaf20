//! Progress by a clock that the tests set.

use std::sync::Mutex;
use std::time::Duration;

use migrate::finding::Severity;
use serde_json::{Value, json};

use super::*;

#[derive(Default)]
struct SetClock(Mutex<Duration>);

impl SetClock {
    fn set(&self, seconds: u64) {
        *self.0.lock().unwrap() = Duration::from_secs(seconds);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

struct Bench {
    terminal: Terminal,
    clock: Arc<SetClock>,
    out: Arc<Mutex<Vec<u8>>>,
}

impl Bench {
    fn new(style: Style) -> Bench {
        let (clock, out) = (Arc::new(SetClock::default()), Arc::new(Mutex::new(Vec::new())));
        let terminal = Terminal::with(style, clock.clone(), out.clone());
        Bench { terminal, clock, out }
    }

    /// Lines since the last call.
    fn lines(&self) -> Vec<String> {
        let out = std::mem::take(&mut *self.out.lock().unwrap());
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    fn events(&self) -> Vec<Value> {
        self.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn a_line_tells_count_share_rate_and_remaining_time() {
    let bench = Bench::new(Style::Lines);
    let progress = bench.terminal.phase("copying", Some(1_000_000));
    assert_eq!(bench.lines(), ["copying: 1,000,000 records"]);
    bench.clock.set(4);
    progress.add(10_000);
    assert!(bench.lines().is_empty(), "it is not time yet");
    bench.clock.set(5);
    progress.add(40_000);
    assert_eq!(
        bench.lines(),
        ["copying: 50,000 of 1,000,000 (5 %), 10,000 a second, 1 min 35 s left"]
    );
    progress.add(1);
    assert!(bench.lines().is_empty(), "once in five seconds");
}

#[test]
fn without_a_total_count_and_rate_are_told() {
    let bench = Bench::new(Style::Lines);
    let progress = bench.terminal.phase("verifying", None);
    bench.clock.set(10);
    progress.add(250);
    assert_eq!(bench.lines(), ["verifying", "verifying: 250, 25 a second"]);
}

#[test]
fn events_are_one_object_a_line() {
    let bench = Bench::new(Style::Events);
    let progress = bench.terminal.phase("copying", Some(400));
    bench.clock.set(5);
    progress.add(100);
    let finding =
        Finding { severity: Severity::Warning, place: "a\nplace".into(), what: "is odd".into() };
    bench.terminal.finding(&finding);
    bench.terminal.line("for people");
    assert_eq!(
        bench.events(),
        [
            json!({"event": "phase", "phase": "copying", "total": 400}),
            json!({"event": "progress", "phase": "copying", "done": 100, "total": 400,
                   "percent": 25.0, "per_second": 20.0, "remaining_seconds": 15.0}),
            json!({"event": "finding", "severity": "warning", "place": "a\nplace",
                   "what": "is odd"}),
        ]
    );
    assert_eq!(bench.terminal.take_findings(), [finding]);
}

#[test]
fn people_get_findings_as_text() {
    let bench = Bench::new(Style::Lines);
    let finding =
        Finding { severity: Severity::Damage, place: "a/b".into(), what: "is gone".into() };
    bench.terminal.finding(&finding);
    assert_eq!(bench.lines(), ["damage: a/b: is gone"]);
}
