//! What a backend says of a batch afterwards.

use channelcoord::{BackendError, Batch, ChangeSet, Head, Settled, Subject, Verdict};

use super::backend::is_conflict;
use crate::values::peer;
use crate::values::sets::{
    acking, changing, creating, forgetting, meeting, noting, orphan_package, putting, touching,
};
use crate::{Claimed, Place};

/// Sets of which some conflict, on a store that [`prepare`] has filled.
fn mixed() -> Vec<ChangeSet> {
    vec![
        changing(1, 1, "changed"),
        changing(2, 1, "stale"),
        changing(9, 1, "absent"),
        noting("free"),
        ChangeSet { puts: vec![], ..forgetting(1, 3, "gone") },
        meeting(2, "met"),
        touching(3, 4, "stale too"),
        acking(1, 0),
        creating(3, "created"),
    ]
}

async fn prepare(at: &mut Claimed<'_>) {
    for set in [creating(1, ""), creating(2, ""), meeting(1, ""), meeting(3, "")] {
        at.apply(set).await;
    }
    at.apply(touching(3, 4, "")).await;
    at.apply(putting(orphan_package(1, 2))).await;
}

/// A batch with its place, kept by the caller until its fate is known.
struct Sent {
    head: Head,
    sets: Vec<ChangeSet>,
}

impl Sent {
    fn new(at: &Claimed<'_>, sets: Vec<ChangeSet>) -> Sent {
        Sent { head: at.head, sets: at.stamped(sets) }
    }

    async fn settle(&self, at: &Claimed<'_>) -> Result<Settled, BackendError> {
        let Head { epoch, seq } = self.head;
        at.backend.settle(Batch { epoch, before: seq, sets: &self.sets }).await
    }
}

/// What verdicts say, in a form to compare.
fn said(verdicts: &[Verdict]) -> Vec<String> {
    verdicts.iter().map(|verdict| format!("{verdict:?}")).collect()
}

#[track_caller]
fn stored(settled: Result<Settled, BackendError>) -> (Vec<String>, Head) {
    match settled {
        Ok(Settled::Stored(verdicts, head)) => (said(&verdicts), head),
        other => panic!("not stored: {other:?}"),
    }
}

#[track_caller]
fn not_stored(settled: Result<Settled, BackendError>) -> Head {
    match settled {
        Ok(Settled::NotStored(head)) => head,
        other => panic!("stored: {other:?}"),
    }
}

/// Checks that a stored batch settles with its verdicts, or not at all.
#[track_caller]
fn stored_or_hidden(settled: Result<Settled, BackendError>, verdicts: &[Verdict]) {
    match settled {
        Ok(Settled::Stored(found, _)) => assert_eq!(said(&found), said(verdicts)),
        Err(BackendError::Unavailable(_)) => {}
        other => panic!("{other:?}"),
    }
}

/// A batch that is stored settles with the verdicts that its commit gave, changes nothing, and
/// settles again.
/// Obligations: `backend/settle`.
pub(crate) async fn a_stored_batch_settles_as_its_commit_said(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    prepare(&mut at).await;
    let sent = Sent::new(&at, mixed());
    let verdicts = at.commit(mixed()).await;
    let conflicts = verdicts.iter().filter(|v| matches!(v, Verdict::Conflict(_))).count();
    assert_eq!(conflicts, 3, "{verdicts:?}");
    let contents = at.contents().await;
    for _ in 0..2 {
        let (found, head) = stored(sent.settle(&at).await);
        assert_eq!(found, said(&verdicts));
        assert_eq!(head.epoch, at.head.epoch);
        at.head = head;
    }
    assert_eq!(at.contents().await, contents);
    at.apply(noting("next")).await;
}

/// A batch that never came settles as not stored. Nothing of it is there then or later, and the
/// next batch goes on from where the store is said to stand.
/// Obligations: `backend/settle`, `backend/in_step`.
pub(crate) async fn a_lost_batch_settles_as_not_stored(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    prepare(&mut at).await;
    let before = at.contents().await;
    for _ in 0..3 {
        let sent = Sent::new(&at, mixed());
        let head = not_stored(sent.settle(&at).await);
        assert!(head.epoch == at.head.epoch && head.seq >= at.head.seq, "{head:?}");
        at.head = head;
        assert_eq!(at.contents().await, before);
    }
    let verdicts = at.commit(mixed()).await;
    assert!(matches!(verdicts[0], Verdict::Applied), "{verdicts:?}");
    let at = at.crash().await;
    assert!(at.has("changed").await && !at.has("stale").await);
}

/// A newer claim, and a crash before it, change nothing about the answer.
/// Obligations: `backend/settle_later`, `backend/durable`.
pub(crate) async fn a_batch_settles_under_a_newer_claim(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    prepare(&mut at).await;
    let sent = Sent::new(&at, mixed());
    let verdicts = at.commit(mixed()).await;
    let lost = Sent::new(&at, vec![changing(1, 7, "lost"), noting("lost")]);
    for _ in 0..2 {
        at = at.crash().await;
        let (found, head) = stored(sent.settle(&at).await);
        assert_eq!((found, head), (said(&verdicts), at.head));
        assert_eq!(not_stored(lost.settle(&at).await), at.head);
    }
    assert!(!at.has("lost").await);
}

/// A batch is not forgotten however many claims and commits come after it: it settles with its
/// verdicts, or not at all. One that was lost is not taken for stored.
/// Obligations: `backend/settle_later`, `backend/durable`.
pub(crate) async fn a_batch_settles_after_many_newer_claims(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    prepare(&mut at).await;
    let sets = || vec![changing(1, 1, "changed"), changing(2, 1, "stale"), noting("free")];
    let sent = Sent::new(&at, sets());
    let verdicts = at.commit(sets()).await;
    let lost = Sent::new(&at, vec![changing(1, 7, "lost"), noting("lost")]);
    for round in 0..6 {
        match round % 3 {
            0 => at.head = at.backend.claim(None).await.unwrap(),
            1 => at = at.reopen().await,
            _ => at = at.crash().await,
        }
        for name in ["one", "two", "three"] {
            at.apply(noting(name)).await;
        }
        stored_or_hidden(sent.settle(&at).await, &verdicts);
        assert_eq!(not_stored(lost.settle(&at).await), at.head);
    }
}

/// A set of which one subject is as expected and another is not settles as a conflict on that one.
/// Obligations: `backend/settle`, `backend/guards`.
pub(crate) async fn the_stale_subject_of_several_is_named(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    prepare(&mut at).await;
    let link_nodes = touching(3, 4, "").link_nodes;
    let sets = || vec![ChangeSet { link_nodes: link_nodes.clone(), ..changing(1, 1, "half") }];
    let sent = Sent::new(&at, sets());
    let verdicts = at.commit(sets()).await;
    assert!(is_conflict(&verdicts[0], Subject::LinkNode(peer(3))), "{verdicts:?}");
    assert_eq!(stored(sent.settle(&at).await).0, said(&verdicts));
    assert!(!at.has("half").await);
}

/// A set that was applied settles as applied as long as one of its subjects is as it left it.
/// Obligations: `backend/settle_later`.
pub(crate) async fn one_subject_tells_that_a_set_was_applied(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    prepare(&mut at).await;
    let link_nodes = touching(3, 5, "").link_nodes;
    let sets = || vec![ChangeSet { link_nodes: link_nodes.clone(), ..changing(1, 1, "whole") }];
    let sent = Sent::new(&at, sets());
    at.commit(sets()).await;
    let version = at.head.seq.0;
    at.head = at.backend.claim(None).await.unwrap();
    at.apply(touching(3, version, "later")).await;
    assert_eq!(stored(sent.settle(&at).await), (vec!["Applied".to_owned()], at.head));
}

/// A set that removes several link nodes and nothing else settles: as applied if they are gone, as
/// a conflict if one is not.
/// Obligations: `backend/settle`.
pub(crate) async fn a_removal_of_several_link_nodes_settles(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    prepare(&mut at).await;
    let removal = |first: u64, second: u64| {
        let link_nodes = [forgetting(1, first, ""), forgetting(3, second, "")];
        let link_nodes = link_nodes.into_iter().flat_map(|set| set.link_nodes).collect();
        vec![ChangeSet { link_nodes, ..ChangeSet::default() }]
    };
    for (sets, applied) in [(removal(3, 4), false), (removal(3, 5), true)] {
        let sent = Sent::new(&at, sets.clone());
        let verdicts = at.commit(sets).await;
        assert_eq!(matches!(verdicts[0], Verdict::Applied), applied, "{verdicts:?}");
        assert_eq!(stored(sent.settle(&at).await).0, said(&verdicts));
    }
}

/// Commits under newer claims do not pass for a batch that was lost, even if they took its
/// numbers.
/// Obligations: `backend/settle_later`.
pub(crate) async fn later_commits_do_not_pass_for_a_lost_batch(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    prepare(&mut at).await;
    let lost = Sent::new(&at, vec![changing(1, 1, "lost"), noting("lost")]);
    at.head = at.backend.claim(None).await.unwrap();
    at.commit(vec![changing(1, 1, "theirs"), noting("theirs too")]).await;
    assert_eq!(not_stored(lost.settle(&at).await), at.head);
    let at = at.reopen().await;
    assert_eq!(not_stored(lost.settle(&at).await), at.head);
}

/// Later commits on the same subjects may hide what became of a set: then there is no answer
/// rather than a wrong one.
/// Obligations: `backend/settle_later`.
pub(crate) async fn a_hidden_verdict_is_not_guessed(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    prepare(&mut at).await;
    for (sets, later) in [
        (vec![changing(2, 1, "stale"), noting("free")], changing(2, 2, "later")),
        (vec![touching(3, 4, "stale"), noting("free")], forgetting(3, 5, "later")),
        (vec![touching(3, 0, "created"), noting("free")], forgetting(3, 13, "later")),
    ] {
        let sent = Sent::new(&at, sets.clone());
        let verdicts = at.commit(sets).await;
        at.head = at.backend.claim(None).await.unwrap();
        at.apply(later).await;
        stored_or_hidden(sent.settle(&at).await, &verdicts);
    }
}

/// A batch of sets without subjects settles however much is stored later.
/// Obligations: `backend/settle_later`, `backend/unguarded`.
pub(crate) async fn unguarded_sets_settle_as_applied(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let sets = || vec![noting("one"), ChangeSet::default(), noting("two")];
    let sent = Sent::new(&at, sets());
    at.commit(sets()).await;
    at.head = at.backend.claim(None).await.unwrap();
    at.apply(noting("one")).await;
    let (found, head) = stored(sent.settle(&at).await);
    assert_eq!(found, ["Applied"; 3]);
    assert_eq!(head, at.head);
}
