//! The statements of SQLite.

use std::sync::LazyLock;

use chanstate::key::Kind;

use crate::schema::SQLITE;
use crate::text::{Entries, Entry};

static OF_SQLITE: LazyLock<Entries> = LazyLock::new(|| Entries::new(&SQLITE));

/// The table of a kind of record.
pub(crate) fn of_kind(kind: Kind) -> &'static Entry {
    OF_SQLITE.of_kind(kind)
}

/// The table `store`.
pub(crate) fn store() -> &'static Entry {
    OF_SQLITE.store()
}

/// The table `epoch`.
pub(crate) fn epoch() -> &'static Entry {
    OF_SQLITE.epoch()
}
