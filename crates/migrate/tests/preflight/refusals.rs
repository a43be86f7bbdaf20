//! What stops a copy, and what is said about it.

use bytes::Bytes;
use channelcoord::{Backend, Record};
use chanstate::{FinalHtlc, FinalHtlcRecord, HtlcId, Record as ChannelRecordKind, ShortChannelId};
use kvstore::RedbBackend;
use migrate::lnd::codec::chan_info::ChanInfo;
use migrate::lnd::codec::keys::channel as key;
use migrate::writer::Writer;

use crate::bolt_writer::Tree;
use crate::command::{Desk, code, copy, fixture, json, migrate, stderr, verify};
use crate::support::{base, checks, copy_with, database, files, preflight, refusals};

fn source(name: &str) -> String {
    fixture(name).display().to_string()
}

#[test]
fn everything_that_stops_a_copy_is_told_at_once() {
    let desk = Desk::new();
    std::fs::write(desk.0.path().join("a.sqlite"), "mine").unwrap();
    let target = desk.url("sqlite", "a.sqlite");
    let refused = copy_with(&source("damaged/log-gap.db"), &target, &["--network", "signet"]);
    assert_eq!(refusals(&preflight(&refused)), ["target is new", "content", "network"]);
    // The first one decides the exit code.
    assert_eq!(code(&refused), 2);
    assert_eq!(json(&refused)["event"], "refusal");
    assert_eq!(json(&refused)["code"], 2);
    assert_eq!(files(&desk), ["a.sqlite"]);
}

#[test]
fn channels_of_another_network_are_refused() {
    let desk = Desk::new();
    let target = desk.url("sqlite", "a.sqlite");
    for (network, expected) in [("regtest", 1), ("mainnet", 0)] {
        let copied = copy_with(&source("node.db"), &target, &["--network", network]);
        assert_eq!(code(&copied), expected, "{network}: {}", stderr(&copied));
    }
    let unknown = copy_with(&source("node.db"), &target, &["--network", "moonnet"]);
    assert_eq!(code(&unknown), 2);
}

#[test]
fn a_database_of_another_node_is_refused() {
    let desk = Desk::new();
    let (ours, theirs) = (public_key(1), public_key(2));
    let mut tree = base();
    tree.at(&[b"graph-node"]).set(b"source", hex(&theirs));
    let from = database(&desk, &tree);
    let target = desk.url("sqlite", "a.sqlite");
    let refused = copy_with(&from, &target, &["--node", &ours]);
    assert_eq!(code(&refused), 1, "{}", stderr(&refused));
    assert_eq!(refusals(&preflight(&refused)), ["node"]);
    assert_eq!(preflight(&refused)["source"]["node"], theirs);
    assert_eq!(code(&copy_with(&from, &target, &["--node", &theirs])), 0);
}

#[test]
fn a_node_is_not_its_own_peer() {
    let desk = Desk::new();
    let peer = base().at(&[b"open-chan-bucket"]).names()[0].clone();
    let peer: String = peer.iter().map(|byte| format!("{byte:02x}")).collect();
    let target = desk.url("sqlite", "a.sqlite");
    let refused = copy_with(&source("damaged/base.db"), &target, &["--node", &peer]);
    assert_eq!(refusals(&preflight(&refused)), ["node"]);
}

#[test]
fn a_number_that_sql_cannot_hold_is_refused_before_anything_is_written() {
    let desk = Desk::new();
    let redb = desk.url("redb", "a.redb");
    assert_eq!(code(&copy(&source("empty.db"), &redb)), 0);
    {
        let store = RedbBackend::open_existing(desk.0.path().join("a.redb")).unwrap();
        let mut writer = Writer::claim(&store).unwrap();
        for id in [7, 1 << 63, u64::MAX] {
            let record = FinalHtlcRecord {
                scid: ShortChannelId(1 << 40),
                id: HtlcId(id),
                outcome: FinalHtlc { settled: true, offchain: true },
            };
            writer.put(Record::Channel(ChannelRecordKind::FinalHtlc(record))).unwrap();
        }
        writer.flush().unwrap();
        pollster::block_on(store.release()).unwrap();
    }
    let refused = copy_with(&redb, &desk.url("sqlite", "a.sqlite"), &[]);
    assert_eq!(code(&refused), 1, "{}", stderr(&refused));
    assert_eq!(refusals(&preflight(&refused)), ["records fit"]);
    let check = &checks(&preflight(&refused), "records fit")[0];
    assert!(check["what"].as_str().unwrap().starts_with("2 records"), "{check}");
    assert_eq!(check["places"].as_array().unwrap().len(), 2, "{check}");
    assert!(check["places"][0].as_str().unwrap().contains("FinalHtlc/"), "{check}");
    assert_eq!(files(&desk), ["a.redb"]);
    // A store that holds any number takes them.
    let other = desk.url("redb", "b.redb");
    assert_eq!(code(&copy(&redb, &other)), 0);
    assert_eq!(code(&verify(&redb, &other)), 0);
}

#[test]
fn two_channels_under_one_short_channel_id_are_refused_unless_accepted() {
    let desk = Desk::new();
    let mut tree = base();
    let mut open = open_channels(&tree);
    let is_named = |info: &ChanInfo| info.scid.0 != 0;
    open.retain(|place| is_named(&info(&mut tree, place)));
    let name = info(&mut tree, &open[0]).scid;
    let mut second = info(&mut tree, &open[1]);
    second.scid = name;
    let [peer, chain, point] = &open[1];
    tree.at(&[b"open-chan-bucket", peer, chain, point]).set(key::INFO, second.encode().unwrap());
    let from = database(&desk, &tree);
    let target = desk.url("sqlite", "a.sqlite");
    let refused = copy_with(&from, &target, &[]);
    assert_eq!(refusals(&preflight(&refused)), ["duplicates"]);
    let check = &checks(&preflight(&refused), "duplicates")[0];
    assert!(check["places"][0].as_str().unwrap().contains("have short channel id"), "{check}");
    assert_eq!(code(&refused), 1);
    assert_eq!(code(&copy_with(&from, &target, &["--accept"])), 0);
    assert_eq!(code(&verify(&from, &target)), 0);
}

#[test]
fn whoever_keeps_the_source_locked_is_named() {
    let desk = Desk::new();
    let path = desk.0.path().join("channel.db");
    std::fs::copy(fixture("empty.db"), &path).unwrap();
    let held = std::fs::File::open(&path).unwrap();
    held.lock().unwrap();
    let target = desk.url("sqlite", "a.sqlite");
    let refused = copy(&path.display().to_string(), &target);
    assert_eq!(code(&refused), 3);
    let text = stderr(&refused);
    assert!(text.contains("keep it stopped"), "{text}");
    // Not every system tells.
    if migrate::holder::of(&path).is_some() {
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    }
}

#[test]
fn a_store_in_use_is_refused_with_its_holder() {
    let desk = Desk::new();
    let live = desk.url("sqlite", "live");
    assert_eq!(code(&copy(&source("empty.db"), &live)), 0);
    let held = sqlstore::SqliteBackend::open_existing(desk.0.path().join("live")).unwrap();
    let refused = copy_with(&live, &desk.url("redb", "copy"), &[]);
    assert_eq!(code(&refused), 3);
    assert_eq!(refusals(&preflight(&refused)), ["source in use"]);
    let advice = checks(&preflight(&refused), "source in use")[0]["advice"].clone();
    assert!(advice.as_str().unwrap().starts_with("stop the node"), "{advice}");
    drop(held);
}

#[test]
fn a_target_without_a_directory_is_refused() {
    let desk = Desk::new();
    let refused = copy_with(&source("empty.db"), &desk.url("sqlite", "no/such/a.sqlite"), &[]);
    assert_eq!(code(&refused), 3);
    assert_eq!(refusals(&preflight(&refused)), ["target is new"]);
}

#[test]
fn a_refusal_for_people_ends_in_what_to_do() {
    let desk = Desk::new();
    let refused = copy(&source("damaged/page-cycle.db"), &desk.url("sqlite", "a.sqlite"));
    let text = stderr(&refused);
    let last = text.lines().last().unwrap();
    assert!(last.starts_with("error: ") && last.contains("--skip-damaged"), "{text}");
    assert!(text.contains("REFUSED  content"), "{text}");
}

#[test]
fn what_is_left_out_says_why() {
    let desk = Desk::new();
    let from = source("damaged/page-cycle.db");
    let target = desk.url("redb", "a.redb");
    let copied = migrate(&["copy", "--skip-damaged", "--from", &from, "--to", &target]);
    assert_eq!(code(&copied), 0, "{}", stderr(&copied));
    let text = String::from_utf8(copied.stdout).unwrap();
    let left_out = text.lines().find(|line| line.starts_with("left out: ")).unwrap();
    assert!(left_out.contains("/revocation-log: page "), "{text}");
}

/// Peer, chain and outpoint of the open channels.
fn open_channels(tree: &Tree) -> Vec<[Vec<u8>; 3]> {
    let mut tree = tree.clone();
    let open = tree.at(&[b"open-chan-bucket"]);
    let mut found = Vec::new();
    for peer in open.names() {
        for chain in open.at(&[&peer]).names() {
            let points = open.at(&[&peer, &chain]).names();
            found.extend(points.into_iter().map(|point| [peer.clone(), chain.clone(), point]));
        }
    }
    found
}

fn info(tree: &mut Tree, [peer, chain, point]: &[Vec<u8>; 3]) -> ChanInfo {
    let channel = tree.at(&[b"open-chan-bucket", peer, chain, point]);
    ChanInfo::decode(Bytes::copy_from_slice(channel.value(key::INFO))).unwrap()
}

fn public_key(secret: u8) -> String {
    use bitcoin::secp256k1::{Secp256k1, SecretKey};
    SecretKey::from_slice(&[secret; 32]).unwrap().public_key(&Secp256k1::new()).to_string()
}

fn hex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}
