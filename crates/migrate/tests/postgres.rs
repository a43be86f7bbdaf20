//! Stores in PostgreSQL as sources and targets. The server is found by CHANSTORE_POSTGRES_URL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/command.rs"]
mod command;
#[path = "postgres/copies.rs"]
mod copies;
#[path = "postgres/database.rs"]
mod database;
#[path = "postgres/drafts.rs"]
mod drafts;
#[path = "common/guide.rs"]
mod guide;
#[path = "postgres/guided.rs"]
mod guided;
#[path = "postgres/names.rs"]
mod names;
#[path = "postgres/sources.rs"]
mod sources;
