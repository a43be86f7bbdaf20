//! Every rule from both of its sides, without a store.

mod advance;
mod append;
mod creation;
mod fixtures;
mod local;
mod package;
mod state_bits;
