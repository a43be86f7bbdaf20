//! Channel state of a Lightning node: records, rules and narrow store facets. No I/O.
//!
//! * Values: [`Channel`], [`Commitment`], [`ForwardingPackage`], [`RevokedState`], ...
//! * [`transition`]: every rule of the channel state machine as a pure function from the stored
//!   state and a request to a [`ChannelChange`].
//! * [`facet`]: what a node core calls, one small async trait for each concern.
//! * [`record`]: what a backend stores, and [`codec`], its binary form.

mod change;
mod channel;
mod close;
pub mod codec;
mod commitment;
mod error;
pub mod facet;
mod flags;
mod ids;
pub mod key;
pub mod message;
mod package;
pub mod record;
mod revocation;
mod setup;
pub mod shachain;
mod state;
mod terms;
pub mod tlv;
pub mod transition;

pub use change::{ChannelChange, Record};
pub use channel::{Channel, ChannelShell, NewChannel, RevocationState};
pub use close::{CloseKind, CloseResume, CloseSummary, Closer, Mark, MarkKind, ShutdownInfo};
pub use commitment::{
    CircuitKey, Commitment, Htlc, HtlcTerms, LogUpdate, ONION_LEN, PendingCommitment,
};
pub use error::{Cause, Rejection, StoreError, Stored};
pub use flags::{ChannelStatus, ChannelType};
pub use ids::{
    ChannelId, ChannelNo, CommitmentHeight, Direction, HtlcId, HtlcKey, LogIndex, MilliSatoshi,
    ShortChannelId, Side, Version,
};
pub use package::{AddRef, Filter, ForwardingPackage, PackageList, PackageState, SettleFailRef};
pub use revocation::{PreviousState, RevokedCommitment, RevokedHtlc, RevokedState};
pub use setup::{
    FinalHtlc, FinalHtlcRecord, ForwardingPolicy, ForwardingPolicyRecord, OpeningStateRecord,
};
pub use state::{ChannelState, PackageShape, StateFault, add_message};
pub use terms::{ChannelConfig, ChannelTerms, KeyDescriptor, KeyLocator};
