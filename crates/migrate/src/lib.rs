//! Moves channel state between stores, and out of lnd, with proof that nothing was lost.
//!
//! The binary `migrate` is a thin command line over [`command`].
//!
//! | Module | Content |
//! |---|---|
//! | [`command`] | the commands |
//! | [`url`], [`opened`], [`holder`], [`identity`] | a store by its name, opened; who has it open, what tells it from others |
//! | [`lnd`], [`bolt`] | lnd's database; the file format it is in by default |
//! | [`archive`] | stores as archives |
//! | [`store`] | jobs on stores of ours |
//! | [`records`], [`writer`], [`journal`] | records read ahead and written in batches; how far a copy is |
//! | [`finding`], [`counts`], [`tally`], [`progress`], [`text`] | what operators are told |

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
