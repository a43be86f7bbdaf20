//! Stores under load while PostgreSQL fails around them.
//!
//! Many clients call a store, and every call is noted with what came back. Meanwhile faults strike.
//! Then the store is opened again and held against the notes: nothing that was acknowledged is lost,
//! nothing is there twice or by half, and what was said not to be stored is not.
//!
//! Needs the server that `tests/with-postgres` starts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod answers;
mod cluster;
mod conflicts;
mod cuts;
mod disk;
mod kills;
mod lease;
mod proxy;
mod server;
mod settings;
mod standby;
mod storm;
mod tls;
mod trial;
mod writers;
