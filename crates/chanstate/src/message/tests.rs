use bitcoin::hex::FromHex;
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::tlv::TlvStream;

fn hex(text: &str) -> Vec<u8> {
    Vec::from_hex(&text.replace(' ', "")).unwrap()
}

fn point(byte: u8) -> PublicKey {
    let secret = SecretKey::from_slice(&[byte; 32]).unwrap();
    PublicKey::from_secret_key(&Secp256k1::new(), &secret)
}

fn add(extra: Bytes) -> ParsedMessage {
    ParsedMessage::UpdateAddHtlc {
        channel_id: [1; 32],
        id: 7,
        amount_msat: 42_000,
        payment_hash: [2; 32],
        cltv_expiry: 800_000,
        onion: Bytes::from(vec![3; ONION_LEN]),
        extra,
    }
}

fn reestablish(data_loss: Option<DataLoss>, extra: Bytes) -> ParsedMessage {
    ParsedMessage::ChannelReestablish {
        channel_id: [1; 32],
        next_commitment_number: 12,
        next_revocation_number: 11,
        data_loss,
        extra,
    }
}

fn data_loss() -> DataLoss {
    DataLoss { last_secret: [0xa7; 32], commit_point: point(9) }
}

#[test]
fn update_fee_written_by_lnd_parses() {
    let message = Message::new(hex(&format!("0086 {} 000000fd", "00".repeat(32)))).unwrap();
    let expected =
        ParsedMessage::UpdateFee { channel_id: [0; 32], feerate_per_kw: 253, extra: Bytes::new() };
    assert_eq!(message.parse(), Ok(expected.clone()));
    assert_eq!(expected.encode(), Ok(message));
}

#[test]
fn update_fulfill_htlc_written_by_lnd_parses() {
    let bytes = hex(&format!(
        "0082 01{}c1 0000000000000004 04{} fe00010002 01 08",
        "c0".repeat(30),
        "00".repeat(31)
    ));
    assert_eq!(bytes.len(), 81);
    let message = Message::new(bytes).unwrap();
    assert_eq!(message.htlc_id(), Some(4));
    let ParsedMessage::UpdateFulfillHtlc { id: 4, extra, .. } = message.parse().unwrap() else {
        panic!("not parsed as update_fulfill_htlc 4");
    };
    let records = TlvStream::parse(&extra).unwrap();
    assert_eq!(records.get(65538), Some(&Bytes::from_static(&[8])));
}

#[test]
fn length_limits_hold_on_both_sides() {
    assert_eq!(Message::new(vec![0]), Err(MessageError::NoType { found: 1 }));
    assert!(Message::new(vec![0; 2]).is_ok());
    assert!(Message::new(vec![0; MAX_MESSAGE_LEN]).is_ok());
    let refused = MessageError::TooLong { max: 65535, found: 65536 };
    assert_eq!(Message::new(vec![0; 65536]), Err(refused));
}

#[test]
fn every_cut_of_a_message_is_refused_by_field() {
    let whole = add(Bytes::new()).encode().unwrap();
    for len in 2..whole.as_bytes().len() {
        let cut = Message::new(whole.as_bytes().slice(..len)).unwrap();
        assert!(matches!(cut.parse(), Err(MessageError::Truncated { .. })), "{len}");
        assert_eq!(cut.htlc_id(), (len >= 42).then_some(7));
    }
    let cut = Message::new(whole.as_bytes().slice(..1451)).unwrap();
    let refused = MessageError::Truncated {
        ty: 128,
        field: "onion",
        offset: 86,
        expected: 1366,
        found: 1365,
    };
    assert_eq!(cut.parse(), Err(refused));
}

#[test]
fn only_tlv_extras_must_be_streams() {
    let garbage = Bytes::from_static(&[1]);
    let source = crate::tlv::TlvError::Truncated { offset: 1, expected: 1, found: 0 };
    let mut bytes = add(Bytes::new()).encode().unwrap().as_bytes().to_vec();
    bytes.push(1);
    let refused = MessageError::InvalidTlv { ty: 128, offset: 1452, source };
    assert_eq!(Message::new(bytes).unwrap().parse(), Err(refused.clone()));
    assert_eq!(add(garbage.clone()).encode(), Err(refused));

    let fee = ParsedMessage::UpdateFee { channel_id: [1; 32], feerate_per_kw: 1, extra: garbage };
    assert_eq!(fee.encode().unwrap().parse(), Ok(fee));
}

#[test]
fn byte_fields_share_the_memory_of_the_message() {
    let message = add(Bytes::from_static(&[0, 0])).encode().unwrap();
    let ParsedMessage::UpdateAddHtlc { onion, extra, .. } = message.parse().unwrap() else {
        panic!("not parsed as update_add_htlc");
    };
    let whole = message.as_bytes().as_ptr_range();
    for part in [onion, extra] {
        let part = part.as_ptr_range();
        assert!(whole.start <= part.start && part.end <= whole.end);
    }
}

#[test]
fn signature_count_is_checked_before_memory_is_reserved() {
    let mut bytes = vec![0, 132];
    bytes.extend([0; 96]);
    bytes.extend([0xff, 0xff, 0]);
    let refused = MessageError::Truncated {
        ty: 132,
        field: "HTLC signatures",
        offset: 100,
        expected: 65535 * 64,
        found: 1,
    };
    assert_eq!(Message::new(bytes).unwrap().parse(), Err(refused));
}

#[test]
fn reestablish_tells_data_loss_fields_from_extra_bytes() {
    for parsed in [
        reestablish(None, Bytes::new()),
        reestablish(None, Bytes::from([vec![20, 62], vec![0; 62]].concat())),
        reestablish(Some(data_loss()), Bytes::new()),
        reestablish(Some(data_loss()), Bytes::from_static(&[20, 1, 5])),
    ] {
        assert_eq!(parsed.encode().unwrap().parse(), Ok(parsed));
    }
    let ambiguous = reestablish(None, Bytes::from([vec![20, 63], vec![0; 63]].concat()));
    let refused = MessageError::AmbiguousExtra { expected: 65, found: 65 };
    assert_eq!(ambiguous.encode(), Err(refused));
}

#[test]
fn reestablish_with_a_bad_point_is_refused() {
    let mut bytes =
        reestablish(Some(data_loss()), Bytes::new()).encode().unwrap().as_bytes().to_vec();
    bytes[82] = 4;
    let refused = Message::new(bytes).unwrap().parse().unwrap_err();
    assert!(matches!(refused, MessageError::InvalidPoint { ty: 136, offset: 82, .. }));
}

#[test]
fn known_types_are_not_encoded_as_unknown() {
    let body = Bytes::from_static(b"body");
    for ty in [128, 130, 131, 132, 134, 135, 136] {
        let body = body.clone();
        let refused = ParsedMessage::Unknown { ty, body }.encode();
        assert_eq!(refused, Err(MessageError::KnownType { ty }));
        assert_eq!(MessageKind::from_type(ty).ty(), ty);
    }
    let custom = ParsedMessage::Unknown { ty: 40000, body };
    assert_eq!(custom.encode().unwrap().parse(), Ok(custom));
}

#[test]
fn fields_of_impossible_length_are_refused() {
    let mut short = add(Bytes::new());
    if let ParsedMessage::UpdateAddHtlc { onion, .. } = &mut short {
        onion.truncate(1365);
    }
    let refused =
        MessageError::FieldLength { ty: 128, field: "onion", expected: 1366, found: 1365 };
    assert_eq!(short.encode(), Err(refused));
    let fail = |len| ParsedMessage::UpdateFailHtlc {
        channel_id: [1; 32],
        id: 0,
        reason: Bytes::from(vec![0; len]),
        extra: Bytes::new(),
    };
    assert!(fail(65535 - 44).encode().is_ok());
    let refused = fail(65535 - 43).encode();
    assert!(matches!(refused, Err(MessageError::TooLong { .. })));
    let refused = fail(65536).encode();
    assert!(matches!(refused, Err(MessageError::FieldTooLong { .. })));
}

#[test]
fn debug_is_short_and_without_secrets() {
    let message = add(Bytes::new()).encode().unwrap();
    let text = format!("{message:?}");
    assert_eq!(text, "Message { kind: UpdateAddHtlc, htlc_id: 7, len: 1452 }");
    assert!(!format!("{:?}", data_loss()).contains("167"));
}

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

fn tlv() -> impl Strategy<Value = Bytes> {
    proptest::collection::btree_map(any::<u64>(), vec(any::<u8>(), 0..20), 0..3).prop_map(
        |records| {
            let mut stream = TlvStream::new();
            for (ty, value) in records {
                stream.insert(ty, value);
            }
            Bytes::from(stream.encode())
        },
    )
}

fn array<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    vec(any::<u8>(), N).prop_map(|bytes| bytes.try_into().unwrap())
}

fn built() -> impl Strategy<Value = ParsedMessage> {
    let common = (any::<[u8; 32]>(), any::<u64>(), any::<[u8; 32]>());
    let short_tlv = tlv().prop_filter("too long", |extra| extra.len() < 65);
    prop_oneof![
        (common, any::<(u64, u32)>(), array::<ONION_LEN>(), tlv()).prop_map(
            |((channel_id, id, payment_hash), (amount_msat, cltv_expiry), onion, extra)| {
                ParsedMessage::UpdateAddHtlc {
                    channel_id,
                    id,
                    amount_msat,
                    payment_hash,
                    cltv_expiry,
                    onion: Bytes::copy_from_slice(&onion),
                    extra,
                }
            }
        ),
        (common, tlv()).prop_map(|((channel_id, id, preimage), extra)| {
            ParsedMessage::UpdateFulfillHtlc { channel_id, id, preimage, extra }
        }),
        (common, bytes(400), bytes(9)).prop_map(|((channel_id, id, _), reason, extra)| {
            ParsedMessage::UpdateFailHtlc { channel_id, id, reason, extra }
        }),
        (common, any::<u16>(), bytes(9)).prop_map(
            |((channel_id, id, sha256_of_onion), failure_code, extra)| {
                ParsedMessage::UpdateFailMalformedHtlc {
                    channel_id,
                    id,
                    sha256_of_onion,
                    failure_code,
                    extra,
                }
            }
        ),
        (common, array(), vec(array(), 0..5), tlv()).prop_map(
            |((channel_id, _, _), signature, htlc_signatures, extra)| {
                ParsedMessage::CommitmentSigned { channel_id, signature, htlc_signatures, extra }
            }
        ),
        (any::<u32>(), bytes(9)).prop_map(|(feerate_per_kw, extra)| ParsedMessage::UpdateFee {
            channel_id: [1; 32],
            feerate_per_kw,
            extra,
        }),
        (1u8.., tlv()).prop_map(|(byte, extra)| {
            let data_loss =
                DataLoss { last_secret: [byte; 32], commit_point: point(byte.min(0xfe)) };
            reestablish(Some(data_loss), extra)
        }),
        short_tlv.prop_map(|extra| reestablish(None, extra)),
        (137u16.., bytes(50)).prop_map(|(ty, body)| ParsedMessage::Unknown { ty, body }),
    ]
}

proptest! {
    #[test]
    fn built_messages_parse_back(parsed in built()) {
        let message = parsed.encode().unwrap();
        prop_assert_eq!(message.kind(), parsed.kind());
        prop_assert_eq!(message.parse(), Ok(parsed));
    }

    #[test]
    fn whatever_parses_encodes_to_the_same_bytes(
        ty in 127u16..139, body in vec(any::<u8>(), 0..1600)) {
        let bytes = [&ty.to_be_bytes()[..], &body].concat();
        let message = Message::new(bytes).unwrap();
        if let Ok(parsed) = message.parse() {
            prop_assert_eq!(parsed.encode(), Ok(message));
        }
    }

    /// Changed and cut messages come closer to the edges of the format than arbitrary bytes do.
    #[test]
    fn whatever_parses_of_a_damaged_message_encodes_to_the_same_bytes(
        parsed in built(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
        cut in any::<prop::sample::Index>()) {
        let mut bytes = parsed.encode().unwrap().as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(2 + cut.index(2 * bytes.len()));
        let message = Message::new(bytes).unwrap();
        if let Ok(parsed) = message.parse() {
            prop_assert_eq!(parsed.encode(), Ok(message));
        }
    }
}
