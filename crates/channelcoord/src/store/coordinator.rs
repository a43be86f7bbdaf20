//! What concerns channels and their peers at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use bitcoin::OutPoint;
use bitcoin::secp256k1::PublicKey;
use chanstate::facet::Result;
use chanstate::transition as rule;
use chanstate::{ChannelId, ChannelShell, NewChannel, Rejection, StoreError, Version};
use linknode::{LinkNode, LinkNodeChange, Network};

use super::{ATTEMPTS, Store, of_channel};
use crate::change_set::ChangeSet;
use crate::directory::Index;
use crate::locks::Lockable;

/// What became of a shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoredShell {
    /// The channel was created.
    Created,
    /// The channel exists, open or closed, or another one has its id; nothing of it changed.
    AlreadyThere,
}

/// Opens, restores and gives up channels together with their peers' link nodes.
///
/// A peer has a link node while it has a channel that is not closed. Without one it loses it when a
/// closed channel of it is fully resolved, or when link nodes are pruned. Opening a channel and
/// pruning its peer exclude each other: opening raises the version of the peer's link node, and
/// pruning checks it.
///
/// # Obligations
/// * `whole`: each call stores all that it changes together, or nothing.
/// * `excluded`: of an opening and a prune of the same peer at once, whichever comes second sees
///   the first, so a peer with a channel keeps its link node.
///
/// # Differences from lnd
/// * New link nodes carry the network they are given, not always mainnet.
/// * A shell that is known already does not prevent the others from being restored.
/// * Abandoning a channel prunes its peer at once.
#[async_trait]
pub trait PeerChannelStore: Send + Sync {
    /// Creates a pending channel, and the peer's link node if there is none.
    ///
    /// * `creates_link_node`: a missing link node appears as given, under the node id of the
    ///   channel's peer.
    /// * `keeps_link_node`: an existing link node stays as it is.
    /// * `used_outpoint`: an outpoint or a channel id in use, also by a closed channel, is refused.
    /// * `address_length`: an address that is too long is `Unstorable`.
    ///
    /// # Errors
    /// `Rejected(AlreadyExists)` or `Rejected(IdAlreadyExists)` if the outpoint or the channel id
    /// was used before, also by a channel that is closed; those of
    /// [`open`](chanstate::transition::open); `Unstorable` for an address that is too long.
    async fn open_channel(&self, channel: NewChannel, peer: LinkNode) -> Result<()>;

    /// Creates channels without commitments from a backup, each with its peer's link node.
    ///
    /// * `restored`: a shell reads back as a channel with the restored bit and without commitments.
    /// * `restored_at_once`: all that are new are created at once; the answers are in the order of
    ///   the shells.
    /// * `restored_once`: a shell whose outpoint or channel id is in use changes nothing, and of
    ///   several with one channel id the first counts.
    /// * `restored_peers`: the link node of each peer appears if it was missing.
    ///
    /// # Errors
    /// `Unstorable` for an address that is too long.
    async fn restore_shells(
        &self,
        shells: Vec<(ChannelShell, LinkNode)>,
    ) -> Result<Vec<RestoredShell>>;

    /// Notes that a closed channel is resolved on chain.
    ///
    /// * `resolved`: the summary is not pending any more; repeating it changes nothing.
    /// * `prunes_last`: if the peer has no channel left that is not closed, the link node goes at
    ///   once. Channels that are pending or waiting for their close keep it.
    /// * `not_closed`: a channel that is open is refused.
    ///
    /// # Errors
    /// `Rejected(NotClosed)` for a channel that is open.
    async fn mark_fully_closed(&self, point: OutPoint) -> Result<()>;

    /// Gives up a channel without a transaction.
    ///
    /// * `abandoned`: the channel is closed, with `height` in its summary. One that is closed
    ///   already stays as it is.
    /// * `abandoned_peer`: the last channel of a peer that is not closed takes the link node along.
    async fn abandon_channel(&self, point: OutPoint, height: u32) -> Result<()>;

    /// Removes the link nodes of all peers without a channel that is not closed. Returns them.
    ///
    /// * `pruned`: these link nodes go with their addresses, and no others.
    async fn prune_link_nodes(&self) -> Result<Vec<PublicKey>>;

    /// Creates the missing link nodes of peers with a channel that is not closed. Returns them.
    ///
    /// `now` is the Unix time in seconds to note on them as last seen.
    ///
    /// * `repaired`: these link nodes appear with the network and time given and without addresses;
    ///   those that exist stay as they are.
    async fn repair_link_nodes(&self, network: Network, now: u64) -> Result<Vec<PublicKey>>;
}

#[async_trait]
impl PeerChannelStore for Store {
    async fn open_channel(&self, channel: NewChannel, peer: LinkNode) -> Result<()> {
        let point = channel.funding_outpoint;
        let peer = LinkNode { node_id: channel.peer, ..peer };
        require_storable(&peer)?;
        for _ in 0..ATTEMPTS {
            let id = ChannelId::from_outpoint(point);
            let locks = [Lockable::Id(id), Lockable::Peer(channel.peer)];
            let guards = self.inner.locks.lock(locks).await;
            self.require_unused(point)?;
            let no = self.inner.directory.assign_no();
            let mut set = of_channel(rule::open(no, &channel)?);
            set.link_nodes.push(self.met(&peer));
            if self.applies(set, guards).await? {
                return Ok(());
            }
        }
        Err(StoreError::Conflict)
    }

    async fn restore_shells(
        &self,
        shells: Vec<(ChannelShell, LinkNode)>,
    ) -> Result<Vec<RestoredShell>> {
        shells.iter().try_for_each(|(_, peer)| require_storable(peer))?;
        for _ in 0..ATTEMPTS {
            let locks = shells.iter().flat_map(|(shell, _)| {
                let id = ChannelId::from_outpoint(shell.funding_outpoint);
                [Lockable::Id(id), Lockable::Peer(shell.peer)]
            });
            let guards = self.inner.locks.lock(locks).await;
            let mut set = ChangeSet::default();
            let (mut ids, mut peers) = (BTreeSet::new(), BTreeMap::new());
            let mut answers = Vec::with_capacity(shells.len());
            for (shell, peer) in &shells {
                let known = match self.require_unused(shell.funding_outpoint) {
                    Ok(()) => !ids.insert(ChannelId::from_outpoint(shell.funding_outpoint)),
                    Err(StoreError::Rejected(_)) => true,
                    Err(error) => return Err(error),
                };
                if known {
                    answers.push(RestoredShell::AlreadyThere);
                    continue;
                }
                set.channels.push(rule::restore(self.inner.directory.assign_no(), shell));
                peers.entry(shell.peer).or_insert(LinkNode { node_id: shell.peer, ..peer.clone() });
                answers.push(RestoredShell::Created);
            }
            set.link_nodes = peers.values().map(|peer| self.met(peer)).collect();
            if set.is_empty() {
                return Ok(answers);
            }
            if self.applies(set, guards).await? {
                return Ok(answers);
            }
        }
        Err(StoreError::Conflict)
    }

    async fn mark_fully_closed(&self, point: OutPoint) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let listing = self.listing(point)?;
            let locks = [Lockable::Peer(listing.peer), Lockable::Channel(listing.no)];
            let guards = self.inner.locks.lock(locks).await;
            if !self.listing(point)?.closed {
                return Err(Rejection::NotClosed(point).into());
            }
            let (row, close) = self.closed_records(listing.no).await?;
            let row = row.ok_or(Rejection::UnknownChannel(point))?;
            let close = close.ok_or(Rejection::NoSummary(point))?;
            let change = rule::mark_fully_closed(&row, &close)?;
            let link_nodes = self.prune(&listing.peer, 0).into_iter().collect();
            let channels = change.into_iter().collect();
            let set = ChangeSet { channels, link_nodes, ..ChangeSet::default() };
            if set.is_empty() {
                return Ok(());
            }
            if self.applies(set, guards).await? {
                return Ok(());
            }
        }
        Err(StoreError::Conflict)
    }

    async fn abandon_channel(&self, point: OutPoint, height: u32) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let listing = self.listing(point)?;
            let locks = [Lockable::Peer(listing.peer), Lockable::Channel(listing.no)];
            let guards = self.inner.locks.lock(locks).await;
            if self.listing(point)?.closed {
                return Ok(());
            }
            let slot = self.slot(point)?;
            let change = {
                let state = crate::directory::read_slot(&slot);
                let summary = rule::abandon_summary(&state, height);
                rule::close(&state, summary, chanstate::ChannelStatus::LOCAL_CLOSE_INITIATOR)?
            };
            let mut set = of_channel(change);
            set.link_nodes.extend(self.prune(&listing.peer, 1));
            if self.applies(set, guards).await? {
                return Ok(());
            }
        }
        Err(StoreError::Conflict)
    }

    async fn prune_link_nodes(&self) -> Result<Vec<PublicKey>> {
        let idle = |index: &Index| {
            let busy = index.peers_with_channels();
            let nodes = index.link_nodes().map(|node| node.node_id);
            nodes.filter(|node| !busy.contains(node)).collect()
        };
        self.change_nodes(idle, |store, node| store.prune(node, 0)).await
    }

    async fn repair_link_nodes(&self, network: Network, now: u64) -> Result<Vec<PublicKey>> {
        let missing = |index: &Index| {
            let peers = index.peers_with_channels().into_iter();
            peers.filter(|peer| index.link_node(peer).is_none()).collect()
        };
        let create = |store: &Store, peer: &PublicKey| {
            let index = store.inner.directory.read();
            let wanted = index.link_node(peer).is_none() && index.open_with(peer) > 0;
            let node = LinkNode { node_id: *peer, network, last_seen: now, addresses: Vec::new() };
            wanted.then(|| LinkNodeChange::put(&node, None, Version::ABSENT))
        };
        self.change_nodes(missing, create).await
    }
}

impl Store {
    fn require_unused(&self, point: OutPoint) -> Result<()> {
        self.alive()?;
        let index = self.inner.directory.read();
        if index.listing(point).is_some() {
            return Err(Rejection::AlreadyExists(point).into());
        }
        let id = ChannelId::from_outpoint(point);
        if index.point_of(id).is_some() {
            return Err(Rejection::IdAlreadyExists(id).into());
        }
        Ok(())
    }

    /// A channel with the peer is opened: its link node appears, or its version is raised, so that
    /// a prune that counted channels before does not apply.
    fn met(&self, peer: &LinkNode) -> LinkNodeChange {
        match self.inner.directory.read().link_node(&peer.node_id) {
            Some((stored, version)) => LinkNodeChange::touch(&stored, version),
            None => LinkNodeChange::put(peer, None, Version::ABSENT),
        }
    }

    /// Changes the link nodes that `find` lists, all at once. `change` decides on each when none of
    /// them can change any more. Returns those that it changed.
    async fn change_nodes(
        &self,
        find: impl Fn(&Index) -> Vec<PublicKey> + Send + Sync,
        change: impl Fn(&Store, &PublicKey) -> Option<LinkNodeChange> + Send + Sync,
    ) -> Result<Vec<PublicKey>> {
        for _ in 0..ATTEMPTS {
            self.alive()?;
            let nodes = find(&self.inner.directory.read());
            let guards = self.inner.locks.lock(nodes.iter().copied().map(Lockable::Peer)).await;
            let link_nodes: Vec<_> = nodes.iter().filter_map(|node| change(self, node)).collect();
            let changed = link_nodes.iter().map(|change| *change.node_id()).collect();
            if link_nodes.is_empty() {
                return Ok(changed);
            }
            let set = ChangeSet { link_nodes, ..ChangeSet::default() };
            if self.applies(set, guards).await? {
                return Ok(changed);
            }
        }
        Err(StoreError::Conflict)
    }

    /// Removes the peer's link node if no more than `closing` channels with it are open.
    fn prune(&self, peer: &PublicKey, closing: usize) -> Option<LinkNodeChange> {
        let index = self.inner.directory.read();
        let (stored, version) = index.link_node(peer)?;
        (index.open_with(peer) <= closing).then(|| LinkNodeChange::remove(&stored, version))
    }
}

/// Refuses addresses that cannot be stored. Channels have no rejection for them.
fn require_storable(peer: &LinkNode) -> Result<()> {
    peer.check().map_err(|rejection| StoreError::Unstorable {
        record: linknode::node_key(&peer.node_id).to_string(),
        cause: Arc::new(rejection),
    })
}
