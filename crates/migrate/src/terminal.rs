//! What the user sees while a command runs: a bar on a terminal, plain lines otherwise.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use migrate::command::Watch;
use migrate::finding::Finding;
use migrate::progress::Progress;

/// Standard error, as a place for progress and findings. Standard output is for results.
pub(crate) struct Terminal {
    interactive: bool,
    /// Findings are kept for the result instead of being shown.
    keep_findings: bool,
    findings: Mutex<Vec<Finding>>,
    bar: Mutex<Option<ProgressBar>>,
}

impl Terminal {
    pub(crate) fn new(keep_findings: bool) -> Terminal {
        Terminal {
            interactive: std::io::stderr().is_terminal(),
            keep_findings,
            findings: Mutex::default(),
            bar: Mutex::new(None),
        }
    }

    /// Findings that were kept.
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

    /// Shows a line.
    pub(crate) fn line(&self, text: &str) {
        // Nobody may be reading standard error; that is no reason to stop.
        let write = || drop(writeln!(std::io::stderr(), "{text}"));
        let shown = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        match shown.as_ref() {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Watch for Terminal {
    fn phase(&self, name: &str, total: Option<u64>) -> Progress {
        self.finish();
        if !self.interactive {
            self.line(name);
            return Progress::silent();
        }
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::no_length(),
        };
        let style =
            ProgressStyle::with_template("{msg:>10} {wide_bar} {pos}/{len} {per_sec} {eta}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(name.to_owned());
        self.replace(Some(bar.clone()));
        Progress::watched(move |done| bar.set_position(done))
    }

    fn finding(&self, finding: &Finding) {
        if self.keep_findings {
            let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
            findings.push(finding.clone());
        } else {
            self.line(&finding.to_string());
        }
    }
}
