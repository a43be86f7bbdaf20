use channelcoord::{
    Backend, BackendError, ChangeSet, ClaimError, CommitError, PackageAck, Record, Verdict,
};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::{ChannelNo, CommitmentHeight, PackageList};
use kvstore::kv::{Damage, Fault};
use kvstore::{Options, RedbBackend};
use redb::{Database, TableDefinition};

use crate::disk::Disk;
use crate::samples;
use crate::support::*;

#[test]
fn a_flipped_byte_is_reported_with_the_name_of_the_record() {
    let mut store = Fixture::new();
    let state = samples::revoked_state(ChannelNo(7), 1 << 63);
    let record = Record::Channel(chanstate::Record::RevokedState(state));
    store.commit(vec![put(record.clone())]);
    let store = spoil(store, "revoked", &record.key(), |value| value[9] ^= 1);
    let read = run(store.store.read(&[record.key()])).unwrap_err();
    let scan = run(store.store.scan(&KeyRange::all(Kind::RevokedState), 9)).unwrap_err();
    for error in [read, scan] {
        let (name, damage) = corrupt(error);
        assert_eq!(name, "RevokedState/7/9223372036854775808");
        assert!(matches!(damage, Damage::Checksum { .. }));
    }
}

#[test]
fn a_cut_value_is_reported() {
    let mut store = Fixture::new();
    let record = Record::Meta(samples::meta("name", b"value"));
    store.commit(vec![put(record.clone())]);
    let store = spoil(store, "meta", &record.key(), |value| value.truncate(3));
    let (name, damage) = corrupt(run(store.store.read(&[record.key()])).unwrap_err());
    assert_eq!((name.as_str(), damage), ("Meta/6e616d65", Damage::Length { len: 3 }));
}

#[test]
fn a_whole_value_that_is_no_record_is_reported() {
    let mut store = Fixture::new();
    let record = Record::Meta(samples::meta("name", b"value"));
    store.commit(vec![put(record.clone())]);
    let store = spoil(store, "meta", &record.key(), |value| {
        // A record of a release that is not out yet.
        *value = vec![2];
        kvstore::kv::seal(&record.key().to_bytes(), value);
    });
    let (_, damage) = corrupt(run(store.store.read(&[record.key()])).unwrap_err());
    assert!(matches!(damage, Damage::Decode(_)));
}

#[test]
fn damage_does_not_hide_the_neighbours() {
    let mut store = Fixture::new();
    let [bad, good] = ["bad", "good"].map(|name| Record::Meta(samples::meta(name, b"1")));
    store.commit(vec![put(bad.clone()), put(good.clone())]);
    let store = spoil(store, "meta", &bad.key(), |value| value[0] ^= 1);
    assert_eq!(get(&store.store, &good.key()), Some(good.clone()));
    let rest = KeyRange::all(Kind::Meta).after(bad.key());
    assert_eq!(scan(&store.store, &rest), [good]);
}

#[test]
fn a_damaged_subject_refuses_its_set_only() {
    let mut store = Fixture::new();
    store.commit(vec![touch(1, 0)]);
    let key = RecordKey::of(Kind::Channel, [1]);
    let mut store = spoil(store, "live", &key, |value| value[1] ^= 1);
    store.head = run(store.store.claim(None)).unwrap();
    let verdicts = store.commit(vec![touch(1, 1), touch(2, 0)]);
    match &verdicts[..] {
        [Verdict::Damaged { record, cause }, Verdict::Applied] => {
            assert_eq!(*record, key);
            assert!(cause.is::<Damage>());
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_damaged_update_refuses_its_acknowledgement_and_the_rest_of_the_set() {
    let mut store = Fixture::new();
    let update = samples::package_update(PackageList::Adds, 0, false);
    let update = Record::Channel(chanstate::Record::PackageUpdate(update));
    store.commit(vec![put(update.clone())]);
    let mut store = spoil(store, "package", &update.key(), |value| value[1] ^= 1);
    store.head = run(store.store.claim(None)).unwrap();
    let meta = Record::Meta(samples::meta("name", b"1"));
    let ack = PackageAck {
        source: samples::SCID,
        height: CommitmentHeight(9),
        list: PackageList::Adds,
        index: 0,
    };
    let set = ChangeSet { acks: vec![ack], puts: vec![meta.clone()], ..ChangeSet::default() };
    let verdicts = store.commit(vec![set]);
    assert!(matches!(&verdicts[..], [Verdict::Damaged { record, .. }] if *record == update.key()));
    assert_eq!(get(&store.store, &meta.key()), None);
}

#[test]
fn a_damaged_head_is_reported_and_nothing_is_stored() {
    let store = Fixture::new();
    let path = store.path();
    run(store.store.release()).unwrap();
    let table = TableDefinition::<&[u8], &[u8]>::new("store");
    let db = Database::open(&path).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(table).unwrap().insert(&b"\0head"[..], &[0; 20][..]).unwrap();
    txn.commit().unwrap();
    drop(db);
    let store = store.reopen();
    match run(store.store.claim(None)).unwrap_err() {
        ClaimError::Backend(BackendError::Corrupt { record, .. }) => {
            assert_eq!(record, "store/head");
        }
        other => panic!("{other:?}"),
    }
    let refused = commit(&store.store, store.head, &[touch(1, 0)]);
    assert!(matches!(refused, Err(CommitError::NotStored(_))));
}

#[test]
fn a_check_passes_a_whole_store_which_then_goes_on() {
    let mut store = Fixture::new();
    store.commit(vec![touch(1, 0)]);
    store.store.check().unwrap();
    assert!(store.commit(vec![touch(1, 1)]).iter().all(is_applied));
}

#[test]
fn a_check_finds_what_reads_cannot_and_closes_the_store() {
    // The page's count of records; with none left, the records in it seem absent.
    let store = store_with_damaged_page(|page| page[2..4].fill(0));
    match store.check().unwrap_err() {
        BackendError::Corrupt { record, .. } => assert_eq!(record, "file"),
        other => panic!("{other:?}"),
    }
    let cause = unavailable(run(store.read(&[])));
    assert!(matches!(kv_fault(&cause), Fault::Poisoned(_)));
}

#[test]
fn a_panic_of_the_engine_is_an_error() {
    // The page's type, which redb does not doubt.
    let store = store_with_damaged_page(|page| page[0] = 0x77);
    let cause = unavailable(run(store.read(&[channelcoord::meta_key("name")])));
    assert!(matches!(kv_fault(&cause), Fault::Panicked { .. }));
}

/// A store without a cache, in which the page that holds its only named value was changed.
fn store_with_damaged_page(change: impl FnOnce(&mut [u8])) -> RedbBackend {
    const PAGE: usize = 4096;
    let needle = b"needle in the page";
    let disk = Disk::default();
    let store = Options::default().cache_bytes(0).open_storage(disk.clone()).unwrap();
    let head = run(store.claim(None)).unwrap();
    let record = Record::Meta(samples::meta("name", needle));
    commit(&store, head, &[put(record)]).unwrap();
    disk.change(|image| {
        let at = image.windows(needle.len()).position(|bytes| bytes == needle).unwrap();
        change(&mut image[at / PAGE * PAGE..][..PAGE]);
    });
    store
}

/// Changes a stored value behind the backend's back.
fn spoil(
    store: Fixture,
    table: &str,
    key: &RecordKey,
    change: impl FnOnce(&mut Vec<u8>),
) -> Fixture {
    run(store.store.release()).unwrap();
    let table = TableDefinition::<&[u8], &[u8]>::new(table);
    let db = Database::open(store.path()).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut table = txn.open_table(table).unwrap();
        let key = key.to_bytes();
        let mut value = table.remove(&key[..]).unwrap().unwrap().value().to_vec();
        change(&mut value);
        table.insert(&key[..], &value[..]).unwrap();
    }
    txn.commit().unwrap();
    drop(db);
    store.reopen()
}

fn corrupt(error: BackendError) -> (String, Damage) {
    match error {
        BackendError::Corrupt { record, cause } => {
            (record, cause.downcast_ref::<Damage>().unwrap().clone())
        }
        other => panic!("{other:?}"),
    }
}
