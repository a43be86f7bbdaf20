//! Records, stores and archives to test with.

use std::os::unix::fs::FileExt;
use std::path::Path;

use channelcoord::{Backend, BackendError, LndRecord, MemoryBackend, MetaRecord, Record};
use chanstate::key::{KeyRange, Kind};
use chanstate::{FinalHtlc, FinalHtlcRecord, HtlcId, OpeningStateRecord, ShortChannelId};
use migrate::archive::{self, ArchiveBackend, ArchiveWriter};
use migrate::finding::Finding;
use migrate::lnd::source::LndSource;
use migrate::lnd::{check, diff, import};
use migrate::progress::Progress;
use migrate::records::Records;
use migrate::writer::Writer;
use tempfile::TempDir;

use crate::command::fixture;

pub(crate) fn final_htlc(scid: u64, id: u64) -> Record {
    with_outcome(scid, id, FinalHtlc { settled: id == 0, offchain: false })
}

pub(crate) fn settled_htlc(scid: u64, id: u64) -> Record {
    with_outcome(scid, id, FinalHtlc { settled: true, offchain: true })
}

fn with_outcome(scid: u64, id: u64, outcome: FinalHtlc) -> Record {
    let (scid, id) = (ShortChannelId(scid), HtlcId(id));
    Record::Channel(chanstate::Record::FinalHtlc(FinalHtlcRecord { scid, id, outcome }))
}

pub(crate) fn opening_state(key: &[u8], value: Vec<u8>) -> Record {
    let key = key.to_vec().into();
    let state = OpeningStateRecord { key, value: value.into() };
    Record::Channel(chanstate::Record::OpeningState(state))
}

pub(crate) fn meta(name: &str, value: &[u8]) -> Record {
    Record::Meta(MetaRecord { name: name.into(), value: value.to_vec().into() })
}

pub(crate) fn residue(path: &[u8]) -> Record {
    Record::Lnd(LndRecord { path: path.to_vec().into(), residue: vec![7; 3].into() })
}

/// A few records of several kinds, in key order, for blocks of some of them each.
pub(crate) fn few() -> Vec<Vec<Record>> {
    vec![
        vec![final_htlc(1, 0), final_htlc(1, 1), final_htlc(2, 0)],
        vec![opening_state(b"a", vec![1, 2, 3]), opening_state(b"ab", Vec::new())],
        vec![meta("name", b"value"), residue(b""), residue(b"\0")],
    ]
}

/// Records that fill three blocks, and compress well.
pub(crate) fn three_blocks() -> Vec<Record> {
    let states = (0..5u8).map(|key| opening_state(&[key], vec![key; 25_000]));
    states.chain([meta("last", b"of all")]).collect()
}

/// A database of lnd, imported.
pub(crate) fn imported(name: &str) -> MemoryBackend {
    let source = LndSource::open(&fixture(name), false).unwrap();
    let silent = Progress::silent();
    let refused = check::check(&source, &silent, &mut |_| {}).unwrap().refused;
    let store = MemoryBackend::new();
    let mut writer = Writer::claim(&store).unwrap();
    import::import(&source, &refused, &mut writer, &silent).unwrap();
    diff::store_residue(&source, &refused, &store, &mut writer, &silent).unwrap();
    drop(writer);
    store
}

pub(crate) fn archived(records: impl IntoIterator<Item = Record>) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new()).unwrap();
    records.into_iter().for_each(|record| writer.add(record).unwrap());
    writer.finish().unwrap().0
}

pub(crate) fn exported(store: &dyn Backend) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new()).unwrap();
    archive::export(store, &mut writer, &Progress::silent()).unwrap();
    writer.finish().unwrap().0
}

/// Every record of a store.
pub(crate) fn records(store: &dyn Backend) -> Result<Vec<Record>, BackendError> {
    Kind::ALL.into_iter().flat_map(|kind| Records::new(store, KeyRange::all(kind))).collect()
}

/// What a check reports.
pub(crate) fn findings(bytes: &[u8]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let contents =
        archive::check(bytes, &Progress::silent(), &mut |finding| findings.push(finding)).unwrap();
    assert_eq!(contents.is_some(), findings.is_empty());
    findings
}

/// A file whose content is tried in many forms.
pub(crate) struct Trial {
    dir: TempDir,
}

impl Trial {
    pub(crate) fn new() -> Trial {
        Trial { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("archive")
    }

    pub(crate) fn put(&self, bytes: &[u8]) {
        std::fs::write(self.path(), bytes).unwrap();
    }

    pub(crate) fn patch(&self, at: usize, bytes: &[u8]) {
        let file = std::fs::OpenOptions::new().write(true).open(self.path()).unwrap();
        file.write_all_at(bytes, at as u64).unwrap();
    }

    /// Every record that is found by the index.
    pub(crate) fn records(&self) -> Result<Vec<Record>, BackendError> {
        records(&ArchiveBackend::open(&self.path())?)
    }
}

pub(crate) fn open(path: &Path) -> ArchiveBackend {
    ArchiveBackend::open(path).unwrap()
}
