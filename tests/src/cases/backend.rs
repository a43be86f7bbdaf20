//! What a backend owes to the store, asked of it directly.

use channelcoord::{
    BackendError, Batch, ChangeSet, ClaimError, CommitError, MetaRecord, Record, Seq, Subject,
    Verdict, meta_key,
};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::PackageRecord;
use chanstate::{ChannelNo, FinalHtlcRecord, Version};
use linknode::LinkNodeChange;

use crate::values::sets::{
    acking, changing, creating, forgetting, meeting, noting, orphan_package, putting, removing,
    touching,
};
use crate::values::{self, link_node, peer};
use crate::{Claimed, Place, inspect};

pub(super) fn is_conflict(verdict: &Verdict, subject: Subject) -> bool {
    matches!(verdict, Verdict::Conflict(found) if *found == subject)
}

/// A set whose channel has another version is left out whole, the others of its batch are stored.
/// Obligations: `backend/guards`, `backend/whole`, `backend/verdicts`, `backend/sequence`.
pub(crate) async fn a_stale_channel_is_left_out(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(creating(1, "created")).await;
    at.apply(creating(2, "created")).await;
    let no = |n| Subject::Channel(ChannelNo(n));
    let verdicts = at
        .commit(vec![
            changing(1, 1, "right"),
            changing(2, 1, "stale"),
            changing(3, 1, "absent"),
            noting("free"),
        ])
        .await;
    assert!(matches!((&verdicts[0], &verdicts[3]), (Verdict::Applied, Verdict::Applied)));
    assert!(is_conflict(&verdicts[1], no(2)) && is_conflict(&verdicts[2], no(3)));
    let verdicts = at.commit(vec![creating(1, "again"), changing(1, 3, "next")]).await;
    assert!(is_conflict(&verdicts[0], no(1)), "what exists is not created");
    assert!(matches!(verdicts[1], Verdict::Applied));
    let at = at.reopen().await;
    for (name, stored) in
        [("right", true), ("free", true), ("next", true), ("stale", false), ("absent", false)]
    {
        assert_eq!(at.has(name).await, stored, "{name}");
    }
    assert!(!at.has("again").await);
    assert_eq!(at.head.seq, Seq(8), "a set that is left out leaves a gap");
}

/// The same for link nodes, one that was removed and created again included.
/// Obligations: `backend/guards`, `backend/whole`.
pub(crate) async fn a_stale_link_node_is_left_out(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let subject = Subject::LinkNode(peer(1));
    at.apply(meeting(1, "1")).await;
    for stale in [meeting(1, "again"), forgetting(1, 7, "gone"), touching(1, 0, "zero")] {
        assert!(is_conflict(&at.commit(vec![stale]).await[0], subject));
    }
    at.apply(forgetting(1, 1, "5")).await;
    assert!(is_conflict(&at.commit(vec![touching(1, 1, "absent")]).await[0], subject));
    at.apply(meeting(1, "7")).await;
    assert!(is_conflict(&at.commit(vec![touching(1, 1, "old")]).await[0], subject));
    at.apply(touching(1, 7, "9")).await;
    let at = at.reopen().await;
    for name in ["again", "gone", "zero", "absent", "old"] {
        assert!(!at.has(name).await, "{name}");
    }
    let addresses = at.backend.scan(&linknode::addresses_of(&peer(1)), 9).await.unwrap();
    assert_eq!(addresses.len(), link_node(1).addresses.len());
}

/// A version that differs in its highest bits alone is another version.
/// Obligations: `backend/guards`.
pub(crate) async fn versions_are_compared_whole(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let channel = Subject::Channel(ChannelNo(1));
    let mut row = values::sets::row_of(1);
    for stored in [1, (1 << 40) + 1] {
        row.version = Version(stored);
        at.apply(putting([Record::Channel(chanstate::Record::Channel(row.clone()))])).await;
        for bit in [8, 16, 31, 32, 40, 63] {
            let verdicts = at.commit(vec![changing(1, stored ^ (1 << bit), "stale")]).await;
            assert!(is_conflict(&verdicts[0], channel), "bit {bit}: {verdicts:?}");
        }
    }
    assert!(!at.has("stale").await);
    at.apply(changing(1, (1 << 40) + 1, "right")).await;
}

/// A set with a fresh and a stale subject is left out whole.
/// Obligations: `backend/guards`, `backend/whole`.
pub(crate) async fn one_stale_subject_is_enough(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let mut set = creating(1, "half");
    set.link_nodes = vec![LinkNodeChange::touch(&link_node(1), Version(1))];
    assert!(is_conflict(&at.commit(vec![set]).await[0], Subject::LinkNode(peer(1))));
    assert_eq!(inspect::contents(at.backend.as_ref()).await.len(), 0);
}

/// A claim raises the epoch; one that finds the store too old does not.
/// Obligations: `backend/epoch`, `backend/too_old`, `backend/fenced`.
pub(crate) async fn a_claim_raises_the_epoch(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(noting("one")).await;
    let too_old = at.backend.claim(Some(Seq(2))).await.unwrap_err();
    assert!(matches!(too_old, ClaimError::TooOld { at_least: Seq(2), found: Seq(1) }));
    at.apply(noting("two")).await;
    let newer = at.backend.claim(Some(Seq(2))).await.unwrap();
    assert_eq!((newer.seq, newer.epoch > at.head.epoch), (Seq(2), true));
    let sets = [noting("three")];
    let batch = Batch { epoch: at.head.epoch, before: at.head.seq, sets: &sets };
    let fenced = at.backend.commit(batch).await.unwrap_err();
    let CommitError::Fenced { ours, found } = fenced else { panic!("{fenced:?}") };
    assert_eq!((ours, found), (at.head.epoch, newer.epoch));
    assert!(!at.has("three").await);
    let again = at.reopen().await;
    assert_eq!((again.head.seq, again.head.epoch > newer.epoch), (Seq(2), true));
}

/// A batch that does not follow the last one is not stored.
/// Obligations: `backend/in_step`, `backend/failed`.
pub(crate) async fn a_batch_out_of_step_is_not_stored(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(noting("one")).await;
    for before in [Seq(0), Seq(2)] {
        let sets = [noting("two")];
        let batch = Batch { epoch: at.head.epoch, before, sets: &sets };
        let failed = at.backend.commit(batch).await.unwrap_err();
        assert!(matches!(failed, CommitError::NotStored(_)), "{failed:?}");
    }
    assert!(!at.has("two").await);
    at.apply(noting("two")).await;
}

/// Reads answer in the order of their keys; scans go in key order, page by page, from anywhere.
/// Obligations: `backend/scan_order`, `backend/limit`, `backend/after`, `backend/read_order`.
pub(crate) async fn scans_go_in_key_order(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let ids = [0, 1, 255, 256, 1 << 40, i64::MAX as u64];
    let scids = [0, 1, 1 << 32, i64::MAX as u64, 1 << 63, u64::MAX];
    let outcome = chanstate::FinalHtlc { settled: true, offchain: false };
    let record = |scid: u64, id: u64| {
        let record = FinalHtlcRecord { scid: scid.into(), id: id.into(), outcome };
        Record::Channel(chanstate::Record::FinalHtlc(record))
    };
    // Written backwards.
    let places = scids.iter().rev().flat_map(|scid| ids.iter().rev().map(|id| (*scid, *id)));
    let puts: Vec<_> = places.map(|(scid, id)| record(scid, id)).collect();
    at.apply(putting(puts.clone())).await;
    let mut expected: Vec<_> = puts.iter().map(Record::key).collect();
    expected.sort();
    let keys = |found: Vec<Record>| found.iter().map(Record::key).collect::<Vec<_>>();

    let b = at.backend.as_ref();
    let all = KeyRange::all(Kind::FinalHtlc);
    assert_eq!(keys(b.scan(&all, 100).await.unwrap()), expected);
    for limit in 1..8 {
        let (mut found, mut range) = (Vec::new(), all.clone());
        loop {
            let page = keys(b.scan(&range, limit).await.unwrap());
            found.extend(page.iter().cloned());
            let Some(last) = page.last().filter(|_| page.len() == limit) else { break };
            range = range.after(last.clone());
        }
        assert_eq!(found, expected, "pages of {limit}");
    }
    for scid in scids {
        let under = KeyRange::under(Kind::FinalHtlc, [scid]);
        let of_scid: Vec<_> = ids.map(|id| record(scid, id).key()).into();
        assert_eq!(keys(b.scan(&under, 100).await.unwrap()), of_scid);
        // After a key that is not there.
        let after = under.after(RecordKey::of(Kind::FinalHtlc, [scid, 2]));
        assert_eq!(keys(b.scan(&after, 2).await.unwrap()), of_scid[2..4]);
    }
    let wanted =
        [expected[7].clone(), meta_key("absent"), expected[2].clone(), expected[7].clone()];
    let found: Vec<_> = b.read(&wanted).await.unwrap().into_iter().collect();
    let found: Vec<_> = found.iter().map(|r| r.as_ref().map(Record::key)).collect();
    let [first, _, third, fourth] = wanted;
    assert_eq!(found, [Some(first), None, Some(third), Some(fourth)]);
    assert_eq!(b.read(&[]).await.unwrap(), []);
}

/// Records replace those of their key; removing what is not there is fine.
/// Obligations: `backend/replace`, `backend/remove`, `backend/unguarded`, `backend/sequence`.
pub(crate) async fn records_are_replaced_and_removed(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let value = |len| {
        let value = values::bytes("value", 1, len);
        Record::Meta(MetaRecord { name: "name".into(), value })
    };
    for len in [0, 1, 100_000, 3] {
        at.apply(putting([value(len)])).await;
        let found = at.backend.read(&[meta_key("name")]).await.unwrap();
        assert_eq!(found, [Some(value(len))]);
    }
    for _ in 0..2 {
        at.apply(removing([meta_key("name")])).await;
        assert_eq!(at.backend.read(&[meta_key("name")]).await.unwrap(), [None]);
    }
    at.apply(ChangeSet::default()).await;
    assert_eq!(at.reopen().await.head.seq, Seq(7));
}

/// An acknowledgement sets its update alone, and one of a package that is gone passes; several of
/// one package may come in one batch. Writing a package again leaves its updates.
/// Obligations: `backend/ack`, `backend/unguarded`.
pub(crate) async fn acknowledgements_commute(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let (source, height) = (u64::MAX.into(), 7.into());
    let package = |forward_filter| {
        let record = PackageRecord { source, height, no: None, forward_filter };
        Record::Channel(chanstate::Record::Package(record))
    };
    at.apply(putting(orphan_package(7, 4))).await;
    let sets = vec![acking(7, 3), acking(7, 1), acking(8, 0), noting("beside")];
    let verdicts = at.commit(sets).await;
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Applied)), "{verdicts:?}");
    let filter = Some(chanstate::Filter::empty(0));
    at.apply(putting([package(filter.clone())])).await;
    let at = at.reopen().await;
    let range = KeyRange::under(Kind::PackageUpdate, [u64::MAX, 7]);
    let acked = at.backend.scan(&range, 9).await.unwrap().into_iter().map(|record| match record {
        Record::Channel(chanstate::Record::PackageUpdate(update)) => update.acked,
        other => panic!("not an update: {other:?}"),
    });
    assert_eq!(acked.collect::<Vec<_>>(), [false, true, false, true]);
    let found = at.backend.read(&[RecordKey::package(source, height)]).await.unwrap();
    assert_eq!(found, [Some(package(filter))]);
    assert!(at.has("beside").await);
}

/// A set without subjects is applied whatever else is stored, and whatever was stored since.
/// Obligations: `backend/unguarded`.
pub(crate) async fn a_set_without_subjects_has_no_guard(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(creating(1, "created")).await;
    let at_once = vec![changing(1, 1, "changed"), noting("beside"), changing(1, 9, "stale")];
    let verdicts = at.commit(at_once).await;
    assert!(matches!(verdicts[1], Verdict::Applied));
    // A channel's row may be written like any other record, and carries its version then.
    let mut row = values::sets::row_of(1);
    row.version = Version(77);
    at.apply(putting([Record::Channel(chanstate::Record::Channel(row))])).await;
    at.apply(changing(1, 77, "next")).await;
    assert!(at.has("beside").await && at.has("next").await);
}

/// A batch without sets is stored as any other, if it comes in step and under the newest claim,
/// and changes nothing.
/// Obligations: `backend/sequence`, `backend/in_step`.
pub(crate) async fn an_empty_batch_changes_nothing(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    for n in 1..4 {
        assert_eq!(at.commit(vec![]).await.len(), 0);
        let seq = at.apply(noting("name")).await;
        assert_eq!(seq, Seq(n));
    }
    // A set that changes nothing takes its number all the same.
    assert_eq!(at.apply(ChangeSet::default()).await, Seq(4));
    let ahead = Batch { before: Seq(9), ..at.batch(&[]) };
    let failed = at.backend.commit(ahead).await.unwrap_err();
    assert!(matches!(failed, CommitError::NotStored(_)), "{failed:?}");
    let at = at.reopen().await;
    assert_eq!((at.head.seq, at.contents().await.len()), (Seq(4), 1));
}

fn unavailable<T: std::fmt::Debug>(result: Result<T, BackendError>) {
    assert!(matches!(result, Err(BackendError::Unavailable(_))), "{result:?}");
}

/// A released backend can be opened again at once; what is left of it takes no calls but another
/// release.
/// Obligations: `backend/released`, `backend/failed`.
pub(crate) async fn a_released_backend_takes_no_calls(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(noting("one")).await;
    let (old, head) = (at.backend.clone(), at.head);
    // Opened while the released one still exists.
    let mut at = at.reopen().await;
    let sets = [noting("two")];
    for epoch in [head.epoch, at.head.epoch] {
        let batch = Batch { epoch, before: head.seq, sets: &sets };
        let failed = old.commit(batch).await.unwrap_err();
        assert!(matches!(failed, CommitError::NotStored(_)), "{failed:?}");
        unavailable(old.settle(batch).await);
    }
    unavailable(old.read(&[meta_key("one")]).await);
    unavailable(old.read(&[]).await);
    for limit in [0, 9] {
        unavailable(old.scan(&KeyRange::all(Kind::Meta), limit).await);
    }
    let claimed = old.claim(None).await;
    assert!(matches!(claimed, Err(ClaimError::Backend(_))), "{claimed:?}");
    old.release().await.unwrap();
    at.apply(noting("three")).await;
    assert_eq!(inspect::contents(at.backend.as_ref()).await.len(), 2);
    let seq = at.head.seq;
    assert_eq!(at.reopen().await.head.seq, seq);
}

/// A read that is dropped halfway disturbs neither reads nor commits.
/// Obligations: `backend/dropped`.
pub(crate) async fn a_read_may_be_dropped(place: &dyn Place) {
    use std::task::{Context, Waker};
    let mut at = Claimed::new(place).await;
    for round in 0..20 {
        {
            let key = [meta_key("name")];
            let range = KeyRange::all(Kind::Meta);
            let (mut read, mut scan) = (at.backend.read(&key), at.backend.scan(&range, 9));
            let mut context = Context::from_waker(Waker::noop());
            // Whether it is through by then does not matter.
            let _ = read.as_mut().poll(&mut context);
            let _ = scan.as_mut().poll(&mut context);
        }
        at.apply(noting("name")).await;
        assert!(at.has("name").await, "round {round}");
    }
}
