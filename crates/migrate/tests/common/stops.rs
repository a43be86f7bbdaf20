//! Copies that are stopped at every commit, before and after it is stored.
#![allow(dead_code, reason = "no file of tests needs all of it")]

use channelcoord::{NotReady, OpenError, Stage, Store, StoreOptions, Transfer};
use migrate::command::{CopyOptions, Site, UrlSite, copy, copy_to};
use migrate::journal::{Journal, Phase};
use migrate::opened::{self, Opened};
use migrate::url::StoreUrl;
use pollster::block_on;

use crate::bolt_writer::{Node, Tree};
use crate::command::{Desk, fixture};
use crate::kv;
use crate::stopping::{Silent, Stop, Stopper, StoppingSite, content, transfer, url};

/// Stops that a copy has to survive, at least.
const STOPS: u64 = 200;

/// Small enough that a copy of the fixture has more than half as many commits.
const BATCH: usize = 1;

pub(crate) fn options() -> CopyOptions {
    CopyOptions { resume: true, accept: true, batch: BATCH, ..CopyOptions::default() }
}

/// Copies with a stop before and after each commit; each run goes on from where the one before it was
/// stopped. Returns the number of stops.
fn copy_with_stops(from: &StoreUrl, to: &StoreUrl) -> u64 {
    let source = opened::open(from, false).unwrap();
    let mut stops = 0;
    let mut in_residue = 0;
    let mut stop = Stop::Before;
    loop {
        // After a stop before a commit, the same commit comes next, and is stored. Residue is written
        // from its start again: there, each stop is one commit further on.
        let stopper = Stopper::at(in_residue / 2, stop);
        let site = StoppingSite { url: to, stopper: stopper.clone() };
        match copy_to(from, &source, &site, options(), &Silent) {
            Err(_) if stopper.has_stopped() => {}
            Err(error) => panic!("stop {stops}: {error}"),
            Ok(report) => {
                assert!(!stopper.has_stopped(), "a stop is a failure");
                assert!(report.was_complete, "each run but this one was stopped");
                return stops;
            }
        }
        stops += 1;
        in_residue = if writes_residue(to) { in_residue + 1 } else { 0 };
        stop = if stop == Stop::Before { Stop::After } else { Stop::Before };
        if stops % 16 == 0 {
            refuses_a_node(to);
        }
    }
}

pub(crate) fn writes_residue(to: &StoreUrl) -> bool {
    let Ok(Opened::Store(store)) = UrlSite(to).open().map(Opened::Store) else { return false };
    let found = block_on(Transfer::of(store.as_ref())).unwrap().unwrap();
    found.stage == Stage::Filling && Journal::of(&found).unwrap().phase == Phase::Residue
}

/// A target that is not activated is opened by nobody.
pub(crate) fn refuses_a_node(to: &StoreUrl) {
    let store = opened::open_to_write(to).unwrap();
    match block_on(Store::open_shared(store.into(), StoreOptions::default())) {
        Err(OpenError::NotReady(NotReady::Filling { .. } | NotReady::Inactive { .. })) => {}
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("half a copy was opened"),
    }
}

/// Holds a copy that was stopped again and again against one that was not.
pub(crate) fn survives_every_stop(from: &StoreUrl, to: &StoreUrl, whole: &StoreUrl) {
    let source = opened::open(from, false).unwrap();
    copy(from, &source, whole, CopyOptions { resume: false, ..options() }, &Silent).unwrap();
    let stops = copy_with_stops(from, to);
    assert!(stops >= STOPS, "{stops} stops");
    assert!(content(to) == content(whole), "records differ");
    let (stopped, whole) = (transfer(to).unwrap(), transfer(whole).unwrap());
    assert_eq!((stopped.stage, &stopped.other), (Stage::Complete, &whole.other));
    assert_eq!(stopped.detail, whole.detail, "the journals end alike");
}

/// Buckets of channel state in the small database.
const KEPT: [&[u8]; 9] = [
    b"closed-chan-bucket",
    b"final-htlcs",
    b"fwd-packages",
    b"historical-chan-bucket",
    b"metadata",
    b"nib",
    b"open-chan-bucket",
    b"outpoint-bucket",
    b"chan-id-bucket",
];

/// A database with every kind of content, few channels and short logs, so that it is read fast.
pub(crate) fn lnd(desk: &Desk) -> StoreUrl {
    let path = desk.0.path().join("channel.db");
    std::fs::write(&path, small().to_file()).unwrap();
    url(&format!("lnd-bolt:{}", path.display()))
}

/// The same in SQLite.
#[allow(dead_code, reason = "not every file of tests needs it")]
pub(crate) fn lnd_sqlite(desk: &Desk) -> StoreUrl {
    let path = desk.0.path().join("channel.sqlite");
    kv::write(&path, &kv::rows(&small(), kv::Order::Walk), 4096);
    url(&format!("lnd-sqlite:{}", path.display()))
}

/// What is in it.
pub(crate) fn small() -> Tree {
    let mut tree = Tree::read(&fixture("legacy31.db"));
    tree.nodes.retain(|name, _| KEPT.contains(&name.as_slice()));
    for (name, node) in &mut tree.nodes {
        if let Node::Bucket(bucket) = node {
            match name.as_slice() {
                b"final-htlcs" => shorten(bucket, usize::MAX),
                b"metadata" => {}
                _ => shorten(bucket, 12),
            }
        }
    }
    tree
}

/// Keeps a few entries of each bucket of buckets, and of each long one of values.
fn shorten(tree: &mut Tree, entries: usize) {
    let values = tree.nodes.values().filter(|node| matches!(node, Node::Value(_))).count();
    // A channel has fewer values than this, and needs them.
    if values == 0 || values > 20 {
        tree.nodes = std::mem::take(&mut tree.nodes).into_iter().take(entries).collect();
    }
    for node in tree.nodes.values_mut() {
        if let Node::Bucket(bucket) = node {
            shorten(bucket, entries);
        }
    }
}

/// A store of ours with the content of the database.
pub(crate) fn store(desk: &Desk, to: &StoreUrl) {
    let from = lnd(desk);
    let source: Opened = opened::open(&from, false).unwrap();
    copy(&from, &source, to, CopyOptions { resume: false, ..options() }, &Silent).unwrap();
}
