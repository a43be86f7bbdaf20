//! The command `migrate` in a process of its own, watched from outside.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long something took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Took {
    /// On the clock.
    pub(crate) wall: Duration,
    /// On processors, all threads together: what a busy machine does not change.
    pub(crate) cpu: Duration,
}

/// What a run of the command took.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Its phases by name, in the order in which it began them.
    phases: Vec<(String, Took)>,
    /// All of it.
    pub(crate) all: Took,
    /// The most memory that it had, in bytes.
    pub(crate) peak: u64,
    /// What it printed with `--json`.
    pub(crate) told: Value,
}

impl Run {
    /// How long the phases with this name took together; nothing if there was none.
    pub(crate) fn phase(&self, name: &str) -> Took {
        let phases = self.phases.iter().filter(|(phase, _)| phase == name);
        phases.map(|(_, took)| *took).sum()
    }

    /// Names and lengths of all phases.
    pub(crate) fn phases(&self) -> String {
        let shown = self.phases.iter().map(|(name, took)| format!("{name} {:.1?}", took.wall));
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// Runs the command with `--json` to its end.
pub(crate) fn migrate(arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    command.args(arguments).arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().expect("the command starts");
    let process = child.id().to_string();
    let mut printed = child.stdout.take().expect("standard output is piped");
    let lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
    let now = {
        let process = process.clone();
        move || Took { wall: start.elapsed(), cpu: cpu(&process).unwrap_or_default() }
    };
    let reader = thread::spawn(move || {
        let begun = |line: std::io::Result<String>| Some((phase(line.ok()?)?, now()));
        lines.filter_map(begun).collect::<Vec<_>>()
    });
    let told = thread::spawn(move || {
        let mut text = String::new();
        printed.read_to_string(&mut text).map(|_| text)
    });
    let (peak, cpu, success) = watch(&mut child, &process);
    let all = Took { wall: start.elapsed(), cpu };
    let begun = reader.join().expect("standard error is read");
    assert!(success, "migrate {arguments:?} failed: {begun:?}");
    let told = told.join().expect("standard output is read").expect("it is text");
    let ends = begun.iter().skip(1).map(|(_, at)| *at).chain([all]);
    let phases = begun.iter().zip(ends).map(|((name, at), end)| (name.clone(), end.since(*at)));
    let phases = phases.collect();
    let told = serde_json::from_str(&told).expect("the command prints JSON");
    Run { phases, all, peak, told }
}

impl Took {
    fn since(self, start: Took) -> Took {
        let Took { wall, cpu } = self;
        Took { wall: wall.saturating_sub(start.wall), cpu: cpu.saturating_sub(start.cpu) }
    }
}

impl std::iter::Sum for Took {
    fn sum<I: Iterator<Item = Took>>(all: I) -> Took {
        all.fold(Took::default(), |sum, next| sum + next)
    }
}

impl std::ops::Add for Took {
    type Output = Took;

    fn add(self, other: Took) -> Took {
        Took { wall: self.wall + other.wall, cpu: self.cpu + other.cpu }
    }
}

/// Processor time of a process or thread, named as in `/proc`, so far. Linux counts hundredths of a
/// second.
pub(crate) fn cpu(process: &str) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may hold anything: 11 other fields, then those of user and system.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = |field: &str| field.parse::<u64>().ok();
    Some(Duration::from_millis(10 * (ticks(fields.next()?)? + ticks(fields.next()?)?)))
}

/// The phase that begins with a line of standard error, told as an event or by its name.
fn phase(line: String) -> Option<String> {
    match serde_json::from_str::<Value>(&line) {
        Ok(event) => event["phase"].as_str().filter(|_| event["event"] == "phase").map(Into::into),
        Err(_) => Some(line),
    }
}

/// Waits for the end. Memory and processor time are looked at all the time, as nothing is left to
/// look at afterwards.
fn watch(child: &mut Child, process: &str) -> (u64, Duration, bool) {
    let (mut peak, mut used) = (0, Duration::ZERO);
    loop {
        if let Ok(status) = std::fs::read_to_string(format!("/proc/{process}/status")) {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            peak = peak.max(kilobytes.unwrap_or(0) * 1024);
        }
        used = used.max(cpu(process).unwrap_or_default());
        if let Some(status) = child.try_wait().expect("the command is waited for") {
            return (peak, used, status.success());
        }
        thread::sleep(Duration::from_millis(5));
    }
}
