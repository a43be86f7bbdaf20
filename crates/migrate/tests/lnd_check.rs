//! The check of an lnd database.

#[path = "common/bolt_writer.rs"]
mod bolt_writer;
#[path = "lnd_check/fixtures.rs"]
mod fixtures;
#[path = "lnd_check/mutation.rs"]
mod mutation;
#[path = "lnd_check/support.rs"]
mod support;
