//! Tables with their statements, made once for each engine.

use chanstate::key::Kind;

use crate::schema::Dialect;
use crate::statement::Statements;
use crate::table::{self, Table};

/// A table and its statements.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Position among all entries.
    pub(crate) slot: usize,
    /// The table.
    pub(crate) table: &'static Table,
    /// Its statements.
    pub(crate) statements: Statements,
}

/// Number of entries.
pub(crate) const ENTRIES: usize = Kind::ALL.len() + 2;

/// Every table of a store.
#[derive(Debug)]
pub(crate) struct Entries {
    of_kinds: Vec<Entry>,
    store: Entry,
    epoch: Entry,
}

impl Entries {
    /// Generates the statements of an engine.
    pub(crate) fn new(dialect: &Dialect) -> Entries {
        let entry = |slot: usize, table: &'static Table| {
            let statements = Statements::new(table, dialect);
            Entry { slot, table, statements }
        };
        let of_kind = |(slot, kind): (usize, Kind)| entry(slot, table::of_kind(kind));
        Entries {
            of_kinds: Kind::ALL.into_iter().enumerate().map(of_kind).collect(),
            store: entry(ENTRIES - 2, table::store()),
            epoch: entry(ENTRIES - 1, table::epoch()),
        }
    }

    /// The table of a kind of record.
    pub(crate) fn of_kind(&self, kind: Kind) -> &Entry {
        // Kinds are numbered from 1 without gaps.
        &self.of_kinds[kind as usize - 1]
    }

    /// The table `store`.
    pub(crate) fn store(&self) -> &Entry {
        &self.store
    }

    /// The table `epoch`.
    pub(crate) fn epoch(&self) -> &Entry {
        &self.epoch
    }
}
