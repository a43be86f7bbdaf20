//! What an operator is told before a copy begins, and what becomes of it.
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
#[path = "preflight/estimate.rs"]
mod estimate;
#[path = "preflight/events.rs"]
mod events;
#[path = "preflight/old_records.rs"]
mod old_records;
#[path = "preflight/refusals.rs"]
mod refusals;
#[path = "preflight/support.rs"]
mod support;
