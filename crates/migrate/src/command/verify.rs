//! `migrate verify`: compares every record of two stores.

use channelcoord::Backend;
use serde::Serialize;

use super::Watch;
use super::check::job_failure;
use super::fill::diff_failure;
use crate::lnd::source::Refused;
use crate::lnd::{self, diff};
use crate::opened::{self, Failure, Opened};
use crate::store;
use crate::url::StoreUrl;

/// Differences that are named.
const NAMED: usize = 20;

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Entries or records compared.
    pub compared: u64,
    /// Places that differ.
    pub differences: u64,
    /// The first of them.
    pub first: Vec<String>,
    /// Damaged parts of the source that could not be compared.
    pub not_compared: u64,
}

impl VerifyReport {
    fn take(&mut self, difference: String) {
        self.differences += 1;
        if self.first.len() < NAMED {
            self.first.push(difference);
        }
    }
}

/// Compares every record both ways; an lnd source byte for byte with what the target's records
/// encode to.
///
/// # Errors
/// [`Failure`] if one of them cannot be read.
pub fn verify(
    from: &StoreUrl,
    source: &Opened,
    to: &StoreUrl,
    target: &Opened,
    watch: &dyn Watch,
) -> Result<VerifyReport, Failure> {
    require_store(target)?;
    let mut not_compared = 0;
    let refused = match source {
        Opened::Store(_) => Refused::default(),
        Opened::Lnd(lnd) => {
            let progress = watch.phase("checking", Some(lnd.survey().keys));
            let checked = lnd::check::check(lnd, &progress, &mut |finding| {
                if finding.severity == crate::finding::Severity::Damage {
                    not_compared += 1;
                    watch.finding(&finding);
                }
            });
            checked.map_err(|error| Failure::access(from, &error))?.refused
        }
    };
    let report = match compare(from, source, &refused, to, target, watch) {
        Err(Failure::Content(damage)) => {
            // A row whose checksum is wrong differs; which field does, its content tells.
            let Some(target) = opened::open_damaged(to)? else {
                return Err(Failure::Content(damage));
            };
            let mut report = compare(from, source, &refused, to, &target, watch)?;
            report.differences = report.differences.max(1);
            report.first.insert(0, damage);
            report
        }
        compared => compared?,
    };
    Ok(VerifyReport { not_compared, ..report })
}

/// As [`verify`], without looking for damage first.
pub(super) fn compare(
    from: &StoreUrl,
    source: &Opened,
    refused: &Refused,
    to: &StoreUrl,
    target: &Opened,
    watch: &dyn Watch,
) -> Result<VerifyReport, Failure> {
    let target = require_store(target)?;
    let mut report = VerifyReport::default();
    let compared = match source {
        Opened::Lnd(lnd) => {
            let progress = watch.phase("verifying", Some(lnd.survey().keys));
            let compared = diff::compare(lnd, refused, target, &progress, |difference| {
                report.take(difference.to_string());
            })
            .map_err(|error| diff_failure(from, to, &error))?;
            // What has no place in an lnd database does not show there either.
            let progress = watch.phase("verifying", None);
            store::unseen(target, &progress, &mut |finding| report.take(finding.to_string()))
                .map_err(|error| job_failure(to, &error))?;
            compared
        }
        Opened::Store(source) => {
            let progress = watch.phase("verifying", None);
            store::compare(source.as_ref(), target, &progress, |difference| {
                report.take(difference);
            })
            .map_err(|error| job_failure(format!("{from} or {to}"), &error))?
        }
    };
    Ok(VerifyReport { compared, ..report })
}

fn require_store(target: &Opened) -> Result<&dyn Backend, Failure> {
    match target {
        Opened::Store(target) => Ok(target.as_ref()),
        Opened::Lnd(_) => Err(Failure::Usage("the target must be one of our stores".into())),
    }
}

impl std::fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for difference in &self.first {
            writeln!(f, "differs: {difference}")?;
        }
        match self.differences {
            0 => write!(f, "identical: {} entries compared", self.compared)?,
            count => write!(f, "{count} differences in {} entries", self.compared)?,
        }
        match self.not_compared {
            0 => Ok(()),
            count => write!(f, ", but {count} damaged parts of the source were not compared"),
        }
    }
}
