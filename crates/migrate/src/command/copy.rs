//! `migrate copy`: checks the source, copies it, and proves the copy.

use bitcoin::Network;
use bitcoin::secp256k1::PublicKey;
use channelcoord::Backend;

use super::check::job_failure;
use super::draft::Draft;
use super::phases::Stopwatch;
use super::preflight::{Pair, preflight};
use super::report::CopyReport;
use super::{Watch, archive, verify};
use crate::lnd::source::Refused;
use crate::lnd::{self, diff::DiffError, import::ImportError};
use crate::opened::{self, Failure, Opened, Quiet};
use crate::progress::SystemClock;
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
    /// The node that the source must be of, and the target will be of.
    pub node: Option<PublicKey>,
    /// The network that all channels must be on, and the target will be of.
    pub network: Option<Network>,
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
    let clock = SystemClock::start();
    let watch = &Stopwatch::new(watch, &clock);
    let to = &to.owned_by(options.node, options.network);
    let quiet = Quiet::of(from, source);
    let place = Draft::require_place(to).map(|()| "there is nothing at its place");
    let pair = Pair { from, source, quiet: &quiet, to, place };
    let (found, refused) = preflight(pair, options, &clock, watch)?;
    let quiet = quiet?;
    let mut report = CopyReport::of(found, options.dry_run);
    if options.dry_run {
        report.phases = watch.times();
        return Ok(report);
    }
    let mut draft = Draft::new(to)?;
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
    report.written_bytes = opened::size(draft.url())?;
    quiet.confirm(from, source)?;
    draft.publish()?;
    report.phases = watch.times();
    Ok(report)
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
        }
        Opened::Lnd(lnd) => {
            let progress = watch.phase("copying", Some(lnd.survey().keys));
            lnd::import::import(lnd, refused, &mut writer, &progress)
                .map_err(|error| import_failure(from, to, &error))?;
            let progress = watch.phase("comparing", Some(lnd.survey().keys));
            report.residues_by_reason =
                lnd::diff::store_residue(lnd, refused, target, &mut writer, &progress)
                    .map_err(|error| diff_failure(from, to, &error))?;
            report.residues = report.residues_by_reason.values().sum();
        }
    }
    Ok(())
}

pub(super) fn import_failure(from: &StoreUrl, to: &StoreUrl, error: &ImportError) -> Failure {
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
