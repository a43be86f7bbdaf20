//! `migrate check`: reads everything and reports what is wrong.

use serde::Serialize;

use super::Watch;
use crate::finding::Severity;
use crate::lnd;
use crate::opened::{Failure, Opened};
use crate::store::{self, StoreJobError};
use crate::url::StoreUrl;

/// How many findings of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Nothing is wrong with the content.
    pub warnings: u64,
    /// Records contradict each other.
    pub inconsistencies: u64,
    /// Parts that cannot be read or stored.
    pub damages: u64,
}

impl CheckReport {
    /// Whether nothing but warnings was found.
    pub fn is_clean(&self) -> bool {
        self.inconsistencies == 0 && self.damages == 0
    }

    pub(super) fn count(&mut self, severity: Severity) {
        match severity {
            Severity::Warning => self.warnings += 1,
            Severity::Inconsistency => self.inconsistencies += 1,
            Severity::Damage => self.damages += 1,
        }
    }
}

/// Checks a store. An archive is [checked](super::check_archive) from its first byte to its last.
///
/// # Errors
/// [`Failure`] if it cannot be read at all.
pub fn check(url: &StoreUrl, store: &Opened, watch: &dyn Watch) -> Result<CheckReport, Failure> {
    if let Some(path) = url.archive() {
        return super::check_archive(url, path, watch);
    }
    let mut report = CheckReport::default();
    let mut take = |finding: crate::finding::Finding| {
        report.count(finding.severity);
        watch.finding(&finding);
    };
    match store {
        Opened::Lnd(source) => {
            let progress = watch.phase("checking", Some(source.survey().keys));
            lnd::check::check(source, &progress, &mut take)
                .map_err(|error| Failure::access(url, &error))?;
        }
        Opened::Store(backend) => {
            let progress = watch.phase("checking", None);
            store::check(backend.as_ref(), &progress, &mut take)
                .map_err(|error| job_failure(url, &error))?;
        }
    }
    Ok(report)
}

/// Sorts a failed job on stores.
pub(super) fn job_failure(place: impl std::fmt::Display, error: &StoreJobError) -> Failure {
    match error {
        StoreJobError::Read(error) => Failure::of_backend(place, error),
        StoreJobError::Write(_) => Failure::access(place, error),
    }
}

impl std::fmt::Display for CheckReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let CheckReport { warnings, inconsistencies, damages } = self;
        write!(f, "{warnings} warnings, {inconsistencies} inconsistencies, {damages} damaged parts")
    }
}
