//! Many calls at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bitcoin::OutPoint;
use channelcoord::{ChangeSet, PeerChannelStore, Store, StoreOptions};
use chanstate::facet::{
    ClosedChannelStore, CommitmentStore, ForwardingPackageStore, LifecycleStore, OpenChannelStore,
};
use chanstate::{AddRef, ChannelId, ChannelStatus, CommitmentHeight, NewChannel, Rejection};
use linknode::LinkNodeStore;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use super::failures::faulty;
use crate::history::load::{Load, PER_ROUND};
use crate::history::{rounds, versions};
use crate::inspect::sorted;
use crate::values::{self, link_node, new_channel, outpoint, peer};
use crate::{End, Exchange, Fault, Faulty, Host, Place, Reads, note, poll_once, rejection};

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
/// Obligations: `coordinator/whole`, `coordinator/excluded`, `coordinator/prunes_last`.
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
/// Obligations: `coordinator/excluded`.
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
/// Obligations: `coordinator/abandoned_peer`.
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
/// Obligations: `facet/one_channel`, `commitment/whole_step`.
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
        host.check(&exchange).await;
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
/// Obligations: `commitment/next_height`.
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
/// Obligations: `package/any_order`.
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
/// Obligations: `closed/at_once`.
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
/// Obligations: `coordinator/used_outpoint`.
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

/// Openings that are dropped at any moment leave a channel with its link node, or neither, and can
/// be made again.
/// Obligations: `facet/dropped_call`, `coordinator/whole`.
pub(crate) async fn aborted_calls_leave_whole_changes(place: &dyn Place) {
    const CALLS: u64 = 60;
    let host = Host::new(place).await;
    runtime().block_on(async {
        for n in 0..CALLS {
            let store = host.store.clone();
            let call = tokio::spawn(async move {
                store.open_channel(new_channel(n, peer(n)), link_node(n)).await.unwrap();
            });
            for _ in 0..n % 7 {
                tokio::task::yield_now().await;
            }
            call.abort();
            drop(call.await);
        }
    });
    // Closing commits what is left in the queue.
    let host = host.reopen().await;
    let channels = host.all_channels().await.unwrap();
    let peers = sorted(channels.iter().map(|channel| channel.peer));
    let nodes = host.link_nodes().await.unwrap();
    assert_eq!(sorted(nodes.iter().map(|node| node.node_id)), peers);
    for n in (0..CALLS).filter(|n| !peers.contains(&peer(*n))) {
        host.open(n).await;
    }
    for n in 0..CALLS {
        host.check(&Exchange::new(n, 0.into())).await;
        assert_eq!(host.link_node(&peer(n)).await.unwrap(), Some(link_node(n)));
    }
}

/// A store that is open as a node opens it, over a backend that fails on demand.
async fn unchecked(place: &dyn Place) -> (Host<'_>, Arc<Faulty>) {
    let faulty = Faulty::new(place.must_open());
    (Host::over(place, faulty.clone(), StoreOptions::default()).await, faulty)
}

/// Whatever many clients call at once, there is an order of their calls in which a store that
/// serves one call after the other answers the same. A store that is closed or dropped, and opened
/// again, goes on as if nothing had been.
/// Obligations: `facet/one_order`, `facet/reopened`, `status/combined`, `closed/at_once`,
/// `commitment/acks`, `coordinator/whole`.
pub(crate) async fn calls_at_once_answer_as_if_one_came_after_the_other(place: &dyn Place) {
    let (mut host, _) = unchecked(place).await;
    let mut checked = 0;
    for round in 0..rounds(2) {
        let load = Load::new(&host, round).await;
        runtime().block_on(load.run(&host.store, round));
        let points = load.points();
        let before = Reads::of(&host.store, &points).await;
        if round % 2 == 0 {
            host.store.close().await.unwrap();
        }
        drop(host);
        (host, _) = unchecked(place).await;
        assert_eq!(Reads::of(&host.store, &points).await, before);
        load.read(&host.store).await;
        checked += load.check();
        assert_eq!(load.tally().fenced, 0);
    }
    note("calls checked", checked as u64);
}

/// However commits fail meanwhile: what is answered is stored, what fails is not, and what is
/// unconfirmed is one or the other.
/// Obligations: `facet/one_order`, `facet/nothing_on_error`, `facet/durable`.
pub(crate) async fn calls_at_once_are_told_the_truth_when_commits_fail(place: &dyn Place) {
    let (mut host, mut faulty) = unchecked(place).await;
    let mut checked = 0;
    for round in 0..rounds(2) {
        let load = Load::new(&host, round).await;
        faulty.judge(failing(round));
        runtime().block_on(load.run(&host.store, round));
        load.ended();
        drop((host, faulty));
        (host, faulty) = unchecked(place).await;
        load.read(&host.store).await;
        checked += load.check();
        assert_eq!(load.tally().fenced, 0);
    }
    note("calls checked", checked as u64);
}

/// Commits that fail at random, the last of them for good.
fn failing(seed: u64) -> impl FnMut(&[ChangeSet]) -> Option<Fault> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut left = PER_ROUND / 5;
    move |sets| {
        left = left.saturating_sub(1);
        let conflicts = sets.iter().all(|set| set.guards().next().is_some());
        Some(match rng.u8(0..100) {
            _ if left == 0 && seed.is_multiple_of(2) => Fault::UnknownForGood,
            _ if left == 0 => Fault::UnknownForGoodStored,
            0..5 => Fault::NotStored,
            5..10 => Fault::UnknownStored,
            10..15 => Fault::UnknownNotStored,
            15..20 => Fault::UnknownRaised,
            20..30 if conflicts => Fault::Conflict,
            _ => return None,
        })
    }
}

/// Whoever looks at the backend sees versions and the sequence number grow, one content for each
/// version, and a channel closed exactly if it has a summary.
/// Obligations: `backend/moment`, `backend/sequence`, `backend/whole`, `backend/threads`.
pub(crate) async fn versions_never_go_back(place: &dyn Place) {
    const WATCHERS: usize = 2;
    let (host, _) = unchecked(place).await;
    for round in 0..rounds(1) {
        let load = Load::new(&host, round).await;
        let first = versions::look(&host.store, host.backend.as_ref()).await;
        let done = Arc::new(AtomicBool::new(false));
        let seen = runtime().block_on(async {
            let mut watchers = JoinSet::new();
            for _ in 0..WATCHERS {
                let (store, backend) = (host.store.clone(), Arc::clone(&host.backend));
                watchers.spawn(versions::watch(store, backend, Arc::clone(&done)));
            }
            load.run(&host.store, round).await;
            done.store(true, Ordering::SeqCst);
            watchers.join_all().await
        });
        for seen in seen {
            let seen: Vec<_> = [first.clone()].into_iter().chain(seen).collect();
            assert_eq!(versions::fault(&seen), None);
            let last = seen.last().expect("a look at the end");
            assert!(last.before > first.after && last.rows != first.rows, "nothing was stored");
        }
    }
}
