//! Change sets that share a commit.

use channelcoord::{ChangeSet, Subject, Verdict};
use chanstate::facet::{ChannelSetupStore, LifecycleStore, OpenChannelStore, StatusStore};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::HtlcRecord;
use chanstate::{ChannelNo, Direction, StoreError, Stored};

use super::backend::is_conflict;
use super::failures::faulty;
use crate::values::sets::{
    acking, changing, creating, forgetting, meeting, meta, noting, orphan_package, putting,
    removing, touching,
};
use crate::values::{self, outpoint};
use crate::{Claimed, Fault, Place, finish, poll_once};

const NAMES: [&str; 5] = ["0", "1", "2", "3", "4"];

/// A set that is stale makes no difference to the others, wherever it stands in the batch.
/// Obligations: `backend/whole`, `backend/verdicts`.
pub(crate) async fn a_conflict_is_of_its_set_alone(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    for n in 1..=5 {
        at.apply(creating(n, "created")).await;
    }
    let mut versions = [1, 2, 3, 4, 5];
    for stale in 0..5 {
        let mut sets: Vec<_> =
            (0..5).map(|i| changing(i as u64 + 1, versions[i], NAMES[i])).collect();
        sets[stale] = changing(stale as u64 + 1, 77, NAMES[stale]);
        let base = at.head.seq.0;
        let verdicts = at.commit(sets).await;
        for (i, verdict) in verdicts.iter().enumerate() {
            let subject = Subject::Channel(ChannelNo(i as u64 + 1));
            assert_eq!(is_conflict(verdict, subject), i == stale, "{verdicts:?}");
            assert_eq!(at.has(NAMES[i]).await, i != stale);
            if i != stale {
                versions[i] = base + 1 + i as u64;
            }
        }
        at.apply(removing(NAMES.map(|name| meta(name).key()))).await;
    }
}

/// The same for a set that is refused, if the backend refuses it.
/// Obligations: `backend/refused`, `backend/verdicts`, `backend/whole`.
pub(crate) async fn a_refusal_is_of_its_set_alone(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(creating(1, "created")).await;
    let large = HtlcRecord {
        no: 1.into(),
        direction: Direction::Outgoing,
        id: u64::MAX.into(),
        terms: values::htlc_terms(1, 1),
    };
    let large = channelcoord::Record::Channel(chanstate::Record::Htlc(large));
    for odd in 0..5 {
        let mut sets = NAMES.map(noting).to_vec();
        sets[odd].puts.push(large.clone());
        let verdicts = at.commit(sets).await;
        for (i, verdict) in verdicts.iter().enumerate() {
            let stored = match verdict {
                Verdict::Applied => true,
                Verdict::Refused { record, .. } if i == odd => *record != large.key(),
                other => panic!("set {i}: {other:?}"),
            };
            assert_eq!(at.has(NAMES[i]).await, stored);
        }
        assert_eq!(at.get(&large.key()).await.is_some(), at.has(NAMES[odd]).await);
        at.apply(removing(NAMES.map(|name| meta(name).key()))).await;
    }
}

/// A batch of stale sets stores nothing but its numbers.
/// Obligations: `backend/guards`, `backend/sequence`.
pub(crate) async fn a_batch_may_be_all_stale(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(creating(1, "created")).await;
    let before = at.contents().await;
    let stale = vec![changing(1, 9, "a"), changing(2, 9, "b"), touching(3, 9, "c")];
    let verdicts = at.commit(stale).await;
    assert!(verdicts.iter().all(|v| matches!(v, Verdict::Conflict(_))), "{verdicts:?}");
    let mut at = at.reopen().await;
    assert_eq!((at.head.seq.0, at.contents().await), (4, before));
    at.apply(changing(1, 1, "next")).await;
}

/// A batch of 1,024 sets is stored, each with its verdict.
/// Obligations: `backend/large`, `backend/verdicts`, `backend/guards`.
pub(crate) async fn a_thousand_sets_share_a_commit(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(putting(orphan_package(1, 400))).await;
    let set = |n: u64| match n % 4 {
        0 => acking(1, (n / 4) as u16),
        1 => noting(&n.to_string()),
        2 => touching(n, 0, "touched"),
        _ => touching(n, 99, "stale"),
    };
    let sets = (0..1024).map(|n| ChangeSet { puts: vec![meta(&n.to_string())], ..set(n) });
    let verdicts = at.commit(sets.collect()).await;
    assert_eq!(verdicts.len(), 1024);
    let at = at.crash().await;
    let stored = crate::inspect::records(at.backend.as_ref(), Kind::Meta).await;
    for (n, verdict) in (0..).zip(&verdicts) {
        let applied = matches!(verdict, Verdict::Applied);
        assert_eq!(applied, n % 4 != 3, "set {n}: {verdict:?}");
    }
    assert_eq!(stored.len(), 768);
    let found = stored.iter().all(|record| {
        let channelcoord::Record::Meta(record) = record else { return false };
        record.name.parse::<u64>().is_ok_and(|n| n % 4 != 3)
    });
    assert!(found, "a stale set left something");
    assert_eq!(acked(&at, 1).await, 256);
}

/// Updates of a package that are acknowledged.
async fn acked(at: &Claimed<'_>, height: u64) -> usize {
    let range = KeyRange::under(Kind::PackageUpdate, [u64::MAX, height]);
    let updates = at.backend.scan(&range, 1_000).await.unwrap();
    let acked = updates.iter().filter(|record| match record {
        channelcoord::Record::Channel(chanstate::Record::PackageUpdate(update)) => update.acked,
        other => panic!("not an update: {other:?}"),
    });
    acked.count()
}

/// A set of many channels and link nodes is applied whole, or, if one of them is stale, wherever
/// it stands, not at all.
/// Obligations: `backend/whole`, `backend/guards`.
pub(crate) async fn a_set_may_have_many_subjects(place: &dyn Place) {
    const EACH: u64 = 8;
    let mut at = Claimed::new(place).await;
    let sum = |set: ChangeSet, other: ChangeSet| ChangeSet {
        channels: [set.channels, other.channels].concat(),
        link_nodes: [set.link_nodes, other.link_nodes].concat(),
        ..other
    };
    let all = |set: &dyn Fn(u64) -> ChangeSet| (0..2 * EACH).map(set).reduce(sum).unwrap();
    let subject = |n: u64| match n < EACH {
        true => Subject::Channel(ChannelNo(n + 1)),
        false => Subject::LinkNode(values::peer(n)),
    };
    let created = |n: u64| if n < EACH { creating(n + 1, "0") } else { meeting(n, "0") };
    at.apply(all(&created)).await;
    let before = at.contents().await;
    for stale in 0..2 * EACH {
        let version = |n| if n == stale { 9 } else { 1 };
        let set = |n: u64| match n < EACH {
            true => changing(n + 1, version(n), "1"),
            false if n.is_multiple_of(2) => touching(n, version(n), "1"),
            false => forgetting(n, version(n), "1"),
        };
        let verdicts = at.commit(vec![all(&set)]).await;
        assert!(is_conflict(&verdicts[0], subject(stale)), "{verdicts:?}");
    }
    assert_eq!(at.contents().await, before);
    at.apply(all(&|n| if n < EACH { changing(n + 1, 1, "2") } else { forgetting(n, 1, "2") }))
        .await;
    let at = at.reopen().await;
    assert_eq!(crate::inspect::count(at.backend.as_ref(), Kind::LinkNode).await, 0);
    assert_eq!(crate::inspect::count(at.backend.as_ref(), Kind::LinkAddress).await, 0);
    assert_eq!(crate::inspect::count(at.backend.as_ref(), Kind::Channel).await, EACH as usize);
}

/// A set that puts, removes and acknowledges does all of it or nothing.
/// Obligations: `backend/whole`, `backend/ack`, `backend/remove`.
pub(crate) async fn a_set_may_put_remove_and_acknowledge(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(creating(1, "created")).await;
    at.apply(putting(orphan_package(1, 3))).await;
    at.apply(putting(["a", "b", "c"].map(meta))).await;
    let set = |version| ChangeSet {
        acks: [0, 2].map(|index| acking(1, index).acks[0]).to_vec(),
        puts: ["b", "d"].map(meta).to_vec(),
        removes: ["a", "c", "absent"].map(|name| meta(name).key()).to_vec(),
        ..changing(1, version, "")
    };
    let before = at.contents().await;
    let verdicts = at.commit(vec![set(9)]).await;
    assert!(matches!(verdicts[..], [Verdict::Conflict(_)]));
    assert_eq!(at.contents().await, before);
    at.apply(set(1)).await;
    let at = at.crash().await;
    let mut found = Vec::new();
    for name in ["a", "b", "c", "d"] {
        found.push(at.has(name).await);
    }
    assert_eq!((found, acked(&at, 1).await), (vec![false, true, false, true], 2));
}

/// Acknowledgements of one package share a batch, those of the same update and those of a stale
/// set included.
/// Obligations: `backend/ack`, `backend/whole`.
pub(crate) async fn acknowledgements_share_a_batch(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(putting([orphan_package(1, 5), orphan_package(2, 5)].concat())).await;
    let stale = ChangeSet { acks: acking(1, 4).acks, ..touching(1, 9, "stale") };
    let sets = vec![acking(1, 0), acking(1, 1), acking(1, 1), stale, acking(2, 1), acking(1, 9)];
    let verdicts = at.commit(sets).await;
    let applied: Vec<_> = verdicts.iter().map(|v| matches!(v, Verdict::Applied)).collect();
    assert_eq!(applied, [true, true, true, false, true, true]);
    at.apply(acking(1, 0)).await;
    let at = at.reopen().await;
    assert_eq!((acked(&at, 1).await, acked(&at, 2).await), (2, 1));
    let absent = RecordKey::of(Kind::PackageUpdate, [u64::MAX, 1, 1, 9]);
    assert_eq!(at.get(&absent).await, None, "an acknowledgement creates nothing");
}

/// Of callers that share a commit each hears of its own change, and a refusal is the business of
/// one of them.
/// Obligations: `facet/nothing_on_error`, `backend/verdicts`.
pub(crate) async fn each_caller_hears_of_its_own_change(place: &dyn Place) {
    let (host, faulty) = faulty(place, 6).await;
    for odd in 1..6 {
        faulty.hold();
        let first = poll_once(host.set_confirmation_height(outpoint(0), odd as u32));
        faulty.await_held();
        let calls = (1..6).map(|n| poll_once(host.mark_borked(outpoint(n)))).collect();
        faulty.next([None, Some(Fault::RefusedAt(odd - 1))]);
        faulty.go();
        first.await.unwrap();
        for (n, result) in (1..).zip(finish(calls).await) {
            assert_eq!(result.is_err(), n == odd, "{result:?}");
            let borked = !host.channel(outpoint(n as u64)).await.unwrap().status.is_empty();
            assert_eq!(borked, n != odd, "memory holds what is stored");
            if let Err(error) = result {
                assert!(matches!(error, StoreError::Unstorable { .. }), "{error:?}");
                assert_eq!(error.stored(), Stored::No);
            }
        }
        faulty.next([]);
        for n in 1..6 {
            host.clear_status(outpoint(n), chanstate::ChannelStatus::BORKED).await.unwrap();
        }
    }
}

/// Of callers that share a commit, one that meets a conflict tries again alone.
/// Obligations: `facet/nothing_on_error`, `backend/verdicts`.
pub(crate) async fn a_conflict_is_retried_alone(place: &dyn Place) {
    let (host, faulty) = faulty(place, 4).await;
    faulty.hold();
    let first = poll_once(host.mark_borked(outpoint(0)));
    faulty.await_held();
    let calls = (1..4).map(|n| poll_once(host.mark_borked(outpoint(n)))).collect();
    faulty.next([None, Some(Fault::ConflictAt(1))]);
    faulty.go();
    first.await.unwrap();
    finish(calls).await.into_iter().for_each(|result| result.unwrap());
    assert_eq!(faulty.take_batches(), [1, 3, 1]);
    assert_eq!(host.reopen().await.waiting_close_channels().await.unwrap().len(), 4);
}

/// More callers than a commit takes are served by several.
/// Obligations: `facet/durable`, `backend/large`.
pub(crate) async fn callers_over_the_most_of_a_batch_wait_for_the_next(place: &dyn Place) {
    const CALLERS: u32 = 1_100;
    let (host, faulty) = faulty(place, 0).await;
    let key = |n: u32| bytes::Bytes::copy_from_slice(&n.to_be_bytes());
    faulty.hold();
    let first = poll_once(host.save_opening_state(key(u32::MAX), key(0)));
    faulty.await_held();
    let calls = (0..CALLERS).map(|n| poll_once(host.save_opening_state(key(n), key(n)))).collect();
    faulty.go();
    first.await.unwrap();
    finish(calls).await.into_iter().for_each(|result| result.unwrap());
    assert_eq!(faulty.take_batches(), [1, 1024, 76]);
    let host = host.reopen().await;
    for n in (0..CALLERS).step_by(99) {
        assert_eq!(host.opening_state(key(n)).await.unwrap(), Some(key(n)));
    }
}
