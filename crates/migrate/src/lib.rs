//! Moves channel state between stores, and out of lnd, with proof that nothing was lost.
//!
//! The binary `migrate` is a thin command line over [`command`].

pub mod archive;
pub mod bolt;
pub mod command;
pub mod counts;
pub mod finding;
pub mod holder;
pub mod identity;
pub mod journal;
pub mod lnd;
pub mod opened;
pub mod progress;
pub mod records;
pub mod store;
pub mod tally;
pub mod text;
pub mod url;
mod weight;
pub mod writer;
