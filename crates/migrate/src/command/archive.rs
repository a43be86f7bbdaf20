//! Archives as targets, and the check of one.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use channelcoord::Backend;

use super::Watch;
use super::check::{CheckReport, job_failure};
use super::copy;
use super::draft::ArchivePlace;
use super::report::CopyReport;
use crate::archive::{self, ArchiveWriter, ExportError, WriteError};
use crate::finding::Finding;
use crate::lnd::source::Refused;
use crate::opened::{self, Failure, Opened, require_file};
use crate::store;
use crate::url::{Engine, StoreUrl};

/// Writes an archive of a source, or goes on with the one that was begun.
pub(super) fn fill(
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
        Opened::Lnd(_) => {
            let staging = StoreUrl::File { engine: Engine::Sqlite, path: place.staging.clone() };
            let store = opened::create(&staging, to)?;
            copy::fill(from, source, refused, to, store.as_ref(), report, watch)?;
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
