//! The schema as text that every SQL engine shares, and the steps that lead to it.
//!
//! The texts are standard SQL except for tokens in braces, which a [`Dialect`] replaces. Each column
//! carries its documentation as a comment on its line; SQLite keeps these comments, so `.schema`
//! shows them, and `SCHEMA.md` is made from them.

mod dialect;
mod steps;

pub(crate) use self::dialect::{Dialect, LongKeys, POSTGRES, SQLITE};
pub use self::steps::NEWEST;
pub(crate) use self::steps::{STEPS, Step};
