//! As `resume`, with stores in PostgreSQL. The server is found by CHANSTORE_POSTGRES_URL.
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
#[path = "common/database.rs"]
mod database;
#[path = "postgres_resume/each_commit.rs"]
mod each_commit;
#[path = "common/handover.rs"]
mod handover;
#[path = "postgres_resume/handovers.rs"]
mod handovers;
#[path = "common/kv.rs"]
mod kv;
#[path = "common/stopping.rs"]
mod stopping;
#[path = "common/stops.rs"]
mod stops;
#[path = "common/table.rs"]
mod table;
