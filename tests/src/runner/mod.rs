//! Runs cases over engines and prints the verdict as a table.
//!
//! The binary of this package runs the engines that we ship. A backend of your own gets the same
//! table from a `main` that names it:
//!
//! ```no_run
//! use conformance::InMemory;
//! use conformance::runner::{Engine, Selection, run};
//!
//! fn main() -> std::process::ExitCode {
//!     let mine = Engine::new("mine", || Ok(Box::new(InMemory::default())));
//!     run(vec![mine], &Selection::default()).print()
//! }
//! ```

mod broken;
mod engine;
mod report;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, FormatSetting, Trial};

use crate::case::{CASES, Case};
use crate::note::take_notes;
use crate::place::chain;
use crate::quiet::Quiet;

pub use broken::{BrokenReport, run_broken};
pub use engine::{BadEngine, Engine, engines};
pub use report::{Report, print_list};

/// Which cases to run, and how.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only cases whose `engine::subject::name` contains it.
    pub filter: Option<String>,
    /// No case whose `engine::subject::name` contains one of these.
    pub skip: Vec<String>,
    /// The names must be equal instead.
    pub exact: bool,
    /// How many cases run at once; as many as the machine has cores if absent.
    pub threads: Option<NonZeroUsize>,
    /// Print JSON lines instead of text.
    pub json: bool,
}

impl Selection {
    /// Whether a name is selected.
    fn selects(&self, name: &str) -> bool {
        let fits = |text: &String| if self.exact { name == text } else { name.contains(text) };
        self.filter.as_ref().is_none_or(fits) && !self.skip.iter().any(fits)
    }

    fn arguments(&self) -> Arguments {
        Arguments {
            test_threads: self.threads.map(NonZeroUsize::get),
            format: self.json.then_some(FormatSetting::Json),
            ..Arguments::default()
        }
    }

    /// Runs those of the trials that are selected, if any, and counts failures.
    fn run(&self, mut trials: Vec<Trial>) -> u64 {
        trials.retain(|trial| self.selects(trial.name()));
        match trials.is_empty() {
            true => 0,
            false => libtest_mimic::run(&self.arguments(), trials).num_failed,
        }
    }
}

/// Says that a selection is empty, which is no success.
const NONE_SELECTED: &str = "no case is selected";

/// What became of one case over one engine.
#[derive(Clone, Debug)]
struct Outcome {
    engine: String,
    subject: &'static str,
    passed: bool,
    took: Duration,
    notes: Vec<(&'static str, u64)>,
}

/// Runs the selected cases over every engine, and prints each verdict as it comes.
///
/// Panics are not printed meanwhile: those of a case are part of its verdict, and those on other
/// threads are made on purpose.
pub fn run(engines: Vec<Engine>, selection: &Selection) -> Report {
    let _quiet = Quiet::new();
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let names: Vec<_> = engines.iter().map(|engine| engine.name().to_owned()).collect();
    let trials = engines.into_iter().map(Arc::new).flat_map(|engine| {
        let outcomes = Arc::clone(&outcomes);
        CASES.iter().map(move |case| trial(&engine, case, &outcomes)).collect::<Vec<_>>()
    });
    let failed = selection.run(trials.collect());
    let outcomes = std::mem::take(&mut *outcomes.lock().unwrap_or_else(PoisonError::into_inner));
    Report { engines: names, outcomes, failed, json: selection.json }
}

fn trial(engine: &Arc<Engine>, case: &'static Case, outcomes: &Arc<Mutex<Vec<Outcome>>>) -> Trial {
    let (engine, outcomes) = (Arc::clone(engine), Arc::clone(outcomes));
    let name = format!("{}::{}::{}", engine.name(), case.subject, case.name);
    Trial::test(name, move || {
        let start = Instant::now();
        let verdict = judge(&engine, case);
        outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(Outcome {
            engine: engine.name().to_owned(),
            subject: case.subject,
            passed: verdict.is_ok(),
            took: start.elapsed(),
            notes: take_notes(),
        });
        verdict.map_err(|why| format!("{why}\n{}", duty(case)).into())
    })
}

/// Runs a case over a fresh place of an engine.
fn judge(engine: &Engine, case: &Case) -> Result<(), String> {
    let place = engine
        .place()
        .map_err(|error| format!("no place for a store: {}", chain(error.as_ref())))?;
    case.judge(place.as_ref())
}

/// What a failed case checks.
fn duty(case: &Case) -> String {
    format!("it checks {}: {}", case.obligations().join(", "), case.doc())
}

/// The number of cases of each subject, in the order of the list.
fn subjects() -> Vec<(&'static str, usize)> {
    let mut counts = BTreeMap::new();
    let mut order = Vec::new();
    for case in CASES {
        let count = counts.entry(case.subject).or_insert(0);
        if *count == 0 {
            order.push(case.subject);
        }
        *count += 1;
    }
    order.into_iter().map(|subject| (subject, counts[subject])).collect()
}
