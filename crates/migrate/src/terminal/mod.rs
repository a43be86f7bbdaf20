//! What the user sees while a command runs: a bar on a terminal, plain lines otherwise, events for
//! programs.

mod event;
mod running;
#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use migrate::command::{Preflight, Watch};
use migrate::finding::Finding;
use migrate::progress::{Clock, Progress, SystemClock};

use self::event::Event;
use self::running::Running;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// One bar that is drawn again and again.
    Bar,
    /// A line when a phase begins, and one every few seconds.
    Lines,
    /// One JSON object on each line.
    Events,
}

/// Standard error, as a place for progress and findings. Standard output is for results.
pub(crate) struct Terminal {
    style: Style,
    clock: Arc<dyn Clock>,
    out: Out,
    /// Kept for the result of programs.
    findings: Mutex<Vec<Finding>>,
    bar: Mutex<Option<ProgressBar>>,
}

/// Where lines go.
type Out = Arc<Mutex<dyn Write + Send>>;

impl Terminal {
    pub(crate) fn new(json: bool) -> Terminal {
        let style = match (json, std::io::stderr().is_terminal()) {
            (true, _) => Style::Events,
            (false, true) => Style::Bar,
            (false, false) => Style::Lines,
        };
        let out = Arc::new(Mutex::new(std::io::stderr()));
        Terminal::with(style, Arc::new(SystemClock::start()), out)
    }

    fn with(style: Style, clock: Arc<dyn Clock>, out: Out) -> Terminal {
        let (findings, bar) = (Mutex::default(), Mutex::default());
        Terminal { style, clock, out, findings, bar }
    }

    /// Findings of this run.
    pub(crate) fn take_findings(&self) -> Vec<Finding> {
        std::mem::take(&mut *self.findings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = self.replace(None) {
            bar.finish_and_clear();
        }
    }

    fn replace(&self, bar: Option<ProgressBar>) -> Option<ProgressBar> {
        let mut shown = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut shown, bar)
    }

    /// Shows text for people. Programs get events instead.
    pub(crate) fn line(&self, text: &str) {
        if self.style == Style::Events {
            return;
        }
        let shown = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        match shown.as_ref() {
            Some(bar) => bar.suspend(|| write_line(&self.out, text)),
            None => write_line(&self.out, text),
        }
    }

    fn tell(&self, event: &Event<'_>) {
        if self.style == Style::Events {
            write_line(&self.out, &event.to_json());
        }
    }

    fn bar(&self, name: &str, total: Option<u64>) -> Progress {
        let (bar, style) = match total {
            Some(total) => (
                ProgressBar::new(total),
                "{msg:>10} {wide_bar} {human_pos}/{human_len} {per_sec} {eta_precise} left",
            ),
            None => (ProgressBar::no_length(), "{msg:>10} {spinner} {human_pos} {per_sec}"),
        };
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(name.to_owned());
        self.replace(Some(bar.clone()));
        Progress::watched(move |done| bar.set_position(done))
    }
}

impl Watch for Terminal {
    fn phase(&self, name: &str, total: Option<u64>) -> Progress {
        self.finish();
        if self.style == Style::Bar {
            return self.bar(name, total);
        }
        let running = Running::begin(self.style, name, total, &self.clock, &self.out);
        Progress::watched(move |done| running.tell(done))
    }

    fn finding(&self, finding: &Finding) {
        if self.style == Style::Events {
            self.tell(&Event::Finding(finding));
            let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
            findings.push(finding.clone());
        } else {
            self.line(&finding.to_string());
        }
    }

    fn preflight(&self, preflight: &Preflight) {
        self.tell(&Event::Preflight(preflight));
        self.line(&preflight.to_string());
    }
}

/// Writes a line. Nobody may be reading it; that is no reason to stop.
fn write_line(out: &Out, text: &str) {
    let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}
