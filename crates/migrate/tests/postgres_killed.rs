//! Copies whose command is killed, and whose server crashes. Apart from tests that need the server. It
//! is found by CHANSTORE_POSTGRES_URL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/command.rs"]
mod command;
#[path = "postgres_killed/crashes.rs"]
mod crashes;
#[path = "common/database.rs"]
mod database;
#[path = "common/kills.rs"]
mod kills;
#[path = "common/stopping.rs"]
mod stopping;
