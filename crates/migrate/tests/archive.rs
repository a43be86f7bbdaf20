//! Archives: what is written, what is read back, what damage does, and what goes on after a stop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/command.rs"]
mod command;
#[path = "archive/commands.rs"]
mod commands;
#[path = "archive/crafted.rs"]
mod crafted;
#[path = "archive/damage.rs"]
mod damage;
#[path = "archive/described.rs"]
mod described;
#[path = "archive/lookups.rs"]
mod lookups;
#[path = "archive/mutation.rs"]
mod mutation;
#[path = "archive/resumed.rs"]
mod resumed;
#[path = "archive/samples.rs"]
mod samples;
#[path = "archive/sketch.rs"]
mod sketch;
#[path = "archive/written.rs"]
mod written;
