//! The verifier is tested: every fault that is planted in a copy must be found, and named.
//!
//! Faults come from what the stores hold: every table and column of a database, every byte of a
//! record. So what is added later is covered without anybody remembering it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "planted/base.rs"]
mod base;
#[path = "common/bolt_writer.rs"]
mod bolt_writer;
#[path = "common/command.rs"]
mod command;
#[path = "common/database.rs"]
mod database;
#[path = "planted/digests.rs"]
mod digests;
#[path = "../../sqlstore/tests/support/extremes.rs"]
mod extremes;
#[path = "planted/in_memory.rs"]
mod in_memory;
#[path = "planted/in_postgres.rs"]
mod in_postgres;
#[path = "planted/in_redb.rs"]
mod in_redb;
#[path = "planted/in_sqlite.rs"]
mod in_sqlite;
#[path = "planted/judge.rs"]
mod judge;
#[path = "planted/record_faults.rs"]
mod record_faults;
#[path = "../../sqlstore/tests/support/records.rs"]
mod records;
#[path = "planted/sql.rs"]
mod sql;
#[path = "planted/table_faults.rs"]
mod table_faults;
