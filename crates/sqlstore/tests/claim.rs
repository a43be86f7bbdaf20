//! Claims, and what they shut out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use channelcoord::{
    Backend, Batch, ClaimError, CommitError, Epoch, Head, MetaRecord, Record, Seq, meta_key,
};
use pollster::block_on;
use support::{Fixture, puts};

fn note(name: &str) -> channelcoord::ChangeSet {
    puts([Record::Meta(MetaRecord { name: name.into(), value: "value".into() })])
}

#[test]
fn each_claim_raises_the_epoch_and_keeps_the_sequence_number() {
    let mut store = Fixture::new();
    assert_eq!(store.head, Head { epoch: Epoch(1), seq: Seq(0) });
    store.commit(&[note("a"), note("b")]);
    let head = block_on(store.backend.claim(Some(Seq(2)))).unwrap();
    assert_eq!(head, Head { epoch: Epoch(2), seq: Seq(2) });
    assert_eq!(store.reopen().head, Head { epoch: Epoch(3), seq: Seq(2) });
}

#[test]
fn an_older_claim_is_fenced() {
    let mut store = Fixture::new();
    let head = block_on(store.backend.claim(None)).unwrap();
    let error = store.try_commit(&[note("a")]).unwrap_err();
    assert!(matches!(error, CommitError::Fenced { ours: Epoch(1), found: Epoch(2) }), "{error:?}");
    assert_eq!(store.read(&meta_key("a")), None);
    store.head = head;
    store.commit(&[note("a")]);
}

#[test]
fn a_claim_that_was_never_made_is_fenced() {
    let mut store = Fixture::new();
    store.head.epoch = Epoch(9);
    let error = store.try_commit(&[note("a")]).unwrap_err();
    assert!(matches!(error, CommitError::Fenced { ours: Epoch(9), found: Epoch(1) }), "{error:?}");
}

#[test]
fn a_store_behind_its_owner_is_refused_and_left_as_it_is() {
    let mut store = Fixture::new();
    store.commit(&[note("a")]);
    let error = block_on(store.backend.claim(Some(Seq(2)))).unwrap_err();
    assert!(matches!(error, ClaimError::TooOld { at_least: Seq(2), found: Seq(1) }), "{error:?}");
    // The claim from before is still good.
    store.commit(&[note("b")]);
    assert_eq!(block_on(store.backend.claim(Some(Seq(2)))).unwrap().seq, Seq(2));
}

#[test]
fn a_batch_is_settled_as_what_it_became() {
    use channelcoord::{Settled, Verdict};
    use chanstate::{ChannelChange, Version};
    use support::records::channel;

    let mut store = Fixture::new();
    let set = |no, expect, version| {
        let mut row = channel(no);
        row.version = Version(expect);
        let mut change = ChannelChange::new(row);
        change.stamp(Version(version));
        channelcoord::ChangeSet { channels: vec![change], ..Default::default() }
    };
    let too_large = puts([Record::Channel(chanstate::Record::Channel(channel(u64::MAX)))]);
    let sets = [set(1, 0, 1), set(2, 5, 2), too_large, note("a")];
    let batch = Batch { epoch: store.head.epoch, before: store.head.seq, sets: &sets };
    let before = block_on(store.backend.settle(batch)).unwrap();
    assert!(matches!(before, Settled::NotStored(head) if head == store.head), "{before:?}");

    store.try_commit(&sets).unwrap();
    let check = |store: &Fixture| {
        let Settled::Stored(verdicts, _) = block_on(store.backend.settle(batch)).unwrap() else {
            panic!("not stored");
        };
        let [Verdict::Applied, Verdict::Conflict(_), Verdict::Refused { .. }, Verdict::Applied] =
            &verdicts[..]
        else {
            panic!("{verdicts:?}");
        };
    };
    check(&store);
    // Also under the next claim, from where it began.
    let store = store.reopen();
    check(&store);
    // A batch of the old claim that was not stored by then.
    let lost = Batch { before: Seq(4), sets: &sets[..1], ..batch };
    let lost = block_on(store.backend.settle(lost)).unwrap();
    assert!(matches!(lost, Settled::NotStored(_)), "{lost:?}");
}

#[test]
fn a_removed_link_node_settles_as_applied() {
    use channelcoord::{ChangeSet, Settled, Verdict};
    use chanstate::Version;
    use linknode::{LinkNode, LinkNodeChange, Network};

    let mut store = Fixture::new();
    let node_id = support::records::point(1);
    let node = LinkNode { node_id, network: Network::REGTEST, last_seen: 1, addresses: vec![] };
    let set = |mut change: LinkNodeChange, version| {
        change.stamp(Version(version));
        [ChangeSet { link_nodes: vec![change], ..ChangeSet::default() }]
    };
    store.commit(&set(LinkNodeChange::put(&node, None, Version(0)), 1));
    let removal = set(LinkNodeChange::remove(&node, Version(1)), 2);
    let batch = Batch { epoch: store.head.epoch, before: store.head.seq, sets: &removal };
    store.commit(&removal);
    let settled = block_on(store.backend.settle(batch)).unwrap();
    let Settled::Stored(verdicts, _) = &settled else { panic!("{settled:?}") };
    assert!(matches!(verdicts[..], [Verdict::Applied]), "{verdicts:?}");
}
