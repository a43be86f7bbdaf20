//! Copies whose command is killed, and whose server crashes. Apart from tests that need the server. It
//! is found by CHANSTORE_POSTGRES_URL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/command.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod command;
#[path = "postgres_killed/crashes.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod crashes;
#[path = "common/database.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod database;
#[path = "common/kills.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod kills;
#[path = "common/stopping.rs"]
#[allow(dead_code, reason = "not every file of tests needs everything")]
mod stopping;
