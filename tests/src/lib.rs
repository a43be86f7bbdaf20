//! Proves a storage backend, and the store above it.
//!
//! A *case* is an async function over a [`Place`]: something empty that a store can be opened on,
//! closed and opened again. The list of cases is in [`cases!`], once; every backend runs them all:
//!
//! ```
//! fn place() -> conformance::InMemory {
//!     conformance::InMemory::default()
//! }
//!
//! # #[cfg(any())]
//! conformance::cases!(tests crate::place);
//! # conformance::run("setup", "opening_state_is_kept_replaced_and_deleted", &place());
//! ```
//!
//! A backend of your own needs a [`Place`] and that line. Its crate needs no other dependencies
//! for it; with `default-features = false` no engine of ours is built. The README goes through it.
//!
//! Each case cites the obligations that it checks; they stand in the docs of the facets and of
//! [`Backend`](channelcoord::Backend).
//!
//! * [`values`]: channels, commitments, HTLCs and messages as a node makes them.
//! * [`Exchange`]: both sides of a channel's commitment protocol, and what a store must hold of it.
//! * [`Host`]: a store on a place, with what cases do again and again.
//! * [`Claimed`]: a backend asked directly.
//! * [`Reads`]: every read of every facet in one value.
//! * [`Load`]: calls of many clients at once, recorded and checked.
//! * [`model`]: random operations on a store and on a plain model of it.
//! * [`Faulty`]: a backend that fails on demand.
//! * [`broken`]: backends with a fault each, and the cases that find it.
//! * [`sweep`]: two nodes of `node_core`, stopped at commit after commit.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a case fails by panicking"
)]

pub mod broken;
mod case;
mod cases;
mod claimed;
mod engines;
mod exchange;
mod faulty;
mod history;
mod host;
pub mod inspect;
mod list;
pub mod model;
mod note;
mod place;
mod polling;
mod quiet;
mod reads;
pub mod runner;
mod size;
pub mod sweep;
pub mod values;

pub use case::{CASES, Case, Running, obligations, run};
pub use claimed::Claimed;
#[cfg(feature = "postgres")]
pub use engines::InPostgres;
#[cfg(feature = "redb")]
pub use engines::InRedb;
#[cfg(feature = "sqlite")]
pub use engines::InSqlite;
pub use exchange::{End, Exchange};
pub use faulty::{Fault, Faulty, MadeToFail};
pub use history::{Load, Tally};
pub use host::{Host, Standing, rejection};
pub use note::note;
pub use place::{InDirectory, InMemory, Place, Unusable};
pub use polling::{Call, finish, poll_once};
pub use reads::{Asked, ChannelReads, PeerReads, Read, Reads};

/// The examples in the README compile.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../../README.md")]
struct Readme;
