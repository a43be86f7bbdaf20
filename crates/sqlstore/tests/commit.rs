//! What a commit stores, and what it leaves alone.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::error::Error;

use channelcoord::{ChangeSet, CommitError, PackageAck, Record, Seq, Subject, Verdict};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::ChannelRecord;
use chanstate::{
    ChannelChange, ChannelNo, CommitmentHeight, Direction, PackageList, ShortChannelId, Version,
};
use linknode::{LinkNode, LinkNodeChange, Network};
use support::records::{channel, commitment, htlc, package, package_update, point};
use support::{Fixture, applied, puts};

/// A set that writes a channel's row on top of `expect`.
fn channel_set(row: ChannelRecord, expect: u64, version: u64) -> ChangeSet {
    let mut change = ChannelChange::new(ChannelRecord { version: Version(expect), ..row });
    change.stamp(Version(version));
    ChangeSet { channels: vec![change], ..ChangeSet::default() }
}

fn channel_version(store: &Fixture, no: u64) -> Option<Version> {
    store.read(&RecordKey::single(Kind::Channel, ChannelNo(no))).and_then(|r| r.version())
}

fn record(part: chanstate::Record) -> Record {
    Record::Channel(part)
}

#[test]
fn a_stale_set_leaves_its_neighbours_applied() {
    let mut store = Fixture::new();
    store.commit(&[channel_set(channel(1), 0, 1)]);
    let mut stale = channel_set(channel(1), 7, 3);
    stale.puts.push(record(chanstate::Record::Htlc(htlc(1, Direction::Incoming, 0))));
    let sets = [channel_set(channel(2), 0, 2), stale, channel_set(channel(3), 0, 4)];
    let verdicts = store.try_commit(&sets).unwrap();
    let [Verdict::Applied, Verdict::Conflict(subject), Verdict::Applied] = &verdicts[..] else {
        panic!("{verdicts:?}");
    };
    assert_eq!(*subject, Subject::Channel(ChannelNo(1)));
    assert_eq!(channel_version(&store, 1), Some(Version(1)));
    assert_eq!(channel_version(&store, 2), Some(Version(2)));
    assert_eq!(channel_version(&store, 3), Some(Version(4)));
    assert_eq!(store.scan(&KeyRange::all(Kind::Htlc)), []);
}

#[test]
fn creating_what_exists_is_a_conflict() {
    let mut store = Fixture::new();
    store.commit(&[channel_set(channel(1), 0, 1)]);
    let verdicts = store.try_commit(&[channel_set(channel(1), 0, 2)]).unwrap();
    assert!(matches!(verdicts[..], [Verdict::Conflict(Subject::Channel(ChannelNo(1)))]));
}

#[test]
fn a_link_node_is_guarded_too() {
    let mut store = Fixture::new();
    let node =
        LinkNode { node_id: point(1), network: Network::REGTEST, last_seen: 1, addresses: vec![] };
    let set = |expect| {
        let mut change = LinkNodeChange::put(&node, None, Version(expect));
        change.stamp(Version(9));
        ChangeSet { link_nodes: vec![change], ..ChangeSet::default() }
    };
    store.commit(&[set(0)]);
    let verdicts = store.try_commit(&[set(8)]).unwrap();
    assert!(matches!(verdicts[..], [Verdict::Conflict(Subject::LinkNode(id))] if id == point(1)));
    store.commit(&[set(9)]);
}

#[test]
fn a_number_that_does_not_sort_is_refused() {
    let mut store = Fixture::new();
    store.put([record(chanstate::Record::Channel(channel(1)))]);
    let refused = htlc(1, Direction::Incoming, 1 << 63);
    let key = RecordKey::htlc(ChannelNo(1), refused.key());
    let other = htlc(1, Direction::Incoming, (1 << 63) - 1);
    let sets = [refused, other].map(|htlc| puts([record(chanstate::Record::Htlc(htlc))]));
    let told = sets.each_ref().map(|set| sqlstore::fits(set.puts[0].as_ref()));
    let verdicts = store.try_commit(&sets).unwrap();
    let [Verdict::Refused { record, cause }, Verdict::Applied] = &verdicts[..] else {
        panic!("{verdicts:?}");
    };
    assert_eq!(*record, key);
    assert_eq!(cause.to_string(), "id 9223372036854775808 over 2^63 - 1");
    // The same is told without a store.
    let [Err(misfit), Ok(())] = told else { panic!("{told:?}") };
    assert_eq!(misfit.to_string(), cause.to_string());
    assert_eq!(store.read(&key), None);
}

#[test]
fn a_broken_constraint_stores_nothing_of_the_batch() {
    let mut store = Fixture::new();
    // The commitment of a channel that does not exist.
    let orphan =
        puts([record(chanstate::Record::Commitment(commitment(5, chanstate::Side::Local, 0)))]);
    for position in 0..3 {
        let mut sets: Vec<_> = (1..3).map(|no| channel_set(channel(no), 0, no)).collect();
        sets.insert(position, orphan.clone());
        let error = store.try_commit(&sets).unwrap_err();
        let CommitError::NotStored(cause) = &error else { panic!("{error:?}") };
        assert_eq!(cause.to_string(), "writing Commitment/5/0/0 failed");
        assert_eq!(cause.source().unwrap().to_string(), "FOREIGN KEY constraint failed");
        assert_eq!(store.scan(&KeyRange::all(Kind::Channel)), []);
    }
    // One by one, only the culprit fails.
    assert!(store.try_commit(&[orphan]).is_err());
    store.commit(&[channel_set(channel(1), 0, 1)]);
    store.commit(&[channel_set(channel(2), 0, 2)]);
}

#[test]
fn the_funding_outpoint_is_unique() {
    let mut store = Fixture::new();
    store.commit(&[channel_set(channel(1), 0, 1)]);
    let mut twin = channel(2);
    twin.funding_outpoint = channel(1).funding_outpoint;
    let error = store.try_commit(&[channel_set(twin, 0, 2)]).unwrap_err();
    assert!(matches!(error, CommitError::NotStored(_)));
    assert_eq!(channel_version(&store, 2), None);
}

#[test]
fn an_ack_sets_one_flag() {
    let mut store = Fixture::new();
    let update = |index| package_update(7, 3, PackageList::Adds, index);
    store.put(
        [chanstate::Record::Package(package(7, 3, None))]
            .into_iter()
            .chain((0..3).map(|index| chanstate::Record::PackageUpdate(update(index))))
            .map(Record::Channel),
    );
    let ack = PackageAck {
        source: ShortChannelId(7),
        height: CommitmentHeight(3),
        list: PackageList::Adds,
        index: 1,
    };
    let set = ChangeSet { acks: vec![ack], ..ChangeSet::default() };
    // The second time it is set already.
    store.commit(&[set.clone(), set]);
    let acked: Vec<bool> = store
        .scan(&KeyRange::all(Kind::PackageUpdate))
        .into_iter()
        .map(|record| match record {
            Record::Channel(chanstate::Record::PackageUpdate(update)) => update.acked,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(acked, [false, true, false]);
}

#[test]
fn an_ack_of_a_package_that_is_gone_does_nothing() {
    let mut store = Fixture::new();
    let ack = PackageAck {
        source: ShortChannelId(u64::MAX),
        height: CommitmentHeight(u64::MAX),
        list: PackageList::SettleFails,
        index: u16::MAX,
    };
    store.commit(&[ChangeSet { acks: vec![ack], ..ChangeSet::default() }]);
    assert_eq!(store.scan(&KeyRange::all(Kind::PackageUpdate)), []);
}

#[test]
fn a_set_may_put_and_acknowledge_a_package() {
    let mut store = Fixture::new();
    let mut set = puts([
        record(chanstate::Record::Package(package(7, 3, None))),
        record(chanstate::Record::PackageUpdate(package_update(7, 3, PackageList::Adds, 0))),
    ]);
    set.acks = vec![PackageAck {
        source: ShortChannelId(7),
        height: CommitmentHeight(3),
        list: PackageList::Adds,
        index: 0,
    }];
    store.commit(&[set.clone()]);
    let stored = store.read(&set.acks[0].key());
    let Some(Record::Channel(chanstate::Record::PackageUpdate(update))) = stored else {
        panic!("{stored:?}");
    };
    assert!(update.acked);
}

#[test]
fn a_batch_for_another_sequence_number_is_not_stored() {
    let mut store = Fixture::new();
    store.head.seq = Seq(1);
    let error = store.try_commit(&[channel_set(channel(1), 0, 2)]).unwrap_err();
    let CommitError::NotStored(cause) = &error else { panic!("{error:?}") };
    assert_eq!(cause.to_string(), "store is at sequence number 0, batch expects 1");
    store.head.seq = Seq(0);
    store.commit(&[channel_set(channel(1), 0, 1)]);
}

#[test]
fn a_refused_set_leaves_a_gap_in_the_numbers() {
    let mut store = Fixture::new();
    let refused = puts([record(chanstate::Record::Channel(channel(u64::MAX)))]);
    assert!(!applied(&store.try_commit(&[refused]).unwrap()[0]));
    store.commit(&[channel_set(channel(1), 0, 2)]);
    assert_eq!(store.head.seq, Seq(2));
    assert_eq!(store.reopen().head.seq, Seq(2));
}

#[test]
fn an_empty_batch_changes_nothing() {
    let mut store = Fixture::new();
    store.commit(&[]);
    assert_eq!(store.head.seq, Seq(0));
}
