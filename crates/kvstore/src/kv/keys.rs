//! Keys as bytes: ranges, and the way back to names.

use std::ops::Bound;

use bytes::Bytes;
use chanstate::key::{KeyPart, KeyRange, Kind, RecordKey};

const NODE_ID_LEN: usize = 33;

/// Where a range of keys starts and ends, as bytes.
pub type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The bounds of a range; `None` if nothing can lie in it.
pub(super) fn bounds(range: &KeyRange) -> Option<Bounds> {
    let prefix = range.prefix_bytes();
    let end = match shape(range.kind) {
        // The whole key is given. Longer ones that begin with it are others.
        Shape::Bytes if !range.prefix.is_empty() => Some([&prefix[..], &[0]].concat()),
        _ => successor(&prefix),
    };
    let start = match range.after_bytes() {
        Some(after) if after >= prefix => {
            // The range of the prefix may be over already.
            if end.as_ref().is_some_and(|end| after >= *end) {
                return None;
            }
            Bound::Excluded(after)
        }
        _ => Bound::Included(prefix),
    };
    Some((start, end.map_or(Bound::Unbounded, Bound::Excluded)))
}

/// The first byte string after every one that starts with `prefix`.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let len = prefix.iter().rposition(|byte| *byte != 0xff)? + 1;
    let mut end = prefix[..len].to_vec();
    *end.last_mut()? += 1;
    Some(end)
}

/// The name of the record under `key`; the bytes in hex if they are no key.
pub(super) fn key_name(key: &[u8]) -> String {
    match parse_key(key) {
        Some(key) => key.to_string(),
        None => key.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// The key with these bytes, the opposite of [`RecordKey::to_bytes`].
pub fn parse_key(key: &[u8]) -> Option<RecordKey> {
    let (kind, rest) = key.split_first()?;
    let kind = Kind::from_u8(*kind)?;
    let (bytes, ints) = match shape(kind) {
        Shape::Ints => (None, rest),
        Shape::Bytes => (Some(rest), &[][..]),
        Shape::BytesAndInts(len) => rest.split_at_checked(len).map(|(b, i)| (Some(b), i))?,
    };
    let (ints, []) = ints.as_chunks::<8>() else { return None };
    let bytes = bytes.map(|bytes| KeyPart::Bytes(Bytes::copy_from_slice(bytes)));
    let ints = ints.iter().map(|int| KeyPart::Int(u64::from_be_bytes(*int)));
    Some(RecordKey { kind, parts: bytes.into_iter().chain(ints).collect() })
}

/// What the key of a kind is made of.
enum Shape {
    Ints,
    Bytes,
    BytesAndInts(usize),
}

fn shape(kind: Kind) -> Shape {
    match kind {
        Kind::Channel
        | Kind::Terms
        | Kind::Commitment
        | Kind::Diff
        | Kind::Htlc
        | Kind::UpdateList
        | Kind::Secret
        | Kind::Mark
        | Kind::RevokedState
        | Kind::RevokedCommitment
        | Kind::Package
        | Kind::PackageUpdate
        | Kind::Close
        | Kind::Reclaim
        | Kind::FinalHtlc => Shape::Ints,
        Kind::OpeningState | Kind::ForwardingPolicy | Kind::LinkNode | Kind::Meta | Kind::Lnd => {
            Shape::Bytes
        }
        Kind::LinkAddress => Shape::BytesAndInts(NODE_ID_LEN),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_carries_over_bytes_of_ones() {
        assert_eq!(successor(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(successor(&[1, 0xff, 0xff]), Some(vec![2]));
        assert_eq!(successor(&[0xff, 0xff]), None);
    }

    #[test]
    fn a_range_starts_behind_the_key_to_go_on_after() {
        let range = KeyRange::under(Kind::Htlc, [7]).after(RecordKey::of(Kind::Htlc, [7, 1, 2]));
        let after = RecordKey::of(Kind::Htlc, [7, 1, 2]).to_bytes();
        let end = RecordKey::of(Kind::Htlc, [8]).to_bytes();
        assert_eq!(bounds(&range), Some((Bound::Excluded(after), Bound::Excluded(end))));
    }

    #[test]
    fn a_key_before_the_prefix_does_not_widen_the_range() {
        let range = KeyRange::under(Kind::Htlc, [7]);
        let early = range.clone().after(RecordKey::of(Kind::Htlc, [6, 1, 2]));
        assert_eq!(bounds(&early), bounds(&range));
    }

    #[test]
    fn a_key_behind_the_prefix_leaves_nothing() {
        let range = KeyRange::under(Kind::Htlc, [7]).after(RecordKey::of(Kind::Htlc, [8]));
        assert_eq!(bounds(&range), None);
    }

    #[test]
    fn a_prefix_of_bytes_is_a_whole_key() {
        let key = RecordKey::of_bytes(Kind::Lnd, b"path".as_slice());
        let range = KeyRange { kind: Kind::Lnd, prefix: key.parts.clone(), after: None };
        let next = RecordKey::of_bytes(Kind::Lnd, b"path\0".as_slice()).to_bytes();
        let expected = (Bound::Included(key.to_bytes()), Bound::Excluded(next));
        assert_eq!(bounds(&range), Some(expected));
    }

    #[test]
    fn bytes_that_are_no_key_are_named_in_hex() {
        assert_eq!(parse_key(&[]), None);
        assert_eq!(key_name(&[0, 0xab]), "00ab");
        assert_eq!(key_name(&[Kind::Htlc as u8, 1, 2]), "050102");
        assert_eq!(key_name(&[Kind::LinkAddress as u8, 1, 2]), "130102");
    }
}
