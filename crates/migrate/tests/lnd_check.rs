//! The check of an lnd database.
#![allow(clippy::unwrap_used, clippy::panic)] // also in helpers, where clippy does not see a test

#[path = "common/bolt_writer.rs"]
mod bolt_writer;
#[path = "lnd_check/closed.rs"]
mod closed;
#[path = "lnd_check/contradictions.rs"]
mod contradictions;
#[path = "lnd_check/fixtures.rs"]
mod fixtures;
#[path = "lnd_check/kinds.rs"]
mod kinds;
#[path = "lnd_check/mutation.rs"]
mod mutation;
#[path = "lnd_check/packages.rs"]
mod packages;
#[path = "lnd_check/patched.rs"]
mod patched;
#[path = "lnd_check/planted.rs"]
mod planted;
#[path = "lnd_check/support.rs"]
mod support;
