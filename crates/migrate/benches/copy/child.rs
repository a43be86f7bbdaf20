//! The command `migrate` in a process of its own, watched from outside.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a run of the command took.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Its phases by name, in the order in which it began them.
    phases: Vec<(String, Duration)>,
    /// All of it.
    pub(crate) all: Duration,
    /// The most memory that it had, in bytes.
    pub(crate) peak: u64,
    /// What it printed with `--json`.
    pub(crate) told: Value,
}

impl Run {
    /// How long the phases with this name took together; nothing if there was none.
    pub(crate) fn phase(&self, name: &str) -> Duration {
        self.phases.iter().filter(|(phase, _)| phase == name).map(|(_, took)| *took).sum()
    }

    /// Names and lengths of all phases.
    pub(crate) fn phases(&self) -> String {
        let shown = self.phases.iter().map(|(name, took)| format!("{name} {took:.1?}"));
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// Runs the command with `--json` to its end.
pub(crate) fn migrate(arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    command.args(arguments).arg("--json").stdout(Stdio::piped()).stderr(Stdio::piped());
    let start = Instant::now();
    let mut child = command.spawn().expect("the command starts");
    let mut printed = child.stdout.take().expect("standard output is piped");
    let lines = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
    // On a pipe, each line of standard error is the name of a phase that begins.
    let reader = thread::spawn(move || {
        let line = |line: std::io::Result<String>| (line.unwrap_or_default(), Instant::now());
        lines.map(line).collect::<Vec<_>>()
    });
    let told = thread::spawn(move || {
        let mut text = String::new();
        printed.read_to_string(&mut text).map(|_| text)
    });
    let (peak, success) = watch(&mut child);
    let all = start.elapsed();
    let lines = reader.join().expect("standard error is read");
    assert!(success, "migrate {arguments:?} failed: {lines:?}");
    let told = told.join().expect("standard output is read").expect("it is text");
    let ends = lines.iter().skip(1).map(|(_, at)| *at).chain([start + all]);
    let phases = lines.iter().zip(ends).map(|((name, at), end)| (name.clone(), end - *at));
    let told = serde_json::from_str(&told).expect("the command prints JSON");
    Run { phases: phases.collect(), all, peak, told }
}

/// Waits for the end. Memory is looked at all the time, as nothing is left to look at afterwards.
fn watch(child: &mut Child) -> (u64, bool) {
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    loop {
        if let Ok(status) = std::fs::read_to_string(&status) {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
            peak = peak.max(kilobytes.unwrap_or(0) * 1024);
        }
        if let Some(status) = child.try_wait().expect("the command is waited for") {
            return (peak, status.success());
        }
        thread::sleep(Duration::from_millis(5));
    }
}
