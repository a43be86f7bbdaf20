//! What concerns channels and their peers at once.

use bitcoin::OutPoint;
use channelcoord::{ChangeSet, PeerChannelStore, RestoredShell};
use chanstate::facet::{ClosedChannelStore, OpenChannelStore};
use chanstate::key::Kind;
use chanstate::{
    ChannelId, ChannelShell, ChannelStatus, CloseKind, CloseSummary, NewChannel, Rejection,
    StoreError, Version,
};
use linknode::{Address, LinkNode, LinkNodeChange, LinkNodeStore, Network};

use super::failures::faulty;
use crate::inspect::{self, sorted};
use crate::values::{self, link_node, new_channel, outpoint, peer, shell};
use crate::{Fault, Host, Place, poll_once};

/// Opening creates the link node as given, or leaves the one that is there as it is.
/// Obligations: `coordinator/creates_link_node`, `coordinator/keeps_link_node`.
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
/// Obligations: `coordinator/used_outpoint`, `coordinator/whole`.
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
/// Obligations: `coordinator/address_length`.
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
/// Obligations: `coordinator/restored`, `coordinator/restored_peers`, `coordinator/restored_at_once`.
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
/// Obligations: `coordinator/restored_once`, `coordinator/restored_at_once`.
pub(crate) async fn each_shell_is_restored_once(place: &dyn Place) {
    let host = Host::new(place).await;
    let (open, closed) = (host.open(1).await, host.open(2).await);
    host.close_and_reclaim(2, closed).await;
    let before = host.channel(open).await.unwrap();
    let twin = OutPoint::new(outpoint(4).txid, outpoint(4).vout + 0x1_0000);
    let mut shells: Vec<_> =
        [1, 2, 3, 3, 4].into_iter().map(|n| (shell(n, peer(n)), link_node(n))).collect();
    shells.push((ChannelShell { funding_outpoint: twin, ..shell(4, peer(5)) }, link_node(5)));
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
/// Obligations: `coordinator/prunes_last`, `coordinator/resolved`.
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
/// Obligations: `coordinator/abandoned_peer`.
pub(crate) async fn abandoning_the_last_channel_prunes_the_peer(place: &dyn Place) {
    let host = Host::new(place).await;
    let points = [host.open_with(1, 1).await, host.open_with(2, 1).await];
    host.abandon_channel(points[0], 1).await.unwrap();
    assert_eq!(host.link_nodes().await.unwrap().len(), 1);
    host.abandon_channel(points[1], 1).await.unwrap();
    assert_eq!(host.reopen().await.link_nodes().await.unwrap(), []);
}

/// Pruning takes the link nodes without channels that are not closed, and no others.
/// Obligations: `coordinator/pruned`.
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

/// Pruning takes all idle link nodes in one commit; if that fails, all of them stay.
/// Obligations: `coordinator/whole`.
pub(crate) async fn pruning_takes_all_or_none(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let peers = [1, 2, 3].map(peer);
    for n in 1..=3 {
        host.create_link_node(link_node(n)).await.unwrap();
    }
    for failing in peers {
        faulty.judge(move |sets| {
            let mut changes = sets.iter().flat_map(|set| &set.link_nodes);
            changes.any(|change| *change.node_id() == failing).then_some(Fault::NotStored)
        });
        let failed = host.still(host.prune_link_nodes()).await.unwrap_err();
        assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
    }
    faulty.next([]);
    assert_eq!(sorted(host.prune_link_nodes().await.unwrap()), sorted(peers));
    assert_eq!(host.reopen().await.link_nodes().await.unwrap(), []);
}

/// Repair creates the link nodes that are missing, and no others.
/// Obligations: `coordinator/repaired`.
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
/// Obligations: `coordinator/whole`.
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

/// A channel that is open, or that nobody knows, is not resolved.
/// Obligations: `coordinator/not_closed`, `coordinator/whole`.
pub(crate) async fn only_a_closed_channel_is_resolved(place: &dyn Place) {
    let host = Host::new(place).await;
    let open = host.open(1).await;
    let refused = host.refused(host.mark_fully_closed(open)).await;
    assert_eq!(refused, Rejection::NotClosed(open));
    let unknown = outpoint(2);
    let refused = host.refused(host.mark_fully_closed(unknown)).await;
    assert_eq!(refused, Rejection::UnknownChannel(unknown));
    let refused = host.refused(host.abandon_channel(unknown, 1)).await;
    assert_eq!(refused, Rejection::UnknownChannel(unknown));
    assert_eq!(host.link_nodes().await.unwrap(), [link_node(1)]);
}

/// A resolved channel has a summary that is not pending, and as it was otherwise.
/// Obligations: `coordinator/resolved`.
pub(crate) async fn a_resolved_channel_keeps_its_summary(place: &dyn Place) {
    let host = Host::new(place).await;
    let points = [host.open_with(1, 1).await, host.open_with(2, 1).await];
    host.close_and_reclaim(1, points[0]).await;
    host.close_and_reclaim(2, points[1]).await;
    let before = host.closed_channel(points[0]).await.unwrap();
    assert!(before.pending);
    host.mark_fully_closed(points[0]).await.unwrap();
    let host = host.reopen().await;
    let after = host.closed_channel(points[0]).await.unwrap();
    assert_eq!(after, CloseSummary { pending: false, ..before });
    let pending = host.closed_channels(true).await.unwrap();
    assert_eq!(pending, [host.closed_channel(points[1]).await.unwrap()]);
}

/// An abandoned channel is closed with the height given; abandoning it again, or one that closed
/// otherwise, leaves its summary.
/// Obligations: `coordinator/abandoned`, `coordinator/abandoned_peer`.
pub(crate) async fn an_abandoned_channel_has_its_height(place: &dyn Place) {
    let host = Host::new(place).await;
    let points =
        [host.open_with(1, 1).await, host.open_with(2, 2).await, host.open_with(3, 2).await];
    host.close_and_reclaim(3, points[2]).await;
    for (point, height) in [(points[0], 0), (points[1], u32::MAX)] {
        host.abandon_channel(point, height).await.unwrap();
        host.reclaim_closed().await.unwrap();
        let summary = host.closed_channel(point).await.unwrap();
        assert_eq!((summary.kind, summary.close_height), (CloseKind::Abandoned, height));
    }
    let host = host.reopen().await;
    for point in points {
        let before = host.closed_channel(point).await.unwrap();
        host.still(host.abandon_channel(point, 9)).await.unwrap();
        assert_eq!(host.closed_channel(point).await.unwrap(), before);
    }
    assert_eq!(host.link_nodes().await.unwrap(), []);
}

/// A pruned link node leaves no address behind.
/// Obligations: `coordinator/pruned`, `coordinator/prunes_last`, `coordinator/abandoned_peer`.
pub(crate) async fn a_pruned_peer_leaves_nothing(place: &dyn Place) {
    let host = Host::new(place).await;
    let resolved = host.open(1).await;
    let abandoned = host.open(2).await;
    host.create_link_node(link_node(3)).await.unwrap();
    host.close_and_reclaim(1, resolved).await;
    host.mark_fully_closed(resolved).await.unwrap();
    host.abandon_channel(abandoned, 1).await.unwrap();
    assert_eq!(host.prune_link_nodes().await.unwrap(), [peer(3)]);
    for kind in [Kind::LinkNode, Kind::LinkAddress] {
        assert_eq!(inspect::count(host.backend.as_ref(), kind).await, 0);
    }
}

/// An opening and a prune of all idle peers see each other, whichever waits for the other.
/// Obligations: `coordinator/excluded`, `coordinator/pruned`, `coordinator/keeps_link_node`.
pub(crate) async fn a_prune_waits_for_an_opening(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let seen = LinkNode { last_seen: 1, ..link_node(1) };
    host.create_link_node(seen.clone()).await.unwrap();
    faulty.hold();
    let open = poll_once(host.open_channel(new_channel(1, peer(1)), link_node(1)));
    faulty.await_held();
    let prune = poll_once(host.prune_link_nodes());
    faulty.go();
    open.await.unwrap();
    assert_eq!(prune.await.unwrap(), []);
    assert_eq!(host.link_nodes().await.unwrap(), std::slice::from_ref(&seen));
    // The other way round: the node goes, and the opening brings its own.
    host.create_link_node(LinkNode { node_id: peer(2), ..seen.clone() }).await.unwrap();
    faulty.hold();
    let prune = poll_once(host.prune_link_nodes());
    faulty.await_held();
    let open = poll_once(host.open_channel(new_channel(2, peer(2)), link_node(2)));
    faulty.go();
    assert_eq!(prune.await.unwrap(), [peer(2)]);
    open.await.unwrap();
    let host = host.reopen().await;
    assert_eq!(host.link_node(&peer(1)).await.unwrap(), Some(seen));
    assert_eq!(host.link_node(&peer(2)).await.unwrap(), Some(link_node(2)));
}

/// A repair and an opening at once leave one link node for each peer.
/// Obligations: `coordinator/excluded`, `coordinator/repaired`.
pub(crate) async fn a_repair_waits_for_an_opening(place: &dyn Place) {
    let host = Host::new(place).await;
    host.open_with(1, 1).await;
    let host = host.without_link_node(1).await;
    host.close().await.unwrap();
    drop(host);
    let (host, faulty) = faulty(place, 0).await;
    faulty.hold();
    let open = poll_once(host.open_channel(new_channel(2, peer(1)), link_node(1)));
    faulty.await_held();
    let repair = poll_once(host.repair_link_nodes(Network::SIGNET, 1));
    faulty.go();
    open.await.unwrap();
    assert_eq!(repair.await.unwrap(), [], "the opening brought it");
    assert_eq!(host.reopen().await.link_nodes().await.unwrap(), [link_node(1)]);
}

/// An opening that finds its peer's link node removed by another writer brings it again.
/// Obligations: `coordinator/creates_link_node`, `backend/guards`.
pub(crate) async fn an_opening_is_computed_anew_after_a_conflict(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let stale = LinkNode { last_seen: 1, ..link_node(1) };
    host.create_link_node(stale.clone()).await.unwrap();
    let gone = LinkNodeChange::remove(&stale, Version(host.seq().0));
    faulty.overtake(ChangeSet { link_nodes: vec![gone], ..ChangeSet::default() });
    host.open(1).await;
    let host = host.reopen().await;
    assert_eq!(host.link_nodes().await.unwrap(), [link_node(1)]);
    assert_eq!(host.all_channels().await.unwrap().len(), 1);
}

/// A takeover that is found out while a commit is settled does not change what became of it: a
/// call that is stored succeeds, one that is not is fenced, and all others are fenced.
/// Obligations: `backend/settle_later`, `facet/nothing_on_error`, `facet/durable`.
pub(crate) async fn a_takeover_is_found_while_settling(place: &dyn Place) {
    for stored in [true, false] {
        let (host, faulty) = faulty(place, 0).await;
        let n = u64::from(stored) + 1;
        faulty.next([Some(Fault::TakenOver { stored })]);
        let opened = host.open_channel(new_channel(n, peer(n)), link_node(n)).await;
        match (stored, opened) {
            (true, Ok(())) | (false, Err(StoreError::Fenced)) => {}
            (_, other) => panic!("{other:?}"),
        }
        let next = host.open_channel(new_channel(9, peer(9)), link_node(9)).await;
        assert!(matches!(next, Err(StoreError::Fenced)), "{next:?}");
        assert!(matches!(host.all_channels().await, Err(StoreError::Fenced)));
        drop((host, faulty));
        let host = Host::new(place).await;
        let channels = host.all_channels().await.unwrap();
        let points = channels.into_iter().map(|channel| channel.funding_outpoint);
        assert!(points.eq([outpoint(2)]), "what was stored, and nothing else");
    }
}

/// Shells of many peers and of one peer come in one commit, in which the first of several with one
/// id counts.
/// Obligations: `coordinator/restored_at_once`, `coordinator/restored_once`.
pub(crate) async fn many_shells_come_in_one_commit(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let given = |n: u64, version: u64| {
        let shell = ChannelShell { scid: (version << 40).into(), ..shell(n, peer(n % 5)) };
        (shell, LinkNode { last_seen: version, ..link_node(n % 5) })
    };
    let shells = [0, 1].into_iter().flat_map(|version| (0..50).map(move |n| given(n, version)));
    let answers = host.restore_shells(shells.collect()).await.unwrap();
    let expected = [[RestoredShell::Created; 50], [RestoredShell::AlreadyThere; 50]].concat();
    assert_eq!(answers, expected);
    assert_eq!(faulty.take_batches(), [1]);
    let host = host.reopen().await;
    let channels = host.all_channels().await.unwrap();
    assert_eq!((channels.len(), channels.iter().all(|c| c.scid.0 == 0)), (50, true));
    let nodes = host.link_nodes().await.unwrap();
    assert_eq!((nodes.len(), nodes.iter().all(|n| n.last_seen == 0)), (5, true));
}
