//! Channels that are not closed.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bitcoin::OutPoint;
use bitcoin::constants::ChainHash;
use bitcoin::secp256k1::PublicKey;
use chanstate::facet::{OpenChannelStore, PeerTally, Result};
use chanstate::record::ChannelRecord;
use chanstate::{Channel, ChannelId, Rejection};

use super::{Store, state_error};
use crate::directory::read_slot;

#[async_trait]
impl OpenChannelStore for Store {
    async fn channels_of(&self, peer: &PublicKey) -> Result<Vec<Channel>> {
        self.channels(|row| row.peer == *peer)
    }

    async fn channel(&self, point: OutPoint) -> Result<Channel> {
        self.open_view(point)
    }

    async fn channel_by_id(&self, id: ChannelId) -> Result<Channel> {
        self.open_view(self.point_of(id)?)
    }

    async fn all_channels(&self) -> Result<Vec<Channel>> {
        self.channels(|_| true)
    }

    async fn open_channels(&self) -> Result<Vec<Channel>> {
        self.channels(|row| !row.pending && row.status.is_empty())
    }

    async fn pending_channels(&self) -> Result<Vec<Channel>> {
        self.channels(|row| row.pending && row.status.is_empty())
    }

    async fn waiting_close_channels(&self) -> Result<Vec<Channel>> {
        self.channels(|row| !row.status.is_empty())
    }

    async fn peer_tallies(&self, chain: ChainHash) -> Result<BTreeMap<PublicKey, PeerTally>> {
        self.alive()?;
        let index = self.inner.directory.read();
        let mut tallies: BTreeMap<PublicKey, PeerTally> = BTreeMap::new();
        for (_, listing) in index.listings().filter(|(_, listing)| listing.chain == chain) {
            match (listing.closed, listing.pending) {
                (false, true) => {
                    tallies.entry(listing.peer).or_default().pending_channels += 1;
                }
                (_, false) => tallies.entry(listing.peer).or_default().has_channels = true,
                // A channel that never confirmed says nothing about its peer.
                (true, true) => {}
            }
        }
        Ok(tallies)
    }
}

impl Store {
    pub(super) fn open_view(&self, point: OutPoint) -> Result<Channel> {
        let channel = self.view(point, |state| state.channel())?;
        channel.ok_or(Rejection::NoCommitments.into())
    }

    /// Open channels in order of peer, chain and outpoint.
    fn channels(&self, wanted: impl Fn(&ChannelRecord) -> bool) -> Result<Vec<Channel>> {
        self.alive()?;
        // Held throughout, so that the list is of one moment.
        let index = self.inner.directory.read();
        let mut channels = Vec::new();
        for slot in index.slots() {
            let state = read_slot(slot);
            if wanted(state.row()) {
                let channel = state.channel().map_err(|fault| state_error(state.point(), fault))?;
                channels.extend(channel);
            }
        }
        drop(index);
        channels.sort_by_key(|channel| {
            (channel.peer, *channel.chain.as_bytes(), channel.funding_outpoint)
        });
        Ok(channels)
    }
}
