//! A copy into an archive that is stopped anywhere goes on, and ends byte for byte as if it had not
//! been stopped. Apart from tests that start processes: one that is being started has locks of this
//! one for a moment.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/bolt_writer.rs"]
mod bolt_writer;
#[path = "common/command.rs"]
mod command;
#[path = "archive_resume/stops.rs"]
mod each_stop;
#[path = "archive_resume/half.rs"]
mod half;
#[path = "common/kv.rs"]
mod kv;
#[path = "archive_resume/refused.rs"]
mod refused;
#[path = "archive_resume/site.rs"]
mod site;
#[path = "common/stopping.rs"]
mod stopping;
#[path = "common/stops.rs"]
mod stops;
