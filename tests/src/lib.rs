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
//! A backend of your own needs a [`Place`] and that line.
//!
//! * [`values`]: channels, commitments, HTLCs and messages as a node makes them.
//! * [`Exchange`]: both sides of a channel's commitment protocol, and what a store must hold of it.
//! * [`Host`]: a store on a place, with what cases do again and again.
//! * [`Reads`]: every read of every facet in one value.
//! * [`Faulty`]: a backend that fails on demand.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a case fails by panicking"
)]

mod cases;
mod exchange;
mod faulty;
mod host;
pub mod inspect;
mod list;
mod place;
mod polling;
mod reads;
pub mod values;

use std::future::Future;
use std::pin::Pin;

pub use exchange::{End, Exchange};
pub use faulty::{Fault, Faulty, MadeToFail};
pub use host::{Host, Standing, rejection};
pub use place::{InMemory, InRedb, InSqlite, Place};
pub use polling::{Call, finish, poll_once};
pub use reads::{ChannelReads, Reads};

/// A case on its way.
pub type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One thing that must hold on every backend.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The facet or property it is about.
    pub subject: &'static str,
    /// What must hold.
    pub name: &'static str,
    /// Finds out whether it does, on an empty place; panics if not.
    pub run: for<'a> fn(&'a dyn Place) -> Running<'a>,
}

/// Every case.
pub const CASES: &[Case] = cases!(table);

/// Runs one case.
///
/// # Panics
/// If there is no such case, or what it claims does not hold.
pub fn run(subject: &str, name: &str, place: &dyn Place) {
    let case = CASES.iter().find(|case| case.subject == subject && case.name == name);
    pollster::block_on((case.expect("no such case").run)(place));
}

/// The example in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
