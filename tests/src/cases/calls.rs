//! Every call that writes, each on something of its own, so that they can be made in any order.

use std::future::Future;
use std::sync::Arc;

use bitcoin::OutPoint;
use channelcoord::{PeerChannelStore, Store, StoreOptions};
use chanstate::facet::{
    ChannelSetupStore, CloseTxStore, ClosedChannelStore, CommitmentStore, FinalHtlcStore,
    ForwardingPackageStore, LifecycleStore, ShutdownStore, StatusStore,
};
use chanstate::transition::Options;
use chanstate::{
    AddRef, ChannelId, ChannelStatus, Closer, CommitmentHeight, Filter, ForwardingPolicy,
    MilliSatoshi, NewChannel, SettleFailRef, ShutdownInfo, StoreError,
};
use linknode::{LinkNodeStore, Network};

use super::package::packed;
use crate::values::{self, link_node, new_channel, outpoint, peer, shell};
use crate::{Call, Exchange, Faulty, Host, Place};

/// A call with its name.
pub(super) type Named<'a> = (&'static str, Call<'a, Result<(), StoreError>>);

/// Channels and link nodes that the calls are made on.
pub(super) struct Stage {
    updated: Exchange,
    appended: Exchange,
    advanced: Exchange,
    packed: Exchange,
}

/// Channels that are opened and nothing else, each for one call.
const PLAIN: std::ops::Range<u64> = 6..17;

pub(super) fn options() -> StoreOptions {
    let transitions = Options { store_final_htlcs: true, ..Options::default() };
    StoreOptions { transitions, check_memory: true, ..StoreOptions::default() }
}

/// A store with everything on it, over a backend that fails on demand.
pub(super) async fn staged(place: &dyn Place) -> (Host<'_>, Arc<Faulty>, Stage) {
    let host = Host::over(place, place.must_open(), options()).await;
    let updated = host.exchange(1).await;
    let appended = host.exchange(2).await;
    let mut advanced = host.exchange(3).await;
    host.sign(&mut advanced).await;
    let packed = packed(&host, 4, 2).await;
    let closed = host.open(5).await;
    host.close_and_reclaim(5, closed).await;
    for n in PLAIN {
        host.open(n).await;
    }
    let unready = NewChannel { remote_next_point: None, ..new_channel(17, peer(17)) };
    host.open_as(unready, 17).await;
    host.mark_borked(outpoint(8)).await.expect("a status");
    host.create_link_node(link_node(31)).await.expect("a link node");
    let host = host.without_link_node(16).await;
    host.close().await.expect("the store closes");
    drop(host);
    let faulty = Faulty::new(place.must_open());
    let host = Host::over(place, faulty.clone(), options()).await;
    (host, faulty, Stage { updated, appended, advanced, packed })
}

/// A call whose result does not matter if it succeeds.
fn named<'a, T: 'a>(
    name: &'static str,
    call: impl Future<Output = Result<T, StoreError>> + Send + 'a,
) -> Named<'a> {
    (name, Box::pin(async { call.await.map(drop) }))
}

/// A call of the link nodes, none of which is rejected.
fn of_node<'a>(
    name: &'static str,
    call: impl Future<Output = Result<(), linknode::Error>> + Send + 'a,
) -> Named<'a> {
    (name, Box::pin(async { call.await.map_err(|e| e.recast().expect("not a rejection")) }))
}

impl Stage {
    /// Each call once, none of them made yet.
    pub(super) fn calls<'a>(&'a self, store: &'a Store) -> Vec<Named<'a>> {
        let mut calls = of_status(store);
        calls.extend(self.of_commitments(store));
        calls.extend(self.of_packages(store));
        calls.extend(of_setup(store));
        calls.extend(of_nodes(store));
        // Last, since they prune.
        calls.extend(of_ends(store));
        calls
    }

    fn of_commitments<'a>(&'a self, store: &'a Store) -> Vec<Named<'a>> {
        let Stage { updated, appended, advanced, .. } = self;
        let next = values::peer_point(17, 1);
        vec![
            named("update_local", store.update_local(updated.point, updated.update())),
            named("append_remote", store.append_remote(appended.point, appended.append())),
            named("advance_tail", store.advance_tail(advanced.point, advanced.advance())),
            named("insert_next_revocation", store.insert_next_revocation(outpoint(17), next)),
        ]
    }

    fn of_packages<'a>(&'a self, store: &'a Store) -> Vec<Named<'a>> {
        const ADDS: &[AddRef] = &[AddRef { height: CommitmentHeight(1), index: 1 }];
        const GONE: &[CommitmentHeight] = &[CommitmentHeight(2)];
        let Exchange { point, scid, .. } = self.packed;
        let acks = [SettleFailRef { source: scid, height: CommitmentHeight(2), index: 0 }];
        let ack = async move { store.ack_settle_fails(&acks).await };
        let filter = Filter::empty(2);
        vec![
            named("ack_adds", store.ack_adds(point, ADDS)),
            named("ack_settle_fails", ack),
            named("set_forward_filter", store.set_forward_filter(point, 1.into(), filter)),
            named("remove_forwarding_packages", store.remove_forwarding_packages(point, GONE)),
        ]
    }
}

fn of_status(store: &Store) -> Vec<Named<'_>> {
    let point: OutPoint = outpoint(6);
    let tx = |n| Arc::new(values::tx(outpoint(n), n, 1));
    let info = ShutdownInfo { script: values::script(1), local_initiator: true };
    let coop = ChannelStatus::COOP_BROADCASTED;
    let by_us = Closer::Local;
    vec![
        named("set_confirmation_height", store.set_confirmation_height(point, 5)),
        named("set_close_confirmation_height", {
            store.set_close_confirmation_height(point, Some(5))
        }),
        named("mark_open", store.mark_open(outpoint(7), (900 << 40).into())),
        named("set_confirmed_scid", store.set_confirmed_scid(point, (901 << 40).into())),
        named("set_scid_alias_negotiated", store.set_scid_alias_negotiated(point)),
        named("apply_status", store.apply_status(outpoint(7), coop)),
        named("clear_status", store.clear_status(outpoint(8), ChannelStatus::BORKED)),
        named("mark_borked", store.mark_borked(outpoint(9))),
        named("mark_data_loss", store.mark_data_loss(outpoint(10), values::key("point", 1))),
        named("store_shutdown_info", store.store_shutdown_info(outpoint(11), info)),
        named("mark_commitment_broadcasted", {
            store.mark_commitment_broadcasted(outpoint(12), tx(12), by_us)
        }),
        named("mark_coop_broadcasted", store.mark_coop_broadcasted(outpoint(13), tx(13), by_us)),
    ]
}

fn of_setup(store: &Store) -> Vec<Named<'_>> {
    let amount = MilliSatoshi(1);
    let policy = ForwardingPolicy {
        min_htlc: amount,
        max_htlc: amount,
        base_fee: amount,
        fee_rate: 1,
        time_lock_delta: 1,
    };
    let (id, other) = (ChannelId([1; 32]), ChannelId([2; 32]));
    vec![
        named("save_opening_state", store.save_opening_state("key".into(), "value".into())),
        named("delete_opening_state", store.delete_opening_state("other".into())),
        named("save_initial_policy", store.save_initial_policy(id, policy)),
        named("delete_initial_policy", store.delete_initial_policy(other)),
        named("put_onchain_outcome", store.put_onchain_outcome(1.into(), 1.into(), true)),
    ]
}

fn of_nodes(store: &Store) -> Vec<Named<'_>> {
    let address = || linknode::Address::Opaque(vec![7; 9].into());
    let add = async move { store.add_link_node_address(&peer(6), address()).await };
    let set = async move { store.set_link_node_addresses(&peer(7), vec![address()]).await };
    let see = async move { store.set_link_node_last_seen(&peer(8), 9).await };
    let delete = async move { store.delete_link_node(&peer(31)).await };
    vec![
        of_node("create_link_node", store.create_link_node(link_node(30))),
        of_node("add_link_node_address", add),
        of_node("set_link_node_addresses", set),
        of_node("set_link_node_last_seen", see),
        of_node("delete_link_node", delete),
    ]
}

fn of_ends(store: &Store) -> Vec<Named<'_>> {
    let summary = values::summary(14, outpoint(14), peer(14));
    let none = ChannelStatus::empty();
    let shells = vec![(shell(21, peer(21)), link_node(21))];
    vec![
        named("open_channel", store.open_channel(new_channel(20, peer(20)), link_node(20))),
        named("restore_shells", store.restore_shells(shells)),
        named("close_channel", store.close_channel(outpoint(14), summary, none)),
        named("mark_fully_closed", store.mark_fully_closed(outpoint(5))),
        named("abandon_channel", store.abandon_channel(outpoint(15), 1)),
        named("repair_link_nodes", store.repair_link_nodes(Network::REGTEST, 1)),
        named("prune_link_nodes", store.prune_link_nodes()),
    ]
}
