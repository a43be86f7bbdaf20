//! Every case over SQLite.

use conformance::InSqlite;

fn place() -> InSqlite {
    InSqlite::default()
}

conformance::cases!(tests crate::place);
