//! As `resume`, with stores in PostgreSQL. The server is found by CHANSTORE_POSTGRES_URL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/bolt_writer.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod bolt_writer;
#[path = "common/command.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod command;
#[path = "common/database.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod database;
#[path = "postgres_resume/each_commit.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod each_commit;
#[path = "common/handover.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod handover;
#[path = "postgres_resume/handovers.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod handovers;
#[path = "common/kv.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod kv;
#[path = "common/stopping.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod stopping;
#[path = "common/stops.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod stops;
#[path = "common/table.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod table;
