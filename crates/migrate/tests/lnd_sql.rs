//! lnd's databases in SQLite: read as those in bbolt, and every kind of damage found.

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
#[path = "lnd_sql/damage.rs"]
mod damage;
#[path = "lnd_sql/files.rs"]
mod files;
#[path = "common/kv.rs"]
mod kv;
#[path = "common/meanwhile.rs"]
mod meanwhile;
#[path = "lnd_sql/sources.rs"]
mod sources;
