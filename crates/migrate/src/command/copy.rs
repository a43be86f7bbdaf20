//! `migrate copy`: checks the source, copies it, and proves the copy. Stopped anywhere, it goes on.

use bitcoin::Network;
use bitcoin::secp256k1::PublicKey;
use channelcoord::{Backend, Stage, Transfer, TransferId};

use super::begun::{Begun, is_replaceable, refuse_part, require_filling, require_standing};
use super::fill::{Filling, write_failure};
use super::phases::Stopwatch;
use super::preflight::{Pair, preflight};
use super::report::CopyReport;
use super::site::{Site, UrlArchiveSite, UrlSite};
use super::{Watch, archive, verify};
use crate::identity::Identity;
use crate::journal::{Journal, Phase};
use crate::lnd::source::Refused;
use crate::opened::{self, Failure, Opened, Quiet};
use crate::progress::SystemClock;
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
    /// The node that the source must be of, and the target will be of.
    pub node: Option<PublicKey>,
    /// The network that all channels must be on, and the target will be of.
    pub network: Option<Network>,
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
            node: None,
            network: None,
            resume: false,
            allow_moved: false,
            batch: RECORDS_PER_BATCH,
        }
    }
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
    let clock = SystemClock::start();
    let watch = &Stopwatch::new(watch, &clock);
    let to = &to.owned_by(options.node, options.network);
    let mut report = match to.archive() {
        Some(path) => {
            archive::copy_to(from, source, &UrlArchiveSite::new(to, path), options, watch)?
        }
        None => copy_to(from, source, &UrlSite(to), options, watch)?,
    };
    report.phases = watch.times();
    // The copy is there, so nothing that fails from here on is a failure of it.
    let replaces = !report.dry_run && to.archive().is_none();
    if replaces && matches!(is_replaceable(from, source), Ok(true)) {
        report.suggest_activate(from, to);
    }
    Ok(report)
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
    let quiet = Quiet::of(from, source);
    let begun = Begun::look(site, options.resume);
    let place = match &begun {
        Ok(None) => Ok("there is nothing at its place"),
        Ok(Some(_)) => Ok("a copy was begun there"),
        Err(failure) => Err(failure.clone()),
    };
    let pair = Pair { from, source, quiet: &quiet, to: site.url(), place };
    let earlier = begun.as_ref().ok().and_then(Option::as_ref);
    let (mut report, refused, identity) = look(pair, earlier, options, watch)?;
    let (quiet, begun) = (quiet?, begun?);
    if options.dry_run {
        return Ok(report);
    }
    report.leftovers = site.remove_leftovers()?;
    let job = Job { from, source, refused: &refused, site, options, watch };
    let (target, journal) = match begun {
        Some(Begun { stage: Stage::Complete, target, journal, .. }) => {
            release(site, target.as_ref())?;
            report.was_complete = true;
            report.residues = journal.residues;
            job.verify(None, &mut report)?;
            quiet.confirm(from, source)?;
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
    job.run(target, journal, &mut report, &quiet).map_err(kept)?;
    Ok(report)
}

/// Looks at everything before something is written. Refuses a source that may not be copied, or not
/// into what was begun.
pub(super) fn look(
    pair: Pair<'_>,
    begun: Option<&Begun>,
    options: CopyOptions,
    watch: &dyn Watch,
) -> Result<(CopyReport, Refused, Identity), Failure> {
    let Pair { from, source, .. } = pair;
    refuse_part(from, source, options.allow_moved)?;
    let identity = Identity::of(from, source)?;
    if let Some(begun) = begun {
        begun.require_same(from, &identity, options)?;
    }
    let (found, refused) = preflight(pair, options, &SystemClock::start(), watch)?;
    Ok((CopyReport::of(found, options.dry_run), refused, identity))
}

/// Says what to do about a failure in the midst of a copy.
pub(super) fn kept(failure: Failure) -> Failure {
    match failure {
        Failure::Access(_) => failure.and("what was written is kept, --resume goes on"),
        other => other,
    }
}

/// The journal of a copy that begins.
pub(super) fn begin(from: &StoreUrl, source: Identity, options: CopyOptions) -> Journal {
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
        let url = site.url();
        let mut writer = Writer::go_on(target.as_ref(), journal.clone(), options.batch)
            .map_err(|error| write_failure(url, &error))?;
        let filling = Filling { from, refused, to: url, watch: *watch };
        let filled = require_standing(url, target.as_ref(), &journal)
            .and_then(|()| filling.run(source, target.as_ref(), &mut writer));
        let head = writer.head();
        let journal = writer.into_journal().unwrap_or(journal);
        let released = release(*site, target.as_ref());
        drop(target);
        let filled = match filled {
            Err(failure @ Failure::Content(_)) => {
                self.mark(&journal.at(Stage::Differing), None)?;
                return Err(failure.and(useless(url)));
            }
            other => other?,
        };
        released?;
        report.residues = journal.residues;
        report.residues_by_reason = filled.residues;
        self.verify(Some(&journal), report)?;
        quiet.confirm(from, source)?;
        self.mark(&journal.at(Stage::Complete), Some(head.seq))
    }

    /// Compares both sides. A target that differs is marked as such.
    fn verify(&self, journal: Option<&Journal>, report: &mut CopyReport) -> Result<(), Failure> {
        let Job { from, source, refused, site, watch, .. } = self;
        let target = site.open_to_read()?;
        let verified = verify::compare(from, source, refused, site.url(), &target, *watch)?;
        drop(target);
        if verified.differences == 0 {
            report.verified = verified.compared;
            report.digest = verified.digest;
            report.written_bytes = opened::size(site.url())?;
            return Ok(());
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

    /// Writes another stage into the target that this copy fills; if `at` is given, only if it stands
    /// there.
    fn mark(&self, transfer: &Transfer, at: Option<channelcoord::Seq>) -> Result<(), Failure> {
        let url = self.site.url();
        let target = self.site.open()?;
        let failed = |error| Failure::access(url, &error);
        let mut writer = Writer::claim(target.as_ref()).map_err(failed)?;
        let marked = match at.is_none_or(|at| at == writer.head().seq) {
            true => require_filling(url, target.as_ref(), transfer.id)
                .and_then(|_| writer.set_transfer(transfer).map_err(failed)),
            false => Err(Failure::Access(format!("{url} was written while it was compared"))),
        };
        marked.and(release(self.site, target.as_ref()))
    }
}

fn useless(url: &StoreUrl) -> String {
    format!("no node opens {url} and it is of no use: delete it and copy again")
}

pub(super) fn release(site: &dyn Site, target: &dyn Backend) -> Result<(), Failure> {
    pollster::block_on(target.release()).map_err(|error| Failure::of_backend(site.url(), &error))
}
