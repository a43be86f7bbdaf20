//! Looks at what a backend holds, past the store.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::OutPoint;
use channelcoord::{Backend, Record, scan_all};
use chanstate::HtlcKey;
use chanstate::key::{KeyRange, Kind, RecordKey};

/// All records of a store.
pub type Contents = BTreeMap<RecordKey, Record>;

/// Everything that is stored.
pub async fn contents(backend: &dyn Backend) -> Contents {
    let mut found = Contents::new();
    for kind in Kind::ALL {
        let take = |record: Record| {
            let before = found.insert(record.key(), record);
            assert_eq!(before, None, "a record appears twice");
        };
        scan_all(backend, KeyRange::all(kind), take).await.expect("the backend reads");
    }
    found
}

/// Keys of the records in which two stores differ.
pub fn differences(a: &Contents, b: &Contents) -> BTreeSet<RecordKey> {
    let only = |a: &Contents, b: &Contents| -> BTreeSet<RecordKey> {
        a.iter()
            .filter(|(key, record)| b.get(key) != Some(record))
            .map(|(k, _)| k.clone())
            .collect()
    };
    &only(a, b) | &only(b, a)
}

/// Things in their order, to compare what may come in any.
pub fn sorted<T: Ord>(things: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut things: Vec<_> = things.into_iter().collect();
    things.sort();
    things
}

/// Records of one kind.
pub async fn records(backend: &dyn Backend, kind: Kind) -> Vec<Record> {
    let mut found = Vec::new();
    let take = |record| found.push(record);
    scan_all(backend, KeyRange::all(kind), take).await.expect("the backend reads");
    found
}

/// Number of records of one kind.
pub async fn count(backend: &dyn Backend, kind: Kind) -> usize {
    records(backend, kind).await.len()
}

/// HTLCs that have a record, by funding outpoint.
pub async fn stored_htlcs(backend: &dyn Backend) -> BTreeMap<OutPoint, BTreeSet<HtlcKey>> {
    let mut points = BTreeMap::new();
    for record in records(backend, Kind::Channel).await {
        if let Record::Channel(chanstate::Record::Channel(row)) = record {
            points.insert(row.no, row.funding_outpoint);
        }
    }
    let mut htlcs: BTreeMap<_, BTreeSet<_>> =
        points.values().map(|point| (*point, BTreeSet::new())).collect();
    for record in records(backend, Kind::Htlc).await {
        if let Record::Channel(chanstate::Record::Htlc(htlc)) = record {
            let point = points.get(&htlc.no).expect("an HTLC is of a channel");
            htlcs.entry(*point).or_default().insert(htlc.key());
        }
    }
    htlcs
}
