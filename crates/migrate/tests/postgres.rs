//! Stores in PostgreSQL as sources and targets. The server is found by CHANSTORE_POSTGRES_URL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/bolt_writer.rs"]
mod bolt_writer;
#[path = "common/command.rs"]
mod command;
#[path = "postgres/copies.rs"]
mod copies;
#[path = "common/database.rs"]
mod database;
#[path = "postgres/drafts.rs"]
mod drafts;
#[path = "common/guide.rs"]
mod guide;
#[path = "postgres/guided.rs"]
mod guided;
#[path = "common/kv.rs"]
mod kv;
#[path = "postgres/lnd.rs"]
mod lnd;
#[path = "common/meanwhile.rs"]
mod meanwhile;
#[path = "postgres/names.rs"]
mod names;
#[path = "postgres/preflight.rs"]
mod preflight;
#[path = "postgres/sources.rs"]
mod sources;
#[path = "common/table.rs"]
mod table;
