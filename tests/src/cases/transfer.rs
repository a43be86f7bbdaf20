//! Stores that are sides of a transfer, and who may open them.

use std::sync::Arc;

use channelcoord::{
    ChangeSet, NotReady, OpenError, Seq, Stage, Store, StoreOptions, Transfer, TransferId, Verdict,
};
use chanstate::facet::OpenChannelStore;

use crate::inspect;
use crate::values::bytes;
use crate::values::sets::{changing, creating, meta, noting, putting};
use crate::{Claimed, Host, Place};

fn transfer(stage: Stage) -> Transfer {
    let detail = bytes("detail", 1, 200);
    Transfer { id: TransferId([7; 16]), stage, other: "redb:/elsewhere".into(), detail }
}

/// Stores a channel and a side of a transfer.
async fn store_side(place: &dyn Place, stage: Stage) {
    let mut at = Claimed::new(place).await;
    at.apply(creating(1, "created")).await;
    at.apply(putting([transfer(stage).to_record()])).await;
    at.backend.release().await.unwrap();
}

async fn open(place: &dyn Place) -> Result<Store, OpenError> {
    Store::open_shared(place.must_open(), StoreOptions::default()).await
}

/// Opens a store that must be refused.
async fn refused(place: &dyn Place) -> NotReady {
    match open(place).await {
        Err(OpenError::NotReady(not_ready)) => not_ready,
        Err(error) => panic!("refused for another reason: {error:?}"),
        Ok(_) => panic!("a store that is not ready was opened"),
    }
}

/// The store on the other side.
fn other() -> String {
    transfer(Stage::Filling).other
}

/// A store that was never part of a transfer is opened, an empty one included.
/// Obligations: `transfer/ready`.
pub(crate) async fn a_store_without_a_transfer_is_ready(place: &dyn Place) {
    let host = Host::new(place).await;
    host.open(1).await;
    let host = host.reopen().await;
    assert_eq!(host.all_channels().await.unwrap().len(), 1);
    assert_eq!(Transfer::of(host.backend.as_ref()).await.unwrap(), None);
}

/// A store that holds a part of its content is opened by nobody, again and again.
/// Obligations: `transfer/refused`.
pub(crate) async fn a_store_being_filled_is_refused(place: &dyn Place) {
    store_side(place, Stage::Filling).await;
    for _ in 0..3 {
        assert_eq!(refused(place).await, NotReady::Filling { from: other() });
    }
}

/// A store that differs from its source is not opened.
/// Obligations: `transfer/refused`.
pub(crate) async fn a_store_that_differs_is_refused(place: &dyn Place) {
    store_side(place, Stage::Differing).await;
    assert_eq!(refused(place).await, NotReady::Differing { from: other() });
}

/// A complete copy is not opened as long as its source may be in use.
/// Obligations: `transfer/refused`.
pub(crate) async fn a_store_that_is_not_activated_is_refused(place: &dyn Place) {
    store_side(place, Stage::Complete).await;
    assert_eq!(refused(place).await, NotReady::Inactive { from: other() });
}

/// A store that was activated is opened and works, at whatever sequence number that was.
/// Obligations: `transfer/ready`.
pub(crate) async fn a_store_that_was_activated_is_ready(place: &dyn Place) {
    for at in [Seq(0), Seq(2), Seq(u64::MAX)] {
        let mut claimed = Claimed::new(place).await;
        claimed.apply(putting([transfer(Stage::Active { at }).to_record()])).await;
        claimed.backend.release().await.unwrap();
        let host = Host::new(place).await;
        host.open(at.0 % 100).await;
        host.reopen().await.store.close().await.unwrap();
    }
}

/// A store whose content is in use elsewhere is not opened, and says where that is.
/// Obligations: `transfer/refused`.
pub(crate) async fn a_store_that_was_moved_is_refused(place: &dyn Place) {
    let host = Host::new(place).await;
    host.open(1).await;
    host.store.close().await.unwrap();
    drop(host);
    store_moved(place).await;
    assert_eq!(refused(place).await, NotReady::Moved { to: other() });
}

async fn store_moved(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(putting([transfer(Stage::Moved).to_record()])).await;
    at.backend.release().await.unwrap();
}

/// A refusal changes no record and no sequence number, and gives the backend back.
/// Obligations: `transfer/refused`, `backend/released`.
pub(crate) async fn a_refused_store_stays_as_it_is(place: &dyn Place) {
    for stage in [Stage::Filling, Stage::Differing, Stage::Complete, Stage::Moved] {
        let mut at = Claimed::new(place).await;
        at.apply(putting([transfer(stage).to_record(), meta("content")])).await;
        let (before, seq) = (at.contents().await, at.head.seq);
        at.backend.release().await.unwrap();
        drop(at);
        let backend = place.must_open();
        let opened = Store::open_shared(Arc::clone(&backend), StoreOptions::default()).await;
        assert!(matches!(opened.err(), Some(OpenError::NotReady(_))));
        // It is not held any more, although somebody still has it.
        assert!(backend.read(&[Transfer::key()]).await.is_err(), "the backend is released");
        drop(backend);
        let at = Claimed::new(place).await;
        assert_eq!(at.head.seq, seq);
        assert_eq!(inspect::contents(at.backend.as_ref()).await, before);
        at.backend.release().await.unwrap();
    }
}

/// What fills a store goes on after a node was refused, and makes it ready.
/// Obligations: `transfer/refused`, `transfer/ready`.
pub(crate) async fn a_transfer_goes_on_after_a_refusal(place: &dyn Place) {
    store_side(place, Stage::Filling).await;
    refused(place).await;
    let mut at = Claimed::new(place).await;
    at.apply(creating(2, "later")).await;
    let seq = Seq(at.head.seq.0 + 1);
    at.apply(putting([transfer(Stage::Active { at: seq }).to_record()])).await;
    at.backend.release().await.unwrap();
    drop(at);
    let store = open(place).await.unwrap();
    assert_eq!(store.all_channels().await.unwrap().len(), 2);
    assert_eq!(store.seq(), seq);
    store.close().await.unwrap();
}

/// The side of a transfer changes with the other records of its change set or not at all.
/// Obligations: `transfer/atomic`, `backend/whole`.
pub(crate) async fn a_transfer_and_its_records_are_stored_together(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(creating(1, "created")).await;
    let filling = transfer(Stage::Filling).to_record();
    let stale = ChangeSet { puts: vec![filling.clone()], ..changing(1, 99, "stale") };
    let verdicts = at.commit(vec![stale, noting("beside")]).await;
    assert!(matches!(verdicts[..], [Verdict::Conflict(_), Verdict::Applied]), "{verdicts:?}");
    assert_eq!(Transfer::of(at.backend.as_ref()).await.unwrap(), None);
    let version = match at.get(&channelcoord::Subject::Channel(1.into()).key()).await {
        Some(record) => record.version().unwrap().0,
        None => panic!("the channel is there"),
    };
    let fresh = ChangeSet { puts: vec![filling], ..changing(1, version, "fresh") };
    at.apply(fresh).await;
    let at = at.crash().await;
    assert_eq!(Transfer::of(at.backend.as_ref()).await.unwrap(), Some(transfer(Stage::Filling)));
}

/// Every stage reads back as it was stored, with its detail, and the last one stored counts.
/// Obligations: `transfer/atomic`, `backend/replace`, `backend/every_kind`.
pub(crate) async fn a_transfer_reads_back_whole(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let active = [Seq(0), Seq(1), Seq(u64::MAX)].map(|at| Stage::Active { at });
    let stages = [Stage::Filling, Stage::Differing, Stage::Complete, Stage::Moved];
    for stage in stages.into_iter().chain(active) {
        for (len, other) in [(0, ""), (1, "sqlite:/naïve path"), (100_000, "postgres://me@host/n")]
        {
            let detail = bytes("detail", 2, len);
            let stored = Transfer { detail, other: other.into(), ..transfer(stage) };
            at.apply(putting([stored.to_record()])).await;
            assert_eq!(Transfer::of(at.backend.as_ref()).await.unwrap(), Some(stored));
        }
    }
    let at = at.reopen().await;
    let found = Transfer::of(at.backend.as_ref()).await.unwrap().unwrap();
    assert_eq!(found.stage, Stage::Active { at: Seq(u64::MAX) });
}
