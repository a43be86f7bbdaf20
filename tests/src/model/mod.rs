//! A store in maps and vectors, to hold real ones against.
//!
//! [`play`] draws sequences of operations, gives each to a store and to the model, and compares
//! what the call returns, whether it writes, what reads answer afterwards and, when the store is
//! opened again and at the end, which records there are. The model knows nothing of transitions,
//! records of a backend or versions; what it holds of a channel's commitments is
//! [`Exchange`](crate::Exchange).
//!
//! # Rules
//! * A call is refused and changes nothing, or takes effect whole, or asks for what is so already
//!   and writes nothing (`rules`).
//! * Commitments go forward one by one, and only a usable channel has new ones; a revocation needs
//!   a pending commitment, the secret of its point and a package of its own (`protocol`).
//! * Acknowledgements go to packages of any open channel, all of a call or none; an index beyond a
//!   package is refused, a package that is gone is passed over (`protocol`).
//! * Outpoints and channel ids are used once. A peer keeps its link node while a channel with it is
//!   not closed (`peers`).
//! * A closed channel shows its summary and how it was, and nothing else. Nobody can tell when the
//!   rest is reclaimed, so a run waits for it (`channel`).
//! * Opening a store again changes nothing, whether or not it was closed before.
//! * An HTLC has a record while something refers to it; no other record stays that no read shows.
//!
//! Where several rules forbid a call, the order in which the model looks at them is the store's.

mod call;
mod channel;
mod counts;
mod message;
mod operation;
mod peers;
mod protocol;
mod request;
mod rules;
mod run;
mod state;
mod universe;

pub use counts::{Counts, Tally};
pub(crate) use run::dump;
pub use run::{Settings, play};
