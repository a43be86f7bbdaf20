//! A copy that is stopped anywhere goes on, and ends as if it had not been stopped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "resume/activate.rs"]
mod activate;
#[path = "common/bolt_writer.rs"]
mod bolt_writer;
#[path = "common/command.rs"]
mod command;
#[path = "resume/stops.rs"]
mod each_commit;
#[path = "common/handover.rs"]
mod handover;
#[path = "common/kv.rs"]
mod kv;
#[path = "resume/refused.rs"]
mod refused;
#[path = "common/stopping.rs"]
mod stopping;
#[path = "common/stops.rs"]
mod stops;
