use channelcoord::{Backend, BackendError, Batch, ChangeSet, Epoch, Settled, Subject, Verdict};
use chanstate::{ChannelNo, Version};
use kvstore::kv::Fault;
use linknode::{LinkNode, LinkNodeChange, Network};

use crate::samples::{self, point};
use crate::support::*;

#[test]
fn a_stored_batch_is_settled_with_its_verdicts() {
    let mut store = Fixture::new();
    store.commit(vec![touch(1, 0)]);
    let sent = Sent::new(&store, vec![touch(1, 1), touch(1, 1), touch(2, 9), meta("name")]);
    let verdicts = store.commit(sent.sets.clone());
    assert!(matches!(verdicts[1], Verdict::Conflict(_)));
    match sent.settle(&store).unwrap() {
        Settled::Stored(found, head) if head == store.head => assert!(matches!(
            found[..],
            [
                Verdict::Applied,
                Verdict::Conflict(Subject::Channel(ChannelNo(1))),
                Verdict::Conflict(Subject::Channel(ChannelNo(2))),
                Verdict::Applied
            ]
        )),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_batch_that_was_never_committed_is_not_stored() {
    let mut store = Fixture::new();
    store.commit(vec![touch(1, 0)]);
    let sent = Sent::new(&store, vec![touch(1, 1)]);
    assert!(matches!(sent.settle(&store), Ok(Settled::NotStored(head)) if head == store.head));
}

#[test]
fn a_stored_batch_is_settled_after_the_next_claim() {
    let mut store = Fixture::new();
    let sent = Sent::new(&store, vec![touch(1, 0), touch(2, 9)]);
    store.commit(sent.sets.clone());
    run(store.store.claim(None)).unwrap();
    match sent.settle(&store).unwrap() {
        Settled::Stored(found, _) => {
            assert!(matches!(found[..], [Verdict::Applied, Verdict::Conflict(_)]));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_next_epochs_commits_do_not_pass_for_a_lost_batch() {
    let mut store = Fixture::new();
    let sent = Sent::new(&store, vec![touch(1, 0)]);
    store.head = run(store.store.claim(None)).unwrap();
    store.commit(vec![touch(1, 0)]);
    assert!(matches!(sent.settle(&store), Ok(Settled::NotStored(head)) if head == store.head));
}

#[test]
fn a_removed_link_node_tells_that_its_removal_was_applied() {
    let mut store = Fixture::new();
    let change = |change| ChangeSet { link_nodes: vec![change], ..ChangeSet::default() };
    store.commit(vec![change(LinkNodeChange::put(&node(), None, Version::ABSENT))]);
    let sent = Sent::new(&store, vec![change(LinkNodeChange::remove(&node(), Version(1)))]);
    store.commit(sent.sets.clone());
    assert!(matches!(sent.settle(&store), Ok(Settled::Stored(v, _)) if v.iter().all(is_applied)));
}

#[test]
fn traces_that_later_changes_covered_give_no_answer() {
    let mut store = Fixture::new();
    let sent = Sent::new(&store, vec![touch(1, 0)]);
    store.commit(sent.sets.clone());
    store.commit(vec![touch(1, 1)]);
    let cause = unavailable(sent.settle(&store));
    assert!(matches!(kv_fault(&cause), Fault::Overwritten));
}

#[test]
fn a_store_that_never_saw_the_claim_gives_no_answer() {
    let store = Fixture::new();
    let mut sent = Sent::new(&store, vec![touch(1, 0)]);
    sent.epoch = Epoch(5);
    let cause = unavailable(sent.settle(&store));
    assert!(matches!(kv_fault(&cause), Fault::FutureEpoch { ours: Epoch(5), found: Epoch(1) }));
}

/// A batch as the coordinator keeps it while its fate is unknown.
struct Sent {
    epoch: Epoch,
    before: channelcoord::Seq,
    sets: Vec<ChangeSet>,
}

impl Sent {
    fn new(store: &Fixture, sets: Vec<ChangeSet>) -> Sent {
        let before = store.head.seq;
        Sent { epoch: store.head.epoch, before, sets: stamped(before, sets) }
    }

    fn settle(&self, store: &Fixture) -> Result<Settled, BackendError> {
        let batch = Batch { epoch: self.epoch, before: self.before, sets: &self.sets };
        run(store.store.settle(batch))
    }
}

fn meta(name: &str) -> ChangeSet {
    put(channelcoord::Record::Meta(samples::meta(name, b"1")))
}

fn node() -> LinkNode {
    LinkNode { node_id: point(1), network: Network::SIGNET, last_seen: 1, addresses: vec![] }
}
