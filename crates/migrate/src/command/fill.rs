//! Writing the content of a source into a target.

use std::collections::BTreeMap;

use channelcoord::{Backend, Head, Stage};

use super::Watch;
use super::begun::require_filling;
use super::check::job_failure;
use crate::journal::{Journal, Phase};
use crate::lnd::diff::DiffError;
use crate::lnd::import::ImportError;
use crate::lnd::source::{LndSource, Refused};
use crate::lnd::{self};
use crate::opened::{Failure, Opened};
use crate::store;
use crate::url::StoreUrl;
use crate::writer::{WriteError, Writer};

/// What a target was filled with.
#[derive(Default)]
pub(super) struct Filled {
    /// Differences of encoding that were kept by this run, by reason.
    pub(super) residues: BTreeMap<&'static str, u64>,
}

/// Writes what the journal of a target says is missing. Returns the journal at the end, and where
/// the target stands then; the journal also with a failure.
#[allow(clippy::too_many_arguments, reason = "a copy has this many sides")]
pub(super) fn fill(
    from: &StoreUrl,
    source: &Opened,
    refused: &Refused,
    to: &StoreUrl,
    target: &dyn Backend,
    journal: Journal,
    batch: usize,
    watch: &dyn Watch,
) -> Result<(Journal, Head, Filled), (Failure, Journal)> {
    let mut writer = match Writer::go_on(target, journal.clone(), batch) {
        Ok(writer) => writer,
        Err(error) => return Err((write_failure(to, &error), journal)),
    };
    if let Err(failure) = require_standing(to, target, &journal) {
        return Err((failure, journal));
    }
    let filled = match source {
        Opened::Store(backend) => from_store(from, backend.as_ref(), to, &mut writer, watch),
        Opened::Lnd(lnd) => from_lnd(from, lnd, refused, to, target, &mut writer, watch),
    };
    let head = writer.head();
    let journal = writer.into_journal().unwrap_or(journal);
    match filled {
        Ok(filled) => Ok((journal, head, filled)),
        Err(failure) => Err((failure, journal)),
    }
}

/// Refuses a claimed target that is not where its journal said when it was looked at: what another run
/// wrote since would be written again, over what a node may have made of it.
fn require_standing(to: &StoreUrl, target: &dyn Backend, journal: &Journal) -> Result<(), Failure> {
    let found = require_filling(to, target, journal.id)?;
    match found.detail == journal.at(Stage::Filling).detail {
        true => Ok(()),
        false => Err(Failure::Access(format!("{to} was filled further by another run meanwhile"))),
    }
}

/// Writes an lnd database into a store that is needed on the way to something else, and goes with it.
pub(super) fn stage(
    from: &StoreUrl,
    source: &LndSource,
    refused: &Refused,
    to: &StoreUrl,
    store: &dyn Backend,
    watch: &dyn Watch,
) -> Result<Filled, Failure> {
    let mut writer = Writer::claim(store).map_err(|error| write_failure(to, &error))?;
    from_lnd(from, source, refused, to, store, &mut writer, watch)
}

fn from_store(
    from: &StoreUrl,
    source: &dyn Backend,
    to: &StoreUrl,
    writer: &mut Writer<'_>,
    watch: &dyn Watch,
) -> Result<Filled, Failure> {
    if writer.phase() == Phase::Content {
        let progress = watch.phase("copying", None);
        store::copy(source, writer, &progress).map_err(|error| match &error {
            store::StoreJobError::Write(error) => write_failure(to, error),
            _ => job_failure(from, &error),
        })?;
        writer.enter(Phase::Verify).map_err(|error| write_failure(to, &error))?;
    }
    Ok(Filled::default())
}

fn from_lnd(
    from: &StoreUrl,
    source: &LndSource,
    refused: &Refused,
    to: &StoreUrl,
    target: &dyn Backend,
    writer: &mut Writer<'_>,
    watch: &dyn Watch,
) -> Result<Filled, Failure> {
    let keys = Some(source.survey().keys);
    let (begun, mut filled) = (writer.phase(), Filled::default());
    if begun == Phase::Content {
        let progress = watch.phase("copying", keys);
        lnd::import::import(source, refused, writer, &progress)
            .map_err(|error| import_failure(from, to, &error))?;
        writer.enter(Phase::Residue).map_err(|error| write_failure(to, &error))?;
    }
    if begun <= Phase::Residue {
        let progress = watch.phase("comparing", keys);
        let stored = lnd::diff::store_residue(source, refused, target, writer, &progress);
        filled.residues = stored.map_err(|error| diff_failure(from, to, &error))?;
        writer.count_residues(filled.residues.values().sum());
        writer.enter(Phase::Verify).map_err(|error| write_failure(to, &error))?;
    }
    Ok(filled)
}

/// Sorts a failure to write: what the engine does not take, it will not take later either.
fn write_failure(to: &StoreUrl, error: &WriteError) -> Failure {
    match error {
        WriteError::Refused(_) => Failure::content(to, error),
        _ => Failure::access(to, error),
    }
}

pub(super) fn import_failure(from: &StoreUrl, to: &StoreUrl, error: &ImportError) -> Failure {
    match error {
        ImportError::Write(error) => write_failure(to, error),
        ImportError::Read(_) => Failure::access(from, error),
        _ => Failure::content(from, error),
    }
}

pub(super) fn diff_failure(from: &StoreUrl, to: &StoreUrl, error: &DiffError) -> Failure {
    match error {
        DiffError::Source(_) => Failure::access(from, error),
        DiffError::View(lnd::view::ViewError::Backend(error)) => Failure::of_backend(to, error),
        DiffError::View(_) | DiffError::Lost(_) => Failure::content(to, error),
        DiffError::Write(error) => write_failure(to, error),
    }
}
