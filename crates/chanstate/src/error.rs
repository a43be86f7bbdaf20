//! Why a call failed, and whether anything of it was stored.

use bitcoin::OutPoint;
use thiserror::Error;

use crate::flags::ChannelStatus;
use crate::ids::{ChannelId, CommitmentHeight, HtlcId, LogIndex, MilliSatoshi, ShortChannelId};
use crate::shachain::ShachainFault;

/// Whether a failed call may have left something in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stored {
    /// Nothing was stored.
    No,
    /// It is not known: reopen, read, then decide.
    Unknown,
}

/// Cause of a storage failure.
pub type Cause = std::sync::Arc<dyn std::error::Error + Send + Sync>;

/// Why a call failed. `R` is the domain's list of refusals.
///
/// None of these may be shown to a channel peer as a protocol error.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum StoreError<R: std::error::Error + 'static = Rejection> {
    /// A rule of the domain forbids it. Fix the request.
    #[error("refused")]
    Rejected(#[source] R),
    /// A record is larger than the engine can hold. Fix the request.
    #[error("record {record} does not fit")]
    Unstorable {
        /// Names the record.
        record: String,
        /// What does not fit.
        #[source]
        cause: Cause,
    },
    /// Another writer was faster, several times. Try again.
    #[error("conflict with another writer")]
    Conflict,
    /// The store cannot serve now (disk full, connection lost, shut down). Try again later.
    #[error("store unavailable")]
    Unavailable(#[source] Cause),
    /// It is not known whether the change was stored. Reopen, read, then decide.
    #[error("outcome unconfirmed")]
    Unconfirmed(#[source] Cause),
    /// Another instance took the store over. Stop.
    #[error("store taken over by another instance")]
    Fenced,
    /// A stored record cannot be read. Stop using it.
    #[error("damaged record {record}")]
    Corrupt {
        /// Names the record.
        record: String,
        /// What is wrong with it.
        #[source]
        cause: Cause,
    },
}

impl<R: std::error::Error + 'static> StoreError<R> {
    /// Whether anything of the call may have been stored.
    pub fn stored(&self) -> Stored {
        match self {
            StoreError::Unconfirmed(_) => Stored::Unknown,
            _ => Stored::No,
        }
    }

    /// The same failure for another domain; the rejection, which belongs to this one, comes back.
    ///
    /// # Errors
    /// The rejection, if it is one.
    pub fn recast<S: std::error::Error + 'static>(self) -> Result<StoreError<S>, R> {
        Ok(match self {
            StoreError::Rejected(rejection) => return Err(rejection),
            StoreError::Unstorable { record, cause } => StoreError::Unstorable { record, cause },
            StoreError::Conflict => StoreError::Conflict,
            StoreError::Unavailable(cause) => StoreError::Unavailable(cause),
            StoreError::Unconfirmed(cause) => StoreError::Unconfirmed(cause),
            StoreError::Fenced => StoreError::Fenced,
            StoreError::Corrupt { record, cause } => StoreError::Corrupt { record, cause },
        })
    }
}

impl<R: std::error::Error + 'static> From<R> for StoreError<R> {
    fn from(rejection: R) -> Self {
        StoreError::Rejected(rejection)
    }
}

/// A rule that a request breaks. Nothing was stored.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// No such channel, open or closed.
    #[error("unknown channel {0}")]
    UnknownChannel(OutPoint),
    /// No channel has this id.
    #[error("unknown channel id {0}")]
    UnknownChannelId(ChannelId),
    /// The funding outpoint was used before, possibly by a closed channel.
    #[error("channel {0} already exists")]
    AlreadyExists(OutPoint),
    /// The channel id was used before.
    #[error("channel id {0} already exists")]
    IdAlreadyExists(ChannelId),
    /// The channel is closed.
    #[error("channel {0} is closed")]
    AlreadyClosed(OutPoint),
    /// The channel is open, and the call needs a closed one.
    #[error("channel {0} is not closed")]
    NotClosed(OutPoint),
    /// The channel's status forbids commitments.
    #[error("channel not usable, status {:#x}", status.bits())]
    NotActive {
        /// The status.
        status: ChannelStatus,
    },
    /// The channel is a shell restored from a backup.
    #[error("channel was restored from a backup")]
    Restored,
    /// The restored bit belongs to shells: it is neither set on a channel nor cleared on a shell.
    #[error("the restored bit cannot be changed")]
    RestoredBit,
    /// The call needs commitments or terms, and the channel was stored without them: it is a
    /// shell, or only its close summary is known.
    #[error("channel has no commitments")]
    NoCommitments,
    /// No commitment waits for the peer's revocation.
    #[error("no pending commitment")]
    NoPendingCommitment,
    /// A commitment waits for the peer's revocation already.
    #[error("commitment {height} is pending")]
    PendingCommitment {
        /// Its height.
        height: CommitmentHeight,
    },
    /// A height is not the next one.
    #[error("height {found}, expected {expected}")]
    Height {
        /// Height that would be accepted.
        expected: CommitmentHeight,
        /// Height given.
        found: CommitmentHeight,
    },
    /// A log index is below the one of the previous commitment.
    #[error("{what} went back from {stored} to {found}")]
    IndexWentBack {
        /// Which index.
        what: &'static str,
        /// Index stored.
        stored: LogIndex,
        /// Index given.
        found: LogIndex,
    },
    /// A running total is below the stored one.
    #[error("{what} went back from {stored} to {found} msat")]
    TotalWentBack {
        /// Which total.
        what: &'static str,
        /// Total stored.
        stored: MilliSatoshi,
        /// Total given.
        found: MilliSatoshi,
    },
    /// The secret does not belong to the peer's current commitment point.
    #[error("secret does not match the current commitment point")]
    WrongSecret,
    /// The secret contradicts earlier ones.
    #[error("secret contradicts earlier ones")]
    Secret(#[source] ShachainFault),
    /// A different next commitment point is set already.
    #[error("another next commitment point is set")]
    NextPointSet,
    /// The peer's next commitment point is not known, so the current one cannot be retired.
    #[error("next commitment point unknown")]
    NoNextPoint,
    /// The package does not carry a short channel id of its channel.
    #[error("package source {found} is not of this channel")]
    PackageSource {
        /// Source given.
        found: ShortChannelId,
    },
    /// The package's filters do not cover its updates.
    #[error("package filter covers {found} of {expected} updates")]
    PackageFilter {
        /// Number of updates.
        expected: usize,
        /// Number covered.
        found: usize,
    },
    /// No package at this height.
    #[error("no package at height {height}")]
    UnknownPackage {
        /// The height.
        height: CommitmentHeight,
    },
    /// An acknowledgement names an update that the package does not have.
    #[error("package {source_scid}/{height} has {count} updates, not {index}")]
    AckOutOfRange {
        /// Source of the package.
        source_scid: ShortChannelId,
        /// Height of the package.
        height: CommitmentHeight,
        /// Index given.
        index: u16,
        /// Number of updates.
        count: u16,
    },
    /// An output index does not fit into a revoked state (65535 means none).
    #[error("output index {0} over 65534")]
    OutputIndex(u32),
    /// A height, id or index is 2^63 or more.
    #[error("{what} {found} over 2^63 - 1")]
    TooLarge {
        /// Which number.
        what: &'static str,
        /// The number.
        found: u64,
    },
    /// An onion packet is not 1366 bytes long.
    #[error("onion of HTLC {id} has {len} bytes")]
    OnionLength {
        /// The HTLC.
        id: HtlcId,
        /// Its length.
        len: usize,
    },
    /// An HTLC appears twice in a commitment.
    #[error("HTLC {id} appears twice")]
    DuplicateHtlc {
        /// The HTLC.
        id: HtlcId,
    },
    /// A message is not of a kind that belongs here, or does not parse.
    #[error("message {ty} does not belong here")]
    Message {
        /// Its type.
        ty: u16,
    },
    /// No state with this height was revoked, or it was reclaimed after the close.
    #[error("no revoked state at height {0}")]
    UnknownState(CommitmentHeight),
    /// No close summary for the channel.
    #[error("no close summary for {0}")]
    NoSummary(OutPoint),
    /// The summary names another channel.
    #[error("summary is of channel {found}")]
    SummaryOfOther {
        /// Channel in the summary.
        found: OutPoint,
    },
    /// No final outcome of the HTLC is stored.
    #[error("unknown HTLC {scid}/{id}")]
    UnknownHtlc {
        /// Channel.
        scid: ShortChannelId,
        /// HTLC.
        id: HtlcId,
    },
}
