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
/// # Obligations
/// * `usable`: the four changes need a usable channel: `Rejected(NotActive)` if any status bit is
///   set, `Rejected(Restored)` for a shell (lnd: inserting a point checks nothing).
/// * `whole_step`: a step stores everything that its message promises, at once.
/// * `next_height`: only the next height is accepted (lnd: any).
/// * `forward_only`: indexes and running totals do not go back.
/// * `one_pending`: a pending commitment is not overwritten (lnd: it is); appending an equal one
///   again is no error.
/// * `pending_first`: advancing needs a pending commitment and the peer's next point.
/// * `right_secret`: a secret must fit the commitment point and the earlier secrets (lnd: not
///   checked here).
/// * `fitting_package`: a package must be of the channel and of the new height, and its filters
///   cover its updates.
/// * `one_source`: a package is not filed where packages of another channel, or of none, are.
/// * `acks`: acknowledgements given along are stored with a signature, also in other channels'
///   packages, also with an equal one that is pending already; those whose package is gone are
///   passed over.
/// * `lists`: both lists of updates follow each step; the one of our updates is stored from the
///   first revocation on (lnd: only beside the other). An empty list is not an absent one.
/// * `ends`: how an HTLC of the peer ends is returned once, when it is locked in.
/// * `last_sent`: a channel notes whether it signed or revoked last.
/// * `next_point`: the peer's next point is set once; another one is refused (lnd: replaced).
/// * `arguments_only`: nothing but the arguments is written (lnd: all the caller holds).
/// * `messages`: an update reads back as it was sent, also where it contradicts the commitment.
/// * `stored_once`: an HTLC is stored once, however many commitments, lists and packages hold it,
///   and goes with the last of them.
/// * `storable`: an HTLC twice in a commitment, an onion of another length, an id or height from
///   2^63 on and a message that is no update are refused.
#[async_trait]
pub trait CommitmentStore: Send + Sync {
    /// Replaces our commitment by the next one; call before sending `revoke_and_ack`.
    ///
    /// Returns the peer's HTLCs that end for good, `true` if settled.
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
    /// # Errors
    /// As [`append_remote`](crate::transition::append_remote).
    async fn append_remote(&self, point: OutPoint, append: AppendRemote) -> Result<()>;

    /// Makes the pending commitment the current one; call when `revoke_and_ack` arrived.
    ///
    /// The revoked state, which the store knows, and the forwarding package are stored with it.
    ///
    /// # Errors
    /// As [`advance_tail`](crate::transition::advance_tail); `Rejected(PackageSource)` also for a
    /// source that is taken.
    async fn advance_tail(&self, point: OutPoint, advance: AdvanceTail) -> Result<()>;

    /// Sets the peer's next commitment point, which `channel_ready` brings.
    ///
    /// # Errors
    /// `Rejected(NextPointSet)` if another one is set.
    async fn insert_next_revocation(&self, point: OutPoint, next: PublicKey) -> Result<()>;

    /// Returns the peer's signed next commitment; `None` if there is none.
    async fn remote_tip(&self, point: OutPoint) -> Result<Option<PendingCommitment>>;

    /// Returns the peer's updates that our commitment has and the peer's commitment in force has
    /// not; `None` if no commitment of ours was stored yet.
    ///
    /// Those that the pending commitment has are among them: the package that its revocation
    /// brings is made from them, and nothing else holds the preimages of their settles.
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
