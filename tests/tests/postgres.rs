//! Every case over PostgreSQL, on the server that `CHANSTORE_POSTGRES_URL` names.

use conformance::InPostgres;

fn place() -> InPostgres {
    InPostgres::default()
}

conformance::cases!(tests crate::place);
