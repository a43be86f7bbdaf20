//! What a node core calls: one narrow trait for each concern.
//!
//! All of them take ids and values, return values, and are object-safe; a node core takes the
//! narrowest one it needs, as `&dyn CommitmentStore`.
//!
//! # Obligations of every facet
//! * A call that returns `Ok` is durable: a power cut loses nothing of it.
//! * A call that returns an error changed nothing, except `Unconfirmed`, where it is not known.
//! * A call whose future is dropped is stored whole or not at all.
//! * A channel that no call created is refused with `Rejected(UnknownChannel)`.
//! * Changes of a closed channel are refused with `Rejected(AlreadyClosed)`, and so are reads of
//!   what only an open channel has.
//! * A call that asks for what a channel has already returns `Ok` and writes nothing. Of the
//!   commitment protocol this holds for the pending commitment and the next point; a commitment
//!   that is in force already has the wrong height. Acknowledgements, and records without a
//!   channel, are written blindly, which changes nothing either.
//! * Damage of the store is `Corrupt`, never a rejection.

mod close_tx;
mod closed;
mod commitment;
mod final_htlc;
mod lifecycle;
mod open;
mod package;
mod revocation;
mod setup;
mod shutdown;
mod status;

pub use close_tx::CloseTxStore;
pub use closed::{ClosedChannelStore, HistoricalStore};
pub use commitment::{CommitmentHeights, CommitmentStore, LatestCommitments};
pub use final_htlc::FinalHtlcStore;
pub use lifecycle::LifecycleStore;
pub use open::{OpenChannelStore, PeerTally};
pub use package::ForwardingPackageStore;
pub use revocation::RevocationLogStore;
pub use setup::ChannelSetupStore;
pub use shutdown::ShutdownStore;
pub use status::StatusStore;

/// What every facet call returns.
pub type Result<T> = std::result::Result<T, crate::StoreError>;
