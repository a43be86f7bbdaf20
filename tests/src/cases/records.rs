//! Records of every kind, and how they are found.

use bytes::Bytes;
use channelcoord::{ChangeSet, LndRecord, MetaRecord, PackageAck, Record, Verdict, meta_key};
use chanstate::key::{KeyPart, KeyRange, Kind, RecordKey};
use chanstate::record::HtlcRecord;
use chanstate::{Direction, FinalHtlc, FinalHtlcRecord, HtlcId, OpeningStateRecord, PackageList};

use crate::inspect::sorted;
use crate::values::sets::{acking, creating, meta, noting, orphan_package, putting, removing};
use crate::values::{self, Fill};
use crate::{Claimed, Place};

fn every_fill() -> Vec<Record> {
    Fill::ALL.into_iter().flat_map(Fill::records).collect()
}

/// Checks that these records are stored, and nothing else.
async fn holds(at: &Claimed<'_>, expected: &[Record]) {
    for record in expected {
        assert_eq!(at.get(&record.key()).await.as_ref(), Some(record), "{}", record.key());
    }
    let found: Vec<_> = at.contents().await.into_keys().collect();
    assert_eq!(found, sorted(expected.iter().map(Record::key)));
}

fn keys(records: &[Record]) -> Vec<RecordKey> {
    records.iter().map(Record::key).collect()
}

async fn scan(at: &Claimed<'_>, range: &KeyRange) -> Vec<RecordKey> {
    keys(&at.backend.scan(range, 1_000).await.unwrap())
}

/// Records of every kind read back as they were put, whatever is absent, empty, zero or as large
/// as can be.
/// Obligations: `backend/every_kind`, `backend/fresh`.
pub(crate) async fn every_kind_reads_back(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let records = every_fill();
    let kinds: std::collections::BTreeSet<_> = records.iter().map(|r| r.key().kind).collect();
    assert_eq!(kinds, Kind::ALL.into(), "there is a record of each kind");
    at.apply(putting(records.clone())).await;
    holds(&at, &records).await;
}

/// They are there after a release, and after a crash.
/// Obligations: `backend/every_kind`, `backend/durable`.
pub(crate) async fn every_kind_is_kept(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let records = every_fill();
    at.apply(putting(records.clone())).await;
    let at = at.crash().await;
    holds(&at, &records).await;
    holds(&at.reopen().await, &records).await;
}

/// A put leaves nothing of the record that it replaces.
/// Obligations: `backend/replace`.
pub(crate) async fn every_kind_is_replaced_whole(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    for keys in Fill::ALL {
        for values in [Fill::Most, Fill::Least, Fill::Absent] {
            at.apply(putting(values.records_under(keys))).await;
            for record in values.records_under(keys) {
                assert_eq!(at.get(&record.key()).await, Some(record));
            }
        }
    }
    let expected: Vec<_> =
        Fill::ALL.into_iter().flat_map(|keys| Fill::Absent.records_under(keys)).collect();
    holds(&at.reopen().await, &expected).await;
}

/// A removal takes one record away and no other; a second one passes.
/// Obligations: `backend/remove`.
pub(crate) async fn every_kind_is_removed_alone(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(putting(every_fill())).await;
    let of_kind =
        |fill: Fill, kind| fill.records().into_iter().filter(move |r| r.key().kind == kind);
    // Children before parents.
    for kind in Kind::ALL.into_iter().rev() {
        let gone = [Fill::Absent, Fill::Most].map(|fill| of_kind(fill, kind).collect::<Vec<_>>());
        let gone: Vec<Record> = gone.concat();
        at.apply(removing(keys(&gone))).await;
        let left: Vec<_> = of_kind(Fill::Least, kind).collect();
        assert_eq!(sorted(scan(&at, &KeyRange::all(kind)).await), sorted(keys(&left)));
        for record in gone {
            assert_eq!(at.get(&record.key()).await, None);
        }
    }
    holds(&at, &Fill::Least.records()).await;
    let mut all = sorted(keys(&every_fill()));
    all.reverse();
    at.apply(removing(all.clone())).await;
    at.apply(removing(all)).await;
    assert_eq!(at.reopen().await.contents().await.len(), 0);
}

/// One set writes every kind over what is there, and the next removes them all.
/// Obligations: `backend/replace`, `backend/remove`, `backend/whole`.
pub(crate) async fn one_set_takes_every_kind(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    for values in [Fill::Absent, Fill::Most] {
        let records = Fill::ALL.into_iter().flat_map(|keys| values.records_under(keys));
        at.apply(putting(records)).await;
    }
    let mut keys = keys(&every_fill());
    keys.sort();
    keys.reverse();
    at.apply(removing(keys)).await;
    assert_eq!(at.contents().await.len(), 0);
}

/// A record of 16 MiB is stored and kept.
/// Obligations: `backend/large`.
pub(crate) async fn a_record_may_have_16_mib(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let state = |byte| {
        let value = Bytes::from(vec![byte; 16 << 20]);
        let record = OpeningStateRecord { key: Bytes::from_static(b"large"), value };
        Record::Channel(chanstate::Record::OpeningState(record))
    };
    at.apply(putting([state(1)])).await;
    let at = at.crash().await;
    assert!(at.get(&state(1).key()).await == Some(state(1)));
}

/// A set of 10,000 records is stored, and so is one that removes them.
/// Obligations: `backend/large`.
pub(crate) async fn a_set_may_have_10_000_records(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let record = |n: u64| {
        let outcome = FinalHtlc { settled: true, offchain: true };
        let record = FinalHtlcRecord { scid: (n % 7).into(), id: n.into(), outcome };
        Record::Channel(chanstate::Record::FinalHtlc(record))
    };
    let records: Vec<_> = (0..10_000).map(record).collect();
    at.apply(putting(records.clone())).await;
    let mut at = at.crash().await;
    let found = keys(&crate::inspect::records(at.backend.as_ref(), Kind::FinalHtlc).await);
    assert!(found == sorted(keys(&records)));
    at.apply(removing(keys(&records))).await;
    assert_eq!(at.reopen().await.contents().await.len(), 0);
}

/// A number in a key that is too large is stored or refused with its key, and the sets beside it
/// are stored. Short channel ids are never too large.
/// Obligations: `backend/refused`, `backend/scan_order`.
pub(crate) async fn numbers_in_keys_fit_or_are_refused(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(creating(1, "channel")).await;
    let htlc = |id: u64| {
        let (no, direction, terms) = (1.into(), Direction::Incoming, values::htlc_terms(1, 1));
        let record = HtlcRecord { no, direction, id: HtlcId(id), terms };
        Record::Channel(chanstate::Record::Htlc(record))
    };
    let ids = [0, i64::MAX as u64, 1 << 63, u64::MAX];
    let sets = ids.map(|id| putting([htlc(id), meta(&id.to_string())]));
    let verdicts = at.commit(sets.into()).await;
    for (id, verdict) in ids.into_iter().zip(verdicts) {
        let stored = match verdict {
            Verdict::Applied => true,
            Verdict::Refused { record, .. } => {
                assert_eq!(record, htlc(id).key());
                assert!(id > i64::MAX as u64, "{id} fits");
                false
            }
            other @ (Verdict::Conflict(_) | Verdict::Damaged { .. }) => panic!("{other:?}"),
        };
        assert_eq!(at.get(&htlc(id).key()).await, stored.then(|| htlc(id)));
        assert_eq!(at.has(&id.to_string()).await, stored, "a refused set is left out whole");
    }
    let under = scan(&at, &KeyRange::under(Kind::Htlc, [1])).await;
    assert!(under.is_sorted() && under[..2] == [htlc(0).key(), htlc(i64::MAX as u64).key()]);
}

/// Reading and removing by a key that cannot be stored finds nothing, and is no error.
/// Obligations: `backend/read_order`, `backend/remove`.
pub(crate) async fn keys_that_do_not_fit_are_absent(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(noting("one")).await;
    let odd = [
        RecordKey::of(Kind::Htlc, [u64::MAX, 1, u64::MAX]),
        RecordKey::of(Kind::Channel, [1 << 63]),
        // No text.
        RecordKey::of_bytes(Kind::Meta, vec![0xff, 0xfe]),
    ];
    at.apply(removing(odd.clone())).await;
    assert_eq!(at.backend.read(&odd).await.unwrap(), [None, None, None]);
    assert_eq!(scan(&at, &KeyRange::under(Kind::Htlc, [u64::MAX])).await, []);
    assert!(at.has("one").await);
}

fn lnd(path: &'static [u8]) -> Record {
    Record::Lnd(LndRecord { path: path.into(), residue: Bytes::new() })
}

/// Keys of bytes come byte by byte, the shorter first.
/// Obligations: `backend/scan_order`.
pub(crate) async fn bytes_sort_byte_by_byte(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let paths: [&[u8]; 8] = [b"", b"\0", b"\0\0", b"a", b"a\0", b"a\xff", b"b", b"\xff"];
    let records = paths.map(lnd);
    at.apply(putting(records.iter().rev().cloned())).await;
    assert_eq!(scan(&at, &KeyRange::all(Kind::Lnd)).await, keys(&records));
    for (n, record) in records.iter().enumerate() {
        let rest = KeyRange::all(Kind::Lnd).after(record.key());
        assert_eq!(scan(&at, &rest).await, keys(&records[n + 1..]));
    }
}

/// A prefix stands for whole components: a key that only begins with the same bytes is outside.
/// Obligations: `backend/prefix`.
pub(crate) async fn a_prefix_is_of_whole_components(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let texts = ["", "a", "a\0", "ab", "b"];
    let records = texts.map(|text| {
        let name = text.to_owned();
        let key = Bytes::from(name.clone());
        [
            Record::Meta(MetaRecord { name, value: Bytes::new() }),
            Record::Lnd(LndRecord { path: key.clone(), residue: Bytes::new() }),
            Record::Channel(chanstate::Record::OpeningState(OpeningStateRecord {
                key,
                value: Bytes::new(),
            })),
        ]
    });
    at.apply(putting(records.iter().flatten().cloned())).await;
    for record in records.iter().flatten() {
        let RecordKey { kind, parts } = record.key();
        let whole = KeyRange { kind, prefix: parts, after: None };
        assert_eq!(scan(&at, &whole).await, [record.key()]);
        assert_eq!(scan(&at, &whole.after(record.key())).await, []);
    }
    let longer = vec![KeyPart::Bytes(Bytes::from_static(b"a\0\0"))];
    let absent = KeyRange { kind: Kind::Lnd, prefix: longer, after: None };
    assert_eq!(scan(&at, &absent).await, []);
}

/// Each number of components gives its part of the keys.
/// Obligations: `backend/prefix`, `backend/scan_order`.
pub(crate) async fn a_prefix_may_have_any_number_of_components(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let records = [1, 2, 256].map(|n| orphan_package(n, 3)).concat();
    at.apply(putting(records.clone())).await;
    let updates: Vec<_> =
        sorted(keys(&records).into_iter().filter(|k| k.kind == Kind::PackageUpdate));
    let range = |parts: &[u64]| KeyRange::under(Kind::PackageUpdate, parts.iter().copied());
    assert_eq!(scan(&at, &range(&[])).await, updates);
    assert_eq!(scan(&at, &range(&[u64::MAX])).await, updates);
    assert_eq!(scan(&at, &range(&[u64::MAX, 2])).await, updates[3..6]);
    assert_eq!(scan(&at, &range(&[u64::MAX, 256, 1])).await, updates[6..]);
    assert_eq!(scan(&at, &range(&[u64::MAX, 256, 1, 2])).await, updates[8..]);
    for nothing in [&[0][..], &[u64::MAX, 0], &[u64::MAX, 1, 0], &[u64::MAX, 1, 1, 3]] {
        assert_eq!(scan(&at, &range(nothing)).await, []);
    }
}

/// A scan goes on after any key, one that is not there included; one before the range is as good
/// as none, and after one behind it nothing comes.
/// Obligations: `backend/after`.
pub(crate) async fn a_scan_goes_on_after_any_key(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let records = [1, 3, 5].map(|n| orphan_package(n, 2)).concat();
    at.apply(putting(records.clone())).await;
    let of =
        |height: u64, index: u64| RecordKey::of(Kind::PackageUpdate, [u64::MAX, height, 1, index]);
    let range = |after| KeyRange::under(Kind::PackageUpdate, [u64::MAX, 3]).after(after);
    let whole = [of(3, 0), of(3, 1)];
    for before in [of(0, 0), of(1, 1), of(2, 7), RecordKey::of(Kind::PackageUpdate, [0, 9, 9, 9])] {
        assert_eq!(scan(&at, &range(before)).await, whole);
    }
    assert_eq!(scan(&at, &range(of(3, 0))).await, whole[1..]);
    for behind in [of(3, 1), of(3, 2), of(4, 0), of(5, 0), of(u64::MAX, 9)] {
        assert_eq!(scan(&at, &range(behind)).await, []);
    }
    let all = |after| KeyRange::all(Kind::PackageUpdate).after(after);
    assert_eq!(scan(&at, &all(of(2, 0))).await, [of(3, 0), of(3, 1), of(5, 0), of(5, 1)]);
}

/// A scan returns no more records than asked for, and fewer only at the end.
/// Obligations: `backend/limit`.
pub(crate) async fn a_scan_keeps_to_its_limit(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(putting((0..9).map(|n| meta(&n.to_string())))).await;
    let b = at.backend.as_ref();
    let range = KeyRange::all(Kind::Meta);
    // Past what a number of 32 bits, or a signed one, holds.
    let large =
        [(u32::MAX as usize).saturating_add(1), usize::MAX / 2 + 1, usize::MAX - 1, usize::MAX];
    let after = range.clone().after(meta("4").key());
    let one = KeyRange { prefix: meta("4").key().parts, ..range.clone() };
    for (range, all) in [(range, 9), (after, 4), (one, 1)] {
        for limit in (0..11).chain(large) {
            let found = b.scan(&range, limit).await.unwrap().len();
            assert_eq!(found, limit.min(all), "limit {limit} of {all}");
        }
    }
}

/// A read answers each of its keys in their order, of different kinds, twice and absent ones
/// included.
/// Obligations: `backend/read_order`.
pub(crate) async fn a_read_answers_each_key_in_order(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let records = every_fill();
    at.apply(putting(records.clone())).await;
    // Shuffled, the same in every run.
    let picked = (0..300).map(|n| (n * 37 + n / 7) % (records.len() + 20));
    let wanted: Vec<_> = picked.map(|n| records.get(n)).collect();
    let absent = |n: usize| RecordKey::of(Kind::FinalHtlc, [n as u64, 77]);
    let keys: Vec<_> =
        wanted.iter().enumerate().map(|(n, r)| r.map_or(absent(n), Record::key)).collect();
    let found = at.backend.read(&keys).await.unwrap();
    assert!(found.iter().map(Option::as_ref).eq(wanted));
    assert_eq!(at.backend.read(&[]).await.unwrap(), []);
}

/// Names that differ in case, in form or by a byte at the end are different names.
/// Obligations: `backend/every_kind`.
pub(crate) async fn names_differ_byte_by_byte(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let names = ["Name", "NAME", "name", "name ", "name\0", "n\u{e4}me", "na\u{308}me"];
    let records: Vec<_> = (1..).zip(names).map(|(n, name)| named(name, n)).collect();
    for record in &records {
        at.apply(putting([record.clone()])).await;
    }
    let keys: Vec<_> = records.iter().map(Record::key).collect();
    let found = at.backend.read(&keys).await.unwrap();
    assert_eq!(found, records.into_iter().map(Some).collect::<Vec<_>>());
}

/// Thousands of keys are read at once, those that are not there among them.
/// Obligations: `backend/read_order`, `backend/moment`.
pub(crate) async fn thousands_of_keys_are_read_at_once(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let records: Vec<_> = (0..3000).map(|n| named(&format!("value {n}"), n)).collect();
    at.apply(putting(records.clone())).await;
    let (mut wanted, mut expected) = (Vec::new(), Vec::new());
    for record in records.into_iter().rev() {
        wanted.extend([record.key(), meta_key("absent")]);
        expected.extend([Some(record), None]);
    }
    assert_eq!(at.backend.read(&wanted).await.unwrap(), expected);
}

/// An acknowledgement is seen by reads and scans alike, also of what was read before.
/// Obligations: `backend/ack`, `backend/fresh`.
pub(crate) async fn an_ack_is_seen_by_reads_and_scans(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(putting(orphan_package(1, 2))).await;
    assert_eq!(acked(&at).await, [false, false]);
    for _ in 0..2 {
        at.apply(acking(1, 0)).await;
        assert_eq!(acked(&at).await, [true, false]);
    }
}

/// What is put over an acknowledged update reads back as it was put, at once or after a removal.
/// Obligations: `backend/replace`, `backend/ack`, `backend/durable`.
pub(crate) async fn a_put_takes_an_ack_back(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    let package = orphan_package(1, 2);
    // Updates before their package.
    let removed = || removing(keys(&package).into_iter().rev());
    for between in [ChangeSet::default(), removed(), noting("between")] {
        at.apply(putting(package.clone())).await;
        at.apply(acking(1, 1)).await;
        assert_eq!(acked(&at).await, [false, true]);
        at.apply(between).await;
        at.apply(putting(package.clone())).await;
        assert_eq!(acked(&at).await, [false, false]);
        at = at.crash().await;
        assert_eq!(acked(&at).await, [false, false]);
        at.apply(acking(1, 0)).await;
        assert_eq!(acked(&at).await, [true, false]);
    }
}

/// An acknowledgement of an update that is not there does not create it, neither beside the
/// updates of its package nor in the other list.
/// Obligations: `backend/ack`.
pub(crate) async fn an_ack_creates_nothing(place: &dyn Place) {
    let mut at = Claimed::new(place).await;
    at.apply(putting(orphan_package(1, 2))).await;
    let before = at.contents().await;
    let other_list = |ack: &PackageAck| PackageAck { list: PackageList::Adds, ..*ack };
    let acks: Vec<_> = [acking(1, 0).acks, acking(1, 1).acks].concat();
    let acks = acks.iter().map(other_list).chain(acking(1, 2).acks).chain(acking(2, 0).acks);
    let acks: Vec<_> = acks.collect();
    let absent: Vec<RecordKey> = acks.iter().map(PackageAck::key).collect();
    at.apply(ChangeSet { acks, ..ChangeSet::default() }).await;
    assert_eq!(at.contents().await, before);
    assert_eq!(at.backend.read(&absent).await.unwrap(), [None, None, None, None]);
}

/// Which updates are acknowledged, as scans and reads say alike.
async fn acked(at: &Claimed<'_>) -> Vec<bool> {
    let scanned = at.backend.scan(&KeyRange::all(Kind::PackageUpdate), 9).await.unwrap();
    let read = at.backend.read(&keys(&scanned)).await.unwrap();
    assert_eq!(read, scanned.iter().cloned().map(Some).collect::<Vec<_>>());
    scanned.into_iter().map(is_acked).collect()
}

fn is_acked(record: Record) -> bool {
    match record {
        Record::Channel(chanstate::Record::PackageUpdate(update)) => update.acked,
        other => panic!("not an update: {other:?}"),
    }
}

fn named(name: &str, value: u64) -> Record {
    let value = Bytes::copy_from_slice(&value.to_be_bytes());
    Record::Meta(MetaRecord { name: name.into(), value })
}
