//! Moves channel state between stores, and out of lnd, with proof that nothing was lost.
//!
//! The binary `migrate` is a thin command line over this library.

pub mod bolt;
pub mod counts;
pub mod finding;
pub mod lnd;
pub mod progress;
pub mod writer;
