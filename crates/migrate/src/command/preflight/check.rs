//! What each look before a copy came to.

use serde::Serialize;

use crate::opened::Failure;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing stands in the way.
    Ok,
    /// The copy can go on; the operator should know.
    Note,
    /// The copy does not start.
    Refused,
}

/// One check, with what to do if it refuses the copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it went.
    pub verdict: Verdict,
    /// What was found.
    pub what: String,
    /// Where, the first places.
    pub places: Vec<String>,
    /// What to do about it.
    pub advice: Option<String>,
    #[serde(skip)]
    class: Class,
}

/// Class of the failure that a refusal ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Content,
    Usage,
    Access,
}

/// Places that are named.
pub(super) const NAMED: usize = 5;

impl Check {
    pub(super) fn ok(name: &'static str, what: impl Into<String>) -> Check {
        Check::new(name, Verdict::Ok, what.into())
    }

    pub(super) fn note(name: &'static str, what: impl Into<String>) -> Check {
        Check::new(name, Verdict::Note, what.into())
    }

    pub(super) fn refused(
        name: &'static str,
        class: Class,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Check {
        let advice = Some(advice.into());
        Check { class, advice, ..Check::new(name, Verdict::Refused, what.into()) }
    }

    /// A failure as a refusal.
    pub(super) fn failed(name: &'static str, failure: &Failure, advice: &str) -> Check {
        let class = match failure {
            Failure::Content(_) => Class::Content,
            Failure::Usage(_) => Class::Usage,
            Failure::Access(_) => Class::Access,
        };
        Check::refused(name, class, failure.to_string(), advice)
    }

    pub(super) fn advise(self, advice: impl Into<String>) -> Check {
        Check { advice: Some(advice.into()), ..self }
    }

    pub(super) fn at(self, places: impl IntoIterator<Item = String>) -> Check {
        Check { places: places.into_iter().take(NAMED).collect(), ..self }
    }

    fn new(name: &'static str, verdict: Verdict, what: String) -> Check {
        let (places, advice, class) = (Vec::new(), None, Class::Content);
        Check { name, verdict, what, places, advice, class }
    }

    /// The failure that a refusal ends in.
    pub(super) fn failure(&self) -> Option<Failure> {
        let text = match &self.advice {
            Some(advice) => format!("{}; {advice}", self.what),
            None => self.what.clone(),
        };
        let failure = match self.class {
            Class::Content => Failure::Content(text),
            Class::Usage => Failure::Usage(text),
            Class::Access => Failure::Access(text),
        };
        (self.verdict == Verdict::Refused).then_some(failure)
    }
}
