//! Keys of stored records, the same for every backend.

use bytes::Bytes;

use crate::codec::{Codec, DecodeError, Reader};
use crate::ids::{ChannelNo, CommitmentHeight, HtlcId, HtlcKey, ShortChannelId, Side};
use crate::{codec_enum, codec_struct};

/// Kind of a record. One number for each, in every domain, so that a key is unique in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// `ChannelRecord`, by channel.
    Channel = 1,
    /// `TermsRecord`, by channel.
    Terms = 2,
    /// `CommitmentRecord`, by channel, side and height.
    Commitment = 3,
    /// `DiffRecord`, by channel.
    Diff = 4,
    /// `HtlcRecord`, by channel, direction and id.
    Htlc = 5,
    /// `UpdateListRecord`, by channel and list.
    UpdateList = 6,
    /// `SecretRecord`, by channel and bucket.
    Secret = 7,
    /// `MarkRecord`, by channel and kind of mark.
    Mark = 8,
    /// `RevokedStateRecord`, by channel and height.
    RevokedState = 9,
    /// `RevokedCommitmentRecord`, by channel and height.
    RevokedCommitment = 10,
    /// `PackageRecord`, by source and height.
    Package = 11,
    /// `PackageUpdateRecord`, by source, height, list and index.
    PackageUpdate = 12,
    /// `CloseRecord`, by channel.
    Close = 13,
    /// `ReclaimRecord`, by channel.
    Reclaim = 14,
    /// `FinalHtlcRecord`, by short channel id and HTLC id.
    FinalHtlc = 15,
    /// `OpeningStateRecord`, by the owner's key.
    OpeningState = 16,
    /// `ForwardingPolicyRecord`, by channel id.
    ForwardingPolicy = 17,
    /// A link node, by node id.
    LinkNode = 18,
    /// An address of a link node, by node id and position.
    LinkAddress = 19,
    /// A value of the store itself, by name.
    Meta = 20,
    /// What an imported lnd database holds beyond our records, by path.
    Lnd = 21,
}
codec_enum!(Kind {
    Channel,
    Terms,
    Commitment,
    Diff,
    Htlc,
    UpdateList,
    Secret,
    Mark,
    RevokedState,
    RevokedCommitment,
    Package,
    PackageUpdate,
    Close,
    Reclaim,
    FinalHtlc,
    OpeningState,
    ForwardingPolicy,
    LinkNode,
    LinkAddress,
    Meta,
    Lnd,
});

impl Kind {
    /// Every kind, in the order of its number. Parents come before children.
    pub const ALL: [Kind; 21] = [
        Kind::Channel,
        Kind::Terms,
        Kind::Commitment,
        Kind::Diff,
        Kind::Htlc,
        Kind::UpdateList,
        Kind::Secret,
        Kind::Mark,
        Kind::RevokedState,
        Kind::RevokedCommitment,
        Kind::Package,
        Kind::PackageUpdate,
        Kind::Close,
        Kind::Reclaim,
        Kind::FinalHtlc,
        Kind::OpeningState,
        Kind::ForwardingPolicy,
        Kind::LinkNode,
        Kind::LinkAddress,
        Kind::Meta,
        Kind::Lnd,
    ];

    /// Whether the first component of a key is bytes, and not a number. All others are numbers.
    pub fn begins_with_bytes(self) -> bool {
        matches!(
            self,
            Kind::OpeningState
                | Kind::ForwardingPolicy
                | Kind::LinkNode
                | Kind::LinkAddress
                | Kind::Meta
                | Kind::Lnd
        )
    }

    /// The kind that is shown by this name.
    pub fn parse(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| format!("{kind:?}") == name)
    }
}

/// One component of a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyPart {
    /// A number, sorted as unsigned.
    Int(u64),
    /// Bytes: of fixed length for the kind, or the last component.
    Bytes(Bytes),
}

impl From<u64> for KeyPart {
    fn from(value: u64) -> Self {
        KeyPart::Int(value)
    }
}

impl From<Bytes> for KeyPart {
    fn from(value: Bytes) -> Self {
        KeyPart::Bytes(value)
    }
}

impl Codec for KeyPart {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            KeyPart::Int(value) => {
                out.push(1);
                value.encode_to(out);
            }
            KeyPart::Bytes(bytes) => {
                out.push(2);
                bytes.encode_to(out);
            }
        }
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        match u8::decode_from(reader)? {
            1 => Codec::decode_from(reader).map(KeyPart::Int),
            2 => Codec::decode_from(reader).map(KeyPart::Bytes),
            _ => Err(reader.invalid("part of a key")),
        }
    }
}

/// Names one record. Keys sort by kind, then by component.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// What it names.
    pub kind: Kind,
    /// Components in order of significance.
    pub parts: Vec<KeyPart>,
}
codec_struct!(RecordKey { kind, parts });

impl RecordKey {
    /// A key of numbers.
    pub fn of(kind: Kind, parts: impl IntoIterator<Item = u64>) -> RecordKey {
        RecordKey { kind, parts: parts.into_iter().map(KeyPart::Int).collect() }
    }

    /// A key of bytes.
    pub fn of_bytes(kind: Kind, bytes: impl Into<Bytes>) -> RecordKey {
        RecordKey { kind, parts: vec![KeyPart::Bytes(bytes.into())] }
    }

    /// A record that a channel has once.
    pub fn single(kind: Kind, no: ChannelNo) -> RecordKey {
        RecordKey::of(kind, [no.0])
    }

    /// A commitment.
    pub fn commitment(no: ChannelNo, side: Side, height: CommitmentHeight) -> RecordKey {
        RecordKey::of(Kind::Commitment, [no.0, side as u64, height.0])
    }

    /// An HTLC.
    pub fn htlc(no: ChannelNo, key: HtlcKey) -> RecordKey {
        RecordKey::of(Kind::Htlc, [no.0, key.direction as u64, key.id.0])
    }

    /// A forwarding package.
    pub fn package(source: ShortChannelId, height: CommitmentHeight) -> RecordKey {
        RecordKey::of(Kind::Package, [source.0, height.0])
    }

    /// A final outcome.
    pub fn final_htlc(scid: ShortChannelId, id: HtlcId) -> RecordKey {
        RecordKey::of(Kind::FinalHtlc, [scid.0, id.0])
    }

    /// The key that is shown by this name, the opposite of [`Display`](std::fmt::Display). Errors of
    /// backends name records so.
    pub fn parse(name: &str) -> Option<RecordKey> {
        let (kind, parts) = name.split_once('/')?;
        let kind = Kind::parse(kind)?;
        let mut parts = parts.split('/');
        let mut parsed = Vec::new();
        if kind.begins_with_bytes() {
            parsed.push(KeyPart::Bytes(parse_hex(parts.next()?)?.into()));
        }
        for part in parts {
            parsed.push(KeyPart::Int(part.parse().ok()?));
        }
        Some(RecordKey { kind, parts: parsed })
    }

    /// Bytes that sort like the key: the kind, numbers as 8 bytes big-endian, bytes as they are.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![self.kind as u8];
        encode_parts(&self.parts, &mut out);
        out
    }
}

impl std::fmt::Display for RecordKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.kind)?;
        self.parts.iter().try_for_each(|part| match part {
            KeyPart::Int(value) => write!(f, "/{value}"),
            KeyPart::Bytes(bytes) => {
                f.write_str("/")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        })
    }
}

/// Records of one kind whose keys start alike, optionally only those after a given key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The kind.
    pub kind: Kind,
    /// First components that all keys share, whole ones; may be empty.
    pub prefix: Vec<KeyPart>,
    /// Components of the key to go on after; there need not be such a record.
    pub after: Option<Vec<KeyPart>>,
}

impl KeyRange {
    /// Every record of a kind.
    pub fn all(kind: Kind) -> KeyRange {
        KeyRange { kind, prefix: Vec::new(), after: None }
    }

    /// Records of a kind whose keys start with these numbers.
    pub fn under(kind: Kind, prefix: impl IntoIterator<Item = u64>) -> KeyRange {
        KeyRange { kind, prefix: prefix.into_iter().map(KeyPart::Int).collect(), after: None }
    }

    /// The rest of the range after `key`.
    #[must_use]
    pub fn after(mut self, key: RecordKey) -> KeyRange {
        self.after = Some(key.parts);
        self
    }

    /// The prefix as bytes that sort like it, kind included: where the range begins in an engine
    /// that sorts bytes.
    ///
    /// A key that starts with these bytes need not be in the range. A prefix ends with a whole
    /// component, so where its last one is bytes, a longer component of a key may start with it and
    /// is outside: the obligation `prefix` in the docs of `channelcoord::Backend`.
    pub fn prefix_bytes(&self) -> Vec<u8> {
        let mut out = vec![self.kind as u8];
        encode_parts(&self.prefix, &mut out);
        out
    }

    /// The key to go on after as bytes, kind included.
    pub fn after_bytes(&self) -> Option<Vec<u8>> {
        let after = self.after.as_ref()?;
        let mut out = vec![self.kind as u8];
        encode_parts(after, &mut out);
        Some(out)
    }
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |digit: u8| char::from(digit).to_digit(16);
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok();
    pairs.iter().map(byte).collect()
}

fn encode_parts(parts: &[KeyPart], out: &mut Vec<u8>) {
    for part in parts {
        match part {
            KeyPart::Int(value) => out.extend_from_slice(&value.to_be_bytes()),
            KeyPart::Bytes(bytes) => out.extend_from_slice(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_bytes_sort_like_keys() {
        let low = RecordKey::of(Kind::Htlc, [1, 0, 255]);
        let high = RecordKey::of(Kind::Htlc, [1, 0, 256]);
        let alias = RecordKey::of(Kind::Htlc, [1 << 63, 0, 0]);
        assert!(low < high && high < alias);
        assert!(low.to_bytes() < high.to_bytes() && high.to_bytes() < alias.to_bytes());
    }

    #[test]
    fn a_key_reads_back() {
        for key in
            [RecordKey::of(Kind::Htlc, [1, 0, u64::MAX]), RecordKey::of_bytes(Kind::Lnd, "a")]
        {
            assert_eq!(RecordKey::from_bytes(Codec::to_bytes(&key).into()), Ok(key));
        }
    }

    #[test]
    fn names_lead_back_to_keys() {
        let position = vec![KeyPart::Bytes(vec![2; 33].into()), KeyPart::Int(7)];
        let keys = [
            RecordKey::of(Kind::Htlc, [1, 0, u64::MAX]),
            RecordKey::of_bytes(Kind::OpeningState, Bytes::new()),
            RecordKey::of_bytes(Kind::Lnd, vec![0, 0x2f, 0xff]),
            RecordKey { kind: Kind::LinkAddress, parts: position },
        ];
        for key in keys {
            assert_eq!(RecordKey::parse(&key.to_string()), Some(key));
        }
        for name in ["", "Htlc", "Htlc/x", "Nothing/1", "Lnd/0", "Lnd/\u{e9}0"] {
            assert_eq!(RecordKey::parse(name), None, "{name}");
        }
    }

    #[test]
    fn kinds_are_listed_in_order() {
        assert!(Kind::ALL.is_sorted());
        assert!(Kind::ALL.iter().all(|kind| Kind::from_u8(*kind as u8) == Some(*kind)));
    }
}
