//! Damaged values: refused with a name and a place, or kept to the byte. Never a panic.

use std::collections::BTreeMap;

use bitcoin::secp256k1::PublicKey;
use bytes::Bytes;
use chanstate::CommitmentHeight;
use migrate::lnd::codec::chan_info::ChanInfo;
use migrate::lnd::codec::commitment::{self, HtlcExtraFault};
use migrate::lnd::codec::revocation::RevocationKeys;
use migrate::lnd::codec::{
    LndFault, close, keys, link_node, package, revocation_log, small, update,
};
use proptest::prelude::*;
use proptest::sample::Index;

use super::examples;
use super::values::{Kind, Leaf, data, hex, leaves, round_trip};

fn with(stored: &Bytes, at: usize, bytes: &[u8]) -> Bytes {
    let mut stored = stored.to_vec();
    stored[at..at + bytes.len()].copy_from_slice(bytes);
    stored.into()
}

#[test]
fn faults_name_record_field_and_place() {
    let info = examples::chan_info();
    let refused = ChanInfo::decode(info.slice(..300)).unwrap_err();
    assert_eq!(
        (refused.record, refused.field, refused.offset),
        ("chan-info", "payment base point", 275)
    );
    assert!(matches!(refused.fault, LndFault::Truncated { expected: 33, found: 25 }));
    assert_eq!(refused.to_string(), "payment base point of chan-info at byte 275");

    let mut off_curve = vec![2];
    off_curve.extend([0xff; 32]);
    let refused = ChanInfo::decode(with(&info, 89, &off_curve)).unwrap_err();
    assert_eq!((refused.field, refused.offset), ("identity key", 89));
    assert!(matches!(refused.fault, LndFault::NotAPoint(_)));

    let refused = ChanInfo::decode(with(&info, 0, &hex("fd0001"))).unwrap_err();
    let fault = refused.fault;
    assert!(matches!(fault, LndFault::NonMinimal { value: 1, expected: 1, found: 3 }), "{fault:?}");
    assert_eq!(refused.offset, 0);
}

#[test]
fn tlv_records_are_in_order_and_of_their_length() {
    let info = examples::chan_info();
    let tail = info.len() - 46;
    let swapped = ChanInfo::decode(with(&info, tail, &[2])).unwrap_err();
    assert_eq!(swapped.offset, tail + 10);
    assert!(matches!(swapped.fault, LndFault::TlvOrder { previous: 2, found: 2 }));
    let longer = Bytes::from([&info[..info.len() - 6], &hex("08 05 0000000000")].concat());
    let refused = ChanInfo::decode(longer).unwrap_err();
    assert!(matches!(refused.fault, LndFault::Trailing { found: 1 }));
    let refused = small::decode_shutdown_info(hex("010102")).unwrap_err();
    assert!(matches!(refused.fault, LndFault::NotAFlag { found: 2 }));
    assert_eq!(refused.offset, 2);
}

#[test]
fn numbers_that_no_store_holds_are_refused() {
    let refused = commitment::decode(with(&examples::commitment(), 0, &[0x80])).unwrap_err();
    assert_eq!(refused.field, "commit height");
    assert!(matches!(refused.fault, LndFault::TooLarge { found: 0x8000_0000_0000_0000, .. }));
    for key in ["8000000000000000", "ffffffffffffffff"] {
        let fault = keys::decode_height(&hex(key)).unwrap_err().fault;
        assert!(matches!(fault, LndFault::TooLarge { .. }));
        let fault = keys::decode_htlc_id(&hex(key)).unwrap_err().fault;
        assert!(matches!(fault, LndFault::TooLarge { .. }));
        // Aliases are that large.
        keys::decode_scid(&hex(key)).unwrap();
    }
    keys::decode_height(&hex("7fffffffffffffff")).unwrap();
}

#[test]
fn keys_have_their_length() {
    for key in ["", "00", "00000000000000", "000000000000000000"] {
        assert!(keys::decode_height(&hex(key)).is_err());
        assert!(keys::decode_scid(&hex(key)).is_err());
        assert!(keys::decode_update_index(&hex(key)).is_err());
        assert!(keys::decode_outpoint(&hex(key)).is_err());
        assert!(keys::decode_node_id(&hex(key)).is_err());
        assert!(keys::decode_chain(&hex(key)).is_err());
        assert!(keys::decode_channel_id(&hex(key)).is_err());
    }
}

#[test]
fn log_entries_are_complete() {
    let decode = |text: &str| revocation_log::decode(CommitmentHeight(0), hex(text));
    // lnd takes each of these for a valid entry with fewer or empty HTLCs.
    for (text, offset) in [("", 0), ("00", 1), ("04 00020000", 1), ("34 00020000", 1)] {
        assert_eq!(decode(text).unwrap_err().offset, offset, "{text}");
    }
    let body = examples::LOG_ENTRY;
    let empty_block = decode(&format!("{body} 00")).unwrap_err();
    assert!(matches!(empty_block.fault, LndFault::MissingRecord { ty: 3 }));
    let half = decode(&format!("{body} 02 0000")).unwrap_err();
    assert_eq!((half.field, half.offset), ("HTLC", 54));
    let cut = decode(&format!("{body} 0a 0000")).unwrap_err();
    assert!(matches!(cut.fault, LndFault::Truncated { expected: 10, found: 2 }));
    let id = format!("{body} 17 0000 0104000b54e4 02020003 030101 040105 0603000001");
    assert!(matches!(decode(&id).unwrap_err().fault, LndFault::Trailing { found: 2 }));
}

#[test]
fn messages_belong_where_they_are() {
    let summary = examples::close_summary();
    let fee = format!("01 0026 0086 {} 000000fd", "00".repeat(32));
    let with_fee = Bytes::from([&summary[..summary.len() - 1], &hex(&fee)].concat());
    let refused = close::decode(with_fee).unwrap_err();
    assert!(matches!(refused.fault, LndFault::MessageType { expected: 136, found: 134 }));
    let cut = update::decode(hex("0000000000000000 0004 0086 0000")).unwrap_err();
    assert_eq!(cut.offset, 10);
    assert!(matches!(cut.fault, LndFault::Message(_)));
    assert!(matches!(
        update::decode(hex("0000000000000000 0001 00")).unwrap_err().fault,
        LndFault::Message(_)
    ));
    // What the type means is up to the reader of the list.
    update::decode(hex("0000000000000000 0002 9000")).unwrap();
}

#[test]
fn counts_are_believed_when_the_elements_are_there() {
    let identity = PublicKey::from_slice(&hex(examples::LINK_NODE)[4..37]).unwrap();
    let many = with(&hex(examples::LINK_NODE), 45, &[0xff; 4]);
    assert!(link_node::decode(identity, many).is_err());
    assert!(update::decode_list(hex("ffff")).is_err());
    assert!(small::decode_optional_migrations(hex("ffffffffffffffffff")).is_err());
    assert!(small::decode_upfront_shutdown(hex("feffffff7f")).is_err());
    let refused = small::decode_upfront_shutdown(hex("fed1010100")).unwrap_err();
    assert!(matches!(refused.fault, LndFault::TooLong { max: 66000, found: 66001 }));
    let refused = package::decode_filter(hex("0009ff")).unwrap_err();
    assert!(matches!(refused.fault, LndFault::Truncated { expected: 2, found: 1 }));
    let secrets = [&[2; 33][..], &[0; 32], &[49]].concat();
    assert!(RevocationKeys::decode(secrets.into()).is_err());
}

#[test]
fn transactions_are_believed_when_they_are_there() {
    // bitcoin's decoder would reserve megabytes for the elements announced.
    let head = format!("02000000 0001 01 {} 00 ffffffff 00", "11".repeat(36));
    for announced in ["fe00093d00", "ffffffffffffffffff"] {
        let refused = small::decode_transaction(hex(&format!("{head} {announced}"))).unwrap_err();
        assert!(matches!(refused.fault, LndFault::Truncated { .. }), "{refused:?}");
    }
    let refused = small::decode_transaction(hex("02000000 fe00093d00")).unwrap_err();
    assert!(matches!(refused.fault, LndFault::Truncated { expected: 36, found: 0 }));
    // A marker without witnesses.
    let bare = small::decode_transaction(hex(&format!("{head} 00 00000000"))).unwrap_err();
    assert!(matches!(bare.fault, LndFault::Transaction(_)));
    assert_eq!(bare.offset, 0);
    let no_inputs = hex("02000000 0001 00 00 00000000");
    assert_eq!(round_trip(Kind::Transaction, &[], &no_inputs).unwrap(), 0);
}

#[test]
fn extra_records_that_lnd_cannot_load_are_told() {
    let fault = |text: &str| commitment::htlc_extra_fault(&hex(text));
    let point = hex(examples::LINK_NODE).slice(4..37);
    let blinded = Bytes::from([&[0, 33], &point[..], &hex("fe000100000101")].concat());
    assert_eq!(commitment::htlc_extra_fault(&blinded), None);
    assert_eq!(fault(""), None);
    assert_eq!(fault("010109"), Some(HtlcExtraFault::NotCustom { ty: 1 }));
    assert_eq!(fault("fdffff00"), Some(HtlcExtraFault::NotCustom { ty: 65535 }));
    assert_eq!(fault("0000"), Some(HtlcExtraFault::BlindingPoint));
    assert!(matches!(fault("de"), Some(HtlcExtraFault::NotATlvStream(_))));
    let long = format!("fe00010000 fe00010000 {}", "00".repeat(65536));
    assert_eq!(fault(&long), Some(HtlcExtraFault::TooLong { ty: 65536, len: 65536 }));
}

/// Values of every kind, from a current and an old database.
fn values() -> Vec<(Kind, Leaf)> {
    let listings = ["node.kv.jsonl.gz", "legacy.kv.jsonl.gz"].map(|name| leaves(&data(name)));
    let leaves = listings.into_iter().flatten();
    leaves.filter_map(|leaf| Some((Kind::of(&leaf.path, &leaf.key)?, leaf))).collect()
}

/// The shortest value of each kind that is not empty.
fn samples() -> BTreeMap<Kind, Leaf> {
    let mut samples = BTreeMap::<Kind, Leaf>::new();
    for (kind, leaf) in values() {
        let shorter = samples.get(&kind).is_none_or(|sample| leaf.value.len() < sample.value.len());
        if shorter && !leaf.value.is_empty() {
            samples.insert(kind, leaf);
        }
    }
    samples
}

#[test]
fn every_cut_is_refused_or_kept() {
    for (kind, leaf) in samples() {
        for len in 0..leaf.value.len() {
            let _ = round_trip(kind, &leaf.key, &leaf.value.slice(..len));
        }
    }
}

#[test]
fn every_flipped_byte_is_refused_or_kept() {
    for (kind, leaf) in samples() {
        for at in 0..leaf.value.len().min(700) {
            for mask in [0x01, 0x80, 0xff] {
                let flipped = with(&leaf.value, at, &[leaf.value[at] ^ mask]);
                let _ = round_trip(kind, &leaf.key, &flipped);
            }
        }
    }
}

/// One change of a value.
#[derive(Clone, Debug)]
enum Edit {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
    Repeat(Index, Index),
    Cut(Index),
    Graft(Index, Index, Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let odd_byte = prop_oneof![any::<u8>(), Just(0), Just(0xfd), Just(0xfe), Just(0xff)];
    prop_oneof![
        6 => (any::<Index>(), odd_byte).prop_map(|(at, byte)| Edit::Set(at, byte)),
        2 => (any::<Index>(), proptest::collection::vec(any::<u8>(), 1..12))
            .prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        2 => (any::<Index>(), 1u8..40).prop_map(|(at, len)| Edit::Remove(at, len)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Edit::Repeat(from, to)),
        1 => any::<Index>().prop_map(Edit::Cut),
        1 => (any::<Index>(), any::<Index>(), any::<Index>())
            .prop_map(|(at, other, from)| Edit::Graft(at, other, from)),
    ]
}

fn apply(value: &mut Vec<u8>, edit: &Edit, others: &[(Kind, Leaf)]) {
    let len = value.len();
    if len == 0 {
        return;
    }
    match edit {
        Edit::Set(at, byte) => value[at.index(len)] = *byte,
        Edit::Insert(at, bytes) => {
            let at = at.index(len + 1);
            value.splice(at..at, bytes.iter().copied());
        }
        Edit::Remove(at, count) => {
            let at = at.index(len);
            value.drain(at..len.min(at + usize::from(*count)));
        }
        Edit::Repeat(from, to) => {
            let (from, to) = (from.index(len), to.index(len));
            let part = value[from.min(to)..from.max(to)].to_vec();
            value.splice(to..to, part);
        }
        Edit::Cut(at) => value.truncate(at.index(len)),
        Edit::Graft(at, other, from) => {
            let other = &others[other.index(others.len())].1.value;
            let from = from.index(other.len() + 1);
            value.truncate(at.index(len));
            value.extend_from_slice(&other[from..]);
        }
    }
}

/// Decodes bytes as every kind of value.
fn try_all(bytes: &Bytes) {
    let key = hex(examples::LINK_NODE).slice(4..37);
    for kind in Kind::ALL {
        let _ = round_trip(kind, &key, bytes);
    }
}

#[test]
fn mutated_values_are_refused_or_kept() {
    let values = values();
    let few_edits = proptest::collection::vec(edit(), 1..4);
    proptest!(|(index in any::<Index>(), edits in few_edits)| {
        let (kind, leaf) = &values[index.index(values.len())];
        let mut value = leaf.value.to_vec();
        edits.iter().for_each(|edit| apply(&mut value, edit, &values));
        let _ = round_trip(*kind, &leaf.key, &value.into());
    });
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_or_kept(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        try_all(&bytes.into());
    }

    #[test]
    fn small_bytes_are_refused_or_kept(bytes in proptest::collection::vec(0u8..8, 0..60)) {
        try_all(&bytes.into());
    }
}
