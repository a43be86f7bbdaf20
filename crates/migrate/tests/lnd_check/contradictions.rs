//! Values that can be read and contradict each other, or that a store cannot hold.

use bitcoin::hashes::Hash;
use chanstate::{ChannelStatus, ChannelType, Commitment};
use migrate::finding::Severity;
use migrate::lnd::codec::commitment::{decode_diff, encode_diff};
use migrate::lnd::codec::keys::{bucket as top, channel as key, metadata};

use crate::bolt_writer::Tree;
use crate::support::{
    Case, base, busy_channel, case, channel, edit_commitment, edit_info, find_channel,
    pending_channel, shown,
};

/// Changes one channel; the place of the channel and the case.
fn changed(place: &[Vec<u8>; 3], change: impl FnOnce(&mut Tree)) -> Case {
    let mut tree = base();
    change(channel(&mut tree, place));
    case(&tree)
}

/// Requires one inconsistency in one of the channel's values, and nothing refused.
#[track_caller]
fn assert_inconsistent(case: &Case, place: &[Vec<u8>; 3], name: &[u8], what: &str) {
    let [peer, chain, point] = place;
    let at = shown(&[top::OPEN_CHANNELS, peer, chain, point, name]);
    case.assert_finds(Severity::Inconsistency, &at, what);
    assert_eq!(
        (case.checked.damages, case.checked.inconsistencies),
        (0, 1),
        "{:#?}",
        case.findings
    );
    case.assert_survives();
}

/// Requires damage in one of the channel's values that refuses the channel.
#[track_caller]
fn assert_damaged(case: &Case, place: &[Vec<u8>; 3], name: &[u8], what: &str) {
    let [peer, chain, point] = place;
    let path: [&[u8]; 4] = [top::OPEN_CHANNELS, peer, chain, point];
    let at = shown(&[&path[..], &[name]].concat());
    case.assert_finds(Severity::Damage, &at, what);
    let refused: Vec<_> = path.iter().map(|name| name.to_vec()).collect();
    assert_eq!(case.checked.refused.iter().collect::<Vec<_>>(), [&refused]);
    case.assert_survives();
}

fn edit_diff(channel: &mut Tree, edit: impl FnOnce(&mut Commitment)) {
    let mut diff = decode_diff(channel.value(key::COMMIT_DIFF).to_vec().into()).unwrap();
    edit(&mut diff.commitment);
    channel.set(key::COMMIT_DIFF, encode_diff(&diff).unwrap());
}

#[test]
fn funding_transactions() {
    let place = &busy_channel(&base());
    let other = changed(place, |channel| {
        edit_info(channel, |info| {
            let mut tx = info.funding_tx.as_ref().unwrap().as_ref().clone();
            tx.lock_time = bitcoin::absolute::LockTime::from_consensus(7);
            info.funding_tx = Some(tx.into());
        });
    });
    assert_inconsistent(&other, place, key::INFO, "the outpoint's is");
}

#[test]
fn commitment_transactions() {
    let place = &busy_channel(&base());
    for name in [key::LOCAL_COMMITMENT, key::REMOTE_COMMITMENT] {
        let other = changed(place, |channel| {
            edit_commitment(channel, name, |commitment| {
                let mut tx = commitment.commit_tx.as_ref().clone();
                tx.input[0].previous_output.vout += 1;
                commitment.commit_tx = tx.into();
            });
        });
        assert_inconsistent(&other, place, name, "exactly the funding outpoint");
        let two = changed(place, |channel| {
            edit_commitment(channel, name, |commitment| {
                let mut tx = commitment.commit_tx.as_ref().clone();
                tx.input.push(tx.input[0].clone());
                commitment.commit_tx = tx.into();
            });
        });
        assert_inconsistent(&two, place, name, "exactly the funding outpoint");
    }
}

#[test]
fn heights_of_pending_commitments() {
    let place = &pending_channel(&base());
    let far = changed(place, |channel| edit_diff(channel, |next| next.height.0 += 1));
    assert_inconsistent(&far, place, key::COMMIT_DIFF, "is due");
    let same = changed(place, |channel| edit_diff(channel, |next| next.height.0 -= 1));
    assert_damaged(&same, place, key::COMMIT_DIFF, "as the one in force");
    let spends = changed(place, |channel| {
        edit_diff(channel, |next| {
            let mut tx = next.commit_tx.as_ref().clone();
            tx.input.clear();
            tx.input.push(bitcoin::TxIn::default());
            next.commit_tx = tx.into();
        });
    });
    assert_inconsistent(&spends, place, key::COMMIT_DIFF, "exactly the funding outpoint");
}

#[test]
fn commitments_that_are_missing_or_too_many() {
    let place = &busy_channel(&base());
    let local = changed(place, |channel| drop(channel.remove(key::LOCAL_COMMITMENT)));
    assert_inconsistent(&local, place, key::LOCAL_COMMITMENT, "is missing");
    let remote = changed(place, |channel| drop(channel.remove(key::REMOTE_COMMITMENT)));
    remote.assert_finds(Severity::Inconsistency, "", "is missing");
    remote.assert_finds(Severity::Inconsistency, "revocation-log", "without commitments");
    remote.assert_survives();

    let tree = base();
    let shell = &find_channel(&tree, |info| info.status.contains(ChannelStatus::RESTORED));
    let local = channel(&mut tree.clone(), place).value(key::LOCAL_COMMITMENT).to_vec();
    let restored = changed(shell, |channel| channel.set(key::LOCAL_COMMITMENT, local));
    restored.assert_finds(Severity::Inconsistency, "", "restored from a backup");
    restored.assert_survives();
}

#[test]
fn commitments_without_htlcs_and_pending_without_remote() {
    let place = &pending_channel(&base());
    let bare = changed(place, |channel| {
        edit_commitment(channel, key::LOCAL_COMMITMENT, |commitment| commitment.htlcs.clear());
        edit_commitment(channel, key::REMOTE_COMMITMENT, |commitment| commitment.htlcs.clear());
    });
    bare.assert_sound();
    bare.assert_finds(Severity::Warning, "", "msat of");
    bare.assert_survives();
    let alone = changed(place, |channel| drop(channel.remove(key::REMOTE_COMMITMENT)));
    alone.assert_finds(Severity::Inconsistency, "commit-diff-key", "none is due");
    alone.assert_survives();
}

#[test]
fn one_htlc_twice() {
    let place = &busy_channel(&base());
    let twice = changed(place, |channel| {
        edit_commitment(channel, key::REMOTE_COMMITMENT, |commitment| {
            commitment.htlcs.push(commitment.htlcs[0].clone());
        });
    });
    assert_damaged(&twice, place, key::REMOTE_COMMITMENT, "cannot be stored");
}

#[test]
fn one_htlc_with_two_contents() {
    let place = &busy_channel(&base());
    let differing = changed(place, |channel| {
        edit_commitment(channel, key::REMOTE_COMMITMENT, |commitment| {
            commitment.htlcs.iter_mut().for_each(|htlc| htlc.terms.payment_hash[0] ^= 1);
        });
    });
    assert_eq!(differing.findings, []);
    differing.assert_survives();
}

#[test]
fn messages_that_are_no_updates() {
    let place = &busy_channel(&base());
    // One update: log index 5, a custom message of two bytes.
    let list = [0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 4, 0x80, 1, 7, 7];
    let odd = changed(place, |channel| channel.set(key::UNSIGNED_ACKED_UPDATES, list));
    assert_damaged(&odd, place, key::UNSIGNED_ACKED_UPDATES, "message 32769");
}

#[test]
fn thaw_heights() {
    let place = &busy_channel(&base());
    let extra = changed(place, |channel| channel.set(key::THAW_HEIGHT, [0, 1, 2, 3]));
    assert_inconsistent(&extra, place, key::THAW_HEIGHT, "has no thaw height");
    let short = changed(place, |channel| channel.set(key::THAW_HEIGHT, [0, 1, 2]));
    assert_damaged(&short, place, key::THAW_HEIGHT, "needs 4 bytes");
    let frozen = &find_channel(&base(), |info| info.channel_type.contains(ChannelType::FROZEN));
    let missing = changed(frozen, |channel| drop(channel.remove(key::THAW_HEIGHT)));
    assert_inconsistent(&missing, frozen, key::THAW_HEIGHT, "lnd cannot load this channel");
}

#[test]
fn secrets_and_logs_of_another_height() {
    let place = &busy_channel(&base());
    let ahead = changed(place, |channel| {
        edit_commitment(channel, key::REMOTE_COMMITMENT, |remote| remote.height.0 += 3);
    });
    ahead.assert_finds(Severity::Inconsistency, "revocation-state-key", "124 secrets");
    ahead.assert_finds(
        Severity::Inconsistency,
        "revocation-log",
        "3 of 127 revoked heights (124, 125, 126)",
    );
    assert_eq!(ahead.checked.damages, 0);
    ahead.assert_survives();
    let behind = changed(place, |channel| {
        edit_commitment(channel, key::REMOTE_COMMITMENT, |remote| remote.height.0 -= 2);
    });
    behind.assert_finds(Severity::Inconsistency, "revocation-log", "2 entries from height 122 on");
    behind.assert_survives();
    let gone = changed(place, |channel| drop(channel.remove(key::REVOCATION_LOG)));
    assert_inconsistent(&gone, place, key::REVOCATION_LOG, "124 of 124");
}

#[test]
fn unknown_bits_and_records() {
    let place = &busy_channel(&base());
    let odd = changed(place, |channel| {
        edit_info(channel, |info| {
            info.channel_type |= ChannelType::from_bits_retain(1 << 40);
            info.unknown_tlvs = vec![99, 1, 7].into();
        });
        edit_commitment(channel, key::LOCAL_COMMITMENT, |commitment| {
            commitment.unknown_tlvs = vec![99, 1, 7].into();
        });
    });
    odd.assert_sound();
    odd.assert_finds(Severity::Warning, "chan-info-key", "unknown bits 0x10000000000");
    assert_eq!(odd.checked.warnings, 3);
    odd.assert_survives();
}

#[test]
fn peers_without_link_node() {
    let mut tree = base();
    let [peer, ..] = &busy_channel(&tree);
    tree.at(&[top::LINK_NODES]).remove(peer);
    let case = case(&tree);
    case.assert_sound();
    case.assert_finds(Severity::Warning, &shown(&[top::OPEN_CHANNELS, peer]), "no link node");
    assert_eq!(case.checked.warnings, 1);
    case.assert_survives();
}

#[test]
fn channels_that_the_indexes_lack() {
    let mut tree = base();
    let place @ [peer, chain, point] = &busy_channel(&tree);
    let id = chanstate::ChannelId::from_outpoint(bitcoin::OutPoint {
        txid: bitcoin::Txid::from_slice(&point[..32]).unwrap(),
        vout: u32::from(point[35]),
    });
    tree.at(&[top::CHANNEL_IDS]).remove(&id.0);
    let first = case(&tree);
    let index = shown(&[top::OUTPOINTS, point]);
    first.assert_finds(Severity::Inconsistency, &index, "chan-id-bucket has no entry");
    assert_eq!(first.checked.inconsistencies, 1);
    first.assert_survives();
    tree.at(&[top::OUTPOINTS]).remove(point);
    let second = case(&tree);
    let at = shown(&[top::OPEN_CHANNELS, peer, chain, point]);
    second.assert_finds(Severity::Inconsistency, &at, "outpoint index has no entry");
    second.assert_finds(Severity::Inconsistency, &at, "chan-id-bucket has no entry");
    assert_eq!(second.checked.inconsistencies, 2);
    second.assert_survives();
    // A channel that is refused is still one.
    channel(&mut tree, place).remove(key::INFO);
    let third = case(&tree);
    assert_eq!((third.checked.damages, third.checked.inconsistencies), (1, 0));
    third.assert_survives();
}

#[test]
fn missing_buckets() {
    let mut tree = base();
    tree.remove(top::PACKAGES);
    let case = case(&tree);
    case.assert_finds(Severity::Inconsistency, "fwd-packages", "at its first start");
    assert_eq!(case.checked.inconsistencies, 1);
    case.assert_survives();
}

#[test]
fn versions() {
    let mut tree = base();
    tree.at(&[top::METADATA]).set(metadata::OPTIONAL_MIGRATIONS, [2, 0, 9]);
    tree.at(&[top::METADATA]).set(b"new", [1]);
    let newer = case(&tree);
    newer.assert_sound();
    newer.assert_finds(Severity::Warning, "metadata/ovk", "unknown migrations {9}");
    newer.assert_finds(Severity::Warning, "metadata/new", "unknown key");
    newer.assert_survives();
    tree.at(&[top::METADATA]).set(metadata::DB_VERSION, [0, 35]);
    let short = case(&tree);
    short.assert_finds(Severity::Warning, "database", "version is not known");
    short.assert_finds(Severity::Damage, "metadata/dbp", "needs 4 bytes");
    short.assert_survives();
    tree.remove(top::METADATA);
    let none = case(&tree);
    none.assert_finds(Severity::Warning, "database", "version is not known");
    none.assert_finds(Severity::Inconsistency, "metadata", "is missing");
    none.assert_survives();
}
