//! Tests of the bbolt reader: files lnd wrote, damaged copies of them, crafted files, mutations.
#![allow(clippy::unwrap_used, clippy::panic)] // also in helpers, where clippy does not see a test

#[path = "bolt/builder.rs"]
mod builder;
#[path = "bolt/crafted.rs"]
mod crafted;
#[path = "bolt/damaged.rs"]
mod damaged;
#[path = "bolt/fixtures.rs"]
mod fixtures;
#[path = "bolt/hostile.rs"]
mod hostile;
#[path = "bolt/mutation.rs"]
mod mutation;
#[path = "bolt/opening.rs"]
mod opening;
#[path = "bolt/walk.rs"]
mod walk;
