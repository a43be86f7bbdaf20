//! Stored values that differ from the canonical encoding of their content, and residues.

use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bytes::Bytes;
use chanstate::{
    ChannelNo, CommitmentHeight, HtlcId, MilliSatoshi, RevokedState, ShortChannelId, Version,
};
use migrate::lnd::codec::chan_info::ChanInfo;
use migrate::lnd::codec::residue::{self, ResidueError};
use migrate::lnd::codec::{
    Elsewhere, EncodeFault, LndFault, close, commitment, link_node, revocation_log, small,
};
use proptest::prelude::*;

use super::examples;
use super::values::{Kind, data, hex, leaves, round_trip};

fn point(byte: u8) -> PublicKey {
    PublicKey::from_secret_key(&Secp256k1::new(), &SecretKey::from_slice(&[byte; 32]).unwrap())
}

fn entry(htlcs: &[&str]) -> Bytes {
    let blocks = htlcs.iter().map(|htlc| {
        let block = hex(htlc);
        [&[block.len() as u8][..], &block].concat()
    });
    blocks.fold(hex(examples::LOG_ENTRY).to_vec(), |entry, block| [entry, block].concat()).into()
}

fn htlc(hash: &str, id: &str) -> String {
    format!("{hash} 0104000b54e4 02020003 030101 0403fd1388 {id}")
}

fn state(stored: &Bytes) -> RevokedState {
    assert!(round_trip(Kind::LogEntry, &[], stored).is_ok());
    revocation_log::decode(CommitmentHeight(0), stored.clone()).unwrap()
}

const HASH: &str = "0020 4242424242424242424242424242424242424242424242424242424242424242";
const ZERO_HASH: &str = "0020 0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn current_log_entries_need_no_residue() {
    let stored = entry(&[&htlc(HASH, "0603fd0100"), &htlc("0000", "060105"), &htlc(HASH, "")]);
    let state = state(&stored);
    assert!(state.residue.is_empty());
    let ids: Vec<_> = state.htlcs.iter().map(|htlc| htlc.id).collect();
    assert_eq!(ids, [Some(HtlcId(256)), Some(HtlcId(5)), None]);
    assert_eq!(state.htlcs[1].payment_hash, [0; 32]);
    assert_eq!(state.htlcs[0].amount_sat, 5000);
}

#[test]
fn ids_in_two_bytes_cost_one_byte() {
    let stored = entry(&[&htlc(HASH, "06020100"), &htlc(HASH, "06020005"), &htlc(HASH, "")]);
    let state = state(&stored);
    assert_eq!(state.residue, vec![1]);
    assert_eq!(state.htlcs[0].id, Some(HtlcId(256)));
}

#[test]
fn zero_hashes_written_out_cost_one_byte() {
    let both = state(&entry(&[&htlc(ZERO_HASH, "06020100")]));
    assert_eq!(both.residue, vec![3]);
    assert_eq!(state(&entry(&[&htlc(ZERO_HASH, "060101")])).residue, vec![2]);
}

#[test]
fn mixed_forms_of_one_entry_survive() {
    for htlcs in [
        [htlc(HASH, "06020100"), htlc(HASH, "060105")],
        [htlc(HASH, "06020100"), htlc(HASH, "0605fe00010000")],
        [htlc(ZERO_HASH, "060101"), htlc("0000", "060105")],
    ] {
        let state = state(&entry(&[&htlcs[0], &htlcs[1]]));
        assert!(state.residue.len() > 1);
    }
}

#[test]
fn unknown_records_of_a_log_entry_survive() {
    let in_htlc = state(&entry(&[&htlc(HASH, "060101 0b02abcd")]));
    assert!(in_htlc.residue.len() > 1);
    let mut body = hex(examples::LOG_ENTRY).to_vec();
    body[0] += 4;
    body.extend([0x63, 2, 1, 2]);
    assert!(state(&body.into()).residue.len() > 1);
}

#[test]
fn the_residue_of_a_changed_state_is_refused() {
    let mut state = state(&entry(&[&htlc(HASH, "060101 0b02abcd")]));
    state.htlcs[0].amount_sat += 1;
    let refused = revocation_log::encode(&state).unwrap_err();
    assert_eq!(refused.fault, EncodeFault::Residue(ResidueError::Stale));
    state.residue = Bytes::from_static(&[0x80]);
    let refused = revocation_log::encode(&state).unwrap_err();
    assert_eq!(refused.fault, EncodeFault::Residue(ResidueError::Variants { found: 0x80 }));
    state.residue = Bytes::new();
    state.htlcs[0].id = Some(HtlcId(70_000));
    revocation_log::encode(&state).unwrap();
    state.residue = Bytes::from_static(&[1]);
    let refused = revocation_log::encode(&state).unwrap_err();
    assert_eq!(refused.fault, EncodeFault::TooLarge { max: 65535, found: 70_000 });
}

#[test]
fn an_old_close_summary_ends_before_the_sync_flag() {
    let stored = examples::close_summary();
    let short = stored.slice(..stored.len() - 1);
    assert!(round_trip(Kind::CloseSummary, &[], &short).unwrap() < 12);
    assert_eq!(close::decode(short).unwrap(), close::decode(stored).unwrap());
}

#[test]
fn a_close_summary_without_more_ends_there() {
    let mut stored = examples::close_summary().to_vec();
    let flag = 32 + 4 + 8 + 32 + 32 + 4 + 33 + 3 * 8 + 2;
    stored.truncate(flag);
    stored.push(0);
    let stored = Bytes::from(stored);
    assert_eq!(round_trip(Kind::CloseSummary, &[], &stored).unwrap(), 0);
    assert_eq!(close::decode(stored).unwrap().resume, None);
}

#[test]
fn flags_other_than_1_survive() {
    assert!(small::decode_last_was_revoke(hex("7f")).unwrap());
    assert!(round_trip(Kind::LastWasRevoke, &[], &hex("7f")).unwrap() > 0);
    let mut stored = examples::chan_info().to_vec();
    stored[79] = 9; // is pending
    let stored = Bytes::from(stored);
    assert!(ChanInfo::decode(stored.clone()).unwrap().pending);
    assert!(round_trip(Kind::ChanInfo, &[], &stored).unwrap() > 0);
}

#[test]
fn bits_and_records_without_a_meaning_survive() {
    for (kind, stored) in [
        (Kind::FinalHtlc, "f3"),
        (Kind::OutpointStatus, ""),
        (Kind::OutpointStatus, "0001010a00"),
        (Kind::ShutdownInfo, ""),
        (Kind::ShutdownInfo, "0001510501aa"),
    ] {
        assert!(round_trip(kind, &[], &hex(stored)).unwrap() > 0, "{kind:?} {stored}");
    }
    assert_eq!(round_trip(Kind::Filter, &[], &hex("0001ff")).unwrap(), 0);
}

#[test]
fn missing_and_unknown_records_of_chan_info_need_no_residue() {
    let stored = examples::chan_info();
    // Without the records that releases before v0.20 and v0.15.1 did not write.
    for (cut, confirmed_scid) in [(6, Some(ShortChannelId(0))), (16, None), (36, None)] {
        let stored = stored.slice(..stored.len() - cut);
        assert_eq!(round_trip(Kind::ChanInfo, &[], &stored).unwrap(), 0);
        let info = ChanInfo::decode(stored).unwrap();
        assert_eq!((info.confirmed_scid, info.confirmation_height), (confirmed_scid, None));
    }
    let mut unknown = stored[..stored.len() - 6].to_vec();
    unknown.extend(hex("0500 0700 0a01ff 0b03010203"));
    let unknown = Bytes::from(unknown);
    assert_eq!(round_trip(Kind::ChanInfo, &[], &unknown).unwrap(), 0);
    let info = ChanInfo::decode(unknown).unwrap();
    assert_eq!(info.unknown_tlvs, hex("0a01ff 0b03010203"));
    assert_eq!((info.memo, info.custom_blob), (Some(Bytes::new()), Some(Bytes::new())));
}

#[test]
fn negative_output_indexes_mean_dust() {
    let stored = leaves(&data("node.kv.jsonl.gz"))
        .into_iter()
        .filter(|leaf| Kind::of(&leaf.path, &leaf.key) == Some(Kind::Commitment))
        .map(|leaf| leaf.value)
        .find(|v| v.windows(7).any(|w| w == hex("ffffffff 00 fd56")))
        .unwrap();
    let at = stored.windows(7).position(|w| w == hex("ffffffff 00 fd56")).unwrap();
    let mut odd = stored.to_vec();
    odd[at + 3] = 0xfe;
    let odd = Bytes::from(odd);
    assert!(round_trip(Kind::Commitment, &[], &odd).unwrap() < 16);
    assert_eq!(commitment::decode(odd).unwrap(), commitment::decode(stored).unwrap());
}

#[test]
fn the_records_of_a_commitment_are_at_the_end_of_its_diff() {
    let diff = leaves(&data("node.kv.jsonl.gz"))
        .into_iter()
        .find(|leaf| Kind::of(&leaf.path, &leaf.key) == Some(Kind::CommitDiff))
        .unwrap();
    let stored = Bytes::from([&diff.value[..], &hex("0103aabbcc 0900")].concat());
    assert_eq!(round_trip(Kind::CommitDiff, &[], &stored).unwrap(), 0);
    let pending = commitment::decode_diff(stored).unwrap();
    assert_eq!(pending.commitment.custom_blob, Some(hex("aabbcc")));
    assert_eq!(pending.commitment.unknown_tlvs, hex("0900"));
}

#[test]
fn bytes_after_a_deprecated_entry_are_kept() {
    let stored = Bytes::from([&examples::commitment()[..], &[0xde, 0xad]].concat());
    assert_eq!(round_trip(Kind::DeprecatedEntry, &[], &stored).unwrap(), 0);
    let refused = commitment::decode(stored.clone()).unwrap_err();
    assert!(matches!(refused.fault, LndFault::Truncated { .. }), "{refused:?}");
    assert_eq!(refused.offset, 273);
}

#[test]
fn a_link_node_may_hold_another_identity_key() {
    let stored = link_node::decode(point(7), hex(examples::LINK_NODE)).unwrap();
    assert_eq!(stored.node.node_id, point(7));
    assert_ne!(stored.identity_key, point(7));
    let key = point(7).serialize();
    assert!(round_trip(Kind::LinkNode, &key, &hex(examples::LINK_NODE)).unwrap() > 33);
}

#[test]
fn chan_info_survives_the_way_through_our_records() {
    let elsewhere = Elsewhere {
        closed: false,
        local_height: Some(CommitmentHeight(1)),
        remote_height: Some(CommitmentHeight(2)),
        has_pending: false,
        last_was_revoke: Some(true),
        remote_current_point: point(1),
        remote_next_point: None,
        next_secret_index: 5,
        revocation_root: [9; 32],
        thaw_height: Some(3),
        local_upfront_shutdown: None,
        remote_upfront_shutdown: None,
    };
    let listing = leaves(&data("node.kv.jsonl.gz"));
    let infos = listing.iter().filter(|l| Kind::of(&l.path, &l.key) == Some(Kind::ChanInfo));
    for leaf in infos {
        let info = ChanInfo::decode(leaf.value.clone()).unwrap();
        let (record, terms) = info.clone().into_parts(ChannelNo(1), elsewhere.clone());
        assert_eq!((record.version, record.next_secret_index), (Version::ABSENT, 5));
        assert_eq!((terms.revocation_root, terms.thaw_height), ([9; 32], Some(3)));
        assert_eq!(ChanInfo::from_parts(&record, &terms), info);
    }
}

#[test]
fn what_lnd_cannot_hold_is_refused() {
    let mut info = ChanInfo::decode(examples::chan_info()).unwrap();
    info.initiator = true;
    assert!(info.holds_funding_tx());
    assert_eq!(info.encode().unwrap_err().fault, EncodeFault::Missing);
    info.initiator = false;
    info.unknown_tlvs = hex("0200");
    assert_eq!(info.encode().unwrap_err().fault, EncodeFault::KnownRecord { ty: 2 });
    info.unknown_tlvs = hex("ff");
    assert!(matches!(info.encode().unwrap_err().fault, EncodeFault::NotATlvStream(_)));

    let mut state = state(&entry(&[]));
    state.our_output_index = Some(65535);
    state.our_balance = Some(MilliSatoshi(u64::MAX));
    let refused = revocation_log::encode(&state).unwrap_err();
    assert_eq!(refused.fault, EncodeFault::TooLarge { max: 65534, found: 65535 });
}

#[test]
fn a_residue_applies_to_nothing_else() {
    let residue = residue::between(b"abcdef", b"abXYef").unwrap();
    assert_eq!(residue::apply(b"abcdef", &residue).unwrap(), b"abXYef");
    assert_eq!(residue::apply(b"abcdeg", &residue), Err(ResidueError::Stale));
    assert!(matches!(
        residue::apply(b"abcdef", &residue[..residue.len() - 1]),
        Err(ResidueError::Malformed(_))
    ));
    let mut newer = residue.to_vec();
    newer[0] = 2;
    let refused = residue::apply(b"abcdef", &newer);
    assert_eq!(refused, Err(ResidueError::Version { found: 2, newest: 1 }));
    let mut beyond = residue.to_vec();
    beyond[6] = 0x7f;
    let refused = residue::apply(b"abcdef", &beyond);
    assert_eq!(refused, Err(ResidueError::OutOfRange { end: 129, len: 6 }));
    assert_eq!(residue::between(b"same", b"same"), None);
}

proptest! {
    #[test]
    fn residues_restore(canonical in near(), actual in near()) {
        match residue::between(&canonical, &actual) {
            None => prop_assert_eq!(canonical, actual),
            Some(residue) => {
                prop_assert_eq!(residue::apply(&canonical, &residue), Ok(actual));
            }
        }
    }

    #[test]
    fn damaged_residues_do_not_panic(canonical in near(), residue in any::<Vec<u8>>(), crc in any::<bool>()) {
        let mut residue = residue;
        if crc && residue.len() > 5 {
            let valid = residue::between(&canonical, &[&canonical[..], &[0]].concat()).unwrap();
            residue[..5].copy_from_slice(&valid[..5]);
        }
        let _ = residue::apply(&canonical, &residue);
    }
}

/// Bytes of few values, so that two of them have much in common.
fn near() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0u8..3, 0..200)
}
