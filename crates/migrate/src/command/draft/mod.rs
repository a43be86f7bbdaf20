//! A target until it is complete: out of everybody's way, and gone if it is dropped unfinished.

mod file;
mod schema;

use channelcoord::Backend;

pub(super) use self::file::ArchivePlace;
use self::file::FileDraft;
use self::schema::SchemaDraft;
use crate::opened::Failure;
use crate::url::{Engine, StoreUrl};

/// Where a target is written.
pub(super) enum Draft {
    /// Beside its place.
    File(FileDraft),
    /// In the same database.
    Schema(SchemaDraft),
}

impl Draft {
    /// Makes room for a new store.
    pub(super) fn new(to: &StoreUrl) -> Result<Draft, Failure> {
        Draft::require_place(to)?;
        Ok(match to {
            StoreUrl::File { engine, path } => Draft::File(FileDraft::new(to, *engine, path)?),
            StoreUrl::Server(server) => Draft::Schema(SchemaDraft::new(to, server)?),
            StoreUrl::LndServer(_) => return Err(only_read()),
        })
    }

    /// Refuses a target that cannot be created, or where something is.
    pub(super) fn require_place(to: &StoreUrl) -> Result<(), Failure> {
        match to {
            StoreUrl::File { engine: Engine::LndBolt | Engine::LndSqlite, .. }
            | StoreUrl::LndServer(_) => Err(only_read()),
            StoreUrl::File { path, .. } => file::require_place(path),
            StoreUrl::Server(server) => schema::require_place(to, server),
        }
    }

    /// Where it is.
    pub(super) fn url(&self) -> &StoreUrl {
        match self {
            Draft::File(draft) => draft.url(),
            Draft::Schema(draft) => draft.url(),
        }
    }

    /// Where to write the archive, if the target is one.
    pub(super) fn archive(&self) -> Option<ArchivePlace> {
        match self {
            Draft::File(draft) => draft.archive(),
            Draft::Schema(_) => None,
        }
    }

    /// Creates the store, empty, for its owner alone: channel state holds secrets.
    pub(super) fn create(&mut self) -> Result<Box<dyn Backend>, Failure> {
        match self {
            Draft::File(draft) => draft.create(),
            Draft::Schema(draft) => draft.create(),
        }
    }

    /// Gives the finished store its name, durably, and never in place of something else.
    pub(super) fn publish(self) -> Result<(), Failure> {
        match self {
            Draft::File(draft) => draft.publish(),
            Draft::Schema(draft) => draft.publish(),
        }
    }
}

fn only_read() -> Failure {
    Failure::Usage("lnd's databases are only read".into())
}
