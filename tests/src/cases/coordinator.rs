//! What concerns channels and their peers at once.

use bitcoin::OutPoint;
use channelcoord::{PeerChannelStore, RestoredShell};
use chanstate::facet::{ClosedChannelStore, OpenChannelStore};
use chanstate::{ChannelId, ChannelStatus, NewChannel, Rejection, StoreError};
use linknode::{Address, LinkNode, LinkNodeStore, Network};

use crate::inspect::sorted;
use crate::values::{self, link_node, new_channel, outpoint, peer, shell};
use crate::{Host, Place};

/// Opening creates the link node as given, or leaves the one that is there as it is.
pub(crate) async fn opening_creates_a_missing_link_node(place: &dyn Place) {
    let host = Host::new(place).await;
    // The channel says who the peer is.
    let stray = LinkNode { node_id: peer(7), network: Network::SIGNET, ..link_node(1) };
    host.open_channel(new_channel(1, peer(1)), stray.clone()).await.unwrap();
    let stored = LinkNode { node_id: peer(1), ..stray };
    assert_eq!(host.link_nodes().await.unwrap(), std::slice::from_ref(&stored));
    let other = LinkNode { last_seen: 9, addresses: vec![], ..link_node(1) };
    host.open_channel(new_channel(2, peer(1)), other).await.unwrap();
    let host = host.reopen().await;
    assert_eq!(host.link_nodes().await.unwrap(), [stored]);
}

/// An outpoint or a channel id in use is refused, and nothing appears.
pub(crate) async fn a_used_outpoint_or_id_is_refused(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let again = host.open_channel(new_channel(1, peer(2)), link_node(2));
    assert_eq!(host.refused(again).await, Rejection::AlreadyExists(point));
    // BOLT 2 takes 16 bits of the output index, so another output can have the same id.
    let twin = OutPoint::new(point.txid, point.vout + 0x1_0000);
    let channel = NewChannel { funding_outpoint: twin, ..new_channel(1, peer(2)) };
    let refused = host.refused(host.open_channel(channel, link_node(2))).await;
    assert_eq!(refused, Rejection::IdAlreadyExists(ChannelId::from_outpoint(point)));
    assert_eq!(host.link_node(&peer(2)).await.unwrap(), None);
}

/// An address that a link node cannot hold is not stored with a new channel either.
pub(crate) async fn opening_refuses_addresses_too_long(place: &dyn Place) {
    let host = Host::new(place).await;
    let long = Address::Dns { host: vec![b'a'; 256].into(), port: 1 };
    let node = LinkNode { addresses: vec![long], ..link_node(1) };
    let opened = host.still(host.open_channel(new_channel(1, peer(1)), node.clone())).await;
    assert!(matches!(opened, Err(StoreError::Unstorable { .. })), "{opened:?}");
    let restored = host.still(host.restore_shells(vec![(shell(1, peer(1)), node)])).await;
    assert!(matches!(restored, Err(StoreError::Unstorable { .. })), "{restored:?}");
}

/// Shells appear with the restored bit, without commitments, with their peers' link nodes.
pub(crate) async fn shells_are_restored_with_their_peers(place: &dyn Place) {
    let host = Host::new(place).await;
    let shells = vec![
        (shell(1, peer(1)), link_node(1)),
        (shell(2, peer(1)), LinkNode { last_seen: 1, ..link_node(1) }),
        (shell(3, peer(3)), link_node(3)),
    ];
    let restored = host.restore_shells(shells).await.unwrap();
    assert_eq!(restored, [RestoredShell::Created; 3]);
    let host = host.reopen().await;
    for (n, with) in [(1, 1), (2, 1), (3, 3)] {
        let channel = host.channel(outpoint(n)).await.unwrap();
        let expected = shell(n, peer(with));
        assert_eq!(channel.status, ChannelStatus::RESTORED | expected.status);
        assert_eq!((channel.local_commitment, channel.remote_commitment), (None, None));
        assert_eq!((*channel.terms).clone(), expected.terms);
        assert_eq!((channel.pending, channel.scid), (false, expected.scid));
        assert_eq!(channel.revocation.current_point, expected.remote_current_point);
    }
    assert_eq!(host.waiting_close_channels().await.unwrap().len(), 3);
    assert_eq!(host.link_node(&peer(1)).await.unwrap(), Some(link_node(1)));
    assert_eq!(host.link_node(&peer(3)).await.unwrap(), Some(link_node(3)));
}

/// A shell that is known, open, closed or given twice, does not keep the others from coming.
pub(crate) async fn each_shell_is_restored_once(place: &dyn Place) {
    let host = Host::new(place).await;
    let (open, closed) = (host.open(1).await, host.open(2).await);
    host.close_and_reclaim(2, closed).await;
    let before = host.channel(open).await.unwrap();
    let twin = OutPoint::new(outpoint(4).txid, outpoint(4).vout + 0x1_0000);
    let mut shells: Vec<_> =
        [1, 2, 3, 3, 4].into_iter().map(|n| (shell(n, peer(n)), link_node(n))).collect();
    shells.push((
        chanstate::ChannelShell { funding_outpoint: twin, ..shell(4, peer(5)) },
        link_node(5),
    ));
    let (new, known) = (RestoredShell::Created, RestoredShell::AlreadyThere);
    let restored = host.restore_shells(shells.clone()).await.unwrap();
    assert_eq!(restored, [known, known, new, known, new, known]);
    assert_eq!(host.channel(open).await.unwrap(), before);
    let host = host.reopen().await;
    let again = host.still(host.restore_shells(shells)).await.unwrap();
    assert_eq!(again, [known; 6]);
    assert_eq!(host.link_node(&peer(5)).await.unwrap(), None);
    assert_eq!(host.still(host.restore_shells(vec![])).await.unwrap(), []);
}

/// The last full close takes the link node along; channels that are open, pending or waiting keep
/// it.
pub(crate) async fn the_last_full_close_prunes_the_peer(place: &dyn Place) {
    let host = Host::new(place).await;
    let points = [host.open_with(1, 1).await, host.open_with(2, 1).await];
    let other = host.open_with(3, 2).await;
    let known = async |host: &Host<'_>| host.link_node(&peer(1)).await.unwrap().is_some();
    host.close_and_reclaim(1, points[0]).await;
    host.mark_fully_closed(points[0]).await.unwrap();
    assert!(known(&host).await, "a pending channel is left");
    host.close_and_reclaim(2, points[1]).await;
    assert!(known(&host).await, "the close is not resolved");
    let host = host.reopen().await;
    host.mark_fully_closed(points[1]).await.unwrap();
    assert!(!known(&host).await);
    host.still(host.mark_fully_closed(points[1])).await.unwrap();
    let host = host.reopen().await;
    assert!(!known(&host).await);
    assert!(host.link_node(&peer(2)).await.unwrap().is_some());
    assert!(host.closed_channels(true).await.unwrap().is_empty());
    assert!(host.channel(other).await.is_ok());
}

/// Abandoning one of two channels leaves the peer, abandoning the other takes it.
pub(crate) async fn abandoning_the_last_channel_prunes_the_peer(place: &dyn Place) {
    let host = Host::new(place).await;
    let points = [host.open_with(1, 1).await, host.open_with(2, 1).await];
    host.abandon_channel(points[0], 1).await.unwrap();
    assert_eq!(host.link_nodes().await.unwrap().len(), 1);
    host.abandon_channel(points[1], 1).await.unwrap();
    assert_eq!(host.reopen().await.link_nodes().await.unwrap(), []);
}

/// Pruning takes the link nodes without channels that are not closed, and no others.
pub(crate) async fn pruning_takes_idle_link_nodes(place: &dyn Place) {
    let host = Host::new(place).await;
    host.open(1).await;
    let closed = host.open(2).await;
    host.close_and_reclaim(2, closed).await;
    host.create_link_node(link_node(3)).await.unwrap();
    let pruned = host.prune_link_nodes().await.unwrap();
    assert_eq!(sorted(pruned), sorted([peer(2), peer(3)]));
    assert_eq!(host.still(host.prune_link_nodes()).await.unwrap(), []);
    let host = host.reopen().await;
    assert_eq!(host.link_nodes().await.unwrap(), [link_node(1)]);
    // The full close that comes after it is no error.
    host.mark_fully_closed(closed).await.unwrap();
}

/// Repair creates the link nodes that are missing, and no others.
pub(crate) async fn repair_creates_missing_link_nodes(place: &dyn Place) {
    let host = Host::new(place).await;
    let closed = host.open(2).await;
    host.open(1).await;
    host.open(3).await;
    host.close_and_reclaim(2, closed).await;
    let host = host.without_link_node(1).await.without_link_node(2).await;
    let repaired = host.repair_link_nodes(Network(42), 1234).await.unwrap();
    assert_eq!(repaired, [peer(1)]);
    let host = host.reopen().await;
    let made =
        LinkNode { node_id: peer(1), network: Network(42), last_seen: 1234, addresses: vec![] };
    assert_eq!(host.link_node(&peer(1)).await.unwrap(), Some(made));
    assert_eq!(host.link_node(&peer(2)).await.unwrap(), None);
    assert_eq!(host.link_node(&peer(3)).await.unwrap(), Some(link_node(3)));
    assert_eq!(host.still(host.repair_link_nodes(Network::SIGNET, 1)).await.unwrap(), []);
}

/// Two channels with one peer whose second opening fails leave the first.
pub(crate) async fn a_refused_opening_leaves_the_peer_alone(place: &dyn Place) {
    let host = Host::new(place).await;
    host.open(1).await;
    let mut channel = new_channel(2, peer(1));
    let mut htlc = values::htlcs_both_ways(1).remove(0);
    htlc.terms.onion.clear();
    channel.local_commitment.htlcs = vec![htlc];
    let refused = host.refused(host.open_channel(channel, link_node(1))).await;
    assert!(matches!(refused, Rejection::OnionLength { len: 0, .. }));
    let mut channel = new_channel(2, peer(3));
    channel.remote_commitment.height = (1 << 63).into();
    let refused = host.refused(host.open_channel(channel, link_node(3))).await;
    assert_eq!(refused, Rejection::TooLarge { what: "commitment height", found: 1 << 63 });
    assert_eq!(host.link_nodes().await.unwrap(), [link_node(1)]);
}
