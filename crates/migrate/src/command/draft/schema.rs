//! Drafts of schemas.

use channelcoord::Backend;
use sqlstore::OpenError;

use super::Draft;
use crate::opened::{self, Failure};
use crate::url::{ServerUrl, StoreUrl};

/// What names of schemas for drafts begin with.
const PREFIX: &str = "migrate_draft_";

/// What names of schemas begin with that something is only tried in.
pub(in crate::command) const SCRATCH: &str = "migrate_scratch_";

/// A schema with a name that nobody else has.
pub(in crate::command) struct SchemaDraft {
    url: StoreUrl,
    draft: ServerUrl,
    /// Something may be in it.
    created: bool,
    to: StoreUrl,
    target: ServerUrl,
}

impl SchemaDraft {
    pub(super) fn new(to: &StoreUrl, target: &ServerUrl) -> Result<SchemaDraft, Failure> {
        let draft = target.beside(format!("{PREFIX}{:016x}", fastrand::u64(..)));
        let draft = draft.map_err(|error| Failure::access(to, &error))?;
        let url = StoreUrl::Server(draft.clone());
        Ok(SchemaDraft { url, draft, created: false, to: to.clone(), target: target.clone() })
    }

    pub(super) fn to(&self) -> &StoreUrl {
        &self.to
    }

    pub(super) fn create(&mut self) -> Result<Box<dyn Backend>, Failure> {
        self.created = true;
        opened::create(&self.url, &self.to)
    }

    pub(super) fn publish(mut self) -> Result<(), Failure> {
        let renamed = match self.draft.options().rename_store(self.target.schema()) {
            Err(OpenError::Exists(_)) => return Err(Draft::taken(&self.to)),
            Err(error) => self.settle(error),
            Ok(()) => Ok(()),
        };
        self.created &= renamed.is_err();
        renamed
    }

    /// What a failed renaming came to. Its answer may be lost, and then the draft either can be
    /// dropped or has its name already.
    fn settle(&self, error: OpenError) -> Result<(), Failure> {
        match self.draft.options().drop_store() {
            Err(OpenError::Absent(_)) => Ok(()),
            Ok(()) => Err(Failure::access(&self.to, &error)),
            Err(_) => Err(Failure::access(
                format!("{} is complete, or else still named {}", self.to, self.draft.schema()),
                &error,
            )),
        }
    }
}

impl Drop for SchemaDraft {
    fn drop(&mut self) {
        if self.created {
            // The failure that ends the copy says more than this one would.
            let _ = self.draft.options().drop_store();
        }
    }
}

/// Whether a schema exists.
pub(super) fn is_taken(to: &StoreUrl, target: &ServerUrl) -> Result<bool, Failure> {
    target.options().has_schema().map_err(|error| Failure::access(to, &error))
}

/// Drafts in the database. Whether their processes are gone cannot be told.
pub(super) fn leftovers(to: &StoreUrl, target: &ServerUrl) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for prefix in [PREFIX, SCRATCH] {
        let schemas = target.options().schemas(prefix);
        found.extend(schemas.map_err(|error| Failure::access(to, &error))?);
    }
    Ok(found)
}
