//! What a store should hold, in maps and vectors.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::OutPoint;
use bitcoin::secp256k1::PublicKey;
use bytes::Bytes;
use chanstate::facet::PeerTally;
use chanstate::key::Kind;
use chanstate::transition::Options;
use chanstate::{
    Channel, ChannelId, CloseSummary, FinalHtlc, ForwardingPolicy, HtlcId, HtlcKey, Rejection,
    ShortChannelId,
};
use linknode::LinkNode;

use super::channel::{ModelChannel, Stage};
use crate::reads::{Asked, CHAINS, PeerReads, Reads};

/// What a store should hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// What the store was opened with.
    pub(super) options: Options,
    /// Every channel that was ever created.
    pub(super) channels: BTreeMap<OutPoint, ModelChannel>,
    pub(super) link_nodes: BTreeMap<PublicKey, LinkNode>,
    pub(super) finals: BTreeMap<(ShortChannelId, HtlcId), FinalHtlc>,
    pub(super) opening_states: BTreeMap<Bytes, Bytes>,
    pub(super) policies: BTreeMap<ChannelId, ForwardingPolicy>,
}

impl Model {
    /// Channels that are not closed.
    pub(super) fn open_channels(&self) -> impl Iterator<Item = &ModelChannel> {
        self.channels.values().filter(|channel| !channel.is_closed())
    }

    /// Number of channels with a peer that are not closed.
    pub(super) fn open_with(&self, peer: &PublicKey) -> usize {
        self.open_channels().filter(|channel| channel.view.peer == *peer).count()
    }

    /// The channel with an id.
    pub(super) fn by_id(&self, id: ChannelId) -> Option<&ModelChannel> {
        self.channels.values().find(|channel| channel.view.channel_id == id)
    }

    /// A channel that is not closed.
    pub(super) fn open(&mut self, point: OutPoint) -> Result<&mut ModelChannel, Rejection> {
        match self.channels.get_mut(&point) {
            None => Err(Rejection::UnknownChannel(point)),
            Some(channel) if channel.is_closed() => Err(Rejection::AlreadyClosed(point)),
            Some(channel) => Ok(channel),
        }
    }

    /// What the reads of a store must answer.
    pub(super) fn reads(&self, asked: &Asked) -> Reads {
        let peers = asked.peers.iter().map(|peer| (*peer, self.peer(peer)));
        let channels = asked.points.iter().map(|point| {
            let id = ChannelId::from_outpoint(*point);
            let channel = self.channels.get(point);
            let reads = super::channel::reads(channel, self.by_id(id), *point, &asked.heights);
            (*point, reads)
        });
        let outcome = |(scid, id): &(ShortChannelId, HtlcId)| {
            let unknown = Rejection::UnknownHtlc { scid: *scid, id: *id };
            self.finals.get(&(*scid, *id)).copied().ok_or(unknown)
        };
        let opening_state = |key| self.opening_states.get(key).cloned();
        Reads {
            all: self.listed(|_| true),
            open: self.listed(|view| view.status.is_empty() && !view.pending),
            pending: self.listed(|view| view.status.is_empty() && view.pending),
            waiting_close: self.listed(|view| !view.status.is_empty()),
            tallies: CHAINS.map(|chain| self.tallies(chain)).to_vec(),
            closed: self.summaries().cloned().collect(),
            unresolved: self.summaries().filter(|summary| summary.pending).cloned().collect(),
            link_nodes: self.link_nodes.values().cloned().collect(),
            peers: peers.collect(),
            channels: channels.collect(),
            finals: asked.htlcs.iter().map(outcome).collect(),
            opening_states: asked.opening_keys.iter().map(opening_state).collect(),
            policies: asked.policy_ids.iter().map(|id| self.policies.get(id).copied()).collect(),
        }
    }

    /// Number of records of each kind that must be stored.
    pub(super) fn counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts = BTreeMap::from([
            (Kind::FinalHtlc, self.finals.len()),
            (Kind::OpeningState, self.opening_states.len()),
            (Kind::ForwardingPolicy, self.policies.len()),
            (Kind::LinkNode, self.link_nodes.len()),
            (Kind::LinkAddress, self.link_nodes.values().map(|node| node.addresses.len()).sum()),
        ]);
        for channel in self.channels.values() {
            for (kind, count) in channel.counts() {
                *counts.entry(kind).or_default() += count;
            }
        }
        counts.retain(|_, count| *count > 0);
        counts
    }

    /// HTLCs that must have a record.
    pub(super) fn htlcs(&self) -> BTreeMap<OutPoint, BTreeSet<HtlcKey>> {
        self.channels.iter().map(|(point, channel)| (*point, channel.htlcs())).collect()
    }

    /// Open channels that `wanted` takes, in order of peer, chain and outpoint.
    fn listed(&self, wanted: impl Fn(&Channel) -> bool) -> Vec<Channel> {
        let views = self.open_channels().map(|channel| &channel.view);
        let mut listed: Vec<_> = views.filter(|view| wanted(view)).cloned().collect();
        listed.sort_by_key(|view| (view.peer, *view.chain.as_bytes(), view.funding_outpoint));
        listed
    }

    /// Summaries in order of outpoints.
    fn summaries(&self) -> impl Iterator<Item = &CloseSummary> {
        self.channels.values().filter_map(|channel| match &channel.stage {
            Stage::Closed(summary) => Some(summary.as_ref()),
            Stage::Open => None,
        })
    }

    fn tallies(&self, chain: bitcoin::constants::ChainHash) -> BTreeMap<PublicKey, PeerTally> {
        let mut tallies = BTreeMap::<_, PeerTally>::new();
        for channel in self.channels.values().filter(|channel| channel.view.chain == chain) {
            let peer = channel.view.peer;
            if !channel.view.pending {
                tallies.entry(peer).or_default().has_channels = true;
            } else if !channel.is_closed() {
                tallies.entry(peer).or_default().pending_channels += 1;
            }
        }
        tallies
    }

    fn peer(&self, peer: &PublicKey) -> PeerReads {
        PeerReads {
            link_node: self.link_nodes.get(peer).cloned(),
            channels: self.listed(|view| view.peer == *peer),
        }
    }
}
