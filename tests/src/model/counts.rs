//! What was done, counted.

use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display};
use std::time::Duration;

use super::call::{Failure, NAMES, Outcome};
use super::rules::REFUSALS;

/// Operations that are no calls.
pub(super) const REOPENINGS: [&str; 3] = ["Reopen", "Crash", "LoseLinkNode"];

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Sequences that were played, each on an empty store.
    pub sequences: usize,
    /// Operations by kind.
    pub kinds: BTreeMap<&'static str, Tally>,
    /// Refused calls by reason.
    pub refused: BTreeMap<String, usize>,
    /// Time that the operations took, with all reads and comparisons.
    pub elapsed: Duration,
}

/// How often operations of one kind went which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Something was stored, or the store was opened again.
    pub stored: usize,
    /// The call asked for what was so already.
    pub idle: usize,
    /// The call was refused.
    pub refused: usize,
}

impl Counts {
    /// Number of operations.
    pub fn operations(&self) -> usize {
        self.kinds.values().map(|tally| tally.stored + tally.idle + tally.refused).sum()
    }

    /// Number of operations that were refused.
    pub fn refusals(&self) -> usize {
        self.kinds.values().map(|tally| tally.refused).sum()
    }

    /// Operations in a second.
    pub fn rate(&self) -> f64 {
        self.operations() as f64 / self.elapsed.as_secs_f64()
    }

    /// What a run should have done and has not: kinds that stored nothing, and reasons for which
    /// nothing was refused.
    pub fn missing(&self) -> Vec<&'static str> {
        let stored = |kind: &&str| self.kinds.get(*kind).is_some_and(|tally| tally.stored > 0);
        let kinds = NAMES.iter().chain(&REOPENINGS).filter(|kind| !stored(kind));
        let reasons = REFUSALS.iter().filter(|reason| !self.refused.contains_key(**reason));
        kinds.chain(reasons).copied().collect()
    }

    /// Counts an operation.
    pub(super) fn count(&mut self, kind: &'static str, outcome: &Outcome, writes: bool) {
        let tally = self.kinds.entry(kind).or_default();
        match outcome {
            Ok(_) if writes => tally.stored += 1,
            Ok(_) => tally.idle += 1,
            Err(failure) => {
                tally.refused += 1;
                *self.refused.entry(reason(failure)).or_default() += 1;
            }
        }
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operations, seconds) = (self.operations(), self.elapsed.as_secs_f64());
        let sequences = self.sequences;
        writeln!(f, "{operations} operations in {sequences} sequences and {seconds:.1} s")?;
        for (kind, Tally { stored, idle, refused }) in &self.kinds {
            writeln!(f, "{kind:28} {stored:6} stored {idle:6} idle {refused:6} refused")?;
        }
        for (reason, count) in &self.refused {
            writeln!(f, "{reason:28} {count:6}")?;
        }
        Ok(())
    }
}

/// The name of a rejection.
fn reason(failure: &Failure) -> String {
    match failure {
        Failure::Channel(rejection) => name(rejection),
        Failure::LinkNode(rejection) => format!("link node {}", name(rejection)),
        other => name(other),
    }
}

/// The name of a variant.
fn name(value: &impl Debug) -> String {
    format!("{value:?}").chars().take_while(|c| c.is_alphanumeric()).collect()
}
