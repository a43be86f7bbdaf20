//! The commitment protocol.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bitcoin::OutPoint;
use bitcoin::secp256k1::PublicKey;

use super::Result;
use crate::transition::{AdvanceTail, AppendRemote, UpdateLocal};
use crate::{Commitment, CommitmentHeight, HtlcId, LogUpdate, PendingCommitment, RevocationState};

/// Heights of a channel's commitments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitmentHeights {
    /// Our commitment.
    pub local: CommitmentHeight,
    /// The peer's current commitment.
    pub remote: CommitmentHeight,
    /// The peer's next commitment, if one is signed.
    pub pending: Option<CommitmentHeight>,
}

/// A channel's commitments in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatestCommitments {
    /// Ours.
    pub local: Commitment,
    /// The peer's.
    pub remote: Commitment,
}

/// Stores each step of the commitment protocol before its message is sent (BOLT 2).
///
/// The four changes need a usable channel: `Rejected(NotActive)` if any status bit is set,
/// `Rejected(Restored)` for a shell.
///
/// # Differences from lnd
/// * Heights are checked: only the next one is accepted.
/// * A pending commitment is not overwritten; appending an equal one again is no error.
/// * Advancing without a pending commitment is `NoPendingCommitment`.
/// * The revoked state is taken from the store, and the secret is checked against the commitment
///   point and against earlier secrets.
/// * The list of our updates that the peer has not signed is always stored.
/// * Inserting a commitment point checks the status, and does not replace another point.
/// * Nothing but the arguments is written; running totals are arguments and do not go back.
#[async_trait]
pub trait CommitmentStore: Send + Sync {
    /// Replaces our commitment by the next one; call before sending `revoke_and_ack`.
    ///
    /// Returns the peer's HTLCs that end with it, `true` if settled.
    ///
    /// # Errors
    /// As [`update_local`](crate::transition::update_local).
    async fn update_local(
        &self,
        point: OutPoint,
        update: UpdateLocal,
    ) -> Result<BTreeMap<HtlcId, bool>>;

    /// Stores the peer's next commitment; call before sending `commitment_signed`.
    ///
    /// The acknowledgements given along are stored with it, also those in other channels'
    /// packages, and also if an equal commitment is pending already. One whose package is gone is
    /// passed over.
    ///
    /// # Errors
    /// As [`append_remote`](crate::transition::append_remote).
    async fn append_remote(&self, point: OutPoint, append: AppendRemote) -> Result<()>;

    /// Makes the pending commitment the current one; call when `revoke_and_ack` arrived.
    ///
    /// The revoked state and the forwarding package are stored with it.
    ///
    /// # Errors
    /// As [`advance_tail`](crate::transition::advance_tail); `Rejected(PackageSource)` also if
    /// packages of another channel, or of none, are kept under the short channel id.
    async fn advance_tail(&self, point: OutPoint, advance: AdvanceTail) -> Result<()>;

    /// Sets the peer's next commitment point, which `channel_ready` brings.
    ///
    /// # Errors
    /// `Rejected(NextPointSet)` if another one is set.
    async fn insert_next_revocation(&self, point: OutPoint, next: PublicKey) -> Result<()>;

    /// Returns the peer's signed next commitment; `None` if there is none.
    async fn remote_tip(&self, point: OutPoint) -> Result<Option<PendingCommitment>>;

    /// Returns the peer's updates that our commitment has and no commitment signed for the peer
    /// has; `None` if no commitment of ours was stored yet.
    async fn unsigned_acked_updates(&self, point: OutPoint) -> Result<Option<Vec<LogUpdate>>>;

    /// Returns our updates that the peer's commitment has and ours has not; `None` if the peer
    /// revoked no commitment yet.
    async fn remote_unsigned_local_updates(
        &self,
        point: OutPoint,
    ) -> Result<Option<Vec<LogUpdate>>>;

    /// Returns the heights of the commitments.
    ///
    /// # Errors
    /// `Rejected(NoCommitments)` for a shell.
    async fn heights(&self, point: OutPoint) -> Result<CommitmentHeights>;

    /// Returns both commitments in force.
    ///
    /// # Errors
    /// `Rejected(NoCommitments)` for a shell.
    async fn latest_commitments(&self, point: OutPoint) -> Result<LatestCommitments>;

    /// Returns the peer's commitment points and revealed secrets.
    async fn remote_revocation(&self, point: OutPoint) -> Result<RevocationState>;
}
