//! Events for programs, as `docs/migrate.md` describes them.

use migrate::command::Preflight;
use migrate::finding::Finding;
use migrate::progress::Position;
use serde::Serialize;

/// What happened while a command runs.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Event<'a> {
    /// A phase begins.
    Phase { phase: &'a str, total: Option<u64> },
    /// How far it is.
    Progress(At<'a>),
    /// Something that a check found.
    Finding(&'a Finding),
    /// What was looked at before a copy.
    Preflight(&'a Preflight),
}

/// How far a phase is.
#[derive(Serialize)]
pub(super) struct At<'a> {
    phase: &'a str,
    done: u64,
    total: Option<u64>,
    percent: Option<f64>,
    per_second: Option<f64>,
    remaining_seconds: Option<f64>,
}

impl<'a> At<'a> {
    pub(super) fn new(phase: &'a str, position: &Position) -> At<'a> {
        At {
            phase,
            done: position.done,
            total: position.total,
            percent: position.percent().map(rounded),
            per_second: position.per_second.map(rounded),
            remaining_seconds: position.remaining.map(|left| rounded(left.as_secs_f64())),
        }
    }
}

fn rounded(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

impl Event<'_> {
    pub(super) fn to_json(&self) -> String {
        // Only maps with keys that are no text fail, and there are none.
        serde_json::to_string(self).unwrap_or_default()
    }
}
