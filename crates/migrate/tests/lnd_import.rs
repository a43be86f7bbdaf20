//! lnd databases written into a store and compared with it.

use std::path::{Path, PathBuf};

use channelcoord::MemoryBackend;
use migrate::lnd::diff::{self, Difference};
use migrate::lnd::import;
use migrate::lnd::source::{LndSource, Refused};
use migrate::progress::Progress;
use migrate::writer::Writer;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/lnd").join(name)
}

/// Imports a database; returns the store and how many residues it needed.
fn import(source: &LndSource, refused: &Refused) -> (MemoryBackend, u64) {
    let backend = MemoryBackend::new();
    let mut writer = Writer::claim(&backend).unwrap();
    import::import(source, refused, &mut writer, &Progress::silent()).unwrap();
    let residues =
        diff::store_residue(source, refused, &backend, &mut writer, &Progress::silent()).unwrap();
    (backend, residues)
}

fn differences(source: &LndSource, refused: &Refused, backend: &MemoryBackend) -> Vec<Difference> {
    let mut found = Vec::new();
    diff::compare(source, refused, backend, &Progress::silent(), |d| found.push(d)).unwrap();
    found
}

fn round_trip(name: &str) {
    let source = LndSource::open(&fixture(name), false).unwrap();
    let refused = Refused::default();
    let (backend, residues) = import(&source, &refused);
    println!("{name}: {residues} residues");
    assert_eq!(differences(&source, &refused, &backend), []);
}

#[test]
fn node_survives() {
    round_trip("node.db");
}

#[test]
fn deep_survives() {
    round_trip("deep.db");
}

#[test]
fn legacy_survives() {
    round_trip("legacy.db");
}

#[test]
fn legacy31_survives() {
    round_trip("legacy31.db");
}

#[test]
fn pages16k_survives() {
    round_trip("pages16k.db");
}

#[test]
fn freelist_survives() {
    round_trip("freelist.db");
}

#[test]
fn empty_survives() {
    round_trip("empty.db");
}
