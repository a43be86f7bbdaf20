//! Reads a whole store and reports what is damaged, missing or too much.

mod channel;
mod scan;

use std::collections::{BTreeMap, HashMap};

use channelcoord::Backend;
use chanstate::record::ChannelRecord;
use chanstate::{ChannelNo, CommitmentHeight, HtlcId};

use super::StoreJobError;
use crate::finding::{Finding, Severity};
use crate::progress::Progress;

/// Reads every record and reports those that are damaged, refer to what is not there, are referred
/// to by nothing, or contradict each other. Memory stays flat but for a few numbers of each channel
/// and of each HTLC that a forwarding package adds.
///
/// # Errors
/// `Read` if the store cannot be read; damaged records are reported.
pub fn check(
    backend: &dyn Backend,
    progress: &Progress,
    report: &mut dyn FnMut(Finding),
) -> Result<(), StoreJobError> {
    run(backend, progress, Scope::Store, report)
}

/// Reads every record of a store that was imported from lnd and reports what the
/// [view](crate::lnd::view) of it cannot show: records that are damaged, belong to nothing, are
/// referred to by nothing or were never written by an import. Contradictions are not reported: the
/// view shows them, and the source may have them. Returns the number of findings.
///
/// # Errors
/// `Read` if the store cannot be read; damaged records are reported.
pub fn unseen(
    backend: &dyn Backend,
    progress: &Progress,
    report: &mut dyn FnMut(Finding),
) -> Result<u64, StoreJobError> {
    let mut findings = 0;
    run(backend, progress, Scope::Import, &mut |finding| {
        findings += 1;
        report(finding);
    })?;
    Ok(findings)
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Whatever is wrong with a store in use.
    Store,
    /// What is in a store beyond the view of it, right after an import.
    Import,
}

fn run(
    backend: &dyn Backend,
    progress: &Progress,
    scope: Scope,
    report: &mut dyn FnMut(Finding),
) -> Result<(), StoreJobError> {
    let mut checker = Checker {
        backend,
        progress,
        scope,
        report,
        channels: BTreeMap::new(),
        all_channels: true,
        adds: HashMap::new(),
    };
    checker.scan()?;
    checker.each_channel()
}

struct Checker<'a, 'r> {
    backend: &'a dyn Backend,
    progress: &'a Progress,
    scope: Scope,
    report: &'r mut dyn FnMut(Finding),
    channels: BTreeMap<ChannelNo, Known>,
    /// Every row of a channel could be read.
    all_channels: bool,
    /// HTLCs that packages of a channel refer to.
    adds: HashMap<ChannelNo, Vec<HtlcId>>,
}

/// What the scan notes of a channel.
struct Known {
    closed: bool,
    remote_height: Option<CommitmentHeight>,
    /// What is not needed of it any more is being removed.
    reclaimed: bool,
    has_close: bool,
}

impl Known {
    fn of(row: &ChannelRecord) -> Known {
        Known {
            closed: row.closed,
            remote_height: row.remote_height,
            reclaimed: false,
            has_close: false,
        }
    }
}

impl Checker<'_, '_> {
    fn damage(&mut self, place: impl ToString, what: impl ToString) {
        self.find(Severity::Damage, place.to_string(), what.to_string());
    }

    fn inconsistency(&mut self, place: impl ToString, what: impl ToString) {
        self.find(Severity::Inconsistency, place.to_string(), what.to_string());
    }

    /// Reports what the view of an import would show as well.
    fn contradiction(&mut self, place: impl ToString, what: impl ToString) {
        if self.scope == Scope::Store {
            self.inconsistency(place, what);
        }
    }

    fn find(&mut self, severity: Severity, place: String, what: String) {
        (self.report)(Finding { severity, place, what });
    }
}
