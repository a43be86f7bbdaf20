//! The binary forms in which lnd stores channels and link nodes (lnd `channeldb`). No I/O.
//!
//! Each value has a strict decoder to domain values and the canonical encoder back. Canonical is
//! what current lnd writes for the same content. Where a stored value differs from it without
//! differing in content (a flag byte of 2, a field that old releases left out), the caller keeps
//! the difference, see [`residue`]: canonical bytes and residue together are the stored bytes.
//!
//! | Module | Values |
//! |---|---|
//! | [`chan_info`] | the fixed part of a channel |
//! | [`commitment`] | commitments with their HTLCs, and the commitment that awaits a revocation |
//! | [`update`] | log updates, alone and in lists |
//! | [`revocation`] | our revocation root and the peer's secrets |
//! | [`revocation_log`] | revoked states, in the current and in the deprecated form |
//! | [`package`] | forwarding packages |
//! | [`close`] | close summaries |
//! | [`link_node`] | link nodes |
//! | [`small`] | single fields: scripts, heights, flags, keys, transactions |
//! | [`payment`], [`invoice`] | what of them is odd; they are not channel state |
//! | [`keys`] | names of buckets and keys, and keys that are numbers or outpoints |
//!
//! Decoders take [`Bytes`](bytes::Bytes), and byte fields of the result share that memory.

pub mod chan_info;
mod chan_parts;
pub mod close;
pub mod commitment;
mod config;
mod cursor;
mod error;
pub mod invoice;
pub mod keys;
pub mod link_node;
pub mod package;
pub mod payment;
pub mod residue;
pub mod revocation;
pub mod revocation_log;
pub mod small;
pub mod update;
mod writer;

pub use self::chan_parts::Elsewhere;
pub use self::error::{EncodeError, EncodeFault, LndError, LndFault};
