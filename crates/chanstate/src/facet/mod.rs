//! What a node core calls: one narrow trait for each concern.
//!
//! All of them take ids and values, return values, and are object-safe; a node core takes the
//! narrowest one it needs, as `&dyn CommitmentStore`.
//!
//! # Obligations of every facet
//! A facet's own obligations stand in its docs. "lnd:" says where lnd does otherwise.
//!
//! * `durable`: a call that returns `Ok` is durable: a power cut loses nothing of it.
//! * `nothing_on_error`: a call that returns an error changed nothing, except `Unconfirmed`, where
//!   it is not known.
//! * `dropped_call`: a call whose future is dropped is stored whole or not at all.
//! * `reopened`: a store that is opened again answers every read as it did before.
//! * `read_back`: what was stored reads back equal. Absent, empty and zero are three things;
//!   numbers at both ends of their range, bits and TLV records without a name are kept.
//! * `own_value`: what a read returned is the caller's, and does not change later.
//! * `one_channel`: a change of one channel shows in no other one, acknowledgements of settles and
//!   fails excepted.
//! * `one_order`: calls that overlap answer as if one came after the other, in one order for
//!   everybody. Of a list longer than a page this holds for each page.
//! * `unknown_channel`: a channel that no call created is refused with `Rejected(UnknownChannel)`.
//! * `closed_channel`: changes of a closed channel are refused with `Rejected(AlreadyClosed)`, and
//!   so are reads of what only an open channel has.
//! * `repeated`: a call that asks for what a channel has already returns `Ok` and writes nothing.
//!   Of the commitment protocol this holds for the pending commitment and the next point; a
//!   commitment that is in force already has the wrong height. Acknowledgements, and records
//!   without a channel, are written blindly, which changes nothing either.
//! * `damage`: damage of the store is `Corrupt`, never a rejection.

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
