//! What calls do that concern channels and their peers at once, and link nodes.

use std::collections::BTreeSet;

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, OutPoint, Txid};
use channelcoord::RestoredShell;
use chanstate::{
    ChannelId, ChannelShell, ChannelStatus, CloseKind, CloseResume, CloseSummary, NewChannel,
    Rejection,
};
use linknode::{LinkNode, Network};

use super::call::{Answer, Failure};
use super::channel::{ModelChannel, Stage};
use super::rules::{Taken, changed, check};
use super::state::Model;
use super::universe;

impl Model {
    /// Outpoints and ids are used once. The peer gets a link node if it has none.
    pub(super) fn open_channel(&mut self, channel: NewChannel, peer: LinkNode) -> Taken {
        let point = channel.funding_outpoint;
        check(&peer.addresses).map_err(|_| Failure::Unstorable)?;
        self.require_unused(point)?;
        for commitment in [&channel.local_commitment, &channel.remote_commitment] {
            let found = commitment.height.0;
            if found >= 1 << 63 {
                return Err(Rejection::TooLarge { what: "commitment height", found }.into());
            }
            super::protocol::require_htlcs(&commitment.htlcs)?;
        }
        self.meet(channel.peer, peer);
        let exchange = universe::exchange(point, channel.scid);
        self.channels.insert(point, ModelChannel::opened(exchange, channel));
        changed(true)
    }

    /// Shells whose outpoint and id are unused are created; of those with one id the first.
    pub(super) fn restore_shells(&mut self, shells: Vec<(ChannelShell, LinkNode)>) -> Taken {
        let addresses: Vec<_> =
            shells.iter().flat_map(|(_, peer)| peer.addresses.clone()).collect();
        check(&addresses).map_err(|_| Failure::Unstorable)?;
        let mut answers = Vec::new();
        for (shell, peer) in shells {
            let point = shell.funding_outpoint;
            if self.require_unused(point).is_err() {
                answers.push(RestoredShell::AlreadyThere);
                continue;
            }
            self.meet(shell.peer, peer);
            let exchange = universe::exchange(point, shell.scid);
            self.channels.insert(point, ModelChannel::restored(exchange, shell));
            answers.push(RestoredShell::Created);
        }
        let writes = answers.contains(&RestoredShell::Created);
        Ok((Answer::Shells(answers), writes))
    }

    /// The state at the close goes into the summary; statuses are added.
    pub(super) fn close_channel(
        &mut self,
        point: OutPoint,
        summary: CloseSummary,
        statuses: ChannelStatus,
    ) -> Taken {
        let channel = self.open(point)?;
        let found = summary.channel_point;
        if found != point {
            return Err(Rejection::SummaryOfOther { found }.into());
        }
        let view = &mut channel.view;
        view.status |= statuses;
        let resume = CloseResume {
            remote_current_point: view.revocation.current_point,
            remote_next_point: view.revocation.next_point,
            local_config: view.terms.local_config.clone(),
            reestablish: summary.resume.and_then(|resume| resume.reestablish),
        };
        let summary = CloseSummary { resume: Some(resume), ..summary };
        channel.stage = Stage::Closed(Box::new(summary));
        changed(true)
    }

    /// A closed channel is resolved; its peer goes if it has no channel left.
    pub(super) fn mark_fully_closed(&mut self, point: OutPoint) -> Taken {
        let unknown = Rejection::UnknownChannel(point);
        let channel = self.channels.get_mut(&point).ok_or(unknown)?;
        let peer = channel.view.peer;
        let Stage::Closed(summary) = &mut channel.stage else {
            return Err(Rejection::NotClosed(point).into());
        };
        let resolved = std::mem::replace(&mut summary.pending, false);
        let pruned = self.prune(&peer);
        changed(resolved || pruned)
    }

    /// A channel is given up without a transaction, and its peer goes if it has no channel left.
    pub(super) fn abandon_channel(&mut self, point: OutPoint, height: u32) -> Taken {
        let channel = match self.open(point) {
            Err(Rejection::AlreadyClosed(_)) => return changed(false),
            channel => channel?,
        };
        let view = &channel.view;
        let balance = view.local_commitment.as_ref().map_or(0, |local| local.local_balance.0);
        let summary = CloseSummary {
            channel_point: point,
            scid: view.scid,
            chain: view.chain,
            closing_txid: Txid::all_zeros(),
            close_height: height,
            peer: view.peer,
            capacity: view.terms.capacity,
            settled_balance: Amount::from_sat(balance / 1000),
            time_locked_balance: Amount::ZERO,
            kind: CloseKind::Abandoned,
            pending: false,
            resume: None,
        };
        let peer = view.peer;
        self.close_channel(point, summary, ChannelStatus::LOCAL_CLOSE_INITIATOR)?;
        self.prune(&peer);
        changed(true)
    }

    pub(super) fn prune_link_nodes(&mut self) -> Taken {
        let peers: Vec<_> = self.link_nodes.keys().copied().collect();
        let pruned: Vec<_> = peers.into_iter().filter(|peer| self.prune(peer)).collect();
        let writes = !pruned.is_empty();
        Ok((Answer::LinkNodes(pruned), writes))
    }

    pub(super) fn repair_link_nodes(&mut self, network: Network, now: u64) -> Taken {
        let peers: BTreeSet<_> = self.open_channels().map(|channel| channel.view.peer).collect();
        let missing = peers.into_iter().filter(|peer| !self.link_nodes.contains_key(peer));
        let missing: Vec<_> = missing.collect();
        for node_id in &missing {
            let node = LinkNode { node_id: *node_id, network, last_seen: now, addresses: vec![] };
            self.link_nodes.insert(*node_id, node);
        }
        let writes = !missing.is_empty();
        Ok((Answer::LinkNodes(missing), writes))
    }

    pub(super) fn create_link_node(&mut self, node: LinkNode) -> Taken {
        check(&node.addresses)?;
        let id = node.node_id;
        if self.link_nodes.contains_key(&id) {
            return Err(Failure::LinkNode(linknode::Rejection::AlreadyExists(id)));
        }
        self.link_nodes.insert(id, node);
        changed(true)
    }

    pub(super) fn edit_link_node(
        &mut self,
        id: &PublicKey,
        edit: impl FnOnce(&mut LinkNode),
    ) -> Taken {
        let unknown = Failure::LinkNode(linknode::Rejection::Unknown(*id));
        let node = self.link_nodes.get_mut(id).ok_or(unknown)?;
        let before = node.clone();
        edit(node);
        changed(before != *node)
    }

    /// A link node stays while a channel with the peer is not closed.
    pub(super) fn delete_link_node(&mut self, node: &PublicKey) -> Taken {
        match self.open_with(node) {
            0 => changed(self.link_nodes.remove(node).is_some()),
            _ if !self.link_nodes.contains_key(node) => changed(false),
            channels => {
                let node = *node;
                Err(Failure::LinkNode(linknode::Rejection::HasChannels { node, channels }))
            }
        }
    }

    fn require_unused(&self, point: OutPoint) -> Result<(), Rejection> {
        let id = ChannelId::from_outpoint(point);
        if self.channels.contains_key(&point) {
            return Err(Rejection::AlreadyExists(point));
        }
        self.by_id(id).map_or(Ok(()), |_| Err(Rejection::IdAlreadyExists(id)))
    }

    /// A channel with the peer is created; the channel says who the peer is.
    fn meet(&mut self, node_id: PublicKey, peer: LinkNode) {
        self.link_nodes.entry(node_id).or_insert(LinkNode { node_id, ..peer });
    }

    /// Removes a peer's link node if no channel with it is left. Tells whether there was one.
    fn prune(&mut self, peer: &PublicKey) -> bool {
        self.open_with(peer) == 0 && self.link_nodes.remove(peer).is_some()
    }
}
