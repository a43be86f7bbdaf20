//! The redb backend against the obligations of `channelcoord::Backend`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod claim;
mod commit;
mod crash;
mod damage;
mod disk;
mod open;
mod records;
mod samples;
mod scan;
mod settle;
mod support;
