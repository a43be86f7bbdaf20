//! Which cases find a defect.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::{DEFECTS, Defect, InBroken, SOUND};
use crate::case::{CASES, Case};
use crate::quiet::Quiet;

/// How long a case is waited for. One that goes round in circles is stopped by its calls, long
/// before: this is for a case that waits for what never comes, and far more than a loaded machine
/// needs.
const DEADLINE: Duration = Duration::from_secs(600);

/// Subjects whose cases take seconds each. What they call, cases of other subjects call too.
const LONG: [&str; 3] = ["concurrency", "model", "node"];

/// A case that fails over a broken backend.
#[derive(Clone, Debug)]
pub struct Caught {
    /// The case.
    pub case: &'static Case,
    /// How it fails.
    pub how: How,
}

/// How a case fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// With this message.
    Failed(String),
    /// It does not come to an end in time. That may be the machine's fault, and finds no defect.
    Hung,
}

impl Caught {
    /// Whether the case found something wrong.
    pub fn found_it(&self) -> bool {
        self.how != How::Hung
    }
}

/// The cases that fail over a defect in memory, in their order. Runs them as it goes; panics leave
/// no message meanwhile.
pub fn caught_by(defect: &Defect) -> impl Iterator<Item = Caught> {
    failing(defect, CASES.iter())
}

fn failing(
    defect: &Defect,
    cases: impl Iterator<Item = &'static Case>,
) -> impl Iterator<Item = Caught> {
    let quiet = Quiet::new();
    cases.filter_map(move |case| {
        let _ = &quiet;
        let how = trial(case, InBroken::new(defect))?;
        Some(Caught { case, how })
    })
}

/// Runs cases until one finds the defect.
///
/// # Panics
/// If none does, or there is no such defect.
pub fn must_be_caught(name: &str) {
    let defect = DEFECTS.iter().find(|defect| defect.name == name).expect("no such defect");
    let found = caught_by(defect).any(|caught| caught.found_it());
    assert!(found, "no case fails: {}", defect.doc());
}

/// Runs the cases over a backend that is not broken, without the subjects that take seconds each.
///
/// # Panics
/// If one fails, or there is no such backend.
pub fn must_pass(name: &str) {
    let sound = SOUND.iter().find(|sound| sound.name == name).expect("no such backend");
    let short = CASES.iter().filter(|case| !LONG.contains(&case.subject));
    let failed: Vec<_> =
        failing(sound, short).map(|caught| (caught.case.name, caught.how)).collect();
    assert!(failed.is_empty(), "cases fail: {failed:#?}");
}

/// Runs a case in a thread of its own; `None` if it passes. A thread that hangs is left behind,
/// and ends with its next call of the backend.
fn trial(case: &'static Case, place: InBroken) -> Option<How> {
    let place = Arc::new(place);
    let (reply, outcome) = mpsc::channel();
    let shared = Arc::clone(&place);
    thread::spawn(move || {
        super::count_calls();
        // Nobody may be waiting any more.
        drop(reply.send(case.judge(shared.as_ref())));
    });
    match outcome.recv_timeout(DEADLINE) {
        Ok(Ok(())) => None,
        Ok(Err(message)) => Some(How::Failed(message)),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            place.give_up();
            Some(How::Hung)
        }
    }
}
