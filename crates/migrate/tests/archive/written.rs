//! What is written.

use std::io::Read;

use channelcoord::Record;
use kvstore::RedbBackend;
use migrate::archive::{self, ArchiveReader, ArchiveWriter, MAX_CONTENT, WriteError};
use migrate::progress::Progress;
use migrate::store;
use migrate::writer::Writer;
use sqlstore::SqliteBackend;

use crate::samples::{
    Trial, archived, exported, few, final_htlc, findings, imported, meta, open, opening_state,
    records, three_blocks,
};
use crate::sketch::Sketch;

#[test]
fn it_is_what_the_description_says() {
    let all: Vec<Record> = few().concat();
    assert_eq!(archived(all.clone()), Sketch::new(&[all]).bytes());
    assert_eq!(archived([]), Sketch::new(&[]).bytes());
}

#[test]
fn every_record_comes_back() {
    let store = imported("node.db");
    let trial = Trial::new();
    trial.put(&exported(&store));
    let versionless = |mut record: Record| {
        match &mut record {
            Record::Channel(chanstate::Record::Channel(row)) => row.version.0 = 0,
            Record::LinkNode(linknode::Record::LinkNode(row)) => row.version.0 = 0,
            _ => {}
        }
        record
    };
    let expected: Vec<_> = records(&store).unwrap().into_iter().map(versionless).collect();
    assert!(expected.len() > 1000);
    assert_eq!(trial.records().unwrap(), expected);
}

#[test]
fn equal_content_is_equal_bytes() {
    let (memory, dir) = (imported("node.db"), tempfile::tempdir().unwrap());
    let redb = RedbBackend::create(dir.path().join("redb")).unwrap();
    let sqlite = SqliteBackend::create(dir.path().join("sqlite")).unwrap();
    let bytes = exported(&memory);
    let trial = Trial::new();
    trial.put(&bytes);
    let restored = open(&trial.path());
    let silent = Progress::silent();
    // Versions of the copies differ: they are the numbers of their commits.
    store::copy(&restored, &mut Writer::claim(&redb).unwrap(), &silent).unwrap();
    store::copy(&redb, &mut Writer::claim(&sqlite).unwrap(), &silent).unwrap();
    assert_ne!(records(&memory).unwrap(), records(&redb).unwrap());
    for store in [&restored as &dyn channelcoord::Backend, &redb, &sqlite] {
        assert!(exported(store) == bytes);
    }
}

#[test]
fn a_changed_record_changes_the_sum() {
    let sum = |records: Vec<Record>| {
        let bytes = archived(records);
        archive::check(&bytes[..], &Progress::silent(), &mut |_| {}).unwrap().unwrap().sha256
    };
    assert_eq!(sum(vec![meta("a", b"1")]), sum(vec![meta("a", b"1")]));
    assert_ne!(sum(vec![meta("a", b"1")]), sum(vec![meta("a", b"2")]));
    assert_ne!(sum(vec![]), sum(vec![meta("a", b"")]));
}

#[test]
fn the_sum_does_not_depend_on_the_blocks() {
    let (blocks, all) = (Sketch::new(&few()), Sketch::new(&[few().concat()]));
    assert_eq!(blocks.footer.sha256, all.footer.sha256);
    assert_eq!(findings(&blocks.bytes()), []);
}

#[test]
fn it_goes_through_a_pipe() {
    let (mut receiver, sender) = std::io::pipe().unwrap();
    let expected = archived(three_blocks());
    let received = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = ArchiveWriter::new(sender).unwrap();
            three_blocks().into_iter().for_each(|record| writer.add(record).unwrap());
            drop(writer.finish().unwrap());
        });
        let mut reader = ArchiveReader::new(&mut receiver).unwrap();
        let mut received = Vec::new();
        while let Some(block) = reader.next_block().unwrap() {
            received.extend((0..block.len()).map(|at| block.record(at).unwrap().unwrap()));
        }
        assert_eq!(reader.contents().records, received.len() as u64);
        received
    });
    assert_eq!(receiver.read(&mut [0]).unwrap(), 0);
    assert_eq!(received, three_blocks());
    assert_eq!(archived(received), expected);
}

#[test]
fn a_block_is_as_long_as_said() {
    let bytes = archived(three_blocks());
    let mut reader = ArchiveReader::new(&bytes[..]).unwrap();
    let mut lens = Vec::new();
    while let Some(block) = reader.next_block().unwrap() {
        lens.push((block.len(), block.content().len()));
    }
    assert_eq!(lens.iter().map(|(records, _)| *records).collect::<Vec<_>>(), [2, 2, 2]);
    assert!(lens.iter().all(|(_, len)| *len <= 65_536), "{lens:?}");
}

#[test]
fn a_large_record_has_a_block_to_itself() {
    let large = opening_state(b"b", vec![5; 16 << 20]);
    let all = vec![opening_state(b"a", vec![1]), large, opening_state(b"c", vec![1])];
    let trial = Trial::new();
    trial.put(&archived(all.clone()));
    assert_eq!(trial.records().unwrap(), all);
}

#[test]
fn a_record_over_the_limit_is_refused_and_named() {
    let mut writer = ArchiveWriter::new(Vec::new()).unwrap();
    let overhead = archived([opening_state(b"a", Vec::new())]).len();
    assert!(overhead < 1000);
    let refused = writer.add(opening_state(b"a", vec![0; MAX_CONTENT])).unwrap_err();
    let WriteError::TooLong { record, len } = refused else { panic!("{refused}") };
    assert_eq!(record, opening_state(b"a", Vec::new()).key());
    assert!(len > MAX_CONTENT);
    // Nothing of it is in the archive.
    writer.add(meta("a", b"")).unwrap();
    assert!(writer.finish().unwrap().0 == archived([meta("a", b"")]));
}

#[test]
fn a_record_out_of_order_is_refused_and_named() {
    let mut writer = ArchiveWriter::new(Vec::new()).unwrap();
    writer.add(final_htlc(2, 1)).unwrap();
    for late in [final_htlc(2, 1), final_htlc(2, 0), final_htlc(1, 9)] {
        let refused = writer.add(late.clone()).unwrap_err();
        assert!(matches!(&refused, WriteError::Order(key) if *key == late.key()), "{refused}");
    }
    writer.add(final_htlc(2, 2)).unwrap();
    let bytes = writer.finish().unwrap().0;
    assert_eq!(bytes, archived([final_htlc(2, 1), final_htlc(2, 2)]));
}
