//! Link nodes: the peers that a node shares channels with, and how to reach them.
//!
//! Knows nothing of channels. It shares the record codec, the key form and the error classes with
//! `chanstate`; what concerns a peer *and* its channels is in `channelcoord`.

mod address;
mod facet;
mod node;
mod record;

pub use address::{Address, AddressError};
pub use facet::LinkNodeStore;
pub use node::{LinkNode, Network, Rejection};
pub use record::{
    LinkAddressRecord, LinkNodeChange, LinkNodeRecord, Record, addresses_of, node_key,
};

/// Why a call on link nodes failed.
pub type Error = chanstate::StoreError<Rejection>;
