//! Link nodes.

use bytes::Bytes;
use linknode::{Address, AddressError, LinkNode, LinkNodeStore, Network, Rejection};

use crate::values::{link_node, peer};
use crate::{Host, Place, rejection};

/// A link node reads back as it was created, with addresses of every kind in their order.
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
