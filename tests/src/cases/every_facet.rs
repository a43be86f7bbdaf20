//! What holds for every facet, change by change.

use std::sync::Arc;

use bitcoin::OutPoint;
use channelcoord::Store;
use chanstate::facet::{
    ChannelSetupStore, CloseTxStore, ClosedChannelStore, CommitmentStore, FinalHtlcStore,
    ForwardingPackageStore, LifecycleStore, ShutdownStore, StatusStore,
};
use chanstate::transition::Options;
use chanstate::{
    AddRef, ChannelId, ChannelStatus, Closer, CommitmentHeight, Filter, ForwardingPolicy, HtlcId,
    MilliSatoshi, SettleFailRef, ShortChannelId, ShutdownInfo, StoreError,
};

use super::failures::faulty;
use super::package::packed;
use crate::values::{self, bytes, key, peer};
use crate::{Call, ChannelReads, End, Exchange, Fault, Host, InMemory, Place, Reads, poll_once};

type Made<'a> = Call<'a, Result<(), StoreError>>;

/// A change of channel 1 that reads show.
type Change = for<'a> fn(&'a Store, OutPoint) -> Made<'a>;

const LIFECYCLE: &[Change] = &[
    |store, point| store.mark_open(point, ShortChannelId(8)),
    |store, point| store.mark_open(point, ShortChannelId(u64::MAX)),
    |store, point| store.set_confirmed_scid(point, ShortChannelId(0)),
    |store, point| store.set_confirmation_height(point, 0),
    |store, point| store.set_close_confirmation_height(point, Some(0)),
    |store, point| store.set_close_confirmation_height(point, None),
    |store, point| store.set_scid_alias_negotiated(point),
];

const STATUS: &[Change] = &[
    |store, point| with_bits(store, point, ChannelStatus::from_bits_retain(1 << 63)),
    |store, point| store.mark_borked(point),
    |store, point| store.mark_data_loss(point, key("lost", 1)),
    |store, point| store.mark_data_loss(point, key("lost", 2)),
    |store, point| without_bits(store, point, ChannelStatus::LOCAL_DATA_LOSS),
    |store, point| without_bits(store, point, ChannelStatus::all()),
];

const CLOSING: &[Change] = &[
    |store, point| store.store_shutdown_info(point, shutdown(false)),
    |store, point| store.store_shutdown_info(point, shutdown(true)),
    |store, point| store.mark_commitment_broadcasted(point, closing(1), Closer::Local),
    |store, point| store.mark_coop_broadcasted(point, closing(2), Closer::Remote),
    |store, point| store.mark_coop_broadcasted(point, closing(3), Closer::Remote),
];

/// The first end in the packages of channel 1.
const FIRST_END: SettleFailRef = SettleFailRef {
    source: ShortChannelId(800_000 << 40 | 1 << 16),
    height: CommitmentHeight(2),
    index: 0,
};

/// Once the channel is [`packed`] with two adds.
const PACKAGES: &[Change] = &[
    |store, point| store.ack_adds(point, &[AddRef { height: CommitmentHeight(1), index: 1 }]),
    |store, point| store.set_forward_filter(point, CommitmentHeight(1), Filter::empty(2)),
    |store, point| store.set_forward_filter(point, CommitmentHeight(2), Filter::empty(0)),
    |store, _| store.ack_settle_fails(&[FIRST_END]),
    |store, point| store.remove_forwarding_packages(point, &[CommitmentHeight(2)]),
    |store, point| store.remove_forwarding_packages(point, &[CommitmentHeight(1)]),
];

/// We sign the first commitment of channel 2.
const SIGN: Change = |store, point| store.append_remote(point, Exchange::new(2, 0.into()).append());

/// We revoke the first commitment of channel 2.
const REVOKE: Change = |store, point| {
    let update = Exchange::new(2, 0.into()).update();
    Box::pin(async move { store.update_local(point, update).await.map(drop) })
};

const CLOSE: &[Change] = &[|store, point| {
    let summary = values::summary(1, point, peer(1));
    store.close_channel(point, summary, ChannelStatus::COOP_BROADCASTED)
}];

fn with_bits(store: &Store, point: OutPoint, bits: ChannelStatus) -> Made<'_> {
    Box::pin(async move { store.apply_status(point, bits).await.map(drop) })
}

fn without_bits(store: &Store, point: OutPoint, bits: ChannelStatus) -> Made<'_> {
    let bits = bits - ChannelStatus::RESTORED;
    Box::pin(async move { store.clear_status(point, bits).await.map(drop) })
}

fn shutdown(local_initiator: bool) -> ShutdownInfo {
    ShutdownInfo { script: values::script(1), local_initiator }
}

fn closing(n: u64) -> Arc<bitcoin::Transaction> {
    Arc::new(values::tx(values::outpoint(1), n, 2))
}

/// Makes each change, and looks at it again after a crash and after an orderly close.
async fn each_is_durable<'a>(mut host: Host<'a>, point: OutPoint, changes: &[Change]) {
    let mut before = Reads::of(&host, &[point]).await;
    for (n, change) in changes.iter().enumerate() {
        change(&host, point).await.unwrap();
        let after = Reads::of(&host, &[point]).await;
        assert!(after != before, "change {n} does not show");
        host = host.crash().await;
        assert_eq!(Reads::of(&host, &[point]).await, after, "change {n}, crashed");
        host = host.reopen().await;
        assert_eq!(Reads::of(&host, &[point]).await, after, "change {n}, opened again");
        before = after;
    }
}

/// Each change from pending to open outlives a crash and a close of the store.
/// Obligations: `facet/durable`, `facet/reopened`.
pub(crate) async fn each_lifecycle_change_is_durable(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    each_is_durable(host, point, LIFECYCLE).await;
}

/// Each change of the status outlives a crash and a close of the store.
/// Obligations: `facet/durable`, `facet/reopened`.
pub(crate) async fn each_status_change_is_durable(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    each_is_durable(host, point, STATUS).await;
}

/// What is kept for a close outlives a crash and a close of the store.
/// Obligations: `facet/durable`, `facet/reopened`.
pub(crate) async fn each_step_towards_a_close_is_durable(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    each_is_durable(host, point, CLOSING).await;
}

/// Each change of a package outlives a crash and a close of the store.
/// Obligations: `facet/durable`, `facet/reopened`.
pub(crate) async fn each_package_change_is_durable(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = packed(&host, 1, 2).await.point;
    each_is_durable(host, point, PACKAGES).await;
}

/// A close outlives a crash and a close of the store, with everything that was there before it.
/// Obligations: `facet/durable`, `facet/reopened`, `closed/at_once`.
pub(crate) async fn a_close_is_durable(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = packed(&host, 1, 2).await.point;
    for change in STATUS.iter().chain(CLOSING) {
        change(&host, point).await.unwrap();
    }
    host.close_channel(point, values::summary(1, point, peer(1)), ChannelStatus::empty())
        .await
        .unwrap();
    // Once it is reclaimed nothing more happens to it.
    host.reclaim_closed().await.unwrap();
    let closed = Reads::of(&host, &[point]).await;
    let host = host.crash().await;
    assert_eq!(Reads::of(&host, &[point]).await, closed);
    let host = host.reopen().await;
    assert_eq!(Reads::of(&host, &[point]).await, closed);
}

/// Each step of the commitment protocol outlives a crash and a close of the store.
/// Obligations: `facet/durable`, `facet/reopened`, `commitment/whole_step`.
pub(crate) async fn each_commitment_is_durable(place: &dyn Place) {
    let mut host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let points = [exchange.point];
    exchange.we_add(1_000_000);
    exchange.they_add(2_000_000);
    for step in 0..9 {
        match step % 3 {
            0 => drop(host.revoke(&mut exchange).await),
            1 => host.sign(&mut exchange).await,
            _ => host.take_revocation(&mut exchange).await,
        }
        let reads = Reads::of(&host, &points).await;
        host = host.crash().await;
        assert_eq!(Reads::of(&host, &points).await, reads, "step {step}, crashed");
        host = host.reopen().await;
        assert_eq!(Reads::of(&host, &points).await, reads, "step {step}, opened again");
        if let Some(id) = exchange.ours_to_end().first() {
            exchange.we_end(*id, End::Malformed);
        }
    }
    host.check(&exchange).await;
}

/// What is kept beside channels outlives a crash of the store.
/// Obligations: `facet/durable`, `setup/no_channel`, `final_htlc/outlives`.
pub(crate) async fn what_is_kept_beside_channels_is_durable(place: &dyn Place) {
    let options = Options { store_final_htlcs: true, ..Options::default() };
    let host = Host::with(place, options).await;
    let (id, scid) = (ChannelId([7; 32]), ShortChannelId(9));
    let policy = ForwardingPolicy {
        min_htlc: MilliSatoshi(1),
        max_htlc: MilliSatoshi(2),
        base_fee: MilliSatoshi(3),
        fee_rate: 4,
        time_lock_delta: 5,
    };
    let name = |n| bytes("opening", n, 36);
    host.save_opening_state(name(1), bytes("state", 1, 8)).await.unwrap();
    let host = host.crash().await;
    assert_eq!(host.opening_state(name(1)).await.unwrap(), Some(bytes("state", 1, 8)));
    host.delete_opening_state(name(1)).await.unwrap();
    let host = host.crash().await;
    assert_eq!(host.opening_state(name(1)).await.unwrap(), None);
    host.save_initial_policy(id, policy).await.unwrap();
    let host = host.crash().await;
    assert_eq!(host.initial_policy(id).await.unwrap(), Some(policy));
    host.delete_initial_policy(id).await.unwrap();
    host.put_onchain_outcome(scid, HtlcId(1), true).await.unwrap();
    let host = host.crash().await;
    assert_eq!(host.initial_policy(id).await.unwrap(), None);
    assert!(host.final_htlc(scid, HtlcId(1)).await.unwrap().settled);
}

/// Whatever happens to one channel of a peer, the others read as before.
/// Obligations: `facet/one_channel`.
pub(crate) async fn a_change_of_one_channel_shows_in_no_other(place: &dyn Place) {
    let host = Host::new(place).await;
    let changed = packed(&host, 1, 2).await.point;
    let mut others = Vec::new();
    for n in [2, 3] {
        let point = host.open_with(n, 1).await;
        host.mark_scid(point, 800_000 << 40 | n << 16).await;
        let mut exchange = Exchange::new(n, (800_000 << 40 | n << 16).into());
        exchange.they_add(1_000_000);
        host.revoke(&mut exchange).await;
        host.round(&mut exchange).await;
        others.push(point);
    }
    let mut before = Vec::new();
    for other in &others {
        before.push(ChannelReads::of(&host, *other).await);
    }
    let changes = [LIFECYCLE, STATUS, CLOSING, PACKAGES, CLOSE];
    for (n, change) in changes.into_iter().flatten().enumerate() {
        change(&host, changed).await.unwrap();
        for (other, before) in others.iter().zip(&before) {
            assert_eq!(ChannelReads::of(&host, *other).await, *before, "after change {n}");
        }
    }
    host.reclaim_closed().await.unwrap();
    let host = host.reopen().await;
    for (other, before) in others.iter().zip(&before) {
        assert_eq!(ChannelReads::of(&host, *other).await, *before);
    }
}

/// A change whose future is dropped while it waits shows whole: as in a store where nothing was
/// dropped.
/// Obligations: `facet/dropped_call`.
pub(crate) async fn a_dropped_change_shows_whole(place: &dyn Place) {
    let calm = InMemory::default();
    let calm = Host::new(&calm).await;
    let (host, faulty) = faulty(place, 0).await;
    let point = packed(&host, 1, 2).await.point;
    packed(&calm, 1, 2).await;
    let changes = [LIFECYCLE, STATUS, CLOSING, PACKAGES];
    for (n, change) in changes.into_iter().flatten().enumerate() {
        change(&calm, point).await.unwrap();
        faulty.hold();
        let any = || host.save_opening_state(bytes("any", 1, 8), bytes("any", 1, 8));
        let ahead = poll_once(any());
        faulty.await_held();
        drop(poll_once(change(&host, point)));
        faulty.go();
        ahead.await.unwrap();
        // What waits behind it is stored no sooner.
        any().await.unwrap();
        let expected = Reads::of(&calm, &[point]).await;
        assert_eq!(Reads::of(&host, &[point]).await, expected, "change {n}");
    }
}

/// Each change is one commit, so that nothing of it can be there without the rest.
/// Obligations: `commitment/whole_step`, `commitment/acks`, `closed/at_once`, `close_tx/bits`,
/// `status/data_loss`.
pub(crate) async fn each_change_is_one_commit(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let other = packed(&host, 2, 2).await;
    let mut exchange = packed(&host, 1, 2).await;
    let point = exchange.point;
    faulty.take_batches();
    exchange.we_add(1_000_000);
    exchange.they_add(1_000_000);
    host.revoke(&mut exchange).await;
    assert_eq!(faulty.take_batches(), [1], "our commitment");
    let mut append = exchange.append();
    append.ack_adds = vec![AddRef { height: CommitmentHeight(1), index: 0 }];
    let height = CommitmentHeight(2);
    let ends = [exchange.scid, other.scid];
    append.ack_settle_fails = ends.map(|source| SettleFailRef { source, height, index: 1 }).into();
    host.append_remote(point, append.clone()).await.unwrap();
    exchange.stored_append(&append);
    assert_eq!(faulty.take_batches(), [1], "the peer's commitment, with acknowledgements");
    host.take_revocation(&mut exchange).await;
    assert_eq!(faulty.take_batches(), [1], "the peer's revocation");
    let changes = [LIFECYCLE, STATUS, CLOSING, PACKAGES, CLOSE];
    for (n, change) in changes.into_iter().flatten().enumerate() {
        // A second commit would fail, and the background begins anew later.
        let mut commits = 0;
        faulty.judge(move |_| {
            commits += 1;
            (commits > 1).then_some(Fault::NotStored)
        });
        change(&host, point).await.unwrap();
        assert_eq!(faulty.take_batches()[0], 1, "change {n}");
    }
}

/// A change that is not stored shows nowhere, and can be made once storing is possible again.
/// Obligations: `facet/nothing_on_error`.
pub(crate) async fn a_change_that_fails_shows_nowhere(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let point = packed(&host, 1, 2).await.point;
    let mut changes = vec![SIGN, REVOKE];
    changes.extend([LIFECYCLE, STATUS, CLOSING, PACKAGES, CLOSE].into_iter().flatten());
    let fresh = host.open(2).await;
    for (n, change) in changes.into_iter().enumerate() {
        let point = if n < 2 { fresh } else { point };
        faulty.judge(|_| Some(Fault::NotStored));
        let before = Reads::of(&host, &[point]).await;
        let failed = host.still(change(&host, point)).await;
        assert!(matches!(failed, Err(StoreError::Unavailable(_))), "change {n}: {failed:?}");
        assert_eq!(Reads::of(&host, &[point]).await, before, "change {n}");
        faulty.next([]);
        change(&host, point).await.unwrap();
        assert!(Reads::of(&host, &[point]).await != before, "change {n} does not show");
    }
}
