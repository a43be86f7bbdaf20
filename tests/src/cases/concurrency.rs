//! Many calls at once.

use std::sync::Arc;

use bitcoin::OutPoint;
use channelcoord::{PeerChannelStore, Store};
use chanstate::facet::{
    ClosedChannelStore, CommitmentStore, ForwardingPackageStore, LifecycleStore, OpenChannelStore,
};
use chanstate::{AddRef, ChannelId, ChannelStatus, CommitmentHeight, NewChannel, Rejection};
use linknode::LinkNodeStore;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::failures::faulty;
use crate::values::{self, link_node, new_channel, outpoint, peer};
use crate::{End, Exchange, Host, Place, poll_once, rejection};

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(4).build().expect("the system has threads to spare")
}

async fn all<T: 'static>(mut tasks: JoinSet<T>) {
    while let Some(result) = tasks.join_next().await {
        result.expect("no task panics");
    }
}

async fn close_fully(store: &Store, n: u64) {
    let point = outpoint(n);
    let summary = values::summary(n, point, peer(0));
    store.close_channel(point, summary, ChannelStatus::empty()).await.unwrap();
    store.mark_fully_closed(point).await.unwrap();
}

/// However opens and full closes with one peer interleave, its link node exists at the end exactly
/// if a channel is open.
pub(crate) async fn a_link_node_exists_while_a_channel_is_open(place: &dyn Place) {
    const ROUNDS: u64 = 40;
    let host = Host::new(place).await;
    let store = &host.store;
    runtime().block_on(async {
        for round in 0..ROUNDS {
            let mut tasks = JoinSet::new();
            // The channels of the last round close while those of this one open; of every fourth
            // round all do.
            for n in 0..3 {
                let (new, old) = (round * 3 + n, (round * 3 + n).checked_sub(3));
                let (opener, closer) = (store.clone(), store.clone());
                if round % 4 != 3 {
                    tasks.spawn(async move {
                        let channel = new_channel(new, peer(0));
                        opener.open_channel(channel, link_node(0)).await.unwrap();
                    });
                }
                if let Some(old) = old.filter(|_| round % 4 != 0) {
                    tasks.spawn(async move { close_fully(&closer, old).await });
                }
                let pruner = store.clone();
                tasks.spawn(async move { drop(pruner.prune_link_nodes().await.unwrap()) });
            }
            all(tasks).await;
            let open = store.channels_of(&peer(0)).await.unwrap().len();
            assert_eq!(open, if round % 4 == 3 { 0 } else { 3 });
            let node = store.link_node(&peer(0)).await.unwrap();
            assert_eq!(node.is_some(), open > 0, "round {round}");
        }
    });
}

/// An opening and the full close of the last channel with a peer wait for each other, in either
/// order.
pub(crate) async fn an_opening_and_a_prune_exclude_each_other(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    for (n, opening_first) in [(1, true), (2, false)] {
        let last = host.open_with(10 * n, n).await;
        host.close_and_reclaim(10 * n, last).await;
        let open = || host.open_channel(new_channel(n, peer(n)), link_node(n));
        faulty.hold();
        let (open, prune) = if opening_first {
            let open = poll_once(open());
            faulty.await_held();
            (open, poll_once(host.mark_fully_closed(last)))
        } else {
            let prune = poll_once(host.mark_fully_closed(last));
            faulty.await_held();
            (poll_once(open()), prune)
        };
        faulty.go();
        open.await.unwrap();
        prune.await.unwrap();
        assert_eq!(host.link_node(&peer(n)).await.unwrap(), Some(link_node(n)));
    }
    let host = host.reopen().await;
    assert_eq!(host.link_nodes().await.unwrap().len(), 2);
}

/// Abandoning the last channels with a peer in parallel prunes it.
pub(crate) async fn channels_abandoned_at_once_prune_their_peer(place: &dyn Place) {
    let host = Host::new(place).await;
    for n in 0..8 {
        host.open_with(n, 1).await;
    }
    runtime().block_on(async {
        let mut tasks = JoinSet::new();
        for n in 0..8 {
            let store = host.store.clone();
            tasks.spawn(async move { store.abandon_channel(outpoint(n), 1).await.unwrap() });
        }
        all(tasks).await;
    });
    assert_eq!(host.link_nodes().await.unwrap(), []);
}

/// 64 channels go through the protocol at once; each ends as if it were alone.
pub(crate) async fn channels_run_in_parallel(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchanges = Vec::new();
    for n in 0..64 {
        exchanges.push(host.exchange(n).await);
    }
    let ended = runtime().block_on(async {
        let mut tasks = JoinSet::new();
        for mut exchange in exchanges {
            let store = host.store.clone();
            tasks.spawn(async move {
                for _ in 0..4 {
                    exchange.we_add(1_000_000);
                    exchange.they_add(1_000_000);
                    if let Some(id) = exchange.ours_to_end().first() {
                        exchange.we_end(*id, End::Settle);
                    }
                    cycle(&store, &mut exchange).await;
                }
                exchange
            });
        }
        tasks.join_all().await
    });
    let host = host.reopen().await;
    for exchange in ended {
        let latest = host.latest_commitments(exchange.point).await.unwrap();
        assert_eq!((latest.local, latest.remote), (exchange.local, exchange.remote));
        let packages: Vec<_> = exchange.packages.into_values().collect();
        assert_eq!(host.packages(exchange.point).await, packages);
    }
}

async fn cycle(store: &Store, exchange: &mut Exchange) {
    let update = exchange.update();
    let finals = store.update_local(exchange.point, update.clone()).await.unwrap();
    assert_eq!(finals, exchange.stored_update(&update));
    let append = exchange.append();
    store.append_remote(exchange.point, append.clone()).await.unwrap();
    exchange.stored_append(&append);
    let advance = exchange.advance();
    store.advance_tail(exchange.point, advance.clone()).await.unwrap();
    exchange.stored_advance(&advance);
}

/// Of many calls that want the next height, one gets it.
pub(crate) async fn one_of_many_gets_the_next_height(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    for _ in 0..10 {
        let update = exchange.update();
        let taken = runtime().block_on(async {
            let mut tasks = JoinSet::new();
            for _ in 0..8 {
                let (store, update) = (host.store.clone(), update.clone());
                let point = exchange.point;
                tasks.spawn(async move { store.update_local(point, update).await });
            }
            let results = tasks.join_all().await;
            let taken = results.iter().filter(|result| result.is_ok()).count();
            let refused = results.into_iter().filter(Result::is_err).map(rejection);
            refused.for_each(|r| assert!(matches!(r, Rejection::Height { .. }), "{r:?}"));
            taken
        });
        assert_eq!(taken, 1);
        exchange.stored_update(&update);
    }
}

/// Acknowledgements of one package by many callers all arrive.
pub(crate) async fn acks_of_one_package_all_arrive(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    for _ in 0..60 {
        exchange.they_add(1_000_000);
    }
    host.revoke(&mut exchange).await;
    host.sign(&mut exchange).await;
    host.take_revocation(&mut exchange).await;
    let point = exchange.point;
    runtime().block_on(async {
        let mut tasks = JoinSet::new();
        for index in 0..60 {
            let store = host.store.clone();
            tasks.spawn(async move {
                let add = AddRef { height: CommitmentHeight(1), index };
                store.ack_adds(point, &[add]).await.unwrap();
            });
        }
        all(tasks).await;
    });
    assert!(host.reopen().await.packages(point).await[0].ack_filter.is_full());
}

/// A channel can be read while it closes: it is either open or closed, never neither.
pub(crate) async fn a_closing_channel_can_be_read(place: &dyn Place) {
    const CHANNELS: u64 = 50;
    let host = Host::new(place).await;
    for n in 0..CHANNELS {
        host.open_with(n, 0).await;
    }
    runtime().block_on(async {
        let mut tasks = JoinSet::new();
        let store = host.store.clone();
        tasks.spawn(async move {
            for n in 0..CHANNELS {
                close_fully(&store, n).await;
            }
        });
        for _ in 0..3 {
            let store = host.store.clone();
            tasks.spawn(async move {
                for n in 0..CHANNELS {
                    let point = outpoint(n);
                    while store.closed_channel(point).await.is_err() {
                        assert_eq!(store.refresh(point).await.unwrap().funding_outpoint, point);
                        tokio::task::yield_now().await;
                    }
                    assert!(store.refresh(point).await.is_ok());
                }
            });
        }
        all(tasks).await;
    });
}

/// Two channels with one channel id cannot be opened at once.
pub(crate) async fn one_channel_id_is_opened_once(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let point = outpoint(1);
    let twin = OutPoint::new(point.txid, point.vout + 0x1_0000);
    let channel = NewChannel { funding_outpoint: twin, ..new_channel(1, peer(2)) };
    faulty.hold();
    let first = poll_once(host.open_channel(new_channel(1, peer(1)), link_node(1)));
    faulty.await_held();
    let second = poll_once(host.open_channel(channel, link_node(2)));
    faulty.go();
    first.await.unwrap();
    let refusal = Rejection::IdAlreadyExists(ChannelId::from_outpoint(point));
    assert_eq!(rejection(second.await), refusal);
    assert_eq!(host.reopen().await.all_channels().await.unwrap().len(), 1);
}

/// Calls that are dropped at any moment leave whole changes, and a channel that goes on.
pub(crate) async fn aborted_calls_leave_whole_changes(place: &dyn Place) {
    let host = Host::new(place).await;
    let points: Arc<[OutPoint]> = [host.open(1).await, host.open(2).await].into();
    runtime().block_on(async {
        for height in 0..60 {
            let (store, points) = (host.store.clone(), Arc::clone(&points));
            let calls = tokio::spawn(async move {
                for point in points.iter() {
                    store.set_confirmation_height(*point, height).await.unwrap();
                    store.set_close_confirmation_height(*point, Some(height)).await.unwrap();
                }
            });
            for _ in 0..height % 7 {
                tokio::task::yield_now().await;
            }
            calls.abort();
            drop(calls.await);
        }
    });
    for point in points.iter() {
        host.set_confirmation_height(*point, 99).await.unwrap();
    }
    let kept = host.all_channels().await.unwrap();
    assert_eq!(host.reopen().await.all_channels().await.unwrap(), kept);
    assert!(kept.iter().all(|channel| channel.confirmation_height == Some(99)));
}
