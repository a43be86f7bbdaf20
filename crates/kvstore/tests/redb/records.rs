use std::collections::BTreeSet;

use channelcoord::{Backend, ChangeSet};
use chanstate::key::{KeyRange, Kind};

use crate::samples;
use crate::support::*;

#[test]
fn the_samples_cover_every_kind() {
    let kinds: BTreeSet<Kind> = samples::all().iter().map(|record| record.key().kind).collect();
    assert_eq!(kinds, BTreeSet::from(Kind::ALL));
}

#[test]
fn every_record_is_read_back_as_written() {
    let mut store = Fixture::new();
    let all = samples::all();
    store.commit(vec![ChangeSet { puts: all.clone(), ..ChangeSet::default() }]);
    for record in all {
        assert_eq!(get(&store.store, &record.key()).as_ref(), Some(&record), "{}", record.key());
    }
}

#[test]
fn every_record_is_found_by_a_scan_of_its_kind() {
    let mut store = Fixture::new();
    let mut all = samples::all();
    store.commit(vec![ChangeSet { puts: all.clone(), ..ChangeSet::default() }]);
    all.sort_by_key(|record| record.key());
    let scanned: Vec<_> =
        Kind::ALL.iter().flat_map(|kind| scan(&store.store, &KeyRange::all(*kind))).collect();
    assert_eq!(scanned, all);
}

#[test]
fn every_record_can_be_removed() {
    let mut store = Fixture::new();
    let all = samples::all();
    store.commit(vec![ChangeSet { puts: all.clone(), ..ChangeSet::default() }]);
    let removes = all.iter().map(|record| record.key()).collect();
    store.commit(vec![ChangeSet { removes, ..ChangeSet::default() }]);
    for kind in Kind::ALL {
        assert_eq!(scan(&store.store, &KeyRange::all(kind)), [], "{kind:?}");
    }
}

#[test]
fn every_key_is_parsed_back_from_its_bytes() {
    for record in samples::all() {
        let key = record.key();
        assert_eq!(kvstore::kv::parse_key(&key.to_bytes()), Some(key));
    }
}

#[test]
fn answers_come_in_the_order_of_the_keys_asked_for() {
    let mut store = Fixture::new();
    let [a, b, absent] = ["a", "b", "absent"].map(|name| samples::meta(name, b"1"));
    let [a, b, absent] = [a, b, absent].map(channelcoord::Record::Meta);
    store.commit(vec![put(a.clone()), put(b.clone())]);
    let keys = [b.key(), absent.key(), a.key(), b.key()];
    let found = run(store.store.read(&keys)).unwrap();
    assert_eq!(found, [Some(b.clone()), None, Some(a), Some(b)]);
}

#[test]
fn a_record_is_replaced_by_one_with_the_same_key() {
    let mut store = Fixture::new();
    let new = channelcoord::Record::Meta(samples::meta("name", b"new"));
    store.commit(vec![put(channelcoord::Record::Meta(samples::meta("name", b"old")))]);
    store.commit(vec![put(new.clone())]);
    assert_eq!(get(&store.store, &new.key()), Some(new));
}
