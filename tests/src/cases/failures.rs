//! What callers are told, and what is stored, when a backend fails.

use std::sync::Arc;

use bitcoin::OutPoint;
use channelcoord::{ChangeSet, PeerChannelStore, Seq, StoreOptions};
use chanstate::facet::{
    ChannelSetupStore, ClosedChannelStore, CommitmentStore, LifecycleStore, OpenChannelStore,
    StatusStore,
};
use chanstate::{ChannelStatus, StoreError, Stored};
use linknode::LinkNodeStore;

use crate::inspect::sorted;
use crate::values::{self, link_node, new_channel, outpoint, peer, shell};
use crate::{Fault, Faulty, Host, Place, finish, poll_once};

/// A store whose backend fails on demand, with `channels` channels.
pub(super) async fn faulty(place: &dyn Place, channels: u64) -> (Host<'_>, Arc<Faulty>) {
    let faulty = Faulty::new(place.must_open());
    let options = StoreOptions { check_memory: true, ..StoreOptions::default() };
    let host = Host::over(place, faulty.clone(), options).await;
    for n in 0..channels {
        host.open(n).await;
    }
    faulty.take_batches();
    (host, faulty)
}

fn concerns(set: &ChangeSet, point: OutPoint) -> bool {
    let mut puts = set.channels.iter().flat_map(|change| change.puts());
    puts.any(|r| matches!(r, chanstate::Record::Channel(row) if row.funding_outpoint == point))
}

async fn is_borked(host: &Host<'_>, n: u64) -> bool {
    host.channel(outpoint(n)).await.unwrap().status == ChannelStatus::BORKED
}

/// While one commit is on its way, callers queue; the next commit takes all of them.
/// Obligations: `facet/durable`, `backend/verdicts`.
pub(crate) async fn calls_that_wait_share_a_commit(place: &dyn Place) {
    let (host, faulty) = faulty(place, 6).await;
    faulty.hold();
    let first = poll_once(host.mark_borked(outpoint(0)));
    faulty.await_held();
    let others = (1..6).map(|n| poll_once(host.mark_borked(outpoint(n)))).collect();
    assert!(!is_borked(&host, 0).await, "memory changes after the commit");
    faulty.go();
    first.await.unwrap();
    finish(others).await.into_iter().for_each(|result| result.unwrap());
    assert_eq!(faulty.take_batches(), [1, 5]);
    let host = host.reopen().await;
    for n in 0..6 {
        assert!(is_borked(&host, n).await);
    }
}

/// A batch that fails is applied member by member.
/// Obligations: `facet/durable`, `facet/nothing_on_error`.
pub(crate) async fn a_failed_batch_is_applied_one_by_one(place: &dyn Place) {
    let (host, faulty) = faulty(place, 5).await;
    faulty.judge(|sets| (sets.len() > 1).then_some(Fault::NotStored));
    faulty.hold();
    let first = poll_once(host.mark_borked(outpoint(0)));
    faulty.await_held();
    let others = (1..5).map(|n| poll_once(host.mark_borked(outpoint(n)))).collect();
    faulty.go();
    first.await.unwrap();
    finish(others).await.into_iter().for_each(|result| result.unwrap());
    assert_eq!(faulty.take_batches(), [1, 4, 1, 1, 1, 1]);
    let host = host.reopen().await;
    for n in 0..5 {
        assert!(is_borked(&host, n).await);
    }
}

/// The member that makes a batch fail fails alone, wherever it stands.
/// Obligations: `facet/nothing_on_error`.
pub(crate) async fn a_poisoned_member_fails_alone(place: &dyn Place) {
    let (host, faulty) = faulty(place, 6).await;
    for poisoned in 1..6 {
        let point = outpoint(poisoned);
        faulty.judge(move |sets| {
            sets.iter().any(|set| concerns(set, point)).then_some(Fault::NotStored)
        });
        faulty.hold();
        let first = poll_once(host.mark_borked(outpoint(0)));
        faulty.await_held();
        let others: Vec<_> = (1..6).map(|n| poll_once(host.mark_borked(outpoint(n)))).collect();
        faulty.go();
        first.await.unwrap();
        for (n, result) in (1..).zip(finish(others).await) {
            let failed = matches!(result, Err(StoreError::Unavailable(_)));
            assert_eq!((result.is_ok(), failed), (n != poisoned, n == poisoned));
            assert_eq!(is_borked(&host, n).await, n != poisoned);
        }
        faulty.next([]);
        for n in 0..6 {
            host.clear_status(outpoint(n), ChannelStatus::BORKED).await.unwrap();
        }
    }
}

/// A commit that was not stored leaves everything as it was, and the store lives on.
/// Obligations: `facet/nothing_on_error`.
pub(crate) async fn an_unavailable_backend_changes_nothing(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let mut exchange = host.exchange(1).await;
    let append = exchange.append();
    faulty.next([Some(Fault::NotStored), Some(Fault::UnknownNotStored)]);
    for _ in 0..2 {
        let failed = host.still(host.append_remote(exchange.point, append.clone())).await;
        let failed = failed.unwrap_err();
        assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
        assert_eq!(failed.stored(), Stored::No);
        assert_eq!(host.remote_tip(exchange.point).await.unwrap(), None);
    }
    host.rounds(&mut exchange, 2).await;
}

/// A commit of unknown outcome that turns out to be stored was stored.
/// Obligations: `facet/durable`.
pub(crate) async fn an_unknown_outcome_is_found_out(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let mut exchange = host.exchange(1).await;
    faulty.judge(|_| Some(Fault::UnknownStored));
    exchange.we_add(1_000_000);
    host.rounds(&mut exchange, 2).await;
    faulty.next([]);
    let host = host.reopen().await;
    host.check(&exchange).await;
}

/// Finding out that a commit was not stored may raise the sequence number.
/// Obligations: `facet/nothing_on_error`.
pub(crate) async fn settling_may_raise_the_sequence_number(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let mut exchange = host.exchange(1).await;
    faulty.next([Some(Fault::UnknownRaised)]);
    let before = host.seq();
    let failed = host.append_remote(exchange.point, exchange.append()).await.unwrap_err();
    assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
    assert_eq!(host.seq(), Seq(before.0 + 1));
    assert_eq!(host.remote_tip(exchange.point).await.unwrap(), None);
    host.rounds(&mut exchange, 2).await;
    host.reopen().await.check(&exchange).await;
}

/// An outcome that cannot be found out is unconfirmed; the store is shut until it is reopened.
/// Obligations: `facet/nothing_on_error`.
pub(crate) async fn an_outcome_that_stays_unknown_shuts_the_store(place: &dyn Place) {
    let (host, faulty) = faulty(place, 2).await;
    faulty.next([Some(Fault::UnknownForGood)]);
    let unconfirmed = host.mark_borked(outpoint(0)).await.unwrap_err();
    assert!(matches!(unconfirmed, StoreError::Unconfirmed(_)), "{unconfirmed:?}");
    assert_eq!(unconfirmed.stored(), Stored::Unknown);
    faulty.take_batches();
    let later = host.mark_borked(outpoint(1)).await.unwrap_err();
    assert!(matches!(later, StoreError::Unavailable(_)), "{later:?}");
    let read = host.channel(outpoint(1)).await.unwrap_err();
    assert!(matches!(read, StoreError::Unavailable(_)), "memory is in doubt: {read:?}");
    assert_eq!(faulty.take_batches(), [0; 0]);
    let host = host.reopen().await;
    host.mark_borked(outpoint(1)).await.unwrap();
}

/// A store that lost what it acknowledged, as after a failover, takes nothing more: memory is ahead
/// of it.
/// Obligations: `facet/durable`, `backend/settle`.
pub(crate) async fn a_store_that_went_back_is_not_worked_on(place: &dyn Place) {
    let (host, faulty) = faulty(place, 2).await;
    faulty.next([Some(Fault::UnknownWentBack)]);
    let unconfirmed = host.mark_borked(outpoint(0)).await.unwrap_err();
    assert!(matches!(unconfirmed, StoreError::Unconfirmed(_)), "{unconfirmed:?}");
    faulty.take_batches();
    let later = host.mark_borked(outpoint(1)).await.unwrap_err();
    assert!(matches!(later, StoreError::Unavailable(_)), "{later:?}");
    let read = host.channel(outpoint(1)).await.unwrap_err();
    assert!(matches!(read, StoreError::Unavailable(_)), "{read:?}");
    assert_eq!(faulty.take_batches(), [0; 0]);
}

/// Calls that wait behind a commit of unknown outcome are refused, also those of its batch that
/// come after it when members are applied one by one.
/// Obligations: `facet/nothing_on_error`.
pub(crate) async fn nothing_is_committed_after_an_unknown_outcome(place: &dyn Place) {
    let (host, faulty) = faulty(place, 5).await;
    let doubtful = outpoint(2);
    faulty.judge(move |sets| match sets {
        [set] if concerns(set, doubtful) => Some(Fault::UnknownForGood),
        [_] => None,
        _ => Some(Fault::NotStored),
    });
    faulty.hold();
    let first = poll_once(host.mark_borked(outpoint(0)));
    faulty.await_held();
    let others: Vec<_> = (1..5).map(|n| poll_once(host.mark_borked(outpoint(n)))).collect();
    // Behind the batch: another call on a channel of it.
    let behind = poll_once(host.apply_status(outpoint(1), ChannelStatus::COOP_BROADCASTED));
    faulty.go();
    first.await.unwrap();
    let results = finish(others).await;
    assert!(results[0].is_ok());
    assert!(matches!(results[1], Err(StoreError::Unconfirmed(_))), "{:?}", results[1]);
    for result in &results[2..] {
        assert!(matches!(result, Err(StoreError::Unavailable(_))), "{result:?}");
    }
    assert!(matches!(behind.await, Err(StoreError::Unavailable(_))));
    assert_eq!(faulty.take_batches(), [1, 4, 1, 1]);
}

/// A backend that panics leaves nobody waiting.
/// Obligations: `facet/nothing_on_error`.
pub(crate) async fn a_panicking_backend_leaves_nobody_waiting(place: &dyn Place) {
    let (host, faulty) = faulty(place, 3).await;
    faulty.hold();
    faulty.next([Some(Fault::Panic)]);
    let first = poll_once(host.mark_borked(outpoint(0)));
    faulty.await_held();
    let waiting = poll_once(host.mark_borked(outpoint(1)));
    let reclaim = poll_once(host.reclaim_closed());
    faulty.go();
    let unconfirmed = first.await.unwrap_err();
    assert!(matches!(unconfirmed, StoreError::Unconfirmed(_)), "{unconfirmed:?}");
    for refused in [waiting.await, reclaim.await, host.mark_borked(outpoint(2)).await] {
        let refused = refused.unwrap_err();
        assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    }
}

/// A conflict is resolved by computing the change anew.
/// Obligations: `facet/durable`, `coordinator/whole`.
pub(crate) async fn a_conflict_is_retried(place: &dyn Place) {
    let (host, faulty) = faulty(place, 2).await;
    let once = || faulty.next([Some(Fault::Conflict)]);
    let points = [outpoint(0), outpoint(1)];
    once();
    host.mark_borked(points[0]).await.unwrap();
    once();
    host.open(5).await;
    once();
    host.restore_shells(vec![(shell(6, peer(6)), link_node(6))]).await.unwrap();
    once();
    host.set_link_node_last_seen(&peer(5), 7).await.unwrap();
    let summary = values::summary(0, points[0], peer(0));
    once();
    host.close_channel(points[0], summary, ChannelStatus::empty()).await.unwrap();
    // Else the reclaim would meet the next fault.
    host.reclaim_closed().await.unwrap();
    once();
    host.mark_fully_closed(points[0]).await.unwrap();
    once();
    host.abandon_channel(points[1], 1).await.unwrap();
    faulty.next([]);
    let host = host.reopen().await;
    assert_eq!(host.all_channels().await.unwrap().len(), 2);
    assert_eq!(host.closed_channels(false).await.unwrap().len(), 2);
    let nodes = host.link_nodes().await.unwrap().into_iter().map(|node| node.node_id);
    assert_eq!(sorted(nodes), sorted([peer(5), peer(6)]));
}

/// After three conflicts the caller is told, and nothing is stored.
/// Obligations: `facet/nothing_on_error`, `coordinator/whole`.
pub(crate) async fn the_third_conflict_is_reported(place: &dyn Place) {
    let (host, faulty) = faulty(place, 1).await;
    faulty.judge(|_| Some(Fault::Conflict));
    let before = host.channel(outpoint(0)).await.unwrap();
    let conflict = host.mark_borked(outpoint(0)).await.unwrap_err();
    assert!(matches!(conflict, StoreError::Conflict), "{conflict:?}");
    assert_eq!(conflict.stored(), Stored::No);
    assert_eq!(faulty.take_batches(), [1, 1, 1]);
    let opened = host.open_channel(new_channel(1, peer(1)), link_node(1)).await.unwrap_err();
    assert!(matches!(opened, StoreError::Conflict), "{opened:?}");
    let seen = host.set_link_node_last_seen(&peer(0), 7).await.unwrap_err();
    assert!(matches!(seen, StoreError::Conflict), "{seen:?}");
    let restored = host.restore_shells(vec![(shell(1, peer(1)), link_node(1))]).await;
    assert!(matches!(restored, Err(StoreError::Conflict)));
    let abandoned = host.abandon_channel(outpoint(0), 1).await.unwrap_err();
    assert!(matches!(abandoned, StoreError::Conflict), "{abandoned:?}");
    assert_eq!(faulty.take_batches(), [1; 12]);
    faulty.next([]);
    let host = host.reopen().await;
    assert_eq!(host.all_channels().await.unwrap(), [before]);
    assert_eq!(host.link_nodes().await.unwrap(), [link_node(0)]);
}

/// Background work that fails is not tried again and again, and holds up nobody.
/// Obligations: `facet/nothing_on_error`.
pub(crate) async fn failing_background_work_is_left_alone(place: &dyn Place) {
    let (host, faulty) = faulty(place, 2).await;
    // Reclaiming writes no channel; everything else here does.
    let tries = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&tries);
    faulty.judge(move |sets| {
        let idle = sets.iter().all(|set| set.channels.is_empty());
        count.fetch_add(idle.into(), std::sync::atomic::Ordering::SeqCst);
        idle.then_some(Fault::NotStored)
    });
    let summary = values::summary(0, outpoint(0), peer(0));
    host.close_channel(outpoint(0), summary, ChannelStatus::empty()).await.unwrap();
    for height in 0..50 {
        host.set_confirmation_height(outpoint(1), height).await.unwrap();
    }
    let failed = host.reclaim_closed().await.unwrap_err();
    assert!(matches!(failed, StoreError::Unavailable(_)), "{failed:?}");
    let tries = tries.load(std::sync::atomic::Ordering::SeqCst);
    assert!((1..=2).contains(&tries), "tried {tries} times");
    faulty.next([]);
    host.reclaim_closed().await.unwrap();
}

/// Writes of one key keep the order of their calls, however they are batched.
/// Obligations: `backend/replace`, `backend/remove`.
pub(crate) async fn writes_of_one_key_keep_their_order(place: &dyn Place) {
    let (host, faulty) = faulty(place, 1).await;
    let key = || bytes::Bytes::from_static(b"key");
    faulty.hold();
    let first = poll_once(host.mark_borked(outpoint(0)));
    faulty.await_held();
    let value = |n: u8| bytes::Bytes::from(vec![n]);
    let mut writes: Vec<_> =
        (0..4).map(|n| poll_once(host.save_opening_state(key(), value(n)))).collect();
    writes.push(poll_once(host.delete_opening_state(key())));
    writes.push(poll_once(host.save_opening_state(key(), value(9))));
    writes.push(poll_once(host.save_opening_state(bytes::Bytes::new(), value(1))));
    faulty.go();
    first.await.unwrap();
    finish(writes).await.into_iter().for_each(|result| result.unwrap());
    assert_eq!(host.opening_state(key()).await.unwrap(), Some(value(9)));
    // The other key went along with the first write.
    assert_eq!(faulty.take_batches(), [1, 2, 1, 1, 1, 1, 1]);
}
