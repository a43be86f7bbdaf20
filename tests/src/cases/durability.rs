//! What survives, and who may write.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};

use channelcoord::{ClaimError, OpenError, Seq, Store, StoreOptions};
use chanstate::facet::{CommitmentStore, LifecycleStore, OpenChannelStore, StatusStore};
use chanstate::{ChannelStatus, StoreError, Stored};
use linknode::LinkNodeStore;

use super::calls::{options, staged};
use super::failures::faulty;
use crate::inspect::{self, sorted};
use crate::values::sets::noting;
use crate::values::{self, outpoint};
use crate::{Claimed, End, Faulty, Host, Place, Reads, poll_once};

/// A store that is dropped without being closed has everything that was acknowledged.
/// Obligations: `facet/durable`, `facet/reopened`, `backend/durable`.
pub(crate) async fn a_store_that_is_not_closed_keeps_everything(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    exchange.we_add(1_000_000);
    exchange.they_add(2_000_000);
    host.rounds(&mut exchange, 3).await;
    let id = exchange.ours_to_end()[0];
    exchange.we_end(id, End::Malformed);
    host.sign(&mut exchange).await;
    let (seq, reads) = (host.seq(), Reads::of(&host, &[exchange.point]).await);
    drop(host);
    let host = Host::new(place).await;
    assert_eq!(host.seq(), seq);
    assert_eq!(Reads::of(&host, &[exchange.point]).await, reads);
    host.take_revocation(&mut exchange).await;
}

/// The sequence number grows with every change, is kept, and shows an old copy.
/// Obligations: `backend/too_old`, `backend/sequence`.
pub(crate) async fn a_store_older_than_known_is_refused(place: &dyn Place) {
    let host = Host::new(place).await;
    let before = host.seq();
    let point = host.open(1).await;
    let seq = host.seq();
    assert!(seq > before);
    host.close().await.unwrap();
    drop(host);
    let known = |at_least| StoreOptions { at_least: Some(at_least), ..StoreOptions::default() };
    let ahead = Seq(seq.0 + 1);
    let refused = Store::open_shared(place.must_open(), known(ahead)).await.err().unwrap();
    let OpenError::Claim(ClaimError::TooOld { at_least, found }) = refused else {
        panic!("not refused for its age: {refused:?}");
    };
    assert_eq!((at_least, found), (ahead, seq));
    let store = Store::open_shared(place.must_open(), known(seq)).await.unwrap();
    assert!(store.channel(point).await.is_ok());
    store.close().await.unwrap();
}

/// A store that was taken over cannot write any more, and says so for good.
/// Obligations: `backend/fenced`, `facet/nothing_on_error`.
pub(crate) async fn a_store_that_was_taken_over_is_fenced(place: &dyn Place) {
    let old = Host::new(place).await;
    let points = [old.open(1).await, old.open(2).await];
    let options = StoreOptions { check_memory: true, ..StoreOptions::default() };
    let new = Store::open_shared(Arc::clone(&old.backend), options).await.unwrap();
    let fenced = old.still(old.mark_borked(points[0])).await.unwrap_err();
    assert!(matches!(fenced, StoreError::Fenced), "{fenced:?}");
    assert_eq!(fenced.stored(), Stored::No);
    for _ in 0..2 {
        assert!(matches!(old.mark_borked(points[1]).await, Err(StoreError::Fenced)));
        assert!(matches!(old.channel(points[1]).await, Err(StoreError::Fenced)));
        assert!(matches!(old.link_nodes().await, Err(linknode::Error::Fenced)));
        assert!(matches!(old.reclaim_closed().await, Err(StoreError::Fenced)));
    }
    new.mark_borked(points[1]).await.unwrap();
    assert_eq!(new.open_channels().await.unwrap(), []);
}

/// A store that is closed takes no more calls; closing it again is fine.
/// Obligations: `backend/released`, `facet/nothing_on_error`.
pub(crate) async fn a_closed_store_takes_no_calls(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let clone = host.store.clone();
    host.close().await.unwrap();
    host.close().await.unwrap();
    assert!(matches!(clone.mark_borked(point).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(clone.channel(point).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(clone.link_nodes().await, Err(linknode::Error::Unavailable(_))));
    assert!(matches!(clone.reclaim_closed().await, Err(StoreError::Unavailable(_))));
}

/// Closing commits what waits.
/// Obligations: `facet/durable`.
pub(crate) async fn closing_commits_what_waits(place: &dyn Place) {
    let (host, faulty) = faulty(place, 3).await;
    faulty.hold();
    let first = poll_once(host.mark_borked(outpoint(0)));
    faulty.await_held();
    let second = poll_once(host.mark_borked(outpoint(1)));
    let closing = std::thread::scope(|scope| {
        let closing = scope.spawn(|| pollster::block_on(host.close()));
        while pollster::block_on(host.channel(outpoint(2))).is_ok() {
            std::thread::yield_now();
        }
        faulty.go();
        closing.join()
    });
    closing.unwrap().unwrap();
    first.await.unwrap();
    second.await.unwrap();
    let host = host.reopen().await;
    assert_eq!(host.waiting_close_channels().await.unwrap().len(), 2);
}

/// Of calls that close the store at once, none returns before everything is committed.
/// Obligations: `facet/durable`.
pub(crate) async fn every_close_waits_for_what_waits(place: &dyn Place) {
    const CLOSES: usize = 4;
    let (host, faulty) = faulty(place, 2).await;
    let committed = Arc::new(AtomicBool::new(false));
    let commits = Arc::clone(&committed);
    faulty.judge(move |_| {
        commits.store(true, Ordering::SeqCst);
        None
    });
    faulty.hold();
    let call = poll_once(host.mark_borked(outpoint(0)));
    faulty.await_held();
    let begun = Barrier::new(CLOSES + 1);
    let close = || {
        begun.wait();
        let closed = pollster::block_on(host.close());
        (closed, committed.load(Ordering::SeqCst))
    };
    let closed = std::thread::scope(|scope| {
        let closing = [(); CLOSES].map(|()| scope.spawn(close));
        begun.wait();
        while pollster::block_on(host.channel(outpoint(1))).is_ok() {
            std::thread::yield_now();
        }
        faulty.go();
        closing.map(|close| close.join().unwrap())
    });
    for (closed, committed) in closed {
        closed.unwrap();
        assert!(committed, "a close returned while a commit was on its way");
    }
    call.await.unwrap();
}

/// A call that is dropped while its change is queued is stored whole, and the next call on the
/// channel sees it.
/// Obligations: `facet/dropped_call`.
pub(crate) async fn a_call_dropped_in_the_queue_is_stored(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let mut exchange = host.exchange(1).await;
    exchange.we_add(1_000_000);
    let append = exchange.append();
    faulty.hold();
    let dropped = poll_once(host.append_remote(exchange.point, append.clone()));
    faulty.await_held();
    drop(dropped);
    // It waits for the lock that the dropped call's change holds.
    let again = poll_once(host.append_remote(exchange.point, append.clone()));
    let other = poll_once(host.append_remote(exchange.point, {
        let mut other = append.clone();
        other.pending.commitment.local_balance.0 += 1;
        other
    }));
    faulty.go();
    again.await.unwrap();
    let refused = crate::rejection(other.await);
    assert!(matches!(refused, chanstate::Rejection::PendingCommitment { .. }));
    exchange.stored_append(&append);
    host.take_revocation(&mut exchange).await;
    host.reopen().await.check(&exchange).await;
}

/// A call that is dropped while it waits for the channel changes nothing.
/// Obligations: `facet/dropped_call`.
pub(crate) async fn a_call_dropped_before_the_queue_changes_nothing(place: &dyn Place) {
    let (host, faulty) = faulty(place, 1).await;
    let point = outpoint(0);
    faulty.hold();
    let first = poll_once(host.mark_borked(point));
    faulty.await_held();
    let dropped = poll_once(host.apply_status(point, ChannelStatus::COOP_BROADCASTED));
    let last = poll_once(host.set_confirmation_height(point, 5));
    drop(dropped);
    faulty.go();
    first.await.unwrap();
    last.await.unwrap();
    let channel = host.reopen().await.channel(point).await.unwrap();
    assert_eq!((channel.status, channel.confirmation_height), (ChannelStatus::BORKED, Some(5)));
}

/// A channel that was opened by a dropped call is there, with its link node.
/// Obligations: `facet/dropped_call`, `coordinator/whole`.
pub(crate) async fn a_dropped_opening_is_whole(place: &dyn Place) {
    use channelcoord::PeerChannelStore;
    let (host, faulty) = faulty(place, 0).await;
    let open = |n| host.open_channel(values::new_channel(n, values::peer(1)), values::link_node(1));
    faulty.hold();
    let first = poll_once(open(1));
    faulty.await_held();
    let dropped = poll_once(open(2));
    drop((first, dropped));
    faulty.go();
    // The peer's lock says when the first one is through.
    open(3).await.unwrap();
    let opened = host.all_channels().await.unwrap();
    let opened = sorted(opened.into_iter().map(|channel| channel.funding_outpoint));
    assert_eq!(opened, sorted([outpoint(1), outpoint(3)]));
    assert_eq!(host.reopen().await.link_nodes().await.unwrap(), [values::link_node(1)]);
}

/// What each call stored before a crash is there after it, and nothing else is.
/// Obligations: `facet/durable`, `facet/reopened`, `link_node/durable`, `backend/durable`.
pub(crate) async fn every_call_outlives_a_crash(place: &dyn Place) {
    let (mut host, mut faulty, stage) = staged(place).await;
    let count = stage.calls(&host).len();
    for first in (0..count).step_by(6) {
        for (_, call) in stage.calls(&host).into_iter().skip(first).take(6) {
            call.await.unwrap();
        }
        // Else it would go on while we look.
        host.reclaim_closed().await.unwrap();
        let (seq, contents) = (host.seq(), inspect::contents(host.backend.as_ref()).await);
        drop((host, faulty));
        faulty = Faulty::new(place.must_open());
        host = Host::over(place, faulty.clone(), options()).await;
        assert_eq!(host.seq(), seq);
        let found = inspect::contents(host.backend.as_ref()).await;
        assert_eq!(inspect::differences(&contents, &found), Default::default());
    }
}

/// What was acknowledged does not wait for a release or a drop: a copy of the files, taken while
/// the store is open, has all of it.
/// Obligations: `backend/durable`.
pub(crate) async fn a_copy_of_an_open_store_has_everything(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    for n in 0..4 {
        let Some(copy) = place.copy().unwrap() else { return };
        let copied = Claimed::new(copy.as_ref()).await;
        assert!(copied.head.epoch > at.head.epoch, "the claim is missing");
        assert_eq!(copied.head.seq, at.head.seq);
        assert_eq!(copied.contents().await, at.contents().await);
        at.apply(noting(&n.to_string())).await;
    }
}

/// A store that is opened again after each step of the protocol, closed or not, goes on where it
/// was.
/// Obligations: `facet/reopened`, `backend/durable`.
pub(crate) async fn a_store_may_be_reopened_at_each_step(place: &dyn Place) {
    let mut host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    for round in 0..5 {
        exchange.we_add(1_000_000 + round);
        exchange.they_add(2_000_000 + round);
        host.sign(&mut exchange).await;
        host = host.reopen().await;
        host.take_revocation(&mut exchange).await;
        drop(host);
        host = Host::new(place).await;
        host.revoke(&mut exchange).await;
        host = host.reopen().await;
    }
    host.check(&exchange).await;
}

/// A store that a newer release wrote is not opened, and is as it was when the newer release opens
/// it again.
/// Obligations: `backend/newer_format`.
pub(crate) async fn a_newer_format_is_refused(place: &dyn Place) {
    let host = Host::new(place).await;
    host.open(1).await;
    let (seq, contents) = (host.seq(), inspect::contents(host.backend.as_ref()).await);
    host.close().await.unwrap();
    drop(host);
    if !place.set_newer(true).unwrap() {
        return;
    }
    for _ in 0..2 {
        assert!(place.open().is_err(), "a newer format was opened");
    }
    assert!(place.set_newer(false).unwrap());
    let host = Host::new(place).await;
    assert_eq!(host.seq(), seq);
    assert_eq!(inspect::contents(host.backend.as_ref()).await, contents);
}
