//! Channels that are not closed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bitcoin::OutPoint;
use bitcoin::constants::ChainHash;
use bitcoin::secp256k1::PublicKey;

use super::Result;
use crate::{Channel, ChannelId};

/// What we share with a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerTally {
    /// A channel with the peer is open, or was open and is closed.
    pub has_channels: bool,
    /// Channels whose funding transaction is not confirmed.
    pub pending_channels: usize,
}

/// Lists and finds channels that are not closed.
///
/// # Obligations
/// * `listed`: each list holds what its name says; open, pending and waiting ones are all there
///   are, and none is in two of these lists.
/// * `order`: lists are ordered by peer, chain and funding outpoint.
/// * `no_link_nodes`: lists do not depend on link nodes (lnd: on those of the peers).
/// * `found`: a channel is found by outpoint and by id.
/// * `tallies`: channels are counted for each peer of a chain, closed ones included unless they
///   were never confirmed; a peer without one is left out (lnd: an error).
#[async_trait]
pub trait OpenChannelStore: Send + Sync {
    /// Returns the channels with a peer, pending ones and those waiting for a close included.
    async fn channels_of(&self, peer: &PublicKey) -> Result<Vec<Channel>>;

    /// Returns the channel with this funding outpoint.
    ///
    /// # Errors
    /// `Rejected(UnknownChannel)`, `Rejected(AlreadyClosed)`.
    async fn channel(&self, point: OutPoint) -> Result<Channel>;

    /// Returns the channel with this id.
    ///
    /// # Errors
    /// `Rejected(UnknownChannelId)`, `Rejected(AlreadyClosed)`.
    async fn channel_by_id(&self, id: ChannelId) -> Result<Channel>;

    /// Returns all channels.
    async fn all_channels(&self) -> Result<Vec<Channel>>;

    /// Returns confirmed channels without a status bit.
    async fn open_channels(&self) -> Result<Vec<Channel>>;

    /// Returns unconfirmed channels without a status bit.
    async fn pending_channels(&self) -> Result<Vec<Channel>>;

    /// Returns channels with any status bit.
    async fn waiting_close_channels(&self) -> Result<Vec<Channel>>;

    /// Counts what we share on a chain with each peer.
    async fn peer_tallies(&self, chain: ChainHash) -> Result<BTreeMap<PublicKey, PeerTally>>;
}
