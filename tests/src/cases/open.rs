//! Channels that are not closed.

use bitcoin::OutPoint;
use bitcoin::constants::ChainHash;
use channelcoord::PeerChannelStore;
use chanstate::facet::{LifecycleStore, OpenChannelStore, PeerTally, StatusStore};
use chanstate::{Channel, ChannelId, ChannelStatus, NewChannel, Rejection};

use crate::inspect::sorted;
use crate::values::{self, outpoint, peer};
use crate::{Host, Place};

/// Each list holds exactly the channels of its name, in order of peer, chain and outpoint.
/// Obligations: `open/listed`, `open/order`.
pub(crate) async fn lists_hold_what_their_names_say(place: &dyn Place) {
    let host = Host::new(place).await;
    for n in 1..=8 {
        host.open_with(n, n % 3).await;
    }
    // 1, 2 pending; 3, 4 open; 5 pending and 6 open with a status; 7, 8 closed.
    for n in [3, 4, 6, 8] {
        host.mark_scid(outpoint(n), n).await;
    }
    for n in [5, 6] {
        host.apply_status(outpoint(n), ChannelStatus::COOP_BROADCASTED).await.unwrap();
    }
    for n in [7, 8] {
        host.close_and_reclaim(n, outpoint(n)).await;
    }
    let mut host = host;
    for _ in 0..2 {
        let listed = |channels: Vec<Channel>, expected: &[u64]| {
            let order = |c: &Channel| (c.peer, *c.chain.as_bytes(), c.funding_outpoint);
            assert!(channels.is_sorted_by_key(order));
            let found = sorted(channels.iter().map(|channel| channel.funding_outpoint));
            assert_eq!(found, sorted(expected.iter().map(|n| outpoint(*n))));
        };
        listed(host.all_channels().await.unwrap(), &[1, 2, 3, 4, 5, 6]);
        listed(host.pending_channels().await.unwrap(), &[1, 2]);
        listed(host.open_channels().await.unwrap(), &[3, 4]);
        listed(host.waiting_close_channels().await.unwrap(), &[5, 6]);
        listed(host.channels_of(&peer(0)).await.unwrap(), &[3, 6]);
        listed(host.channels_of(&peer(1)).await.unwrap(), &[1, 4]);
        listed(host.channels_of(&peer(9)).await.unwrap(), &[]);
        host = host.reopen().await;
    }
}

/// A channel is found by outpoint and by id; unknown and closed ones are told apart.
/// Obligations: `open/found`, `facet/unknown_channel`, `facet/closed_channel`.
pub(crate) async fn channels_are_found_by_outpoint_and_id(place: &dyn Place) {
    let host = Host::new(place).await;
    let (open, closed, unknown) = (host.open(1).await, host.open(2).await, outpoint(3));
    host.close_and_reclaim(2, closed).await;
    let host = host.reopen().await;
    let found = host.channel(open).await.unwrap();
    assert_eq!(host.channel_by_id(found.channel_id).await.unwrap(), found);
    let id = ChannelId::from_outpoint;
    assert_eq!(host.refused(host.channel(closed)).await, Rejection::AlreadyClosed(closed));
    let by_id = host.refused(host.channel_by_id(id(closed))).await;
    assert_eq!(by_id, Rejection::AlreadyClosed(closed));
    assert_eq!(host.refused(host.channel(unknown)).await, Rejection::UnknownChannel(unknown));
    let by_id = host.refused(host.channel_by_id(id(unknown))).await;
    assert_eq!(by_id, Rejection::UnknownChannelId(id(unknown)));
}

/// Tallies count pending channels, know of closed ones that were confirmed, and ask for the chain.
/// Obligations: `open/tallies`.
pub(crate) async fn tallies_tell_pending_from_confirmed(place: &dyn Place) {
    let host = Host::new(place).await;
    // Peer 1: one open, two pending. Peer 2: closed after it was open. Peer 3: closed while
    // pending. Peer 4: on another chain.
    for (n, with) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 3)] {
        host.open_with(n, with).await;
    }
    let elsewhere = values::new_channel(6, peer(4));
    host.open_as(NewChannel { chain: ChainHash::SIGNET, ..elsewhere }, 4).await;
    for n in [1, 4] {
        host.mark_scid(outpoint(n), n).await;
    }
    for n in [4, 5] {
        host.close_and_reclaim(n, outpoint(n)).await;
    }
    let host = host.reopen().await;
    let tallies = host.peer_tallies(ChainHash::REGTEST).await.unwrap();
    let tally = |has_channels, pending_channels| PeerTally { has_channels, pending_channels };
    let expected = [(peer(1), tally(true, 2)), (peer(2), tally(true, 0))];
    assert_eq!(tallies, expected.into());
    let tallies = host.peer_tallies(ChainHash::SIGNET).await.unwrap();
    assert_eq!(tallies, [(peer(4), tally(false, 1))].into());
    assert!(host.peer_tallies(ChainHash::BITCOIN).await.unwrap().is_empty());
}

/// Lists need no link nodes.
/// Obligations: `open/no_link_nodes`.
pub(crate) async fn lists_do_not_depend_on_link_nodes(place: &dyn Place) {
    use linknode::LinkNodeStore;
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let host = host.without_link_node(1).await;
    assert_eq!(host.link_nodes().await.unwrap(), []);
    assert_eq!(host.all_channels().await.unwrap().len(), 1);
    assert_eq!(host.channels_of(&peer(1)).await.unwrap()[0].funding_outpoint, point);
}

/// Channels are listed by peer, then chain, then outpoint, whenever they were opened.
/// Obligations: `open/order`.
pub(crate) async fn lists_are_ordered_by_peer_chain_and_outpoint(place: &dyn Place) {
    let host = Host::new(place).await;
    let chains = [ChainHash::SIGNET, ChainHash::REGTEST, ChainHash::BITCOIN];
    for n in 0..12 {
        let new = values::new_channel(n, peer(n % 2));
        let chain = chains[(n / 2 % 3) as usize];
        // Channels of one transaction go by their number.
        let txid = outpoint(n / 6).txid;
        let funding_outpoint = OutPoint::new(txid, [300, 2, u32::MAX, 1, 0, 255][(n % 6) as usize]);
        host.open_as(NewChannel { chain, funding_outpoint, ..new }, n % 2).await;
    }
    let order = |c: &Channel| (c.peer, *c.chain.as_bytes(), c.funding_outpoint);
    let all = host.all_channels().await.unwrap();
    assert_eq!(all.len(), 12);
    assert!(all.is_sorted_by_key(order));
    let host = host.reopen().await;
    assert_eq!(host.all_channels().await.unwrap(), all);
    assert_eq!(host.pending_channels().await.unwrap(), all);
    let of_peer: Vec<_> = all.into_iter().filter(|channel| channel.peer == peer(1)).collect();
    assert_eq!(host.channels_of(&peer(1)).await.unwrap(), of_peer);
}

/// Open, pending and waiting channels are all there are, and none of them is two of these.
/// Obligations: `open/listed`, `open/order`.
pub(crate) async fn each_channel_is_in_one_list(place: &dyn Place) {
    let host = Host::new(place).await;
    let statuses = [0, 1, 1 << 2, 1 << 63].map(ChannelStatus::from_bits_retain);
    for (n, status) in (0..).zip([statuses, statuses].concat()) {
        let point = host.open_with(n, n % 3).await;
        if n < 4 {
            host.mark_scid(point, n).await;
        }
        host.apply_status(point, status).await.unwrap();
    }
    let shells = vec![(values::shell(8, peer(1)), values::link_node(1))];
    host.restore_shells(shells).await.unwrap();
    let points = |channels: Vec<Channel>| sorted(channels.iter().map(|c| c.funding_outpoint));
    let open = points(host.open_channels().await.unwrap());
    let pending = points(host.pending_channels().await.unwrap());
    let waiting = points(host.waiting_close_channels().await.unwrap());
    assert_eq!((open.as_slice(), pending.as_slice()), (&[outpoint(0)][..], &[outpoint(4)][..]));
    assert_eq!(waiting, sorted([1, 2, 3, 5, 6, 7, 8].map(outpoint)));
    let all = points(host.all_channels().await.unwrap());
    assert_eq!(sorted([open, pending, waiting].concat()), all);
    let mut by_peer = Vec::new();
    for n in 0..3 {
        by_peer.extend(points(host.channels_of(&peer(n)).await.unwrap()));
    }
    assert_eq!(sorted(by_peer), all);
}

/// A channel is the same, whichever way it is found.
/// Obligations: `open/found`, `lifecycle/refreshed`.
pub(crate) async fn each_way_finds_the_same_channel(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    exchange.we_add(1_000_000);
    exchange.they_add(2_000_000);
    host.rounds(&mut exchange, 2).await;
    let point = host.open_with(2, 1).await;
    let host = host.reopen().await;
    for point in [exchange.point, point] {
        let found = host.channel(point).await.unwrap();
        let all = [
            host.channel_by_id(ChannelId::from_outpoint(point)).await.unwrap(),
            host.refresh(point).await.unwrap(),
        ];
        assert!(all.iter().all(|channel| *channel == found));
        let lists = [
            host.all_channels().await.unwrap(),
            host.channels_of(&peer(1)).await.unwrap(),
            if found.pending { host.pending_channels() } else { host.open_channels() }
                .await
                .unwrap(),
        ];
        assert!(lists.iter().all(|list| list.contains(&found)));
    }
}
