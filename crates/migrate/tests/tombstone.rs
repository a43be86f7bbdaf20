//! lnd's tombstone, written and removed: in bbolt files through every crash, and in SQLite.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "tombstone/bolt.rs"]
mod bolt;
#[path = "common/bolt_writer.rs"]
mod bolt_writer;
#[path = "tombstone/crash.rs"]
mod crash;
#[path = "common/kv.rs"]
mod kv;
#[path = "tombstone/pages.rs"]
mod pages;
#[path = "tombstone/sqlite.rs"]
mod sqlite;
