//! Who owns a store, and what versions mean when the owner changes.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use channelcoord::{Backend, Batch, ClaimError, CommitError, Epoch, Head, Seq, Verdict};
use pollster::block_on;

use crate::values::sets::{changing, creating, forgetting, meeting, meta, noting, touching};
use crate::{Claimed, Place};

async fn fenced(backend: &dyn Backend, batch: Batch<'_>, newest: Epoch) {
    match backend.commit(batch).await.unwrap_err() {
        CommitError::Fenced { ours, found } => assert_eq!((ours, found), (batch.epoch, newest)),
        other => panic!("not fenced: {other:?}"),
    }
}

/// A claim is refused exactly if the store is below what is asked for, empty stores and gaps
/// included, and says where the store stands.
/// Obligations: `backend/too_old`, `backend/epoch`.
pub(crate) async fn a_claim_may_ask_for_a_sequence_number(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    assert_eq!(at.head.seq, Seq(0));
    for round in 0..3 {
        let seq = at.head.seq;
        for at_least in [Seq(seq.0 + 1), Seq(u64::MAX)] {
            let refused = at.backend.claim(Some(at_least)).await.unwrap_err();
            let ClaimError::TooOld { at_least: asked, found } = refused else {
                panic!("not refused for its age: {refused:?}");
            };
            assert_eq!((asked, found), (at_least, seq));
        }
        // The refused claims left ours as it was.
        at.commit(vec![noting("name"), touching(1, 77, "stale")]).await;
        for at_least in [None, Some(Seq(0)), Some(Seq(seq.0 + 1)), Some(Seq(seq.0 + 2))] {
            let head = at.backend.claim(at_least).await.unwrap();
            assert!(head.epoch > at.head.epoch, "round {round}");
            assert_eq!(head.seq, Seq(seq.0 + 2), "the stale set left a gap");
            at.head = head;
        }
    }
}

/// Whatever else is wrong with a batch, one of another claim is fenced, and one without sets too.
/// Obligations: `backend/fenced`, `backend/failed`.
pub(crate) async fn fencing_comes_first(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(creating(1, "created")).await;
    let old = at.head;
    at.head = at.backend.claim(None).await.unwrap();
    let before = at.contents().await;
    let sets = [noting("new"), changing(1, 9, "stale")];
    let newest = at.head.epoch;
    for epoch in [old.epoch, Epoch(0), Epoch(newest.0 + 1)] {
        for seq in [old.seq, Seq(0), Seq(9)] {
            for sets in [&sets[..], &[]] {
                fenced(at.backend.as_ref(), Batch { epoch, before: seq, sets }, newest).await;
            }
        }
    }
    assert_eq!(at.contents().await, before);
    at.apply(noting("next")).await;
}

/// A claim in the middle of commits shuts the older owner out, and the new one goes on where it
/// stood, with the versions that the older one left.
/// Obligations: `backend/fenced`, `backend/guards`, `backend/epoch`.
pub(crate) async fn a_new_owner_goes_on_where_the_old_one_stood(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(creating(1, "created")).await;
    let mut version = 1;
    for _ in 0..4 {
        let old = at.head;
        version = at.apply(changing(1, version, "changed")).await.0;
        at.head = at.backend.claim(None).await.unwrap();
        assert_eq!(at.head.seq, Seq(old.seq.0 + 1));
        let sets = [changing(1, version, "late")];
        let late = Batch { epoch: old.epoch, before: at.head.seq, sets: &sets };
        fenced(at.backend.as_ref(), late, at.head.epoch).await;
        version = at.apply(changing(1, version, "changed")).await.0;
    }
    assert!(!at.has("late").await);
}

/// A version is good for one change: each change makes those before it stale, over claims and
/// reopenings, and removing a subject makes all of them stale for good.
/// Obligations: `backend/guards`, `backend/durable`.
pub(crate) async fn an_old_version_never_matches_again(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let mut old = vec![at.apply(meeting(1, "met")).await.0];
    for round in 0..6 {
        let newest = *old.last().unwrap();
        let change = match round {
            3 => forgetting(1, newest, "gone"),
            4 => meeting(1, "met"),
            _ => touching(1, newest, "touched"),
        };
        old.push(at.apply(change).await.0);
        let stale = old[..old.len() - 1].iter().map(|version| touching(1, *version, "stale"));
        for set in stale.collect::<Vec<_>>() {
            let verdicts = at.commit(vec![set]).await;
            assert!(matches!(verdicts[..], [Verdict::Conflict(_)]), "{verdicts:?}");
        }
        at = if round % 2 == 0 { at.reopen().await } else { at.crash().await };
    }
    assert!(!at.has("stale").await);
}

/// A store that is opened a hundred times, after releases and after crashes, has what was stored
/// each time, and an epoch that it never had.
/// Obligations: `backend/epoch`, `backend/durable`, `backend/sequence`.
pub(crate) async fn a_hundred_owners_lose_nothing(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    for n in 1..=100 {
        at.apply(noting(&n.to_string())).await;
        let Head { epoch, seq } = at.head;
        at = if n % 3 == 0 { at.reopen().await } else { at.crash().await };
        assert!(at.head.epoch > epoch && at.head.seq == seq, "{:?}", at.head);
    }
    let mut names: Vec<_> = (1..=100).map(|n| meta(&n.to_string())).collect();
    names.sort_by_key(channelcoord::Record::key);
    assert!(at.contents().await.into_values().eq(names));
}

/// A claim without a commit lasts, and an older one does not come back with a reopening.
/// Obligations: `backend/epoch`, `backend/durable`, `backend/fenced`.
pub(crate) async fn a_claim_outlives_a_crash(place: &dyn Place) {
    let at = Claimed::new(place).await;
    let first = at.head;
    let second = at.backend.claim(None).await.unwrap();
    let at = at.crash().await;
    assert!(at.head.epoch > second.epoch);
    for old in [first, second] {
        let sets = [noting("late")];
        let late = Batch { epoch: old.epoch, before: old.seq, sets: &sets };
        fenced(at.backend.as_ref(), late, at.head.epoch).await;
    }
    assert_eq!(at.contents().await.len(), 0);
}

/// Claims on many threads at once have an epoch each, and only the highest may commit.
/// Obligations: `backend/epoch`, `backend/fenced`, `backend/threads`.
pub(crate) async fn claims_at_once_have_an_epoch_each(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let first = at.head.epoch;
    let claim = || (0..20).map(|_| block_on(at.backend.claim(None)).unwrap().epoch).collect();
    let mut epochs: Vec<Epoch> = thread::scope(|scope| {
        let claiming = [(); 4].map(|()| scope.spawn(claim));
        let claimed =
            claiming.map(|claims| claims.join().unwrap_or_else(|panic| resume_unwind(panic)));
        claimed.into_iter().flat_map(|epochs: Vec<Epoch>| epochs).collect()
    });
    epochs.sort();
    assert!(epochs[0] > first && epochs.is_sorted_by(|a, b| a < b), "{epochs:?}");
    at.head.epoch = epochs.pop().unwrap();
    let sets = [noting("late")];
    for epoch in epochs {
        fenced(at.backend.as_ref(), Batch { epoch, ..at.batch(&sets) }, at.head.epoch).await;
    }
    at.apply(noting("name")).await;
    assert!(!at.has("late").await);
}

/// While a store is open it is not opened and claimed again, and the first owner goes on; or it is,
/// and the first owner is fenced.
/// Obligations: `backend/exclusive`, `backend/fenced`.
pub(crate) async fn a_store_has_one_writer(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(noting("first")).await;
    for round in 0..3 {
        let second = place.open().ok();
        at.apply(noting("beside")).await;
        let claimed = match &second {
            Some(second) => second.claim(None).await.ok(),
            None => None,
        };
        match (second, claimed) {
            (Some(second), Some(head)) => {
                assert!(head.epoch > at.head.epoch && head.seq == at.head.seq, "round {round}");
                let sets = [noting("late")];
                fenced(at.backend.as_ref(), at.batch(&sets), head.epoch).await;
                at.backend = Arc::clone(&second);
                at.head = head;
            }
            (second, _) => drop(second),
        }
        at.apply(noting("next")).await;
        assert!(at.has("first").await && at.has("beside").await);
    }
    let before = at.contents().await;
    let at = at.reopen().await;
    assert_eq!(at.contents().await, before);
}
