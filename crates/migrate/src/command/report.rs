//! What a copy came to.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

use serde::Serialize;

use super::check::CheckReport;
use super::phases::PhaseTime;
use super::preflight::{LeftOut, Preflight};
use crate::text::{bytes, count, counted, duration};
use crate::url::StoreUrl;

/// What a copy did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct CopyReport {
    /// Number of findings in the source, all of which the copy carries or leaves out as listed.
    #[serde(rename = "found")]
    pub findings: CheckReport,
    /// Records written.
    pub records: u64,
    /// Differences of encoding kept beside the records.
    pub residues: u64,
    /// The same, by reason.
    pub residues_by_reason: BTreeMap<&'static str, u64>,
    /// Entries compared after the copy.
    pub verified: u64,
    /// Digest of the copy; `None` for a dry run.
    pub digest: Option<String>,
    /// Damaged parts that were left out.
    pub skipped: Vec<LeftOut>,
    /// Buckets of an lnd database that belong to others and stay where they are.
    pub left_untouched: Vec<String>,
    /// Nothing was written, on request.
    pub dry_run: bool,
    /// Size of the source in bytes.
    pub read_bytes: u64,
    /// Size of the target in bytes.
    pub written_bytes: u64,
    /// How long it took.
    pub phases: Vec<PhaseTime>,
    /// Steps of the source that an earlier run had stored already, if this one went on.
    pub resumed_after: Option<u64>,
    /// The copy was complete already, and was compared again.
    pub was_complete: bool,
    /// What killed runs may have left behind, which can be deleted when no other copy runs.
    pub leftovers: Vec<String>,
    /// What to do next, as commands for a shell. They hold no password.
    pub next: Vec<String>,
    /// What was looked at before; records by kind are there.
    pub preflight: Preflight,
}

impl CopyReport {
    /// The report of what was looked at before.
    pub(super) fn of(preflight: Preflight, dry_run: bool) -> CopyReport {
        CopyReport {
            findings: preflight.findings,
            skipped: preflight.skipped.clone(),
            left_untouched: preflight.left_untouched.clone(),
            read_bytes: preflight.source.size.unwrap_or_default(),
            records: if dry_run { 0 } else { preflight.records.total().records },
            dry_run,
            preflight,
            ..CopyReport::default()
        }
    }

    /// Names the command that puts the copy into use.
    pub(super) fn suggest_activate(&mut self, from: &StoreUrl, to: &StoreUrl) {
        let (from, to) = (from.to_string(), to.to_string());
        let words = ["migrate", "activate", "--from", &from, "--to", &to];
        // Only a zero byte cannot be quoted, and no argument can hold one.
        self.next.extend(shlex::try_join(words).ok());
    }
}

impl Display for CopyReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "source: {}", self.findings)?;
        for LeftOut { place, why } in &self.skipped {
            writeln!(f, "left out: {place}: {why}")?;
        }
        if !self.left_untouched.is_empty() {
            let names = self.left_untouched.join(", ");
            writeln!(f, "left untouched in the source, no channel state: {names}")?;
        }
        if self.dry_run {
            return write!(f, "dry run: nothing was written");
        }
        for leftover in &self.leftovers {
            writeln!(f, "left behind by a copy that was killed, unless it still runs: {leftover}")?;
        }
        if let Some(steps) = self.resumed_after {
            writeln!(f, "went on after {}", counted(steps, "record"))?;
        }
        if self.was_complete {
            writeln!(f, "the copy was complete already, and was compared again")?;
        }
        self.written(f)?;
        self.times(f)?;
        if let Some(digest) = &self.digest {
            writeln!(f, "digest {digest}")?;
        }
        write!(
            f,
            "{} records copied, {} residues kept, {} entries verified",
            self.records, self.residues, self.verified
        )?;
        for command in &self.next {
            write!(f, "\nnext: {command}")?;
        }
        Ok(())
    }
}

impl CopyReport {
    fn written(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "\nrecords by kind")?;
        for (name, amount) in self.preflight.records.kinds() {
            writeln!(f, "{:>12}  {name}", count(amount.records))?;
        }
        if !self.residues_by_reason.is_empty() {
            writeln!(f, "residues by reason")?;
        }
        for (reason, residues) in &self.residues_by_reason {
            writeln!(f, "{:>12}  {reason}", count(*residues))?;
        }
        Ok(())
    }

    fn times(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(f, "time by phase")?;
        for phase in &self.phases {
            let time = duration(Duration::try_from_secs_f64(phase.seconds).unwrap_or_default());
            let rate = phase.per_second.map_or(0.0, f64::round) as u64;
            let records = counted(phase.records, "record");
            writeln!(f, "{time:>12}  {}: {records}, {} a second", phase.phase, count(rate))?;
        }
        let (read, written) = (bytes(self.read_bytes), bytes(self.written_bytes));
        writeln!(f, "source of {read}, target of {written}\n")
    }
}
