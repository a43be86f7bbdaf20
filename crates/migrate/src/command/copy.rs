//! `migrate copy`: checks the source, copies it, and proves the copy. Stopped anywhere, it goes on.

use channelcoord::{Backend, Stage, Transfer, TransferId};
use serde::Serialize;

use super::begun::{Begun, refuse_part};
use super::check::CheckReport;
use super::fill::fill;
use super::site::{Site, UrlSite};
use super::{Watch, verify};
use crate::identity::Identity;
use crate::journal::{Journal, Phase};
use crate::lnd;
use crate::lnd::source::{LndSource, Refused};
use crate::opened::{Failure, Opened, Quiet};
use crate::url::StoreUrl;
use crate::writer::{RECORDS_PER_BATCH, Writer};

/// What a copy is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// Stop after the check.
    pub dry_run: bool,
    /// Carry inconsistencies as they are.
    pub accept: bool,
    /// Leave out what is damaged and copy the rest.
    pub skip_damaged: bool,
    /// Go on with a copy that was stopped.
    pub resume: bool,
    /// Copy a store whose content was moved elsewhere.
    pub allow_moved: bool,
    /// Records after which is committed.
    pub batch: usize,
}

impl Default for CopyOptions {
    fn default() -> CopyOptions {
        CopyOptions {
            dry_run: false,
            accept: false,
            skip_damaged: false,
            resume: false,
            allow_moved: false,
            batch: RECORDS_PER_BATCH,
        }
    }
}

/// What a copy did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CopyReport {
    /// Findings in the source.
    pub findings: CheckReport,
    /// Records written, by earlier runs too.
    pub records: u64,
    /// Differences of encoding kept beside the records.
    pub residues: u64,
    /// Entries compared after the copy.
    pub verified: u64,
    /// Damaged parts that were left out.
    pub skipped: Vec<String>,
    /// Buckets of an lnd database that belong to others and stay where they are.
    pub left_untouched: Vec<String>,
    /// Nothing was written, on request.
    pub dry_run: bool,
    /// Records that an earlier run had written already, if this one went on.
    pub resumed_after: Option<u64>,
    /// The copy was complete already, and was compared again.
    pub was_complete: bool,
    /// What killed runs left behind, which can be deleted when no other copy runs.
    pub leftovers: Vec<String>,
}

/// Copies a store. The target is at its place from the start, marked as one that no node opens; it
/// is complete when it was compared with the source, and in use when it is activated.
///
/// # Errors
/// `Content` if the source has findings that stop the copy, or the copy differs; `Usage` if the
/// target cannot be, exists without `resume`, or was begun from another source or with other
/// options; `Access` if something cannot be read or written: then `resume` goes on.
pub fn copy(
    from: &StoreUrl,
    source: &Opened,
    to: &StoreUrl,
    options: CopyOptions,
    watch: &dyn Watch,
) -> Result<CopyReport, Failure> {
    copy_to(from, source, &UrlSite(to), options, watch)
}

/// As [`copy`], to a place.
///
/// # Errors
/// As for [`copy`].
pub fn copy_to(
    from: &StoreUrl,
    source: &Opened,
    site: &dyn Site,
    options: CopyOptions,
    watch: &dyn Watch,
) -> Result<CopyReport, Failure> {
    let begun = match site.is_taken()? {
        true => Some(Begun::find(site, options.resume)?),
        false => None,
    };
    let quiet = Quiet::of(from)?;
    refuse_part(from, source, options.allow_moved)?;
    let identity = Identity::of(from, source)?;
    if let Some(begun) = &begun {
        begun.require_same(from, &identity, options)?;
    }
    let mut report = CopyReport { dry_run: options.dry_run, ..CopyReport::default() };
    let refused = preflight(from, source, &mut report, watch)?;
    refuse_findings(source, &report.findings, options)?;
    if options.dry_run {
        return Ok(report);
    }
    report.leftovers = site.remove_leftovers()?;
    let job = Job { from, source, refused: &refused, site, options, watch };
    let (target, journal) = match begun {
        Some(Begun { stage: Stage::Complete, target, journal, .. }) => {
            release(site, target.as_ref())?;
            report.was_complete = true;
            (report.records, report.residues) = (journal.records, journal.residues);
            report.verified = job.verify(None)?;
            quiet.confirm(from)?;
            return Ok(report);
        }
        Some(Begun { target, journal, .. }) => {
            report.resumed_after = Some(journal.records);
            (target, Journal { from: from.to_string(), ..journal })
        }
        None => {
            let journal = begin(from, identity, options);
            site.create(&journal.at(Stage::Filling))?;
            (site.open()?, journal)
        }
    };
    let kept = |failure: Failure| match failure {
        Failure::Access(_) => failure.and("what was written is kept, --resume goes on"),
        other => other,
    };
    job.run(target, journal, &mut report, &quiet).map_err(kept)?;
    Ok(report)
}

/// The journal of a copy that begins.
fn begin(from: &StoreUrl, source: Identity, options: CopyOptions) -> Journal {
    Journal {
        id: TransferId(fastrand::u128(..).to_be_bytes()),
        from: from.to_string(),
        source,
        accept: options.accept,
        skip_damaged: options.skip_damaged,
        phase: Phase::Content,
        steps: 0,
        records: 0,
        after: None,
        residues: 0,
    }
}

/// A copy that is under way.
struct Job<'a> {
    from: &'a StoreUrl,
    source: &'a Opened,
    refused: &'a Refused,
    site: &'a dyn Site,
    options: CopyOptions,
    watch: &'a dyn Watch,
}

impl Job<'_> {
    /// Fills the target, compares it and marks it as complete.
    fn run(
        &self,
        target: Box<dyn Backend>,
        journal: Journal,
        report: &mut CopyReport,
        quiet: &Quiet,
    ) -> Result<(), Failure> {
        let Job { from, source, refused, site, options, watch } = self;
        let filled = fill(
            from,
            source,
            refused,
            site.url(),
            target.as_ref(),
            journal,
            options.batch,
            *watch,
        );
        let released = release(*site, target.as_ref());
        drop(target);
        let (journal, head) = match filled {
            Ok(filled) => filled,
            Err((failure @ Failure::Content(_), journal)) => {
                self.mark(&journal.at(Stage::Differing), None)?;
                return Err(failure.and(useless(site.url())));
            }
            Err((failure, _)) => return Err(failure),
        };
        released?;
        (report.records, report.residues) = (journal.records, journal.residues);
        report.verified = self.verify(Some(&journal))?;
        quiet.confirm(from)?;
        self.mark(&journal.at(Stage::Complete), Some(head.seq))
    }

    /// Compares both sides; returns the number of entries. A target that differs is marked as such.
    fn verify(&self, journal: Option<&Journal>) -> Result<u64, Failure> {
        let Job { from, source, refused, site, watch, .. } = self;
        let target = site.open_to_read()?;
        let verified = verify::compare(from, source, refused, site.url(), &target, *watch)?;
        drop(target);
        if verified.differences == 0 {
            return Ok(verified.compared);
        }
        if let Some(journal) = journal {
            self.mark(&journal.at(Stage::Differing), None)?;
        }
        Err(Failure::Content(format!(
            "the copy differs from the source in {} places: {}; {}",
            verified.differences,
            verified.first.join("; "),
            useless(site.url()),
        )))
    }

    /// Writes another stage; if `at` is given, only into a target that stands there.
    fn mark(&self, transfer: &Transfer, at: Option<channelcoord::Seq>) -> Result<(), Failure> {
        let url = self.site.url();
        let target = self.site.open()?;
        let failed = |error| Failure::access(url, &error);
        let mut writer = Writer::claim(target.as_ref()).map_err(failed)?;
        if at.is_some_and(|at| at != writer.head().seq) {
            return Err(Failure::Access(format!("{url} was written while it was compared")));
        }
        writer.set_transfer(transfer).map_err(failed)?;
        release(self.site, target.as_ref())
    }
}

fn useless(url: &StoreUrl) -> String {
    format!("no node opens {url} and it is of no use: delete it and copy again")
}

pub(super) fn release(site: &dyn Site, target: &dyn Backend) -> Result<(), Failure> {
    pollster::block_on(target.release()).map_err(|error| Failure::of_backend(site.url(), &error))
}

/// Stops the copy of a source with findings that the options do not allow.
fn refuse_findings(
    source: &Opened,
    findings: &CheckReport,
    options: CopyOptions,
) -> Result<(), Failure> {
    let damages = findings.damages;
    if damages > 0 && !matches!(source, Opened::Lnd(_)) {
        return Err(Failure::Content(format!(
            "{damages} damaged parts in the source, nothing was written; a store of ours is copied \
             whole or not at all"
        )));
    }
    if damages > 0 && !options.skip_damaged {
        return Err(Failure::Content(format!(
            "{damages} damaged parts in the source, nothing was written; --skip-damaged copies the rest"
        )));
    }
    if findings.inconsistencies > 0 && !options.accept {
        return Err(Failure::Content(format!(
            "{} inconsistencies in the source, nothing was written; --accept carries them as they are",
            findings.inconsistencies
        )));
    }
    Ok(())
}

/// Reads the whole source before anything is written.
fn preflight(
    from: &StoreUrl,
    source: &Opened,
    report: &mut CopyReport,
    watch: &dyn Watch,
) -> Result<Refused, Failure> {
    let Opened::Lnd(lnd) = source else {
        report.findings = super::check(from, source, watch)?;
        return Ok(Refused::default());
    };
    let progress = watch.phase("checking", Some(lnd.survey().keys));
    let checked = lnd::check::check(lnd, &progress, &mut |finding| {
        report.findings.count(finding.severity);
        watch.finding(&finding);
    })
    .map_err(|error| Failure::access(from, &error))?;
    let show = |path: &Vec<Vec<u8>>| crate::bolt::display_path(path).to_string();
    report.skipped = checked.refused.iter().map(show).collect();
    report.left_untouched = other_tenants(from, lnd)?;
    Ok(checked.refused)
}

fn other_tenants(from: &StoreUrl, lnd: &LndSource) -> Result<Vec<String>, Failure> {
    let names = lnd.other_tenants().map_err(|error| Failure::access(from, &error))?;
    Ok(names.into_iter().map(|name| crate::bolt::display_path(&[name]).to_string()).collect())
}

impl std::fmt::Display for CopyReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "source: {}", self.findings)?;
        for path in &self.skipped {
            writeln!(f, "left out: {path}")?;
        }
        if !self.left_untouched.is_empty() {
            writeln!(f, "left untouched in the source: {}", self.left_untouched.join(", "))?;
        }
        for leftover in &self.leftovers {
            writeln!(f, "left behind by a copy that was killed, unless it still runs: {leftover}")?;
        }
        if self.dry_run {
            return write!(f, "dry run: nothing was written");
        }
        if let Some(records) = self.resumed_after {
            writeln!(f, "went on after {records} records")?;
        }
        if self.was_complete {
            writeln!(f, "the copy was complete already, and was compared again")?;
        }
        writeln!(
            f,
            "{} records copied, {} residues kept, {} entries verified",
            self.records, self.residues, self.verified
        )?;
        write!(f, "no node opens the copy before `migrate activate` makes it the one in use")
    }
}
