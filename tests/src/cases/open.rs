//! Channels that are not closed.

use bitcoin::constants::ChainHash;
use chanstate::facet::{OpenChannelStore, PeerTally, StatusStore};
use chanstate::{Channel, ChannelId, ChannelStatus, NewChannel, Rejection};

use crate::inspect::sorted;
use crate::values::{self, outpoint, peer};
use crate::{Host, Place};

/// Each list holds exactly the channels of its name, in order of peer, chain and outpoint.
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
pub(crate) async fn lists_do_not_depend_on_link_nodes(place: &dyn Place) {
    use linknode::LinkNodeStore;
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let host = host.without_link_node(1).await;
    assert_eq!(host.link_nodes().await.unwrap(), []);
    assert_eq!(host.all_channels().await.unwrap().len(), 1);
    assert_eq!(host.channels_of(&peer(1)).await.unwrap()[0].funding_outpoint, point);
}
