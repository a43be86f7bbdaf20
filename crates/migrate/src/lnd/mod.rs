//! lnd's database as a source.
//!
//! | Module | Does |
//! |---|---|
//! | [`tree`] | buckets and values, whatever database holds them |
//! | [`source`] | opens a database, walks what belongs to channel state |
//! | [`codec`] | bytes of one value ↔ domain values |
//! | [`channel`], [`package`] | the values of one channel, of one forwarding package |
//! | [`import`] | writes everything into a store |
//! | [`view`] | a store as lnd would have written it |
//! | [`residue`] | what a source holds beyond that view |
//! | [`diff`] | compares a source with a view, entry by entry |
//! | [`check`] | finds damage and inconsistencies |
//! | [`old_records`] | finds payments and invoices that lnd's own move to SQL stopped at |
//! | [`tombstone`] | marks a database as moved away, so that lnd does not start with it |

pub mod channel;
pub mod check;
mod closed;
pub mod codec;
pub mod diff;
pub mod import;
pub mod old_records;
pub mod package;
pub mod path;
mod place;
pub mod residue;
pub mod source;
pub mod tombstone;
pub mod tree;
pub mod view;
