//! `migrate copy`: checks the source, copies it, and proves the copy.

use channelcoord::Backend;
use serde::Serialize;

use super::check::{CheckReport, job_failure};
use super::draft::Draft;
use super::{Watch, archive, verify};
use crate::lnd::source::{LndSource, Refused};
use crate::lnd::{self, diff::DiffError, import::ImportError};
use crate::opened::{self, Failure, Opened, Quiet};
use crate::store;
use crate::url::StoreUrl;
use crate::writer::Writer;

/// What to do about findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// Stop after the check.
    pub dry_run: bool,
    /// Carry inconsistencies as they are.
    pub accept: bool,
    /// Leave out what is damaged and copy the rest.
    pub skip_damaged: bool,
}

/// What a copy did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CopyReport {
    /// Findings in the source.
    pub findings: CheckReport,
    /// Records written.
    pub records: u64,
    /// Differences of encoding kept beside the records.
    pub residues: u64,
    /// Entries compared after the copy.
    pub verified: u64,
    /// Digest of the copy.
    pub digest: Option<String>,
    /// Damaged parts that were left out.
    pub skipped: Vec<String>,
    /// Buckets of an lnd database that belong to others and stay where they are.
    pub left_untouched: Vec<String>,
    /// Nothing was written, on request.
    pub dry_run: bool,
}

/// Copies a store. The target appears when it is complete and verified, not before.
///
/// # Errors
/// `Content` if the source has findings that stop the copy, `Usage` if the target cannot be or
/// exists, `Access` if something cannot be read or written. There is no new store then.
pub fn copy(
    from: &StoreUrl,
    source: &Opened,
    to: &StoreUrl,
    options: CopyOptions,
    watch: &dyn Watch,
) -> Result<CopyReport, Failure> {
    let draft = match options.dry_run {
        true => {
            Draft::require_place(to)?;
            None
        }
        false => Some(Draft::new(to)?),
    };
    let quiet = Quiet::of(from, source)?;
    let mut report = CopyReport { dry_run: options.dry_run, ..CopyReport::default() };
    let refused = preflight(from, source, &mut report, watch)?;
    refuse_findings(source, &report.findings, options)?;
    let Some(mut draft) = draft else { return Ok(report) };
    match draft.archive() {
        Some(place) => archive::fill(from, source, &refused, to, &place, &mut report, watch)?,
        None => {
            let target = draft.create()?;
            fill(from, source, &refused, to, target.as_ref(), &mut report, watch)?;
            pollster::block_on(target.release())
                .map_err(|error| Failure::of_backend(to, &error))?;
        }
    }
    let target = opened::open(draft.url(), false)?;
    let verified = verify::compare(from, source, &refused, to, &target, watch)?;
    drop(target);
    if verified.differences > 0 {
        return Err(Failure::Access(format!(
            "the copy differs from the source in {} places and was discarded: {}",
            verified.differences,
            verified.first.join("; ")
        )));
    }
    report.verified = verified.compared;
    report.digest = verified.digest;
    quiet.confirm(from, source)?;
    draft.publish()?;
    Ok(report)
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

pub(super) fn fill(
    from: &StoreUrl,
    source: &Opened,
    refused: &Refused,
    to: &StoreUrl,
    target: &dyn Backend,
    report: &mut CopyReport,
    watch: &dyn Watch,
) -> Result<(), Failure> {
    let mut writer = Writer::claim(target).map_err(|error| Failure::access(to, &error))?;
    match source {
        Opened::Store(backend) => {
            let progress = watch.phase("copying", None);
            store::copy(backend.as_ref(), &mut writer, &progress)
                .map_err(|error| job_failure(from, &error))?;
            report.records = progress.done();
        }
        Opened::Lnd(lnd) => {
            let progress = watch.phase("copying", Some(lnd.survey().keys));
            lnd::import::import(lnd, refused, &mut writer, &progress)
                .map_err(|error| import_failure(from, to, &error))?;
            report.records = progress.done();
            let progress = watch.phase("comparing", Some(lnd.survey().keys));
            report.residues =
                lnd::diff::store_residue(lnd, refused, target, &mut writer, &progress)
                    .map_err(|error| diff_failure(from, to, &error))?;
        }
    }
    Ok(())
}

fn import_failure(from: &StoreUrl, to: &StoreUrl, error: &ImportError) -> Failure {
    match error {
        ImportError::Write(_) => Failure::access(to, error),
        ImportError::Read(_) => Failure::access(from, error),
        _ => Failure::content(from, error),
    }
}

pub(super) fn diff_failure(from: &StoreUrl, to: &StoreUrl, error: &DiffError) -> Failure {
    match error {
        DiffError::Source(_) => Failure::access(from, error),
        DiffError::View(lnd::view::ViewError::Backend(error)) => Failure::of_backend(to, error),
        DiffError::View(_) | DiffError::Lost(_) => Failure::content(to, error),
        DiffError::Write(_) => Failure::access(to, error),
    }
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
        if self.dry_run {
            return write!(f, "dry run: nothing was written");
        }
        if let Some(digest) = &self.digest {
            writeln!(f, "digest {digest}")?;
        }
        write!(
            f,
            "{} records copied, {} residues kept, {} entries verified",
            self.records, self.residues, self.verified
        )
    }
}
