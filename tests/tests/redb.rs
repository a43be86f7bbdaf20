//! Every case over redb.

use conformance::InRedb;

fn place() -> InRedb {
    InRedb::default()
}

conformance::cases!(tests crate::place);
