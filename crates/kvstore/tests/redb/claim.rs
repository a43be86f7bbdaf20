use channelcoord::{Backend, ClaimError, CommitError, Epoch, Head, Seq};
use chanstate::key::{Kind, RecordKey};

use crate::support::*;

#[test]
fn each_claim_raises_the_epoch_and_keeps_the_sequence_number() {
    let mut store = Fixture::new();
    assert_eq!(store.head, Head { epoch: Epoch(1), seq: Seq(0) });
    store.commit(vec![touch(1, 0), touch(2, 0)]);
    let head = run(store.store.claim(None)).unwrap();
    assert_eq!(head, Head { epoch: Epoch(2), seq: Seq(2) });
}

#[test]
fn an_older_claim_is_fenced() {
    let mut store = Fixture::new();
    let old = store.head;
    let new = run(store.store.claim(None)).unwrap();
    match commit(&store.store, old, &[touch(1, 0)]).unwrap_err() {
        CommitError::Fenced { ours, found } => {
            assert_eq!((ours, found), (old.epoch, new.epoch));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(get(&store.store, &RecordKey::of(Kind::Channel, [1])), None);
    store.head = new;
    assert!(store.commit(vec![touch(1, 0)]).iter().all(is_applied));
}

#[test]
fn a_claim_survives_reopening() {
    let store = Fixture::new().reopen();
    let head = run(store.store.claim(None)).unwrap();
    assert_eq!(head.epoch, Epoch(2));
    assert!(matches!(commit(&store.store, store.head, &[]), Err(CommitError::Fenced { .. })));
}

#[test]
fn a_store_that_is_too_old_is_refused_and_not_claimed() {
    let mut store = Fixture::new();
    store.commit(vec![touch(1, 0)]);
    match run(store.store.claim(Some(Seq(2)))).unwrap_err() {
        ClaimError::TooOld { at_least, found } => assert_eq!((at_least, found), (Seq(2), Seq(1))),
        other => panic!("{other:?}"),
    }
    assert!(store.commit(vec![touch(2, 0)]).iter().all(is_applied));
}

#[test]
fn a_store_at_the_sequence_number_asked_for_is_claimed() {
    let mut store = Fixture::new();
    store.commit(vec![touch(1, 0)]);
    let head = run(store.store.claim(Some(Seq(1)))).unwrap();
    assert_eq!(head, Head { epoch: Epoch(2), seq: Seq(1) });
}
