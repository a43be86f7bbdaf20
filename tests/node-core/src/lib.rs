//! A small node core: how the channel protocol of BOLT 2 uses the facets of `chanstate`.
//!
//! * [`Channel`] is the state machine of one channel. It is loaded from the facets, changes only
//!   after the store has taken the change, and sends only what is stored.
//! * [`Node`] has several channels, forwards HTLCs between them, and finds out from forwarding
//!   packages and circuits alone what is left to do after a restart.
//!
//! What is missing on the way to a node: keys, signatures, scripts and the order of outputs
//! (BOLT 3), onions that hide something, opening and closing, the chain and with it every check of
//! an expiry against the block height, dust limits on what is in flight, fees for forwarding. A
//! signature here is a hash of the commitment as its signer sees it, so two sides that disagree on
//! anything notice at the next signature.
//!
//! HTLCs are forwarded and ended only while every channel of the node is connected, so that an end
//! never waits for a channel. A node with more than one peer needs a queue there.
//!
//! Circuits are kept as opening states, since a package names only the outgoing HTLC and no facet
//! leads from there to the incoming one. It costs a commit for each HTLC of ours when the peer
//! revokes, and one when its package is removed.
//!
//! A node that got an error, or lost its connection, is dropped and loaded again. Nothing is
//! shut down: what is not stored is forgotten, on both sides, as BOLT 2 wants it.

mod channel;
mod circuit;
mod contract;
mod effect;
mod error;
mod exchange;
mod forward;
mod limits;
mod node;
mod onion;
mod reestablish;
mod wire;

use chanstate::facet::{
    ChannelSetupStore, CommitmentStore, ForwardingPackageStore, LifecycleStore, StatusStore,
};

pub use channel::{Channel, Offer};
pub use contract::{commitment_point, first_commitment};
pub use error::Error;
pub use forward::{BAD_ONION, EXPIRY_DELTA, NOT_FORWARDED, UNKNOWN_PAYMENT};
pub use node::{Node, Outcome, Payments};
pub use onion::{Hop, onion, spoiled};

/// The facets that the core calls. Each function takes the narrowest one it needs.
pub trait Facets:
    CommitmentStore + ForwardingPackageStore + LifecycleStore + StatusStore + ChannelSetupStore
{
}

impl<T> Facets for T where
    T: CommitmentStore + ForwardingPackageStore + LifecycleStore + StatusStore + ChannelSetupStore
{
}
