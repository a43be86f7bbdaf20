//! Databases that lnd wrote: every key decodes and encodes back.

use std::collections::BTreeMap;
use std::path::Path;

use migrate::lnd::codec::{commitment, keys};

use super::values::{Kind, data, leaves, round_trip};

/// How many values of a kind there are, how many take a residue, and its greatest length.
type Census = BTreeMap<Kind, (usize, usize, usize)>;

pub(crate) fn census(listing: &Path) -> Census {
    let mut census = Census::new();
    for leaf in leaves(listing) {
        let Some(kind) = Kind::of(&leaf.path, &leaf.key) else { continue };
        let residue = round_trip(kind, &leaf.key, &leaf.value)
            .unwrap_or_else(|error| panic!("{:?}/{:?}: {error:?}", leaf.path, leaf.key));
        let (count, with_residue, longest) = census.entry(kind).or_default();
        *count += 1;
        *with_residue += usize::from(residue > 0);
        *longest = residue.max(*longest);
    }
    println!("{}", listing.display());
    for (kind, (count, with_residue, longest)) in &census {
        println!("  {kind:?}: {count}, residues {with_residue}, longest {longest}");
    }
    census
}

fn residues(census: &Census) -> Vec<(Kind, usize)> {
    let entries = census.iter().map(|(kind, (_, residues, _))| (*kind, *residues));
    entries.filter(|(_, residues)| *residues > 0).collect()
}

#[test]
fn what_current_lnd_writes_is_canonical() {
    for name in ["node.kv.jsonl.gz", "damaged/base.kv.jsonl.gz", "empty.kv.jsonl.gz"] {
        let census = census(&data(name));
        assert!(census.contains_key(&Kind::DbVersion));
        assert_eq!(residues(&census), [], "{name}");
    }
}

#[test]
fn what_old_lnd_wrote_takes_small_residues() {
    let legacy = census(&data("legacy.kv.jsonl.gz"));
    assert_eq!(residues(&legacy), [(Kind::LogEntry, 22), (Kind::CloseSummary, 1)]);
    let legacy31 = census(&data("legacy31.kv.jsonl.gz"));
    assert_eq!(residues(&legacy31), [(Kind::LogEntry, 96)]);
    for census in [legacy, legacy31] {
        let (_, _, longest) = census[&Kind::LogEntry];
        assert_eq!(longest, 1, "ids in two bytes cost one byte for the entry");
    }
}

#[test]
fn lnd_can_load_the_extra_records_it_wrote() {
    for leaf in leaves(&data("node.kv.jsonl.gz")) {
        if Kind::of(&leaf.path, &leaf.key) == Some(Kind::Commitment) {
            let commitment = commitment::decode(leaf.value).unwrap();
            let faults = commitment.htlcs.iter().map(|htlc| &htlc.terms.extra);
            assert!(faults.into_iter().all(|e| commitment::htlc_extra_fault(e).is_none()));
        }
    }
}

#[test]
fn keys_of_every_bucket_decode() {
    for leaf in leaves(&data("node.kv.jsonl.gz")) {
        let (top, path, key) = (leaf.path[0].as_ref(), &leaf.path, leaf.key.as_ref());
        match top {
            keys::bucket::OPEN_CHANNELS => {
                keys::decode_node_id(&path[1]).unwrap();
                keys::decode_chain(&path[2]).unwrap();
                let outpoint = keys::decode_outpoint(&path[3]).unwrap();
                assert_eq!(keys::encode_outpoint(&outpoint), path[3][..]);
                if path.len() == 5 {
                    keys::decode_height(key).unwrap();
                }
            }
            keys::bucket::PACKAGES => {
                keys::decode_scid(&path[1]).unwrap();
                keys::decode_height(&path[2]).unwrap();
                if path.len() == 4 {
                    keys::decode_update_index(key).unwrap();
                }
            }
            keys::bucket::FINAL_HTLCS => {
                keys::decode_scid(&path[1]).unwrap();
                keys::decode_htlc_id(key).unwrap();
            }
            keys::bucket::CHANNEL_IDS | keys::bucket::FORWARDING_POLICIES => {
                keys::decode_channel_id(key).unwrap();
            }
            _ => {}
        }
    }
}
