//! The store in PostgreSQL, on the server that `CHANSTORE_POSTGRES_URL` names; see
//! `tests/with-postgres` at the root of the repository.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod batches;
mod claims;
mod faults;
mod opening;
mod records;
mod release;
mod runtimes;
mod server;
mod size;
#[path = "../support/mod.rs"]
mod support;
