//! Archives as targets, and the check of one.
//!
//! An archive gets its name when it is complete and verified. Until then it is in a directory beside
//! that name, with a store of ours that holds the journal of the copy, and all that is imported from
//! lnd: an import is in another order than an archive, and reads what it wrote.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::Path;

use channelcoord::{Backend, Stage};
use chanstate::key::Kind;

use super::begun::Begun;
use super::check::{CheckReport, job_failure};
use super::copy::{CopyOptions, begin, kept, look, release};
use super::draft::Draft;
use super::draft::archive::ArchiveDraft;
use super::fill::{Filling, write_failure};
use super::preflight::Pair;
use super::report::CopyReport;
use super::site::ArchiveSite;
use super::verify::VerifyReport;
use super::{Watch, verify};
use crate::archive::{self, ArchiveWriter, Contents, ExportError, WriteError};
use crate::finding::Finding;
use crate::journal::Journal;
use crate::lnd::source::Refused;
use crate::opened::{self, Failure, Opened, Quiet, require_file};
use crate::store;
use crate::url::{Engine, StoreUrl};
use crate::writer::Writer;

/// What is at the place of an archive.
enum Place {
    /// Nothing that a copy wrote.
    Free(Option<ArchiveDraft>),
    /// What an earlier run wrote.
    Begun(ArchiveDraft, Box<Begun>),
    /// An archive, and its draft if a run was killed before that was removed.
    Finished(Option<ArchiveDraft>),
}

impl Place {
    fn look(site: &dyn ArchiveSite, resume: bool) -> Result<Place, Failure> {
        let (to, path) = (site.url(), site.path());
        if Draft::is_taken(to)? {
            return match resume {
                true => Ok(Place::Finished(ArchiveDraft::find(to, path)?)),
                false => Err(Failure::Usage(format!(
                    "{to} exists; copy to a new place, or --resume compares it with the source"
                ))),
            };
        }
        let Some(draft) = ArchiveDraft::find(to, path)? else { return Ok(Place::Free(None)) };
        Ok(match Begun::look(site.journal(), resume)? {
            Some(begun) => Place::Begun(draft, Box::new(begun)),
            None => Place::Free(Some(draft)),
        })
    }

    fn describe(&self) -> &'static str {
        match self {
            Place::Free(_) => "there is nothing at its place",
            Place::Begun(..) => "a copy was begun there",
            Place::Finished(_) => "an archive is there, to be compared again",
        }
    }

    fn begun(&self) -> Option<&Begun> {
        match self {
            Place::Begun(_, begun) => Some(begun),
            Place::Free(_) | Place::Finished(_) => None,
        }
    }
}

/// As [`copy`](super::copy()), into an archive.
///
/// # Errors
/// As for [`copy`](super::copy()).
pub fn copy_to(
    from: &StoreUrl,
    source: &Opened,
    site: &dyn ArchiveSite,
    options: CopyOptions,
    watch: &dyn Watch,
) -> Result<CopyReport, Failure> {
    let to = site.url();
    let quiet = Quiet::of(from, source);
    let place = Place::look(site, options.resume);
    let found = place.as_ref().map(Place::describe).map_err(Clone::clone);
    let pair = Pair { from, source, quiet: &quiet, to, place: found };
    let begun = place.as_ref().ok().and_then(Place::begun);
    let (mut report, refused, identity) = look(pair, begun, options, watch)?;
    let (quiet, place) = (quiet?, place?);
    if options.dry_run {
        return Ok(report);
    }
    report.leftovers = Draft::remove_leftovers(to)?;
    let job = Job { from, source, refused: &refused, site, options, watch };
    let (draft, target, journal) = match place {
        Place::Finished(draft) => {
            job.compare_again(&mut report)?;
            quiet.confirm(from, source)?;
            report.leftovers.extend(draft.and_then(left_behind));
            return Ok(report);
        }
        Place::Begun(draft, begun) => {
            site.journal().remove_leftovers()?;
            let Begun { target, journal, .. } = *begun;
            report.resumed_after = Some(journal.records);
            (draft, target, Journal { from: from.to_string(), ..journal })
        }
        Place::Free(draft) => {
            let draft = match draft {
                Some(draft) => draft,
                None => ArchiveDraft::begin(to, site.path())?,
            };
            site.journal().remove_leftovers()?;
            let journal = begin(from, identity, options);
            site.journal().create(&journal.at(Stage::Filling))?;
            (draft, site.journal().open()?, journal)
        }
    };
    match job.run(&draft, target, journal, &mut report, &quiet) {
        Ok(()) => {
            report.leftovers.extend(draft.remove());
            Ok(report)
        }
        // What is wrong with the content will be wrong again.
        Err(failure @ Failure::Content(_)) => Err(match draft.remove() {
            None => failure.and("what was written is removed"),
            Some(left) => failure.and(format!("what was written is of no use: delete {left}")),
        }),
        Err(failure) => Err(kept(failure)),
    }
}

/// Removes the draft of an archive that has its name; names another one, or one that stays.
fn left_behind(draft: ArchiveDraft) -> Option<String> {
    match draft.is_published() {
        true => draft.remove(),
        false => Some(draft.path().display().to_string()),
    }
}

/// A copy that is under way.
struct Job<'a> {
    from: &'a StoreUrl,
    source: &'a Opened,
    refused: &'a Refused,
    site: &'a dyn ArchiveSite,
    options: CopyOptions,
    watch: &'a dyn Watch,
}

impl Job<'_> {
    /// Writes the archive, compares it and gives it its name.
    fn run(
        &self,
        draft: &ArchiveDraft,
        target: Box<dyn Backend>,
        journal: Journal,
        report: &mut CopyReport,
        quiet: &Quiet,
    ) -> Result<(), Failure> {
        let Job { from, source, site, watch, .. } = *self;
        let to = site.url();
        match source {
            Opened::Store(store) => {
                release(site.journal(), target.as_ref())?;
                drop(target);
                let kept = self.write(from, store.as_ref(), &draft.archive())?;
                report.resumed_after = report.resumed_after.map(|_| kept);
            }
            Opened::Lnd(_) => {
                self.import(target, journal, report)?;
                let Opened::Store(store) = site.journal().open_to_read()? else {
                    return Err(Failure::Usage(format!("{to} is no archive of a store")));
                };
                self.write(to, store.as_ref(), &draft.archive())?;
            }
        }
        let (_, damage) =
            read_first(&draft.archive(), watch).map_err(|error| Failure::access(to, &error))?;
        if let Some(finding) = damage {
            return Err(Failure::Access(format!("{to}: does not read back as written: {finding}")));
        }
        let written = StoreUrl::File { engine: Engine::Archive, path: draft.archive() };
        let verified = self.compare(&written, report)?;
        if verified.differences > 0 {
            return Err(differs("the copy", &verified));
        }
        quiet.confirm(from, source)?;
        draft.publish()
    }

    /// Imports what the journal says is missing into the store of the draft.
    fn import(
        &self,
        target: Box<dyn Backend>,
        journal: Journal,
        report: &mut CopyReport,
    ) -> Result<(), Failure> {
        let Job { from, source, refused, site, options, watch } = *self;
        let (to, store) = (site.url(), target.as_ref());
        let mut writer = Writer::go_on(store, journal, options.batch)
            .map_err(|error| write_failure(to, &error))?;
        let filled = Filling { from, refused, to, watch }.run(source, store, &mut writer);
        let residues = writer.into_journal().map_or(0, |journal| journal.residues);
        let released = release(site.journal(), store);
        report.residues_by_reason = filled?.residues;
        released?;
        report.residues = residues;
        Ok(())
    }

    /// Writes what the archive does not have yet; the number of records that it had.
    fn write(&self, from: &StoreUrl, store: &dyn Backend, path: &Path) -> Result<u64, Failure> {
        let to = self.site.url();
        let failed = |error: WriteError| Failure::access(to, &error);
        let writer = go_on(path).map_err(failed)?;
        let kept = writer.records();
        let mut writer = writer.through(|file| self.site.out(file));
        let progress = self.watch.phase("archiving", None);
        archive::export(store, &mut writer, &progress).map_err(|error| match error {
            ExportError::Read(error) => Failure::of_backend(from, &error),
            ExportError::Write(error @ WriteError::TooLong { .. }) => {
                Failure::content(from, &error)
            }
            ExportError::Write(error) => failed(error),
        })?;
        let (mut out, _) = writer.finish().map_err(failed)?;
        let written = out.flush().and_then(|()| File::open(path)?.sync_all());
        written.map_err(|error| failed(error.into()))?;
        Ok(kept)
    }

    /// Compares an archive that an earlier run finished, after reading all of it.
    fn compare_again(&self, report: &mut CopyReport) -> Result<(), Failure> {
        let (to, path) = (self.site.url(), self.site.path());
        require_file(to, path)?;
        let (contents, damage) =
            read_first(path, self.watch).map_err(|error| Failure::access(to, &error))?;
        if let Some(finding) = damage {
            return Err(Failure::Content(format!("{to}: {finding}; delete it and copy again")));
        }
        let verified = self.compare(to, report)?;
        if verified.differences > 0 {
            let useless = format!("if it was made of {}, delete it and copy again", self.from);
            return Err(differs(to, &verified).and(useless));
        }
        report.was_complete = true;
        // Of a store, residues are records like others.
        if let (Opened::Lnd(_), Some(contents)) = (self.source, contents) {
            report.residues = contents.counts.get(&Kind::Lnd).copied().unwrap_or_default();
        }
        Ok(())
    }

    /// Compares an archive with the source.
    fn compare(&self, url: &StoreUrl, report: &mut CopyReport) -> Result<VerifyReport, Failure> {
        let Job { from, source, refused, site, watch, .. } = *self;
        let target = opened::open(url, false)?;
        let verified = verify::compare(from, source, refused, site.url(), &target, watch)?;
        report.verified = verified.compared;
        report.digest = verified.digest.clone();
        report.written_bytes = opened::size(url)?;
        Ok(verified)
    }
}

fn differs(what: impl std::fmt::Display, verified: &VerifyReport) -> Failure {
    Failure::Content(format!(
        "{what} differs from the source in {} places: {}",
        verified.differences,
        verified.first.join("; ")
    ))
}

/// Begins the archive of a draft, or goes on with it.
fn go_on(path: &Path) -> Result<ArchiveWriter<File>, WriteError> {
    if !path.try_exists()? {
        return ArchiveWriter::create(path);
    }
    match ArchiveWriter::resume(path) {
        // Another release wrote it, or a power cut took its first bytes: begun by us it is all the
        // same, the journal beside it says so.
        Err(WriteError::Foreign(_) | WriteError::OtherWriter(_)) => {
            fs::remove_file(path)?;
            ArchiveWriter::create(path)
        }
        other => other,
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
    if sound.is_some() {
        let Opened::Store(store) = opened::open(url, false)? else { return Ok(report) };
        let progress = watch.phase("checking", None);
        store::check(store.as_ref(), &progress, &mut take)
            .map_err(|error| job_failure(url, &error))?;
    }
    Ok(report)
}

/// Reads from the first byte to the last; what it holds if all of it is sound.
fn read_whole(
    path: &Path,
    watch: &dyn Watch,
    take: &mut dyn FnMut(Finding),
) -> io::Result<Option<Contents>> {
    let progress = watch.phase("reading", None);
    archive::check(BufReader::new(File::open(path)?), &progress, take)
}

/// As [`read_whole`], with the first finding.
fn read_first(path: &Path, watch: &dyn Watch) -> io::Result<(Option<Contents>, Option<Finding>)> {
    let mut first = None;
    let contents = read_whole(path, watch, &mut |finding| {
        first.get_or_insert(finding);
    })?;
    Ok((contents, first))
}
