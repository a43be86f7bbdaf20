//! A new store until it has its name: out of everybody's way, and gone if it is dropped before.

pub(super) mod archive;
mod file;
mod schema;

use channelcoord::{Backend, Transfer};

use self::file::FileDraft;
pub(super) use self::file::own_directory;
pub(super) use self::schema::SCRATCH;
use self::schema::SchemaDraft;
use crate::opened::Failure;
use crate::url::{Engine, StoreUrl};
use crate::writer::Writer;

/// Where a new store is made.
pub(super) enum Draft {
    /// Beside its place.
    File(FileDraft),
    /// In the same database.
    Schema(SchemaDraft),
}

impl Draft {
    /// Makes room for a new store.
    pub(super) fn new(to: &StoreUrl) -> Result<Draft, Failure> {
        Draft::require_free(to)?;
        Ok(match to {
            StoreUrl::File { engine, path } => Draft::File(FileDraft::new(to, *engine, path)?),
            StoreUrl::Server(server) => Draft::Schema(SchemaDraft::new(to, server)?),
            StoreUrl::LndServer(_) => return Err(only_read()),
        })
    }

    /// Refuses a place where something is, or that no store can be at.
    pub(super) fn require_free(to: &StoreUrl) -> Result<(), Failure> {
        match Draft::is_taken(to)? {
            true => Err(Draft::taken(to)),
            false => Ok(()),
        }
    }

    /// Whether something is at a place. Refuses one that no store of ours can be at.
    pub(super) fn is_taken(to: &StoreUrl) -> Result<bool, Failure> {
        match to {
            StoreUrl::File { engine: Engine::LndBolt | Engine::LndSqlite, .. }
            | StoreUrl::LndServer(_) => Err(only_read()),
            StoreUrl::File { path, .. } => file::is_taken(path),
            StoreUrl::Server(server) => schema::is_taken(to, server),
        }
    }

    /// That something is at a place where a new store was to be.
    fn taken(to: &StoreUrl) -> Failure {
        Failure::Usage(format!("{to} exists; copy to a new place"))
    }

    /// Removes drafts of runs that were killed; names those that may be of runs that are not.
    pub(super) fn remove_leftovers(to: &StoreUrl) -> Result<Vec<String>, Failure> {
        match to {
            StoreUrl::File { path, .. } => Ok(file::remove_leftovers(path)),
            StoreUrl::Server(server) => schema::leftovers(to, server),
            StoreUrl::LndServer(_) => Ok(Vec::new()),
        }
    }

    /// Creates the store, for its owner alone since channel state holds secrets, with one record.
    pub(super) fn fill(&mut self, transfer: &Transfer) -> Result<(), Failure> {
        let (to, store) = match self {
            Draft::File(draft) => (draft.to().clone(), draft.create()?),
            Draft::Schema(draft) => (draft.to().clone(), draft.create()?),
        };
        write(store.as_ref(), transfer, &to)
    }

    /// Gives the store its name, durably, and never in place of something else.
    pub(super) fn publish(self) -> Result<(), Failure> {
        match self {
            Draft::File(draft) => draft.publish(),
            Draft::Schema(draft) => draft.publish(),
        }
    }
}

fn write(store: &dyn Backend, transfer: &Transfer, to: &StoreUrl) -> Result<(), Failure> {
    let written = Writer::claim(store).and_then(|mut writer| writer.set_transfer(transfer));
    written.map_err(|error| Failure::access(to, &error))?;
    pollster::block_on(store.release()).map_err(|error| Failure::of_backend(to, &error))
}

fn only_read() -> Failure {
    Failure::Usage("lnd's databases are only read".into())
}
