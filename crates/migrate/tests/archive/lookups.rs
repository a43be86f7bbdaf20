//! An archive as a backend finds what a store finds.

use channelcoord::{
    Backend, BackendError, Batch, ClaimError, CommitError, MemoryBackend, Record, Seq,
};
use chanstate::key::{KeyPart, KeyRange, Kind, RecordKey};
use migrate::archive::ReadOnly;
use migrate::progress::Progress;
use migrate::store::{self, unversioned};
use migrate::writer::Writer;
use proptest::prelude::*;

use crate::samples::{Trial, exported, few, imported, meta, open, records, residue};
use crate::sketch::Sketch;

/// The records of an archive in a store.
fn restored(archive: &dyn Backend) -> MemoryBackend {
    let store = MemoryBackend::new();
    store::copy(archive, &mut Writer::claim(&store).unwrap(), &Progress::silent()).unwrap();
    store
}

#[track_caller]
fn agree(archive: &dyn Backend, store: &dyn Backend, range: &KeyRange, limit: usize) {
    let found = pollster::block_on(archive.scan(range, limit)).unwrap();
    let stored = pollster::block_on(store.scan(range, limit)).unwrap();
    let expected: Vec<_> = stored.into_iter().map(unversioned).collect();
    assert_eq!(found, expected, "{range:?} {limit}");
}

/// Keys that are beside a key: shorter, longer, a little lower, a little higher.
fn neighbours(key: &RecordKey) -> Vec<Vec<KeyPart>> {
    let mut found = vec![key.parts.clone()];
    if let Some((last, front)) = key.parts.split_last() {
        let mut push = |part: KeyPart| found.push([front, &[part]].concat());
        match last {
            KeyPart::Int(value) => {
                push(value.wrapping_add(1).into());
                push(value.wrapping_sub(1).into());
            }
            KeyPart::Bytes(bytes) => {
                push(KeyPart::Bytes([&bytes[..], &[0]].concat().into()));
                push(KeyPart::Bytes(bytes.slice(..bytes.len().saturating_sub(1))));
                let raised = bytes.iter().map(|byte| byte.wrapping_add(1)).collect::<Vec<_>>();
                push(KeyPart::Bytes(raised.into()));
            }
        }
    }
    found
}

/// Tries every range that begins or goes on at one of the keys.
fn agree_on(archive: &dyn Backend, store: &dyn Backend, keys: &[RecordKey], limits: &[usize]) {
    for key in keys {
        for prefix_len in 0..=key.parts.len() {
            for near in neighbours(key) {
                let prefix = near[..prefix_len].to_vec();
                for after in [None, Some(near.clone()), Some(key.parts.clone())] {
                    let range = KeyRange { kind: key.kind, prefix: prefix.clone(), after };
                    limits.iter().for_each(|limit| agree(archive, store, &range, *limit));
                }
            }
        }
        let near: Vec<_> =
            neighbours(key).into_iter().map(|parts| RecordKey { kind: key.kind, parts }).collect();
        let found = pollster::block_on(archive.read(&near)).unwrap();
        let expected = pollster::block_on(store.read(&near)).unwrap();
        let expected: Vec<_> = expected.into_iter().map(|one| one.map(unversioned)).collect();
        assert_eq!(found, expected, "{near:?}");
    }
}

#[test]
fn of_every_kind() {
    let trial = Trial::new();
    trial.put(&exported(&imported("node.db")));
    let archive = open(&trial.path());
    let store = restored(&archive);
    let keys: Vec<_> = records(&archive).unwrap().iter().map(Record::key).collect();
    let kinds: std::collections::BTreeSet<_> = keys.iter().map(|key| key.kind).collect();
    assert!(kinds.len() > 18, "{kinds:?}");
    // The first, the last and some of each kind.
    let some: Vec<_> = kinds
        .iter()
        .flat_map(|kind| {
            let of_kind: Vec<_> = keys.iter().filter(|key| key.kind == *kind).cloned().collect();
            let last = of_kind.last().cloned();
            of_kind.into_iter().step_by(61).chain(last)
        })
        .collect();
    agree_on(&archive, &store, &some, &[0, 1, 3, 1000]);
    for kind in Kind::ALL {
        agree(&archive, &store, &KeyRange::all(kind), usize::MAX);
    }
}

#[test]
fn where_blocks_meet() {
    let few = few().concat();
    let paths = [&b""[..], b"\0", b"\0\0", b"a", b"a\0", b"ab", b"b", b"\xff", b"\xff\xff"];
    let names = ["", "a", "aa", "b"];
    let more = names.map(|name| meta(name, b"")).into_iter().chain(paths.map(residue));
    let mut all: Vec<_> = few.into_iter().filter(|it| !matches!(it, Record::Lnd(_))).collect();
    all.extend(more);
    all.sort_by_key(|record| record.key().to_bytes());
    let keys: Vec<_> = all.iter().map(Record::key).collect();
    for in_block in 1..4 {
        let blocks: Vec<_> = all.chunks(in_block).map(<[Record]>::to_vec).collect();
        let trial = Trial::new();
        trial.put(&Sketch::new(&blocks).bytes());
        let archive = open(&trial.path());
        agree_on(&archive, &restored(&archive), &keys, &[0, 1, 2, 5, 100]);
    }
}

#[test]
fn in_an_archive_of_nothing() {
    let trial = Trial::new();
    trial.put(&Sketch::new(&[]).bytes());
    let archive = open(&trial.path());
    let keys: Vec<_> = few().concat().iter().map(Record::key).collect();
    agree_on(&archive, &MemoryBackend::new(), &keys, &[0, 1]);
}

#[test]
fn a_key_that_the_index_hides_is_damage_and_not_absent() {
    // The second block begins before its entry says: its first record is in neither, by the index.
    let mut sketch = Sketch::new(&few());
    let hidden = few()[1][0].key();
    sketch.index[1].1 = few()[1][1].key().to_bytes();
    sketch.index_len += 1;
    sketch.footer.len += 1;
    let trial = Trial::new();
    trial.put(&sketch.bytes());
    let read = pollster::block_on(open(&trial.path()).read(&[hidden]));
    let Err(BackendError::Corrupt { record, .. }) = read else { panic!("{read:?}") };
    assert_eq!(record, "index entry 1");
}

#[test]
fn claims_and_commits_are_refused() {
    let trial = Trial::new();
    trial.put(&Sketch::new(&few()).bytes());
    let before = std::fs::read(trial.path()).unwrap();
    let archive = open(&trial.path());
    let batch = Batch { epoch: Default::default(), before: Seq(0), sets: &[] };
    let is_refused = |cause: &chanstate::Cause, expected| {
        assert_eq!(cause.downcast_ref::<ReadOnly>(), Some(&expected));
    };
    let refuses = |expected: ReadOnly| {
        match pollster::block_on(archive.claim(None)) {
            Err(ClaimError::Backend(BackendError::Unavailable(cause))) => {
                is_refused(&cause, expected);
            }
            other => panic!("{other:?}"),
        }
        match pollster::block_on(archive.commit(batch)) {
            Err(CommitError::NotStored(cause)) => is_refused(&cause, expected),
            other => panic!("{other:?}"),
        }
        match pollster::block_on(archive.settle(batch)) {
            Err(BackendError::Unavailable(cause)) => is_refused(&cause, expected),
            other => panic!("{other:?}"),
        }
    };
    refuses(ReadOnly::Archive);
    assert!(records(&archive).is_ok());
    for _ in 0..2 {
        pollster::block_on(archive.release()).unwrap();
    }
    refuses(ReadOnly::Released);
    assert!(matches!(records(&archive), Err(BackendError::Unavailable(_))));
    let read = pollster::block_on(archive.read(&[few()[0][0].key()]));
    assert!(matches!(read, Err(BackendError::Unavailable(_))));
    assert_eq!(std::fs::read(trial.path()).unwrap(), before);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_any_paths(
        paths in prop::collection::btree_set(prop::collection::vec(0..3u8, 0..4), 0..30),
        in_block in 1..5usize,
    ) {
        let all: Vec<_> = paths.iter().map(|path| residue(path)).collect();
        let blocks: Vec<_> = all.chunks(in_block).map(<[Record]>::to_vec).collect();
        let trial = Trial::new();
        trial.put(&Sketch::new(&blocks).bytes());
        let archive = open(&trial.path());
        let keys: Vec<_> = all.iter().map(Record::key).collect();
        agree_on(&archive, &restored(&archive), &keys, &[1, 2, 100]);
    }
}
