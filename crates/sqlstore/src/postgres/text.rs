//! The statements of PostgreSQL.

use std::sync::LazyLock;

use chanstate::key::Kind;

use crate::schema::POSTGRES;
use crate::text::{Entries, Entry};

static OF_POSTGRES: LazyLock<Entries> = LazyLock::new(|| Entries::new(&POSTGRES));

/// The table of a kind of record.
pub(crate) fn of_kind(kind: Kind) -> &'static Entry {
    OF_POSTGRES.of_kind(kind)
}

/// The table `store`.
pub(crate) fn store() -> &'static Entry {
    OF_POSTGRES.store()
}

/// The table `epoch`.
pub(crate) fn epoch() -> &'static Entry {
    OF_POSTGRES.epoch()
}
