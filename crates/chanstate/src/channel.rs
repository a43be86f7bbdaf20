//! A channel as readers see it.

use bitcoin::OutPoint;
use bitcoin::constants::ChainHash;
use bitcoin::secp256k1::PublicKey;

use std::sync::Arc;

use crate::commitment::Commitment;
use crate::flags::{ChannelStatus, ChannelType};
use crate::ids::{ChannelId, MilliSatoshi, ShortChannelId};
use crate::shachain::SecretStore;
use crate::terms::ChannelTerms;

/// A snapshot of a channel. It is a value: changing it changes nothing stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Funding outpoint.
    pub funding_outpoint: OutPoint,
    /// Channel id.
    pub channel_id: ChannelId,
    /// The peer.
    pub peer: PublicKey,
    /// Its chain.
    pub chain: ChainHash,
    /// What was agreed at the opening.
    pub terms: Arc<ChannelTerms>,
    /// Features.
    pub channel_type: ChannelType,
    /// Why it is not usable; empty means usable.
    pub status: ChannelStatus,
    /// The funding transaction is not confirmed yet.
    pub pending: bool,
    /// Short channel id; an alias for zero-conf channels, 0 while unconfirmed.
    pub scid: ShortChannelId,
    /// Confirmed short channel id of a zero-conf channel.
    pub confirmed_scid: Option<ShortChannelId>,
    /// Height at which the funding transaction confirmed.
    pub confirmation_height: Option<u32>,
    /// Height at which the closing transaction confirmed.
    pub close_confirmation_height: Option<u32>,
    /// The last message of the commitment protocol that we sent was `revoke_and_ack`.
    pub last_was_revoke: Option<bool>,
    /// Total settled towards the peer.
    pub total_sent: MilliSatoshi,
    /// Total settled towards us.
    pub total_received: MilliSatoshi,
    /// Our commitment; `None` for a restored channel.
    pub local_commitment: Option<Commitment>,
    /// The peer's commitment; `None` for a restored channel.
    pub remote_commitment: Option<Commitment>,
    /// Points and secrets that the peer revealed.
    pub revocation: RevocationState,
}

/// What the peer revealed for the revocation of its commitments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationState {
    /// Commitment point of the peer's current commitment.
    pub current_point: PublicKey,
    /// Commitment point of the peer's next commitment.
    pub next_point: Option<PublicKey>,
    /// Secrets of the peer's revoked commitments.
    pub secrets: SecretStore,
}

/// A channel to be created: everything that the store does not derive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewChannel {
    /// Funding outpoint; the channel id follows from it.
    pub funding_outpoint: OutPoint,
    /// The peer.
    pub peer: PublicKey,
    /// Its chain.
    pub chain: ChainHash,
    /// What was agreed.
    pub terms: ChannelTerms,
    /// Features.
    pub channel_type: ChannelType,
    /// Short channel id, 0 while unknown.
    pub scid: ShortChannelId,
    /// The peer's first commitment point.
    pub remote_current_point: PublicKey,
    /// The peer's second commitment point, once `channel_ready` brought it.
    pub remote_next_point: Option<PublicKey>,
    /// Our first commitment.
    pub local_commitment: Commitment,
    /// The peer's first commitment.
    pub remote_commitment: Commitment,
}

/// A channel known from a static backup: enough to ask the peer to close it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelShell {
    /// Funding outpoint.
    pub funding_outpoint: OutPoint,
    /// The peer.
    pub peer: PublicKey,
    /// Its chain.
    pub chain: ChainHash,
    /// What the backup holds of the terms.
    pub terms: ChannelTerms,
    /// Features.
    pub channel_type: ChannelType,
    /// Bits that the channel has beside `RESTORED`.
    pub status: ChannelStatus,
    /// Short channel id.
    pub scid: ShortChannelId,
    /// Placeholder or last known point of the peer.
    pub remote_current_point: PublicKey,
}
