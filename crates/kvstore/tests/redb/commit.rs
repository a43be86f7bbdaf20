use channelcoord::{
    Backend, ChangeSet, CommitError, Epoch, Head, PackageAck, Record, Seq, Subject, Verdict,
};
use chanstate::key::{Kind, RecordKey};
use chanstate::{ChannelNo, CommitmentHeight, PackageList, Version};
use kvstore::kv::Fault;
use linknode::{LinkNode, LinkNodeChange, Network};

use crate::samples::{self, point};
use crate::support::*;

#[test]
fn a_new_version_replaces_the_expected_one() {
    let mut store = Fixture::new();
    assert!(store.commit(vec![touch(1, 0)]).iter().all(is_applied));
    assert!(store.commit(vec![touch(1, 1)]).iter().all(is_applied));
    assert_eq!(version(&store, 1), Some(Version(2)));
}

#[test]
fn a_stale_version_is_a_conflict() {
    let mut store = Fixture::new();
    store.commit(vec![touch(1, 0)]);
    store.commit(vec![touch(1, 1)]);
    let verdicts = store.commit(vec![touch(1, 1)]);
    assert!(matches!(verdicts[..], [Verdict::Conflict(Subject::Channel(ChannelNo(1)))]));
    assert_eq!(version(&store, 1), Some(Version(2)));
}

#[test]
fn creating_what_exists_is_a_conflict() {
    let mut store = Fixture::new();
    store.commit(vec![touch(1, 0)]);
    assert!(matches!(store.commit(vec![touch(1, 0)])[..], [Verdict::Conflict(_)]));
}

#[test]
fn changing_what_does_not_exist_is_a_conflict() {
    let mut store = Fixture::new();
    assert!(matches!(store.commit(vec![touch(1, 1)])[..], [Verdict::Conflict(_)]));
    assert_eq!(version(&store, 1), None);
}

#[test]
fn a_conflict_leaves_nothing_of_its_set_and_all_of_its_neighbours() {
    let mut store = Fixture::new();
    let name = |name| Record::Meta(samples::meta(name, b"1"));
    let with = |mut set: ChangeSet, record| {
        set.puts.push(record);
        set
    };
    let verdicts = store.commit(vec![
        with(touch(1, 0), name("first")),
        with(touch(2, 9), name("second")),
        with(touch(3, 0), name("third")),
    ]);
    assert!(matches!(verdicts[..], [Verdict::Applied, Verdict::Conflict(_), Verdict::Applied]));
    let found = ["first", "second", "third"].map(|it| get(&store.store, &name(it).key()).is_some());
    assert_eq!(found, [true, false, true]);
    assert_eq!([1, 2, 3].map(|no| version(&store, no)), [Some(Version(1)), None, Some(Version(3))]);
}

#[test]
fn one_stale_subject_of_two_holds_back_both() {
    let mut store = Fixture::new();
    let mut set = touch(1, 0);
    set.link_nodes.push(LinkNodeChange::touch(&node(1), Version(5)));
    let verdicts = store.commit(vec![set]);
    assert!(
        matches!(verdicts[..], [Verdict::Conflict(Subject::LinkNode(found))] if found == point(1))
    );
    assert_eq!(version(&store, 1), None);
}

#[test]
fn a_link_node_is_guarded_by_its_version() {
    let mut store = Fixture::new();
    let change = |change| ChangeSet { link_nodes: vec![change], ..ChangeSet::default() };
    let created = store.commit(vec![change(LinkNodeChange::put(&node(1), None, Version::ABSENT))]);
    let stale = store.commit(vec![change(LinkNodeChange::remove(&node(1), Version(9)))]);
    let removed = store.commit(vec![change(LinkNodeChange::remove(&node(1), Version(1)))]);
    assert!(matches!(created[..], [Verdict::Applied]));
    assert!(matches!(stale[..], [Verdict::Conflict(_)]));
    assert!(matches!(removed[..], [Verdict::Applied]));
    assert_eq!(get(&store.store, &linknode::node_key(&point(1))), None);
}

#[test]
fn a_refused_set_leaves_a_gap_in_the_sequence() {
    let mut store = Fixture::new();
    store.commit(vec![touch(1, 7), touch(2, 0)]);
    assert_eq!(version(&store, 2), Some(Version(2)));
    assert!(store.commit(vec![touch(2, 2)]).iter().all(is_applied));
}

#[test]
fn a_batch_that_does_not_follow_the_last_commit_is_not_stored() {
    let mut store = Fixture::new();
    store.commit(vec![touch(1, 0)]);
    for before in [0, 2] {
        let head = Head { seq: Seq(before), ..store.head };
        match commit(&store.store, head, &[touch(2, 0)]).unwrap_err() {
            CommitError::NotStored(cause) => assert!(
                matches!(kv_fault(&cause), Fault::OutOfOrder { before: b, found: Seq(1) } if b.0 == before)
            ),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(version(&store, 2), None);
}

#[test]
fn an_acknowledgement_sets_its_update_only() {
    let mut store = Fixture::new();
    let updates = [(PackageList::Adds, 0), (PackageList::Adds, 1), (PackageList::SettleFails, 1)];
    let records = updates.map(|(list, index)| update(list, index, false));
    let puts = records.to_vec();
    store.commit(vec![ChangeSet { puts, ..ChangeSet::default() }]);
    store.commit(vec![acks(&[(PackageList::Adds, 1)])]);
    let found = records.map(|record| acked(&store, &record.key()));
    assert_eq!(found, [Some(false), Some(true), Some(false)]);
}

#[test]
fn an_acknowledgement_without_an_update_is_applied_and_writes_nothing() {
    let mut store = Fixture::new();
    assert!(store.commit(vec![acks(&[(PackageList::Adds, 0)])]).iter().all(is_applied));
    assert_eq!(acked(&store, &update(PackageList::Adds, 0, false).key()), None);
}

#[test]
fn acknowledgements_of_one_package_may_share_a_batch() {
    let mut store = Fixture::new();
    let records = [0, 1].map(|index| update(PackageList::Adds, index, false));
    store.commit(vec![ChangeSet { puts: records.to_vec(), ..ChangeSet::default() }]);
    let sets = vec![
        acks(&[(PackageList::Adds, 0)]),
        acks(&[(PackageList::Adds, 1)]),
        acks(&[(PackageList::Adds, 1)]),
    ];
    assert!(store.commit(sets).iter().all(is_applied));
    assert_eq!(records.map(|record| acked(&store, &record.key())), [Some(true); 2]);
}

#[test]
fn an_acknowledgement_of_a_set_in_conflict_is_not_stored() {
    let mut store = Fixture::new();
    let record = update(PackageList::Adds, 0, false);
    store.commit(vec![put(record.clone())]);
    let mut set = touch(1, 9);
    set.acks = acks(&[(PackageList::Adds, 0)]).acks;
    assert!(matches!(store.commit(vec![set])[..], [Verdict::Conflict(_)]));
    assert_eq!(acked(&store, &record.key()), Some(false));
}

#[test]
fn an_empty_batch_is_accepted() {
    let mut store = Fixture::new();
    assert!(store.commit(Vec::new()).is_empty());
    assert!(store.commit(vec![touch(1, 0)]).iter().all(is_applied));
}

#[test]
fn a_released_store_refuses_commits() {
    let store = Fixture::new();
    run(store.store.release()).unwrap();
    match commit(&store.store, Head { epoch: Epoch(1), seq: Seq(0) }, &[]).unwrap_err() {
        CommitError::NotStored(cause) => assert!(matches!(kv_fault(&cause), Fault::Released)),
        other => panic!("{other:?}"),
    }
}

fn version(store: &Fixture, no: u64) -> Option<Version> {
    get(&store.store, &RecordKey::of(Kind::Channel, [no]))?.version()
}

fn node(secret: u8) -> LinkNode {
    LinkNode { node_id: point(secret), network: Network::SIGNET, last_seen: 1, addresses: vec![] }
}

fn update(list: PackageList, index: u16, acked: bool) -> Record {
    let update = samples::package_update(list, index, acked);
    Record::Channel(chanstate::Record::PackageUpdate(update))
}

fn acked(store: &Fixture, key: &RecordKey) -> Option<bool> {
    match get(&store.store, key)? {
        Record::Channel(chanstate::Record::PackageUpdate(update)) => Some(update.acked),
        other => panic!("{other:?}"),
    }
}

fn acks(updates: &[(PackageList, u16)]) -> ChangeSet {
    let ack = |(list, index): &(PackageList, u16)| PackageAck {
        source: samples::SCID,
        height: CommitmentHeight(9),
        list: *list,
        index: *index,
    };
    ChangeSet { acks: updates.iter().map(ack).collect(), ..ChangeSet::default() }
}
