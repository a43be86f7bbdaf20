//! Records come back as they were put.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeSet;

use channelcoord::Record;
use chanstate::key::{KeyRange, Kind};
use support::extremes::{every_kind, extreme_channel};
use support::records::channel;
use support::{Fixture, puts};

#[test]
fn every_kind_with_extreme_values() {
    let mut store = Fixture::new();
    let records = every_kind();
    let kinds: BTreeSet<Kind> = records.iter().map(|record| record.key().kind).collect();
    assert_eq!(kinds, Kind::ALL.into());
    store.put(records.clone());
    for record in &records {
        assert_eq!(store.read(&record.key()).as_ref(), Some(record), "{}", record.key());
    }
    for kind in Kind::ALL {
        let mut expected: Vec<_> =
            records.iter().filter(|r| r.key().kind == kind).cloned().collect();
        expected.sort_by_key(Record::key);
        assert_eq!(store.scan(&KeyRange::all(kind)), expected);
    }
}

#[test]
fn every_kind_after_reopening() {
    let mut store = Fixture::new();
    let records = every_kind();
    store.put(records.clone());
    let store = store.reopen();
    for record in &records {
        assert_eq!(store.read(&record.key()).as_ref(), Some(record), "{}", record.key());
    }
}

#[test]
fn a_put_replaces_every_column() {
    let mut store = Fixture::new();
    store.put(every_kind());
    // Among them the funding outpoint, which has an index of its own.
    let other = |mut row: chanstate::record::ChannelRecord, no| {
        row.no = chanstate::ChannelNo(no);
        Record::Channel(chanstate::Record::Channel(row))
    };
    let replaced = [other(extreme_channel(200), 1), other(channel(201), i64::MAX as u64)];
    store.put(replaced.clone());
    for record in &replaced {
        assert_eq!(store.read(&record.key()).as_ref(), Some(record));
    }
}

#[test]
fn every_kind_can_be_removed_children_first() {
    let mut store = Fixture::new();
    let records = every_kind();
    store.put(records.clone());
    let mut set = puts([]);
    set.removes = records.iter().rev().map(Record::key).collect();
    store.commit(&[set.clone()]);
    for kind in Kind::ALL {
        assert_eq!(store.scan(&KeyRange::all(kind)), []);
    }
    // What does not exist can be removed too.
    store.commit(&[set]);
}
