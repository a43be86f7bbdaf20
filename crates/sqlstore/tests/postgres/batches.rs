//! What the parts of a batch's statement do to rows, whatever becomes of the sets beside.

use channelcoord::{Backend, ChangeSet, CommitError, Record, Subject, Verdict};
use chanstate::record::ChannelRecord;
use chanstate::{ChannelChange, ChannelNo, ChannelStatus, Direction, MilliSatoshi, Version};
use linknode::{LinkNode, LinkNodeChange, Network};
use pollster::block_on;

use crate::faults::fail;
use crate::server::{Store, note};
use crate::support::puts;
use crate::support::records::{channel, htlc, point};

/// A set that puts a channel's row, computed from the version `expect`.
fn channel_set(store: &Store, position: u64, row: ChannelRecord, expect: u64) -> ChangeSet {
    let change = ChannelChange::new(ChannelRecord { version: Version(expect), ..row });
    stamped(store, position, ChangeSet { channels: vec![change], ..ChangeSet::default() })
}

fn node_set(store: &Store, position: u64, node: &LinkNode, expect: u64) -> ChangeSet {
    let change = LinkNodeChange::touch(node, Version(expect));
    stamped(store, position, ChangeSet { link_nodes: vec![change], ..ChangeSet::default() })
}

fn stamped(store: &Store, position: u64, mut set: ChangeSet) -> ChangeSet {
    set.stamp(Version(store.head.seq.0 + 1 + position));
    set
}

fn node(number: u8, last_seen: u64) -> LinkNode {
    let network = Network::REGTEST;
    LinkNode { node_id: point(number), network, last_seen, addresses: vec![] }
}

/// A row that differs from `channel(no)`, also in what an index holds.
fn changed(no: u64) -> ChannelRecord {
    let mut changed = channel(no);
    changed.status = ChannelStatus::all();
    changed.funding_outpoint.vout += 1;
    changed
}

fn record(row: chanstate::Record) -> Record {
    Record::Channel(row)
}

fn htlc_of(no: u64, amount: u64) -> Record {
    let mut htlc = htlc(no, Direction::Incoming, 0);
    htlc.terms.amount = MilliSatoshi(amount);
    record(chanstate::Record::Htlc(htlc))
}

/// What is stored under the key of a record.
fn stored(store: &Store, like: &Record) -> Option<Record> {
    block_on(store.backend.read(&[like.key()])).unwrap().remove(0)
}

fn row_of(set: &ChangeSet) -> Record {
    match (&set.channels[..], &set.link_nodes[..]) {
        ([change], []) => record(change.puts()[0].clone()),
        ([], [change]) => Record::LinkNode(change.puts()[0].clone()),
        _ => panic!("one subject"),
    }
}

#[test]
fn rows_that_a_guard_proves_are_updated_beside_sets_that_are_stale() {
    let mut store = Store::new();
    let new = |store: &Store, at, row| channel_set(store, at, row, 0);
    let old: Vec<_> = (0..3).map(|at| new(&store, at, channel(at + 1))).collect();
    store.commit(&old);
    let nodes = [node(1, 5), node(2, 5)];
    let met: Vec<_> = nodes
        .iter()
        .zip(0..)
        .map(|(node, at)| {
            let change = LinkNodeChange::put(node, None, Version::ABSENT);
            let set = ChangeSet { link_nodes: vec![change], ..ChangeSet::default() };
            stamped(&store, at, set)
        })
        .collect();
    store.commit(&met);

    let mut stale = channel_set(&store, 1, changed(2), 1);
    stale.puts.push(htlc_of(2, 7));
    let unguarded = puts([record(chanstate::Record::Channel(changed(3)))]);
    let sets = [
        channel_set(&store, 0, changed(1), 1),
        stale,
        // Its guard asks for a row that is not there.
        channel_set(&store, 2, channel(9), 4),
        new(&store, 3, channel(4)),
        unguarded,
        node_set(&store, 5, &node(1, 99), 4),
        node_set(&store, 6, &node(2, 99), 4),
        node_set(&store, 7, &node(3, 99), 4),
    ];
    let verdicts = store.try_commit(&sets).unwrap();
    let conflicts: Vec<_> = verdicts
        .iter()
        .map(|verdict| match verdict {
            Verdict::Applied => None,
            Verdict::Conflict(subject) => Some(*subject),
            other => panic!("{other:?}"),
        })
        .collect();
    let [channel_2, channel_9] = [2, 9].map(|no| Some(Subject::Channel(ChannelNo(no))));
    let [node_2, node_3] = [2, 3].map(|number| Some(Subject::LinkNode(point(number))));
    assert_eq!(conflicts, [None, channel_2, channel_9, None, None, None, node_2, node_3]);
    for applied in [&sets[0], &sets[3], &sets[5]] {
        let row = row_of(applied);
        assert_eq!(stored(&store, &row), Some(row));
    }
    assert_eq!(stored(&store, &sets[4].puts[0]).as_ref(), Some(&sets[4].puts[0]));
    for kept in [&old[1], &met[1]] {
        let row = row_of(kept);
        assert_eq!(stored(&store, &row), Some(row));
    }
    for absent in [&row_of(&sets[2]), &row_of(&sets[7]), &sets[1].puts[0]] {
        assert_eq!(stored(&store, absent), None);
    }
}

#[test]
fn a_row_that_is_there_is_replaced_and_no_other_set_is_the_worse_for_it() {
    let mut store = Store::new();
    store.commit(&[channel_set(&store, 0, channel(1), 0), puts([htlc_of(1, 1)])]);
    let mut stale = channel_set(&store, 1, changed(1), 7);
    stale.puts.push(htlc_of(3, 3));
    let sets = [puts([htlc_of(1, 2)]), stale, puts([htlc_of(2, 2)])];
    let verdicts = store.try_commit(&sets).unwrap();
    assert!(
        matches!(verdicts[..], [Verdict::Applied, Verdict::Conflict(_), Verdict::Applied]),
        "{verdicts:?}"
    );
    for htlc in [htlc_of(1, 2), htlc_of(2, 2)] {
        assert_eq!(stored(&store, &htlc), Some(htlc));
    }
    assert_eq!(stored(&store, &htlc_of(3, 3)), None);
}

#[test]
fn another_constraint_that_is_broken_is_no_row_that_is_there() {
    let mut store = Store::new();
    store.commit(&[channel_set(&store, 0, channel(1), 0), puts([htlc_of(1, 1)])]);
    let twin = ChannelRecord { no: ChannelNo(2), ..channel(1) };
    let sets = [channel_set(&store, 0, twin, 0), puts([htlc_of(1, 2)]), note("a")];
    let error = store.try_commit(&sets).unwrap_err();
    assert!(matches!(error, CommitError::NotStored(_)), "{error:?}");
    assert_eq!(stored(&store, &htlc_of(1, 2)), Some(htlc_of(1, 1)));
    assert_eq!(stored(&store, &row_of(&sets[0])), None);
    assert!(!store.has("a"));
    // Without it the others are stored, in the same place.
    store.commit(&sets[1..]);
    assert_eq!(stored(&store, &htlc_of(1, 2)), Some(htlc_of(1, 2)));
}

#[test]
fn a_trigger_that_calls_everything_a_duplicate_is_not_asked_for_ever() {
    for (times, tries) in [(1, 2), (9, 2)] {
        let mut store = Store::new();
        let mut shell = store.shell();
        fail(&mut shell, "23505", times);
        let tried = store.try_commit(&[note("a")]);
        assert_eq!(shell.number("select last_value from tries"), tries);
        assert_eq!(tried.is_ok(), times == 1, "{tried:?}");
        assert!(matches!(tried, Ok(_) | Err(CommitError::NotStored(_))), "{tried:?}");
        assert_eq!(store.has("a"), times == 1);
    }
}
