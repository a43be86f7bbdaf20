//! Scans go in key order, from any key on, in pages of any size.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use channelcoord::{Backend, MetaRecord, Record};
use chanstate::key::{KeyPart, KeyRange, Kind, RecordKey};
use chanstate::{
    Direction, FinalHtlc, FinalHtlcRecord, HtlcId, OpeningStateRecord, PackageList, ShortChannelId,
};
use pollster::block_on;
use support::Fixture;
use support::records::{channel, htlc, link_addresses, link_node, package, package_update};

/// Numbers on both sides of what a signed column holds.
const NUMBERS: [u64; 6] = [0, 1, 1 << 40, i64::MAX as u64, 1 << 63, u64::MAX];

/// Numbers that a key may hold in any place.
const NARROW: [u64; 3] = [0, 1, i64::MAX as u64];

/// Compares every scan with `prefix` and `after` made of `parts` to a scan of sorted keys.
fn check(store: &Fixture, kind: Kind, components: usize, parts: &[KeyPart]) {
    let mut keys: Vec<Vec<KeyPart>> =
        store.scan(&KeyRange::all(kind)).iter().map(|record| record.key().parts).collect();
    assert!(keys.is_sorted());
    keys.sort();
    let prefixes: Vec<_> = (0..=components).flat_map(|len| lists(parts, len)).collect();
    let afters = lists(parts, components).into_iter().map(Some).chain([None]);
    for after in afters.chain(lists(parts, 1).into_iter().map(Some)) {
        for prefix in &prefixes {
            let range = KeyRange { kind, prefix: prefix.clone(), after: after.clone() };
            let expected: Vec<_> = keys
                .iter()
                .filter(|key| key.starts_with(prefix))
                .filter(|key| after.as_ref().is_none_or(|after| *key > after))
                .cloned()
                .collect();
            for limit in [0, 1, 2, usize::MAX] {
                let found = block_on(store.backend.scan(&range, limit)).unwrap();
                let found: Vec<_> = found.iter().map(|record| record.key().parts).collect();
                assert_eq!(found, expected[..limit.min(expected.len())], "{range:?} {limit}");
            }
        }
    }
}

/// Every list of `len` parts.
fn lists(parts: &[KeyPart], len: usize) -> Vec<Vec<KeyPart>> {
    (0..len).fold(vec![vec![]], |lists, _| {
        let longer = |list: &Vec<KeyPart>| {
            let list = list.clone();
            parts.iter().map(move |part| [list.clone(), vec![part.clone()]].concat())
        };
        lists.iter().flat_map(longer).collect()
    })
}

fn numbers() -> Vec<KeyPart> {
    NUMBERS.map(KeyPart::Int).into()
}

#[test]
fn keys_led_by_a_short_channel_id_sort_as_unsigned() {
    let mut store = Fixture::new();
    let outcome = FinalHtlc { settled: true, offchain: true };
    let record = |scid, id| {
        let record = FinalHtlcRecord { scid: ShortChannelId(scid), id: HtlcId(id), outcome };
        Record::Channel(chanstate::Record::FinalHtlc(record))
    };
    store.put(NUMBERS.iter().flat_map(|scid| NARROW.map(|id| record(*scid, id))));
    let mut parts = numbers();
    parts.push(KeyPart::Bytes(vec![1].into()));
    check(&store, Kind::FinalHtlc, 2, &parts);
}

#[test]
fn updates_of_packages() {
    let mut store = Fixture::new();
    let scids = [0, 1 << 63, u64::MAX];
    let heights = [0, i64::MAX as u64];
    for scid in scids {
        for height in heights {
            let package = chanstate::Record::Package(package(scid, height, None));
            let update = |list, index| {
                chanstate::Record::PackageUpdate(package_update(scid, height, list, index))
            };
            let updates = [
                update(PackageList::Adds, 0),
                update(PackageList::Adds, u16::MAX),
                update(PackageList::SettleFails, 1),
            ];
            store.put([package].into_iter().chain(updates).map(Record::Channel));
        }
    }
    let parts = [0, 1, u64::MAX].map(KeyPart::Int);
    check(&store, Kind::PackageUpdate, 4, &parts);
    check(&store, Kind::Package, 2, &numbers());
}

#[test]
fn records_of_channels() {
    let mut store = Fixture::new();
    for no in NARROW {
        store.put([Record::Channel(chanstate::Record::Channel(channel(no)))]);
        let htlcs = NARROW.iter().flat_map(|id| {
            [Direction::Outgoing, Direction::Incoming].map(|direction| htlc(no, direction, *id))
        });
        store.put(htlcs.map(chanstate::Record::Htlc).map(Record::Channel));
    }
    check(&store, Kind::Channel, 1, &numbers());
    check(&store, Kind::Htlc, 3, &numbers());
}

#[test]
fn keys_of_bytes() {
    let mut store = Fixture::new();
    let keys: [&'static [u8]; 5] = [&[], &[0], &[0, 0], &[1], &[255, 255]];
    store.put(keys.iter().map(|key| {
        let record = OpeningStateRecord { key: (*key).into(), value: (*key).into() };
        Record::Channel(chanstate::Record::OpeningState(record))
    }));
    let mut parts: Vec<_> = keys.iter().map(|key| KeyPart::Bytes((*key).into())).collect();
    parts.extend([KeyPart::Bytes(vec![0, 0, 0].into()), KeyPart::Int(3)]);
    check(&store, Kind::OpeningState, 1, &parts);
}

#[test]
fn names() {
    let mut store = Fixture::new();
    let names = ["", "a", "a\0", "ab", "é"];
    store.put(
        names.map(|name| Record::Meta(MetaRecord { name: name.into(), value: "value".into() })),
    );
    let mut parts: Vec<_> =
        names.iter().map(|name| KeyPart::Bytes(name.as_bytes().to_vec().into())).collect();
    // Not UTF-8.
    parts.push(KeyPart::Bytes(vec![b'a', 0xff].into()));
    check(&store, Kind::Meta, 1, &parts);
}

#[test]
fn addresses_of_a_node() {
    let mut store = Fixture::new();
    for number in [1, 2] {
        let node = linknode::Record::LinkNode(link_node(number));
        let addresses = link_addresses(number).into_iter().map(linknode::Record::LinkAddress);
        store.put([node].into_iter().chain(addresses).map(Record::LinkNode));
    }
    let mut parts = vec![KeyPart::Bytes(vec![].into()), KeyPart::Int(2), KeyPart::Int(u64::MAX)];
    parts.extend(
        [1, 2]
            .map(|number| link_node(number).node_id.serialize().to_vec().into())
            .map(KeyPart::Bytes),
    );
    check(&store, Kind::LinkAddress, 2, &parts);
}

#[test]
fn a_key_of_another_shape_names_nothing() {
    let store = Fixture::new();
    for key in [
        RecordKey::of(Kind::Channel, []),
        RecordKey::of(Kind::Channel, [1, 2]),
        RecordKey::of_bytes(Kind::Channel, vec![1]),
        RecordKey::of(Kind::Meta, [1]),
    ] {
        assert_eq!(store.read(&key), None);
    }
}
