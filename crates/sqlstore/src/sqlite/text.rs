//! Tables with their statements, made once for the process.

use std::sync::LazyLock;

use chanstate::key::Kind;

use crate::schema::SQLITE;
use crate::statement::Statements;
use crate::table::{self, EpochRow, StoreRow, Table};

/// A table and its statements.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Position among all entries.
    pub(crate) slot: usize,
    /// The table.
    pub(crate) table: Table,
    /// Its statements.
    pub(crate) statements: Statements,
}

/// Number of entries.
pub(crate) const ENTRIES: usize = Kind::ALL.len() + 2;

struct Entries {
    of_kinds: Vec<Entry>,
    store: Entry,
    epoch: Entry,
}

static ENTRIES_OF_SQLITE: LazyLock<Entries> = LazyLock::new(|| {
    let entry = |slot: usize, table: Table| {
        let statements = Statements::new(&table, &SQLITE);
        Entry { slot, table, statements }
    };
    let of_kind = |(slot, kind): (usize, Kind)| entry(slot, table::table(kind));
    Entries {
        of_kinds: Kind::ALL.into_iter().enumerate().map(of_kind).collect(),
        store: entry(ENTRIES - 2, Table::of::<StoreRow>("store", 1)),
        epoch: entry(ENTRIES - 1, Table::of::<EpochRow>("epoch", 1)),
    }
});

/// The table of a kind of record.
pub(crate) fn of_kind(kind: Kind) -> &'static Entry {
    // Kinds are numbered from 1 without gaps.
    &ENTRIES_OF_SQLITE.of_kinds[kind as usize - 1]
}

/// The table `store`.
pub(crate) fn store() -> &'static Entry {
    &ENTRIES_OF_SQLITE.store
}

/// The table `epoch`.
pub(crate) fn epoch() -> &'static Entry {
    &ENTRIES_OF_SQLITE.epoch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_entry() {
        for kind in Kind::ALL {
            assert_eq!(of_kind(kind).table.name, table::table(kind).name);
        }
    }
}
