//! Names that are none, and entries of the wrong kind: nothing is lost without a word.

use migrate::finding::Severity;
use migrate::lnd::codec::keys::{bucket as top, channel as key, metadata};

use crate::bolt_writer::{Node, Tree};
use crate::support::{Case, base, busy_channel, case, channel, channels, edit_info, shown};

/// Requires damage at `place` that refuses what is at `refused`, and no other finding of weight.
#[track_caller]
fn assert_refuses(case: &Case, place: &[&[u8]], refused: &[&[u8]]) {
    case.assert_finds(Severity::Damage, &shown(place), "");
    let refused: Vec<_> = refused.iter().map(|name| name.to_vec()).collect();
    assert_eq!(case.checked.refused.iter().collect::<Vec<_>>(), [&refused]);
    assert_eq!(case.checked.inconsistencies, 0, "{:#?}", case.findings);
    case.assert_survives();
}

#[test]
fn values_in_place_of_buckets() {
    let tree = base();
    let [peer, chain, point] = &busy_channel(&tree);
    let scid = tree.clone().at(&[top::PACKAGES]).names()[0].clone();
    let height = tree.clone().at(&[top::PACKAGES, &scid]).names()[0].clone();
    let final_scid = tree.clone().at(&[top::FINAL_HTLCS]).names()[0].clone();
    let historical = tree.clone().at(&[top::HISTORICAL_CHANNELS]).names()[0].clone();
    let paths: [&[&[u8]]; 8] = [
        &[top::OPEN_CHANNELS, peer],
        &[top::OPEN_CHANNELS, peer, chain],
        &[top::OPEN_CHANNELS, peer, chain, point],
        &[top::OPEN_CHANNELS, peer, chain, point, key::REVOCATION_LOG],
        &[top::HISTORICAL_CHANNELS, &historical],
        &[top::PACKAGES, &scid],
        &[top::PACKAGES, &scid, &height],
        &[top::FINAL_HTLCS, &final_scid],
    ];
    for path in paths {
        let mut tree = tree.clone();
        let (name, parent) = path.split_last().unwrap();
        tree.at(parent).set(name, [7; 16]);
        assert_refuses(&case(&tree), path, path);
    }
    // The top level is the survey's.
    let mut tree = tree;
    tree.set(top::PACKAGES, [7; 16]);
    assert_refuses(&case(&tree), &[top::PACKAGES], &[top::PACKAGES]);
}

#[test]
fn buckets_in_place_of_values() {
    let tree = base();
    let [peer, chain, point] = &busy_channel(&tree);
    let first = |name: &[u8]| tree.clone().at(&[name]).nodes.keys().next().unwrap().clone();
    let height = 5u64.to_be_bytes();
    let paths: [&[&[u8]]; 8] = [
        &[top::OPENING_STATES, &first(top::OPENING_STATES)],
        &[top::CLOSED_CHANNELS, &first(top::CLOSED_CHANNELS)],
        &[top::FORWARDING_POLICIES, &first(top::FORWARDING_POLICIES)],
        &[top::LINK_NODES, &first(top::LINK_NODES)],
        &[top::OUTPOINTS, point],
        &[top::CHANNEL_IDS, &first(top::CHANNEL_IDS)],
        &[top::METADATA, metadata::DB_VERSION],
        &[top::OPEN_CHANNELS, peer, chain, point, key::REVOCATION_LOG, &height],
    ];
    for path in paths {
        let mut tree = tree.clone();
        let (name, parent) = path.split_last().unwrap();
        let mut bucket = Tree::default();
        bucket.set(b"k", [1]);
        tree.at(parent).nodes.insert(name.to_vec(), Node::Bucket(bucket));
        assert_refuses(&case(&tree), path, path);
    }
    for name in [key::INFO, key::LOCAL_COMMITMENT, key::CLOSING_TX, key::LAST_WAS_REVOKE] {
        let mut tree = tree.clone();
        let path: [&[u8]; 4] = [top::OPEN_CHANNELS, peer, chain, point];
        tree.at(&path).nodes.insert(name.to_vec(), Node::Bucket(Tree::default()));
        assert_refuses(&case(&tree), &[&path[..], &[name]].concat(), &path);
    }
}

#[test]
fn names_that_do_not_decode() {
    let tree = base();
    let [peer, chain, point] = &busy_channel(&tree);
    let off_curve = [&[2][..], &[0; 32]].concat();
    let renamed: [(&[&[u8]], &[u8]); 3] = [
        (&[top::OPEN_CHANNELS, peer], &off_curve),
        (&[top::OPEN_CHANNELS, peer, chain], &chain[..31]),
        (&[top::OPEN_CHANNELS, peer, chain, point], &[9; 35]),
    ];
    for (path, name) in renamed {
        let mut tree = tree.clone();
        let (last, parent) = path.split_last().unwrap();
        let node = tree.at(parent).remove(last);
        tree.at(parent).nodes.insert(name.to_vec(), node);
        let case = case(&tree);
        let path = [parent, &[name]].concat();
        case.assert_finds(Severity::Damage, &shown(&path), "");
        // Without its key a channel is not found; a damaged bucket of a peer may have held it.
        assert_eq!(case.checked.inconsistencies, u64::from(path.len() == 4));
        case.assert_survives();
    }
    let added: [(&[&[u8]], &[u8]); 6] = [
        (&[top::CLOSED_CHANNELS], &[9; 35]),
        (&[top::FORWARDING_POLICIES], &[9; 31]),
        (&[top::LINK_NODES], &off_curve),
        (&[top::OUTPOINTS], &[9; 37]),
        (&[top::CHANNEL_IDS], &[9; 31]),
        (&[top::OPEN_CHANNELS, peer, chain, point, key::REVOCATION_LOG], &[0; 9]),
    ];
    for (parent, name) in added {
        let mut tree = tree.clone();
        tree.at(parent).set(name, [0, 1, 0]);
        let path = [parent, &[name]].concat();
        assert_refuses(&case(&tree), &path, &path);
    }
    for parent in [top::PACKAGES, top::FINAL_HTLCS, top::HISTORICAL_CHANNELS] {
        let mut tree = tree.clone();
        tree.at(&[parent, &[9; 7]]);
        assert_refuses(&case(&tree), &[parent, &[9; 7]], &[parent, &[9; 7]]);
    }
}

#[test]
fn heights_and_ids_beyond_what_a_store_holds() {
    let tree = base();
    let [peer, chain, point] = &busy_channel(&tree);
    let large = u64::MAX.to_be_bytes();
    let scid = tree.clone().at(&[top::FINAL_HTLCS]).names()[0].clone();
    let log = [top::OPEN_CHANNELS, peer, chain, point, key::REVOCATION_LOG];
    let mut first = tree.clone();
    let entry = first.at(&log).value(&5u64.to_be_bytes()).to_vec();
    first.at(&log).set(&large, entry);
    let path = [&log[..], &[&large]].concat();
    assert_refuses(&case(&first), &path, &path);
    let mut second = tree.clone();
    second.at(&[top::FINAL_HTLCS, &scid]).set(&large, [1]);
    let path: [&[u8]; 3] = [top::FINAL_HTLCS, &scid, &large];
    assert_refuses(&case(&second), &path, &path);
}

#[test]
fn unknown_keys_of_a_channel_are_kept() {
    let mut tree = base();
    let place @ [peer, chain, point] = &busy_channel(&tree);
    let channel = channel(&mut tree, place);
    (0..8).for_each(|number| channel.set(&[b'x', number], [number]));
    channel.at(&[b"rev"]).set(b"a", [1]);
    channel.at(&[b"zebra", b"deep"]).set(b"a", [1]);
    let archived = tree.at(&[top::HISTORICAL_CHANNELS]).names()[0].clone();
    tree.at(&[top::HISTORICAL_CHANNELS, &archived, key::REVOCATION_LOG]).set(&[0; 8], [1]);
    let case = case(&tree);
    case.assert_sound();
    let path: [&[u8]; 4] = [top::OPEN_CHANNELS, peer, chain, point];
    case.assert_finds(Severity::Warning, &shown(&path), "3 more unknown keys");
    case.assert_finds(Severity::Warning, &shown(&[&path[..], &[b"zebra"]].concat()), "unknown");
    assert_eq!(case.checked.warnings, 5 + 1 + 2 + 1);
    case.assert_survives();
}

#[test]
fn sequences_and_empty_buckets_are_kept() {
    let mut tree = base();
    let place @ [peer, chain, _] = &busy_channel(&tree);
    channel(&mut tree, place).sequence = 3;
    channel(&mut tree, place).at(&[key::REVOCATION_LOG]).sequence = 4;
    channel(&mut tree, place).at(&[key::DEPRECATED_LOG]).sequence = 1;
    tree.at(&[top::OPEN_CHANNELS, peer, chain]).sequence = 5;
    for (sequence, name) in (6..).zip([top::LINK_NODES, top::OUTPOINTS, top::PACKAGES]) {
        tree.at(&[name]).sequence = sequence;
    }
    tree.at(&[top::OPEN_CHANNELS, peer, &[7; 32]]);
    let other = [&[2][..], &bitcoin::secp256k1::constants::GENERATOR_X].concat();
    tree.at(&[top::OPEN_CHANNELS, &other]);
    tree.at(&[top::FINAL_HTLCS, &[5; 8]]).sequence = 9;
    let case = case(&tree);
    assert_eq!(case.findings, []);
    case.assert_survives();
}

#[test]
fn other_tenants_are_named_and_left_alone() {
    let mut tree = base();
    tree.at(&[b"plug-in", b"sub"]).set(b"k", b"v");
    tree.at(&[&[0xff, 0]]);
    let with = case(&tree);
    assert_eq!(with.findings, []);
    for name in ["plug-in", "ff00"] {
        assert!(with.checked.other_tenants.contains(&name.to_owned()));
    }
    with.assert_survives();
    tree.set(b"value", [1]);
    let damaged = case(&tree);
    damaged.assert_finds(Severity::Damage, "value", "in place of a bucket");
    damaged.assert_survives();
}

#[test]
fn one_channel_under_two_peers() {
    let mut tree = base();
    let place @ [_, chain, point] = &busy_channel(&tree);
    let mut copy = channel(&mut tree, place).clone();
    let all = channels(&tree);
    let [other, ..] = all.iter().find(|other| other[0] > place[0]).unwrap();
    let peer = bitcoin::secp256k1::PublicKey::from_slice(other).unwrap();
    edit_info(&mut copy, |info| info.peer = peer);
    tree.at(&[top::OPEN_CHANNELS, other, chain]).nodes.insert(point.clone(), Node::Bucket(copy));
    let path: [&[u8]; 4] = [top::OPEN_CHANNELS, other, chain, point];
    assert_refuses(&case(&tree), &path, &path);
}

#[test]
fn two_channels_of_one_id() {
    let mut tree = base();
    let place @ [peer, chain, point] = &busy_channel(&tree);
    let mut copy = channel(&mut tree, place).clone();
    // The id takes 16 bits of the output index.
    let mut other = point.clone();
    other[33] ^= 1;
    edit_info(&mut copy, |info| info.funding_outpoint.vout += 1 << 16);
    tree.at(&[top::OPEN_CHANNELS, peer, chain]).nodes.insert(other.clone(), Node::Bucket(copy));
    tree.at(&[top::OUTPOINTS]).set(&other, [0, 1, 0]);
    let path: [&[u8]; 4] = [top::OPEN_CHANNELS, peer, chain, &other];
    let case = case(&tree);
    case.assert_finds(Severity::Damage, "", "a store cannot hold both");
    assert_refuses(&case, &path, &path);
}

#[test]
fn content_of_another_channel() {
    let tree = base();
    let place @ [peer, chain, point] = &busy_channel(&tree);
    let edits: [fn(&mut migrate::lnd::codec::chan_info::ChanInfo); 3] = [
        |info| info.funding_outpoint.vout += 1,
        |info| info.chain = [1; 32].into(),
        |info| info.peer = info.local_config.multisig_key.public_key.unwrap(),
    ];
    for edit in edits {
        let mut tree = tree.clone();
        edit_info(channel(&mut tree, place), edit);
        let path: [&[u8]; 4] = [top::OPEN_CHANNELS, peer, chain, point];
        let case = case(&tree);
        case.assert_finds(Severity::Damage, "chan-info-key", "differs from the bucket key");
        assert_refuses(&case, &[&path[..], &[key::INFO]].concat(), &path);
    }
}
