//! The result as text.

use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

use super::{Check, Estimate, Preflight, Verdict};
use crate::text::{bytes, count, counted, duration};

/// Width of a check's name.
const NAME: usize = 18;

impl Display for Preflight {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (source, target) = (&self.source, &self.target);
        write!(f, "preflight: {} to {}", source.store, target.store)?;
        for check in &self.checks {
            write!(f, "\n{check}")?;
        }
        if self.records.total().records > 0 {
            write!(f, "\nrecords to copy:")?;
            for (name, amount) in self.records.kinds() {
                write!(f, "\n{:>12} {name}, {}", count(amount.records), bytes(amount.bytes))?;
            }
        }
        match &self.estimate {
            Some(estimate) => write!(f, "\n{estimate}"),
            None => Ok(()),
        }
    }
}

impl Display for Check {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Refused => "REFUSED",
        };
        write!(f, "{verdict:>8}  {:<NAME$}  {}", self.name, self.what)?;
        let indent = " ".repeat(12 + NAME);
        for place in &self.places {
            write!(f, "\n{indent}{place}")?;
        }
        match &self.advice {
            Some(advice) => write!(f, "\n{indent}-> {advice}"),
            None => Ok(()),
        }
    }
}

impl Display for Estimate {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Estimate { sampled, records, .. } = *self;
        let time = Duration::try_from_secs_f64(self.seconds).unwrap_or(Duration::MAX);
        write!(
            f,
            "estimate: {} and {}, from writing and reading {} of {}",
            bytes(self.bytes),
            duration(time),
            count(sampled),
            counted(records, "record")
        )
    }
}
