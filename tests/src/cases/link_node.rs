//! Link nodes.

use bytes::Bytes;
use channelcoord::ChangeSet;
use chanstate::Version;
use chanstate::key::Kind;
use linknode::{
    Address, AddressError, LinkNode, LinkNodeChange, LinkNodeStore, Network, Rejection,
};

use super::failures::faulty;
use crate::values::{link_node, peer};
use crate::{Host, Place, finish, inspect, poll_once, rejection};

/// A link node reads back as it was created, with addresses of every kind in their order.
/// Obligations: `link_node/created`, `link_node/order`, `link_node/durable`.
pub(crate) async fn a_link_node_reads_back_whole(place: &dyn Place) {
    let host = Host::new(place).await;
    let node = LinkNode {
        network: Network(u32::MAX),
        last_seen: u64::MAX,
        addresses: vec![
            Address::TorV3 { service: [8; 35], port: 65_535 },
            Address::Dns { host: Bytes::from(vec![b'a'; 255]), port: 443 },
            Address::Opaque(Bytes::new()),
            Address::Opaque(Bytes::from(vec![7; 0xffff])),
            Address::Ipv6 { ip: std::net::Ipv6Addr::LOCALHOST, port: 0 },
            Address::TorV2 { service: [7; 10], port: 1 },
            Address::Ipv4 { ip: std::net::Ipv4Addr::LOCALHOST, port: 9735 },
        ],
        ..link_node(1)
    };
    let bare = LinkNode { addresses: vec![], last_seen: 0, network: Network(0), ..link_node(2) };
    host.create_link_node(node.clone()).await.unwrap();
    host.create_link_node(bare.clone()).await.unwrap();
    let host = host.reopen().await;
    assert_eq!(host.link_node(&node.node_id).await.unwrap().as_ref(), Some(&node));
    assert_eq!(host.link_node(&peer(3)).await.unwrap(), None);
    let mut all = vec![node, bare];
    all.sort_by_key(|node| node.node_id.serialize());
    assert_eq!(host.link_nodes().await.unwrap(), all);
}

/// Addresses are added at the end, once, and the list can be replaced by a shorter one.
/// Obligations: `link_node/added`, `link_node/replaced`, `link_node/seen`, `link_node/unchanged`.
pub(crate) async fn addresses_are_added_and_replaced(place: &dyn Place) {
    let host = Host::new(place).await;
    let node = link_node(1);
    host.create_link_node(node.clone()).await.unwrap();
    let id = node.node_id;
    let more = Address::Dns { host: Bytes::from_static(b"node.example"), port: 9 };
    host.add_link_node_address(&id, more.clone()).await.unwrap();
    host.still(host.add_link_node_address(&id, more.clone())).await.unwrap();
    host.still(host.add_link_node_address(&id, node.addresses[0].clone())).await.unwrap();
    let host = host.reopen().await;
    let all: Vec<_> = node.addresses.iter().cloned().chain([more.clone()]).collect();
    let addresses = async |host: &Host<'_>| host.link_node(&id).await.unwrap().unwrap().addresses;
    assert_eq!(addresses(&host).await, all);

    let fewer = vec![more, node.addresses[2].clone()];
    host.set_link_node_addresses(&id, fewer.clone()).await.unwrap();
    host.still(host.set_link_node_addresses(&id, fewer.clone())).await.unwrap();
    assert_eq!(addresses(&host).await, fewer);
    let host = host.reopen().await;
    assert_eq!(addresses(&host).await, fewer);
    host.set_link_node_addresses(&id, vec![]).await.unwrap();
    host.set_link_node_last_seen(&id, 5).await.unwrap();
    host.still(host.set_link_node_last_seen(&id, 5)).await.unwrap();
    let host = host.reopen().await;
    let expected = LinkNode { addresses: vec![], last_seen: 5, ..node };
    assert_eq!(host.link_node(&id).await.unwrap(), Some(expected));
}

/// What exists is not created again, what does not exist is not changed, and deleting it is fine.
/// Obligations: `link_node/exists`, `link_node/unknown`, `link_node/deleted`.
pub(crate) async fn existing_and_unknown_nodes_are_refused(place: &dyn Place) {
    let host = Host::new(place).await;
    let (node, id) = (link_node(1), peer(1));
    let unknown = Rejection::Unknown(id);
    let address = node.addresses[0].clone();
    let add = host.still(host.add_link_node_address(&id, address)).await;
    assert_eq!(rejection(add), unknown);
    let set = host.still(host.set_link_node_addresses(&id, vec![])).await;
    assert_eq!(rejection(set), unknown);
    assert_eq!(rejection(host.still(host.set_link_node_last_seen(&id, 1)).await), unknown);
    host.still(host.delete_link_node(&id)).await.unwrap();
    host.create_link_node(node.clone()).await.unwrap();
    let other = LinkNode { last_seen: 1, ..node };
    let again = host.still(host.create_link_node(other)).await;
    assert_eq!(rejection(again), Rejection::AlreadyExists(id));
    host.delete_link_node(&id).await.unwrap();
    assert_eq!(host.reopen().await.link_nodes().await.unwrap(), []);
}

/// A node created anew has nothing of the one before, and no stale expectation matches it.
/// Obligations: `link_node/anew`, `link_node/deleted`.
pub(crate) async fn a_node_created_again_is_a_new_one(place: &dyn Place) {
    let host = Host::new(place).await;
    let id = peer(1);
    host.create_link_node(link_node(1)).await.unwrap();
    host.delete_link_node(&id).await.unwrap();
    let bare = LinkNode { addresses: vec![], ..link_node(1) };
    host.create_link_node(bare.clone()).await.unwrap();
    assert_eq!(host.reopen().await.link_node(&id).await.unwrap(), Some(bare));
}

/// Addresses that cannot be stored are refused.
/// Obligations: `link_node/address_length`.
pub(crate) async fn addresses_too_long_are_refused(place: &dyn Place) {
    let host = Host::new(place).await;
    let long = Address::Dns { host: vec![b'a'; 256].into(), port: 1 };
    let refusal = Rejection::Address(AddressError::HostTooLong(256));
    let node = LinkNode { addresses: vec![long.clone()], ..link_node(1) };
    assert_eq!(rejection(host.still(host.create_link_node(node)).await), refusal);
    host.create_link_node(link_node(1)).await.unwrap();
    let add = host.still(host.add_link_node_address(&peer(1), long)).await;
    assert_eq!(rejection(add), refusal);
    let opaque = Address::Opaque(vec![0; 65_536].into());
    let set = host.still(host.set_link_node_addresses(&peer(1), vec![opaque])).await;
    assert_eq!(rejection(set), Rejection::Address(AddressError::OpaqueTooLong(65_536)));
}

/// A link node stays while a channel with it is not closed.
/// Obligations: `link_node/in_use`.
pub(crate) async fn a_node_with_channels_is_not_deleted(place: &dyn Place) {
    let host = Host::new(place).await;
    let (first, second) = (host.open_with(1, 1).await, host.open_with(2, 1).await);
    let delete = host.still(host.delete_link_node(&peer(1))).await;
    assert_eq!(rejection(delete), Rejection::HasChannels { node: peer(1), channels: 2 });
    host.close_and_reclaim(1, first).await;
    let host = host.reopen().await;
    let delete = host.still(host.delete_link_node(&peer(1))).await;
    assert_eq!(rejection(delete), Rejection::HasChannels { node: peer(1), channels: 1 });
    host.close_and_reclaim(2, second).await;
    host.delete_link_node(&peer(1)).await.unwrap();
    assert_eq!(host.link_node(&peer(1)).await.unwrap(), None);
}

/// Addresses of every kind, at both ends of the ports, are told apart and kept.
/// Obligations: `link_node/added`, `link_node/created`, `link_node/unchanged`.
pub(crate) async fn kind_host_and_port_tell_addresses_apart(place: &dyn Place) {
    let host = Host::new(place).await;
    let of_port = |port| {
        [
            Address::Ipv4 { ip: [0, 0, 0, 0].into(), port },
            Address::Ipv4 { ip: [255, 255, 255, 255].into(), port },
            Address::Ipv6 { ip: [0; 16].into(), port },
            Address::Ipv6 { ip: [0xff; 16].into(), port },
            Address::TorV2 { service: [0; 10], port },
            Address::TorV3 { service: [0xff; 35], port },
            Address::Dns { host: Bytes::new(), port },
            Address::Dns { host: Bytes::from_static(b"0.0.0.0"), port },
        ]
    };
    let opaque = [0, 1, 2].map(|len| Address::Opaque(vec![0; len].into()));
    let all: Vec<_> = [0, 1, 65_535].into_iter().flat_map(of_port).chain(opaque).collect();
    host.create_link_node(LinkNode { addresses: vec![], ..link_node(1) }).await.unwrap();
    for address in &all {
        host.add_link_node_address(&peer(1), address.clone()).await.unwrap();
    }
    for address in &all {
        host.still(host.add_link_node_address(&peer(1), address.clone())).await.unwrap();
    }
    let created = LinkNode { addresses: all.clone(), ..link_node(2) };
    host.create_link_node(created.clone()).await.unwrap();
    let host = host.reopen().await;
    let added = LinkNode { addresses: all, ..link_node(1) };
    assert_eq!(host.link_node(&peer(1)).await.unwrap(), Some(added));
    assert_eq!(host.link_node(&peer(2)).await.unwrap(), Some(created));
}

/// Lists of any length keep their order, also where a longer one is replaced by a shorter one.
/// Obligations: `link_node/replaced`, `link_node/created`, `link_node/deleted`.
pub(crate) async fn long_lists_keep_their_order(place: &dyn Place) {
    let mut host = Host::new(place).await;
    let address = |n: u32| Address::Ipv4 { ip: n.to_be_bytes().into(), port: n as u16 };
    // Past the point where positions written as text, or as one byte, would sort otherwise.
    let list = |count: u32| (0..count).map(|n| address(n * 7919 % 1009)).collect::<Vec<_>>();
    host.create_link_node(LinkNode { addresses: list(300), ..link_node(1) }).await.unwrap();
    for count in [300, 11, 257, 1, 0, 100] {
        let mut addresses = list(count);
        addresses.reverse();
        host.set_link_node_addresses(&peer(1), addresses.clone()).await.unwrap();
        host = host.reopen().await;
        assert_eq!(host.link_node(&peer(1)).await.unwrap().unwrap().addresses, addresses);
    }
    host.delete_link_node(&peer(1)).await.unwrap();
    let left = inspect::count(host.backend.as_ref(), Kind::LinkAddress).await;
    assert_eq!(left, 0, "addresses stay behind");
}

/// A list that is given may name an address twice; adding it a third time changes nothing.
/// Obligations: `link_node/replaced`, `link_node/added`, `link_node/unchanged`.
pub(crate) async fn a_list_may_repeat_an_address(place: &dyn Place) {
    let host = Host::new(place).await;
    let twice = [link_node(1).addresses, link_node(1).addresses].concat();
    host.create_link_node(link_node(1)).await.unwrap();
    host.set_link_node_addresses(&peer(1), twice.clone()).await.unwrap();
    host.still(host.set_link_node_addresses(&peer(1), twice.clone())).await.unwrap();
    host.still(host.add_link_node_address(&peer(1), twice[0].clone())).await.unwrap();
    let found = host.reopen().await.link_node(&peer(1)).await.unwrap();
    assert_eq!(found, Some(LinkNode { addresses: twice, ..link_node(1) }));
}

/// Any time of last seen is kept, also one before the last, and changes nothing else.
/// Obligations: `link_node/seen`, `link_node/unchanged`.
pub(crate) async fn any_time_of_last_seen_is_kept(place: &dyn Place) {
    let mut host = Host::new(place).await;
    host.create_link_node(link_node(1)).await.unwrap();
    for last_seen in [0, u64::MAX, 1, i64::MAX as u64, 1 << 63, 0] {
        host.set_link_node_last_seen(&peer(1), last_seen).await.unwrap();
        host.still(host.set_link_node_last_seen(&peer(1), last_seen)).await.unwrap();
        host = host.reopen().await;
        let expected = LinkNode { last_seen, ..link_node(1) };
        assert_eq!(host.link_node(&peer(1)).await.unwrap(), Some(expected));
    }
}

/// Calls on one link node at once all have their effect.
/// Obligations: `link_node/added`, `link_node/seen`.
pub(crate) async fn calls_on_one_node_wait_for_each_other(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let bare = LinkNode { addresses: vec![], ..link_node(1) };
    host.create_link_node(bare.clone()).await.unwrap();
    let addresses = link_node(1).addresses;
    let id = peer(1);
    faulty.hold();
    let first = poll_once(host.set_link_node_last_seen(&id, 3));
    faulty.await_held();
    let calls = addresses.iter().map(|a| poll_once(host.add_link_node_address(&id, a.clone())));
    let calls = calls.collect();
    faulty.go();
    first.await.unwrap();
    finish(calls).await.into_iter().for_each(|result| result.unwrap());
    let found = host.reopen().await.link_node(&id).await.unwrap();
    assert_eq!(found, Some(LinkNode { last_seen: 3, addresses, ..bare }));
}

/// After a conflict a call sees what the other writer stored, addresses included.
/// Obligations: `backend/guards`, `link_node/seen`, `link_node/unknown`.
pub(crate) async fn a_conflict_shows_what_another_writer_stored(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    host.create_link_node(link_node(1)).await.unwrap();
    let version = |host: &Host<'_>| Version(host.seq().0);
    let theirs = LinkNode {
        last_seen: 77,
        addresses: vec![Address::Opaque(Bytes::from_static(b"theirs"))],
        ..link_node(1)
    };
    let change = LinkNodeChange::put(&theirs, Some(&link_node(1)), version(&host));
    faulty.overtake(ChangeSet { link_nodes: vec![change], ..ChangeSet::default() });
    host.set_link_node_last_seen(&peer(1), 5).await.unwrap();
    let both = LinkNode { last_seen: 5, ..theirs };
    assert_eq!(host.link_node(&peer(1)).await.unwrap(), Some(both.clone()));
    let change = LinkNodeChange::remove(&both, version(&host));
    faulty.overtake(ChangeSet { link_nodes: vec![change], ..ChangeSet::default() });
    let gone = host.set_link_node_last_seen(&peer(1), 6).await;
    assert_eq!(rejection(gone), Rejection::Unknown(peer(1)));
    assert_eq!(host.reopen().await.link_nodes().await.unwrap(), []);
}
