//! Stops at every commit to the journal, before and after it is stored, and all over the archive.

use std::collections::BTreeSet;

use channelcoord::Record;
use chanstate::OpeningStateRecord;
use migrate::command::CopyOptions;
use migrate::opened;
use migrate::url::StoreUrl;
use migrate::writer::Writer;

use crate::command::Desk;
use crate::site::{Stops, Target, copy_as, copy_until};
use crate::stopping::{Stop, Stopper, url};
use crate::stops::{lnd, options, refuses_a_node, writes_residue};

/// Stops of a kind that a copy has to survive.
const STOPS: u64 = 200;

/// An archive that was not stopped.
fn whole(desk: &Desk, from: &StoreUrl, options: CopyOptions) -> Vec<u8> {
    let whole = Target::new(desk, "whole");
    copy_as(from, &whole, options).unwrap();
    whole.bytes()
}

/// Stops at every commit to the journal, each run going on from the one before, until the archive
/// itself is to be written.
fn stops_at_commits(from: &StoreUrl, to: &Target) -> u64 {
    let (mut stops, mut in_residue, mut stop) = (0, 0, Stop::Before);
    loop {
        // As for stores: what is stored is not written again, but residue is.
        let stopper = Stopper::at(in_residue / 2, stop);
        let (_, by_commit) = copy_until(from, to, options(), Stops::Commit(stopper));
        assert!(!to.path.exists());
        if !by_commit {
            return stops;
        }
        stops += 1;
        assert!(stops < 50 * STOPS, "the import does not come further");
        if !to.journal_exists() {
            stop = Stop::After;
            continue;
        }
        in_residue = if writes_residue(&to.journal()) { in_residue + 1 } else { 0 };
        stop = if stop == Stop::Before { Stop::After } else { Stop::Before };
        if stops % 16 == 0 {
            refuses_a_node(&to.journal());
        }
    }
}

/// Stops all over an archive that is to become `whole`, after its last byte too.
fn stops_at_bytes(from: &StoreUrl, to: &Target, whole: &[u8]) {
    let len = whole.len() as u64;
    for stop in 1..=STOPS {
        let limit = len * stop / STOPS;
        let (failure, _) = copy_until(from, to, options(), Stops::Bytes(limit));
        assert!(failure.to_string().ends_with("--resume goes on"), "{failure}");
        assert!(!to.path.exists());
        // The header is written before it can be stopped.
        let half = std::fs::read(to.half()).unwrap();
        assert!(half.len() as u64 == limit || stop == 1, "stop {stop}: {} bytes", half.len());
        assert!(whole.starts_with(&half), "stop {stop}");
    }
}

fn ends_as(to: &Target, from: &StoreUrl, whole: &[u8]) {
    let report = copy_as(from, to, options()).unwrap();
    assert!(report.resumed_after.unwrap() > 0 && !report.was_complete);
    assert!(to.bytes() == whole);
    assert!(!to.draft.exists());
}

/// A store of ours that takes some blocks of an archive.
fn store(desk: &Desk, engine: &str) -> StoreUrl {
    let from = url(&desk.url(engine, "source"));
    crate::stops::store(desk, &from);
    let store = opened::open_to_write(&from).unwrap();
    let mut writer = Writer::claim(store.as_ref()).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    for key in 0..24u8 {
        let value = (0..20_000).map(|_| random.u8(..)).collect::<Vec<_>>().into();
        let state = OpeningStateRecord { key: vec![key].into(), value };
        writer.put(Record::Channel(chanstate::Record::OpeningState(state))).unwrap();
    }
    writer.flush().unwrap();
    pollster::block_on(store.release()).unwrap();
    from
}

fn from_store(engine: &str) {
    let desk = Desk::new();
    let from = store(&desk, engine);
    let (to, whole) = (Target::new(&desk, "a"), whole(&desk, &from, options()));
    stops_at_bytes(&from, &to, &whole);
    ends_as(&to, &from, &whole);
    desk.holds_no_drafts();
}

#[test]
fn redb_to_archive() {
    from_store("redb");
}

#[test]
fn sqlite_to_archive() {
    from_store("sqlite");
}

#[test]
fn lnd_to_archive() {
    let desk = Desk::new();
    let from = lnd(&desk);
    let (to, whole) = (Target::new(&desk, "a"), whole(&desk, &from, options()));
    let stops = stops_at_commits(&from, &to);
    assert!(stops >= STOPS, "{stops} stops");
    stops_at_bytes(&from, &to, &whole);
    ends_as(&to, &from, &whole);
    desk.holds_no_drafts();
}

#[test]
fn whole_blocks_are_not_written_again() {
    let desk = Desk::new();
    let from = store(&desk, "redb");
    let whole = whole(&desk, &from, options());
    let to = Target::new(&desk, "a");
    let mut kept = BTreeSet::new();
    for eighths in 1..8 {
        copy_until(&from, &to, options(), Stops::Bytes(whole.len() as u64 * eighths / 8));
        // A second archive is finished from here; the first one goes on.
        let other = Target::new(&desk, &format!("of-{eighths}"));
        copy_directory(&to, &other);
        kept.insert(copy_as(&from, &other, options()).unwrap().resumed_after.unwrap());
        assert!(other.bytes() == whole);
    }
    assert!(kept.len() > 5, "{kept:?}");
}

fn copy_directory(from: &Target, to: &Target) {
    std::fs::create_dir(&to.draft).unwrap();
    for entry in std::fs::read_dir(&from.draft).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.draft.join(entry.file_name())).unwrap();
    }
}

impl Target {
    fn journal_exists(&self) -> bool {
        self.draft.join("journal").exists()
    }
}
