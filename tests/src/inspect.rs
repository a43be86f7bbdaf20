//! Looks at what a backend holds, past the store.

use std::collections::{BTreeMap, BTreeSet};

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

/// HTLCs that have a record, of a store with one channel.
pub async fn stored_htlcs(backend: &dyn Backend) -> BTreeSet<HtlcKey> {
    let htlcs = records(backend, Kind::Htlc).await.into_iter().filter_map(|record| match record {
        Record::Channel(chanstate::Record::Htlc(htlc)) => Some(htlc.key()),
        _ => None,
    });
    htlcs.collect()
}
