//! What a backend owes to the store, asked of it directly.

use std::sync::Arc;

use bitcoin::secp256k1::PublicKey;
use channelcoord::{
    Backend, Batch, ChangeSet, ClaimError, CommitError, Head, MetaRecord, PackageAck, Record, Seq,
    Subject, Verdict, meta_key,
};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::{PackageRecord, PackageUpdateRecord, UpdateBody, UpdateRef};
use chanstate::{ChannelChange, ChannelNo, FinalHtlcRecord, PackageList, Version, transition};
use linknode::LinkNodeChange;

use crate::values::{self, link_node, new_channel, peer};
use crate::{Place, inspect};

/// A claimed backend at its newest sequence number.
struct Claimed {
    backend: Arc<dyn Backend>,
    head: Head,
}

impl Claimed {
    async fn new(place: &dyn Place) -> Claimed {
        let backend = place.open();
        let head = backend.claim(None).await.unwrap();
        Claimed { backend, head }
    }

    async fn reopen(self, place: &dyn Place) -> Claimed {
        self.backend.release().await.unwrap();
        drop(self.backend);
        Claimed::new(place).await
    }

    /// Commits sets as the store does, and gives each its verdict.
    async fn commit(&mut self, mut sets: Vec<ChangeSet>) -> Vec<Verdict> {
        for (version, set) in (self.head.seq.0 + 1..).zip(&mut sets) {
            set.stamp(Version(version));
        }
        let batch = Batch { epoch: self.head.epoch, before: self.head.seq, sets: &sets };
        let verdicts = self.backend.commit(batch).await.unwrap();
        self.head.seq = batch.last();
        verdicts
    }

    /// Commits one set that must apply.
    async fn apply(&mut self, set: ChangeSet) {
        let verdicts = self.commit(vec![set]).await;
        assert!(matches!(verdicts[..], [Verdict::Applied]), "{verdicts:?}");
    }

    async fn has(&self, name: &str) -> bool {
        self.backend.read(&[meta_key(name)]).await.unwrap() == [Some(meta(name))]
    }
}

fn meta(name: &str) -> Record {
    Record::Meta(MetaRecord { name: name.into(), value: values::bytes("meta", 1, 40) })
}

/// A set that stores a value of the store.
fn noting(name: &str) -> ChangeSet {
    ChangeSet { puts: vec![meta(name)], ..ChangeSet::default() }
}

/// The creation of channel `n`, with a value of the store to tell whether it was applied.
fn creating(n: u64, name: &str) -> ChangeSet {
    let change = transition::open(ChannelNo(n), &new_channel(n, peer(n))).unwrap();
    ChangeSet { channels: vec![change], ..noting(name) }
}

/// A change of channel `n` that was computed from `version`.
fn changing(n: u64, version: u64, name: &str) -> ChangeSet {
    let change = transition::open(ChannelNo(n), &new_channel(n, peer(n))).unwrap();
    let chanstate::Record::Channel(row) = &change.puts()[0] else { panic!("the row comes first") };
    let row = chanstate::record::ChannelRecord { version: Version(version), ..row.clone() };
    ChangeSet { channels: vec![ChannelChange::new(row)], ..noting(name) }
}

fn touching(node: u64, version: u64, name: &str) -> ChangeSet {
    let change = LinkNodeChange::touch(&link_node(node), Version(version));
    ChangeSet { link_nodes: vec![change], ..noting(name) }
}

fn is_conflict(verdict: &Verdict, subject: Subject) -> bool {
    matches!(verdict, Verdict::Conflict(found) if *found == subject)
}

/// A set whose channel has another version is left out whole, the others of its batch are stored.
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
    let at = at.reopen(place).await;
    for (name, stored) in
        [("right", true), ("free", true), ("next", true), ("stale", false), ("absent", false)]
    {
        assert_eq!(at.has(name).await, stored, "{name}");
    }
    assert!(!at.has("again").await);
    assert_eq!(at.head.seq, Seq(8), "a set that is left out leaves a gap");
}

/// The same for link nodes, one that was removed and created again included.
pub(crate) async fn a_stale_link_node_is_left_out(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let creating = |name| ChangeSet {
        link_nodes: vec![LinkNodeChange::put(&link_node(1), None, Version::ABSENT)],
        ..noting(name)
    };
    let removing = |version: u64, name| ChangeSet {
        link_nodes: vec![LinkNodeChange::remove(&link_node(1), Version(version))],
        ..noting(name)
    };
    let subject = Subject::LinkNode(peer(1));
    at.apply(creating("1")).await;
    for stale in [creating("again"), removing(7, "gone"), touching(1, 0, "zero")] {
        assert!(is_conflict(&at.commit(vec![stale]).await[0], subject));
    }
    at.apply(removing(1, "5")).await;
    assert!(is_conflict(&at.commit(vec![touching(1, 1, "absent")]).await[0], subject));
    at.apply(creating("7")).await;
    assert!(is_conflict(&at.commit(vec![touching(1, 1, "old")]).await[0], subject));
    at.apply(touching(1, 7, "9")).await;
    let at = at.reopen(place).await;
    for name in ["again", "gone", "zero", "absent", "old"] {
        assert!(!at.has(name).await, "{name}");
    }
    let addresses = at.backend.scan(&linknode::addresses_of(&peer(1)), 9).await.unwrap();
    assert_eq!(addresses.len(), link_node(1).addresses.len());
}

/// A set with a fresh and a stale subject is left out whole.
pub(crate) async fn one_stale_subject_is_enough(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let node: PublicKey = peer(1);
    let mut set = creating(1, "half");
    set.link_nodes = vec![LinkNodeChange::touch(&link_node(1), Version(1))];
    assert!(is_conflict(&at.commit(vec![set]).await[0], Subject::LinkNode(node)));
    assert_eq!(inspect::contents(at.backend.as_ref()).await.len(), 0);
}

/// A claim raises the epoch; one that finds the store too old does not.
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
    let again = at.reopen(place).await;
    assert_eq!((again.head.seq, again.head.epoch > newer.epoch), (Seq(2), true));
}

/// A batch that does not follow the last one is not stored.
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
    at.apply(ChangeSet { puts: puts.clone(), ..ChangeSet::default() }).await;
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
pub(crate) async fn records_are_replaced_and_removed(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let value = |len| {
        let value = values::bytes("value", 1, len);
        Record::Meta(MetaRecord { name: "name".into(), value })
    };
    for len in [0, 1, 100_000, 3] {
        at.apply(ChangeSet { puts: vec![value(len)], ..ChangeSet::default() }).await;
        let found = at.backend.read(&[meta_key("name")]).await.unwrap();
        assert_eq!(found, [Some(value(len))]);
    }
    for _ in 0..2 {
        let removes = vec![meta_key("name")];
        at.apply(ChangeSet { removes, ..ChangeSet::default() }).await;
        assert_eq!(at.backend.read(&[meta_key("name")]).await.unwrap(), [None]);
    }
    at.apply(ChangeSet::default()).await;
    assert_eq!(at.reopen(place).await.head.seq, Seq(7));
}

/// An acknowledgement sets its update alone, and one of a package that is gone passes; several of
/// one package may come in one batch. Writing a package again leaves its updates.
pub(crate) async fn acknowledgements_commute(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let (source, height) = (u64::MAX.into(), 7.into());
    let update = |index| PackageUpdateRecord {
        source,
        height,
        list: PackageList::SettleFails,
        index,
        update: UpdateRef {
            log_index: 3.into(),
            body: UpdateBody::Message(values::commit_sig(chanstate::ChannelId([1; 32]), 1, 0)),
        },
        acked: false,
    };
    let package = |forward_filter| {
        let record = PackageRecord { source, height, no: None, forward_filter };
        Record::Channel(chanstate::Record::Package(record))
    };
    let updates = (0..4).map(|i| Record::Channel(chanstate::Record::PackageUpdate(update(i))));
    let puts = [package(None)].into_iter().chain(updates).collect();
    at.apply(ChangeSet { puts, ..ChangeSet::default() }).await;
    let ack = |index, height: u64| {
        let list = PackageList::SettleFails;
        let ack = PackageAck { source, height: height.into(), list, index };
        ChangeSet { acks: vec![ack], ..ChangeSet::default() }
    };
    let sets = vec![ack(3, 7), ack(1, 7), ack(0, 8), noting("beside")];
    let verdicts = at.commit(sets).await;
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Applied)), "{verdicts:?}");
    let filter = Some(chanstate::Filter::empty(0));
    at.apply(ChangeSet { puts: vec![package(filter.clone())], ..ChangeSet::default() }).await;
    let at = at.reopen(place).await;
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
