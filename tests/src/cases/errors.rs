//! What each call says when it fails, and that it says rightly whether anything was stored.

use std::sync::Arc;

use channelcoord::{ClaimError, OpenError, Store, StoreOptions};
use chanstate::facet::{
    ChannelSetupStore, ClosedChannelStore, LifecycleStore, OpenChannelStore, RevocationLogStore,
    StatusStore,
};
use chanstate::key::{KeyRange, Kind};
use chanstate::{StoreError, Stored};

use super::calls::{options, staged};
use super::failures::faulty;
use crate::values::outpoint;
use crate::{Fault, Faulty, Host, Place, Reads, inspect};

fn class(error: &StoreError) -> &'static str {
    match error {
        StoreError::Rejected(_) => "rejected",
        StoreError::Unstorable { .. } => "unstorable",
        StoreError::Conflict => "conflict",
        StoreError::Unavailable(_) => "unavailable",
        StoreError::Unconfirmed(_) => "unconfirmed",
        StoreError::Fenced => "fenced",
        StoreError::Corrupt { .. } => "corrupt",
        other => panic!("a class that is new: {other:?}"),
    }
}

#[track_caller]
fn failed(name: &str, result: Result<(), StoreError>, expected: &str, stored: Stored) {
    let error = result.err().unwrap_or_else(|| panic!("{name} did not fail"));
    assert_eq!((class(&error), error.stored()), (expected, stored), "{name}: {error:?}");
}

/// A commit that is not stored makes every call `Unavailable`, and nothing of it is stored,
/// whether that is known at once or found out.
/// Obligations: `facet/nothing_on_error`, `coordinator/whole`.
pub(crate) async fn a_call_that_is_not_stored_is_unavailable(place: &dyn Place) {
    let (host, faulty, stage) = staged(place).await;
    let calls = async {
        for fault in [Fault::NotStored, Fault::UnknownNotStored] {
            for (name, call) in stage.calls(&host) {
                faulty.next([Some(fault)]);
                failed(name, call.await, "unavailable", Stored::No);
            }
        }
    };
    host.still(calls).await;
}

/// Checks that every read of the staged channels answers the same after reopening.
async fn reads_alike_when_reopened(host: Host<'_>) {
    let points: Vec<_> = (1..22).map(outpoint).collect();
    let reads = Reads::of(&host, &points).await;
    let host = host.reopen().await;
    assert_eq!(Reads::of(&host, &points).await, reads);
}

/// A commit of unknown outcome that turns out to be stored is a success for every call.
/// Obligations: `facet/durable`, `facet/reopened`, `link_node/durable`.
pub(crate) async fn a_call_found_to_be_stored_succeeds(place: &dyn Place) {
    let (host, faulty, stage) = staged(place).await;
    faulty.judge(|_| Some(Fault::UnknownStored));
    for (name, call) in stage.calls(&host) {
        let before = host.seq();
        call.await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert!(host.seq() > before, "{name} stored nothing");
    }
    faulty.next([]);
    host.reclaim_closed().await.unwrap();
    reads_alike_when_reopened(host).await;
}

/// A commit whose outcome stays unknown makes a call `Unconfirmed`, the only error that leaves
/// open whether something was stored. Nothing works before the store is opened again.
/// Obligations: `facet/nothing_on_error`.
pub(crate) async fn a_call_that_stays_unknown_is_unconfirmed(place: &dyn Place) {
    let (mut host, mut faulty, stage) = staged(place).await;
    let count = stage.calls(&host).len();
    // Opening takes its time, so not every call is tried.
    for index in (0..count).step_by(3) {
        faulty.next([Some(Fault::UnknownForGood)]);
        let (name, call) = stage.calls(&host).swap_remove(index);
        failed(name, call.await, "unconfirmed", Stored::Unknown);
        let (name, call) = stage.calls(&host).remove(0);
        failed(name, call.await, "unavailable", Stored::No);
        drop((host, faulty));
        faulty = Faulty::new(place.must_open());
        host = Host::over(place, faulty.clone(), options()).await;
    }
}

/// A takeover makes every call `Fenced`, the first one as well as those that are not even tried.
/// Obligations: `backend/fenced`, `facet/nothing_on_error`.
pub(crate) async fn a_call_after_a_takeover_is_fenced(place: &dyn Place) {
    let (host, _faulty, stage) = staged(place).await;
    host.backend.claim(None).await.unwrap();
    let calls = async {
        for (name, call) in stage.calls(&host).into_iter().chain(stage.calls(&host)) {
            failed(name, call.await, "fenced", Stored::No);
        }
    };
    host.still(calls).await;
}

/// A closed store makes every call `Unavailable`.
/// Obligations: `facet/nothing_on_error`.
pub(crate) async fn a_call_after_the_close_is_unavailable(place: &dyn Place) {
    let (host, _faulty, stage) = staged(place).await;
    let before = inspect::contents(host.backend.as_ref()).await;
    host.close().await.unwrap();
    for (name, call) in stage.calls(&host) {
        failed(name, call.await, "unavailable", Stored::No);
    }
    drop(host);
    let host = Host::new(place).await;
    let after = inspect::contents(host.backend.as_ref()).await;
    assert_eq!(inspect::differences(&before, &after), Default::default());
}

/// Calls that write blindly: they have no version that could conflict.
const BLIND: [&str; 7] = [
    "ack_adds",
    "ack_settle_fails",
    "save_opening_state",
    "delete_opening_state",
    "save_initial_policy",
    "delete_initial_policy",
    "put_onchain_outcome",
];

/// Conflict after conflict is a `Conflict` for every call that computes from a version, and
/// nothing of it is stored.
/// Obligations: `facet/nothing_on_error`, `backend/guards`.
pub(crate) async fn a_call_in_conflict_says_so(place: &dyn Place) {
    let (host, faulty, stage) = staged(place).await;
    faulty.judge(|_| Some(Fault::Conflict));
    let before = inspect::contents(host.backend.as_ref()).await;
    for (name, call) in stage.calls(&host).into_iter().filter(|(name, _)| !BLIND.contains(name)) {
        faulty.take_batches();
        failed(name, call.await, "conflict", Stored::No);
        assert_eq!(faulty.take_batches(), [1, 1, 1], "{name} tries three times");
    }
    let after = inspect::contents(host.backend.as_ref()).await;
    assert_eq!(inspect::differences(&before, &after), Default::default());
}

/// One conflict passes unnoticed by the caller, whichever call meets it.
/// Obligations: `facet/durable`, `facet/reopened`.
pub(crate) async fn a_call_computes_anew_after_a_conflict(place: &dyn Place) {
    let (host, faulty, stage) = staged(place).await;
    for (name, call) in stage.calls(&host) {
        if !BLIND.contains(&name) {
            faulty.next([Some(Fault::Conflict)]);
        }
        call.await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        faulty.next([]);
        host.reclaim_closed().await.unwrap();
    }
    reads_alike_when_reopened(host).await;
}

/// A record that the backend refuses makes every call `Unstorable`, and nothing of it is stored.
/// Obligations: `facet/nothing_on_error`, `backend/refused`.
pub(crate) async fn a_call_with_an_odd_record_is_unstorable(place: &dyn Place) {
    let (host, faulty, stage) = staged(place).await;
    let before = inspect::contents(host.backend.as_ref()).await;
    for (name, call) in stage.calls(&host) {
        faulty.next([Some(Fault::RefusedAt(0))]);
        failed(name, call.await, "unstorable", Stored::No);
    }
    let after = inspect::contents(host.backend.as_ref()).await;
    assert_eq!(inspect::differences(&before, &after), Default::default());
}

/// A backend that is out of reach makes reads and writes `Unavailable`, and both go on when it is
/// back.
/// Obligations: `facet/nothing_on_error`.
pub(crate) async fn an_outage_passes(place: &dyn Place) {
    let (host, faulty) = faulty(place, 2).await;
    host.close_and_reclaim(1, outpoint(1)).await;
    let point = outpoint(0);
    faulty.set_down(true);
    failed("a write", host.mark_borked(point).await, "unavailable", Stored::No);
    let results = [
        host.closed_channels(false).await.map(drop),
        host.closed_channel(outpoint(1)).await.map(drop),
        host.refresh(outpoint(1)).await.map(drop),
        host.opening_state("key".into()).await.map(drop),
        host.previous_state(point, 0.into()).await.map(drop),
    ];
    for result in results {
        failed("a read", result, "unavailable", Stored::No);
    }
    // What is in memory needs no backend.
    assert!(host.channel(point).await.is_ok());
    faulty.set_down(false);
    host.mark_borked(point).await.unwrap();
    assert_eq!(host.closed_channels(false).await.unwrap().len(), 1);
}

/// A store whose backend is out of reach or damaged is not opened, and can be opened later.
/// Obligations: `backend/failed`, `facet/damage`.
pub(crate) async fn a_store_that_cannot_be_read_is_not_opened(place: &dyn Place) {
    let (host, faulty) = faulty(place, 2).await;
    let backend: Arc<dyn channelcoord::Backend> = faulty.clone();
    let open = || Store::open_shared(Arc::clone(&backend), StoreOptions::default());
    faulty.set_down(true);
    let error = open().await.err().unwrap();
    assert!(matches!(error, OpenError::Claim(ClaimError::Backend(_))), "{error:?}");
    faulty.set_down(false);
    host.mark_borked(outpoint(0)).await.expect("the claim that failed left ours as it was");
    faulty.damage(KeyRange::all(Kind::Terms));
    let error = open().await.err().unwrap();
    let OpenError::Read(channelcoord::BackendError::Corrupt { .. }) = error else {
        panic!("{error:?}");
    };
    assert_eq!(host.reopen().await.all_channels().await.unwrap().len(), 2);
}

/// A close that fails is `Unavailable`; everything that returned before is stored.
/// Obligations: `facet/durable`.
pub(crate) async fn a_close_that_fails_loses_nothing(place: &dyn Place) {
    let (host, faulty) = faulty(place, 1).await;
    host.mark_borked(outpoint(0)).await.unwrap();
    faulty.set_down(true);
    failed("the close", host.close().await, "unavailable", Stored::No);
    drop((host, faulty));
    let host = Host::new(place).await;
    assert_eq!(host.waiting_close_channels().await.unwrap().len(), 1);
}
