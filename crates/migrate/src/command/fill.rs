//! Writing the content of a source into a target.

use std::collections::BTreeMap;

use channelcoord::Backend;

use super::Watch;
use super::check::job_failure;
use crate::journal::Phase;
use crate::lnd;
use crate::lnd::diff::DiffError;
use crate::lnd::import::ImportError;
use crate::lnd::source::{LndSource, Refused};
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

/// A source on its way into a target.
#[derive(Clone, Copy)]
pub(super) struct Filling<'a> {
    pub(super) from: &'a StoreUrl,
    /// Paths of an lnd source that are not read.
    pub(super) refused: &'a Refused,
    pub(super) to: &'a StoreUrl,
    pub(super) watch: &'a dyn Watch,
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
    Filling { from, refused, to, watch }.import(source, store, &mut writer)
}

impl Filling<'_> {
    /// Writes what the writer's journal says is missing.
    pub(super) fn run(
        &self,
        source: &Opened,
        target: &dyn Backend,
        writer: &mut Writer<'_>,
    ) -> Result<Filled, Failure> {
        match source {
            Opened::Store(backend) => self.copy(backend.as_ref(), writer),
            Opened::Lnd(lnd) => self.import(lnd, target, writer),
        }
    }

    fn copy(&self, source: &dyn Backend, writer: &mut Writer<'_>) -> Result<Filled, Failure> {
        if writer.phase() == Phase::Content {
            let progress = self.watch.phase("copying", None);
            store::copy(source, writer, &progress).map_err(|error| match &error {
                store::StoreJobError::Write(error) => write_failure(self.to, error),
                _ => job_failure(self.from, &error),
            })?;
            self.enter(Phase::Verify, writer)?;
        }
        Ok(Filled::default())
    }

    fn import(
        &self,
        source: &LndSource,
        target: &dyn Backend,
        writer: &mut Writer<'_>,
    ) -> Result<Filled, Failure> {
        let Filling { from, refused, to, watch } = *self;
        let keys = Some(source.survey().keys);
        let (begun, mut filled) = (writer.phase(), Filled::default());
        if begun == Phase::Content {
            let progress = watch.phase("copying", keys);
            lnd::import::import(source, refused, writer, &progress)
                .map_err(|error| import_failure(from, to, &error))?;
            self.enter(Phase::Residue, writer)?;
        }
        if begun <= Phase::Residue {
            let progress = watch.phase("comparing", keys);
            let stored = lnd::diff::store_residue(source, refused, target, writer, &progress);
            filled.residues = stored.map_err(|error| diff_failure(from, to, &error))?;
            writer.count_residues(filled.residues.values().sum());
            self.enter(Phase::Verify, writer)?;
        }
        Ok(filled)
    }

    fn enter(&self, phase: Phase, writer: &mut Writer<'_>) -> Result<(), Failure> {
        writer.enter(phase).map_err(|error| write_failure(self.to, &error))
    }
}

/// Sorts a failure to write: what the engine does not take, it will not take later either.
pub(super) fn write_failure(to: &StoreUrl, error: &WriteError) -> Failure {
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
