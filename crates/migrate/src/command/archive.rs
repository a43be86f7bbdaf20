//! Archives as targets, and the check of one.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use channelcoord::Backend;

use super::begun::refuse_part;
use super::check::{CheckReport, job_failure};
use super::copy::CopyOptions;
use super::draft::{ArchivePlace, Draft};
use super::fill::stage;
use super::preflight::{Pair, preflight};
use super::report::CopyReport;
use super::{Watch, verify};
use crate::archive::{self, ArchiveWriter, ExportError, WriteError};
use crate::finding::Finding;
use crate::lnd::source::Refused;
use crate::opened::{self, Failure, Opened, Quiet, require_file};
use crate::progress::SystemClock;
use crate::store;
use crate::url::{Engine, StoreUrl};

/// Copies a store into an archive, which appears when it is complete and verified, not before.
pub(super) fn copy(
    from: &StoreUrl,
    source: &Opened,
    to: &StoreUrl,
    options: CopyOptions,
    clock: &SystemClock,
    watch: &dyn Watch,
) -> Result<CopyReport, Failure> {
    let quiet = Quiet::of(from, source);
    let place = Draft::require_free(to).map(|()| "there is nothing at its place");
    refuse_part(from, source, options.allow_moved)?;
    let pair = Pair { from, source, quiet: &quiet, to, place };
    let (found, refused) = preflight(pair, options, clock, watch)?;
    let quiet = quiet?;
    let mut report = CopyReport::of(found, options.dry_run);
    if options.dry_run {
        return Ok(report);
    }
    report.leftovers = Draft::remove_leftovers(to)?;
    let draft = Draft::new(to)?;
    let Some(place) = draft.archive() else {
        return Err(Failure::Usage(format!("{to} is no archive")));
    };
    fill(from, source, &refused, to, &place, &mut report, watch)?;
    let written = StoreUrl::File { engine: Engine::Archive, path: place.archive };
    let target = opened::open(&written, false)?;
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
    report.written_bytes = opened::size(&written)?;
    quiet.confirm(from, source)?;
    draft.publish()?;
    Ok(report)
}

/// Writes an archive of a source, or goes on with the one that was begun.
fn fill(
    from: &StoreUrl,
    source: &Opened,
    refused: &Refused,
    to: &StoreUrl,
    place: &ArchivePlace,
    report: &mut CopyReport,
    watch: &dyn Watch,
) -> Result<(), Failure> {
    match source {
        Opened::Store(store) => {
            write(from, store.as_ref(), to, &place.archive, watch)?;
        }
        // An import is in another order, and reads what it wrote.
        Opened::Lnd(lnd) => {
            let staging = StoreUrl::File { engine: Engine::Sqlite, path: place.staging.clone() };
            let store = opened::create(&staging, to)?;
            let filled = stage(from, lnd, refused, to, store.as_ref(), watch)?;
            report.residues = filled.residues.values().sum();
            report.residues_by_reason = filled.residues;
            write(from, store.as_ref(), to, &place.archive, watch)?;
        }
    }
    prove(to, &place.archive, watch)
}

/// Writes what the archive does not have yet.
fn write(
    from: &StoreUrl,
    store: &dyn Backend,
    to: &StoreUrl,
    path: &Path,
    watch: &dyn Watch,
) -> Result<(), Failure> {
    let failed = |error: WriteError| Failure::access(to, &error);
    let mut writer = match path.try_exists() {
        Ok(true) => ArchiveWriter::resume(path),
        Ok(false) => ArchiveWriter::create(path),
        Err(error) => Err(error.into()),
    }
    .map_err(failed)?;
    let progress = watch.phase("archiving", None);
    archive::export(store, &mut writer, &progress).map_err(|error| match error {
        ExportError::Read(error) => Failure::of_backend(from, &error),
        ExportError::Write(error @ WriteError::TooLong { .. }) => Failure::content(from, &error),
        ExportError::Write(error) => failed(error),
    })?;
    let (file, _) = writer.finish().map_err(failed)?;
    file.sync_all().map_err(|error| failed(error.into()))
}

/// Reads the archive as a check does.
fn prove(to: &StoreUrl, path: &Path, watch: &dyn Watch) -> Result<(), Failure> {
    let mut first = None;
    read_whole(path, watch, &mut |finding| first = first.take().or(Some(finding)))
        .map_err(|error| Failure::access(to, &error))?;
    match first {
        None => Ok(()),
        Some(finding) => {
            Err(Failure::Access(format!("{to}: does not read back as written: {finding}")))
        }
    }
}

/// Checks an archive, also one that cannot be opened: each byte of it, and if all are sound, what it
/// holds.
///
/// # Errors
/// [`Failure`] if it cannot be read at all.
pub fn check(url: &StoreUrl, path: &Path, watch: &dyn Watch) -> Result<CheckReport, Failure> {
    require_file(url, path)?;
    let mut report = CheckReport::default();
    let mut take = |finding: Finding| {
        report.count(finding.severity);
        watch.finding(&finding);
    };
    let sound = read_whole(path, watch, &mut take).map_err(|error| Failure::access(url, &error))?;
    if sound {
        let Opened::Store(store) = opened::open(url, false)? else { return Ok(report) };
        let progress = watch.phase("checking", None);
        store::check(store.as_ref(), &progress, &mut take)
            .map_err(|error| job_failure(url, &error))?;
    }
    Ok(report)
}

/// Reads from the first byte to the last, and says whether all of it is sound.
fn read_whole(path: &Path, watch: &dyn Watch, take: &mut dyn FnMut(Finding)) -> io::Result<bool> {
    let progress = watch.phase("reading", None);
    archive::check(BufReader::new(File::open(path)?), &progress, take)
        .map(|contents| contents.is_some())
}
