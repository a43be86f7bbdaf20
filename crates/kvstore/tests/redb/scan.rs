use channelcoord::{Backend, ChangeSet, LndRecord, Record};
use chanstate::ChannelNo;
use chanstate::key::{KeyPart, KeyRange, Kind, RecordKey};
use linknode::{Address, LinkAddressRecord};

use crate::samples::{self, point};
use crate::support::*;

/// Numbers on both sides of every boundary of their order as bytes or as signed numbers.
const NUMBERS: [u64; 8] =
    [0, 255, 256, (1 << 32) - 1, (1 << 63) - 1, 1 << 63, u64::MAX - 1, u64::MAX];

#[test]
fn keys_come_in_the_order_of_unsigned_numbers() {
    let store = with_revoked_states();
    let keys = keys(&scan(&store.store, &KeyRange::all(Kind::RevokedState)));
    let expected: Vec<_> =
        NUMBERS.iter().flat_map(|no| NUMBERS.map(|height| (*no, height))).collect();
    assert_eq!(keys, expected);
}

#[test]
fn a_prefix_selects_one_channel() {
    let store = with_revoked_states();
    for no in NUMBERS {
        let found = keys(&scan(&store.store, &KeyRange::under(Kind::RevokedState, [no])));
        assert_eq!(found, NUMBERS.map(|height| (no, height)), "channel {no}");
    }
}

#[test]
fn a_prefix_of_a_whole_key_selects_one_record() {
    let store = with_revoked_states();
    let range = KeyRange::under(Kind::RevokedState, [u64::MAX, u64::MAX]);
    assert_eq!(keys(&scan(&store.store, &range)), [(u64::MAX, u64::MAX)]);
}

#[test]
fn pages_of_every_size_join_to_the_whole() {
    let store = with_revoked_states();
    let range = KeyRange::all(Kind::RevokedState);
    let whole = scan(&store.store, &range);
    for limit in [1, 2, 7, 63, 64, 65] {
        let mut joined = Vec::new();
        let mut rest = range.clone();
        loop {
            let page = run(store.store.scan(&rest, limit)).unwrap();
            assert!(page.len() <= limit);
            let end = page.len() < limit;
            joined.extend(page);
            if end {
                break;
            }
            rest = range.clone().after(joined.last().unwrap().key());
        }
        assert_eq!(joined, whole, "pages of {limit}");
    }
}

#[test]
fn a_page_of_nothing_is_empty() {
    let store = with_revoked_states();
    assert_eq!(run(store.store.scan(&KeyRange::all(Kind::RevokedState), 0)).unwrap(), []);
}

#[test]
fn a_scan_goes_on_after_a_key_that_does_not_exist() {
    let store = with_revoked_states();
    let after = RecordKey::of(Kind::RevokedState, [255, 257]);
    let range = KeyRange::under(Kind::RevokedState, [255]).after(after);
    assert_eq!(keys(&scan(&store.store, &range))[0], (255, (1 << 32) - 1));
}

#[test]
fn a_scan_after_the_end_of_its_prefix_is_empty() {
    let store = with_revoked_states();
    let after = RecordKey::of(Kind::RevokedState, [256, 0]);
    let range = KeyRange::under(Kind::RevokedState, [255]).after(after);
    assert_eq!(scan(&store.store, &range), []);
}

#[test]
fn kinds_that_share_a_table_are_kept_apart() {
    let mut store = Fixture::new();
    store.commit(vec![ChangeSet { puts: samples::all(), ..ChangeSet::default() }]);
    for kind in Kind::ALL {
        let found = scan(&store.store, &KeyRange::all(kind));
        assert!(!found.is_empty() && found.iter().all(|r| r.key().kind == kind), "{kind:?}");
    }
}

#[test]
fn a_prefix_of_a_node_selects_its_addresses() {
    let mut store = Fixture::new();
    let address = |node, position| {
        Record::LinkNode(linknode::Record::LinkAddress(LinkAddressRecord {
            node_id: point(node),
            position,
            address: Address::Opaque(Default::default()),
        }))
    };
    let ours = [address(1, 0), address(1, 1), address(1, 256)];
    let mut puts = vec![address(2, 0), address(3, 1)];
    puts.extend(ours.iter().rev().cloned());
    store.commit(vec![ChangeSet { puts, ..ChangeSet::default() }]);
    assert_eq!(scan(&store.store, &linknode::addresses_of(&point(1))), ours);
}

#[test]
fn keys_of_bytes_come_in_the_order_of_the_bytes() {
    let mut store = Fixture::new();
    let paths: [&'static [u8]; 6] = [b"", b"a", b"a\x00", b"ab", b"\xff", b"\xff\xff"];
    let records =
        paths.map(|path| Record::Lnd(LndRecord { path: path.into(), residue: Default::default() }));
    let puts = records.iter().rev().cloned().collect();
    store.commit(vec![ChangeSet { puts, ..ChangeSet::default() }]);
    assert_eq!(scan(&store.store, &KeyRange::all(Kind::Lnd)), records);
    let prefix = vec![KeyPart::Bytes(b"\xff".as_slice().into())];
    let range = KeyRange { kind: Kind::Lnd, prefix, after: None };
    assert_eq!(scan(&store.store, &range), records[4..5]);
}

fn with_revoked_states() -> Fixture {
    let mut store = Fixture::new();
    let states = NUMBERS.iter().rev().flat_map(|no| {
        NUMBERS.map(|height| {
            let state = samples::revoked_state(ChannelNo(*no), height);
            Record::Channel(chanstate::Record::RevokedState(state))
        })
    });
    store.commit(vec![ChangeSet { puts: states.collect(), ..ChangeSet::default() }]);
    store
}

fn keys(records: &[Record]) -> Vec<(u64, u64)> {
    let key = |record: &Record| match record.key().parts[..] {
        [KeyPart::Int(no), KeyPart::Int(height)] => (no, height),
        ref other => panic!("{other:?}"),
    };
    records.iter().map(key).collect()
}
