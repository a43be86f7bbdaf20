//! Archives that were left unfinished and are gone on with.

use channelcoord::{Batch, ChangeSet, MemoryBackend, Record, Seq};
use migrate::archive::{self, ArchiveWriter, Fault, Place, WriteError};
use migrate::progress::Progress;

use crate::samples::{Trial, archived, findings, three_blocks};
use crate::sketch::Sketch;

/// A store with these records.
fn store(records: Vec<Record>) -> MemoryBackend {
    let store = MemoryBackend::new();
    let sets = [ChangeSet { puts: records, ..ChangeSet::default() }];
    let head = pollster::block_on(channelcoord::Backend::claim(&store, None)).unwrap();
    let batch = Batch { epoch: head.epoch, before: Seq(0), sets: &sets };
    pollster::block_on(channelcoord::Backend::commit(&store, batch)).unwrap();
    store
}

/// Goes on with what there is, and returns the key it went on after.
fn go_on(trial: &Trial, store: &MemoryBackend) -> Option<String> {
    let mut writer = ArchiveWriter::resume(&trial.path()).unwrap();
    let after = writer.after().map(|key| key.to_string());
    archive::export(store, &mut writer, &Progress::silent()).unwrap();
    writer.finish().unwrap();
    after
}

#[test]
fn it_becomes_what_it_would_have_been_whatever_was_left() {
    let (whole, trial, store) = (archived(three_blocks()), Trial::new(), store(three_blocks()));
    let mut went_on = std::collections::BTreeSet::new();
    for len in 0..=whole.len() {
        trial.put(&whole[..len]);
        went_on.insert(go_on(&trial, &store));
        assert!(std::fs::read(trial.path()).unwrap() == whole, "{len} bytes were left");
    }
    let keys = [1, 3].map(|record: usize| Some(three_blocks()[record].key().to_string()));
    let last = Some(three_blocks()[5].key().to_string());
    assert_eq!(went_on, [None].into_iter().chain(keys).chain([last]).collect());
}

#[test]
fn what_is_behind_damage_is_written_again() {
    let (whole, trial, store) = (archived(three_blocks()), Trial::new(), store(three_blocks()));
    let header = Sketch::new(&[]).header().len();
    for place in header..whole.len() {
        let mut left = whole.clone();
        left[place] ^= 0x10;
        trial.put(&left);
        go_on(&trial, &store);
        assert!(std::fs::read(trial.path()).unwrap() == whole, "byte {place} was damaged");
    }
}

#[test]
fn zeros_that_a_power_cut_left_are_written_again() {
    let (whole, trial, store) = (archived(three_blocks()), Trial::new(), store(three_blocks()));
    let mut left = whole[..whole.len() / 2].to_vec();
    left.extend([0; 5000]);
    trial.put(&left);
    go_on(&trial, &store);
    assert!(std::fs::read(trial.path()).unwrap() == whole);
}

#[test]
fn a_file_of_somebody_else_stays_as_it_is() {
    let trial = Trial::new();
    for content in [&b"SQLite format 3\0 and so on"[..], b"\x89CHANARx", b"text"] {
        trial.put(content);
        let refused = ArchiveWriter::resume(&trial.path()).unwrap_err();
        assert!(matches!(refused, WriteError::Foreign(_)), "{refused}");
        assert_eq!(std::fs::read(trial.path()).unwrap(), content);
    }
}

#[test]
fn an_archive_of_another_release_is_not_gone_on_with() {
    let (trial, mut sketch) = (Trial::new(), Sketch::new(&[three_blocks()]));
    sketch.writer = b"migrate 0.0.9".to_vec();
    sketch.settle();
    let bytes = sketch.bytes();
    assert_eq!(findings(&bytes), []);
    trial.put(&bytes);
    let refused = ArchiveWriter::resume(&trial.path()).unwrap_err();
    assert!(matches!(&refused, WriteError::OtherWriter(name) if name == "migrate 0.0.9"));
    assert!(std::fs::read(trial.path()).unwrap() == bytes);
}

#[test]
fn a_newer_format_is_not_gone_on_with() {
    let (trial, mut sketch) = (Trial::new(), Sketch::new(&[]));
    sketch.format = 2;
    trial.put(&sketch.bytes());
    let Err(WriteError::Foreign(archive::ArchiveError::Damage { place, fault })) =
        ArchiveWriter::resume(&trial.path())
    else {
        panic!("it was gone on with")
    };
    assert_eq!((place, fault), (Place::Header, Fault::Version { found: 2, newest: 1 }));
}
