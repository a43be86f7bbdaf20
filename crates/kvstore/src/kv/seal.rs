//! Values with a checksum at the end, over key and value.

use bytes::Bytes;
use channelcoord::Record;
use chanstate::codec::DecodeError;
use chanstate::key::{Kind, RecordKey};
use thiserror::Error;

const CHECKSUM_LEN: usize = 4;

/// What is wrong with a stored value.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The value has a length that it cannot have.
    #[error("length {len} is impossible")]
    Length {
        /// Its length in bytes.
        len: usize,
    },
    /// Key or value were changed.
    #[error("checksum {found:08x} instead of {expected:08x}")]
    Checksum {
        /// Checksum of key and value as they are.
        expected: u32,
        /// Checksum stored with them.
        found: u32,
    },
    /// The value is whole, but a record of another key.
    #[error("holds {found}")]
    Misplaced {
        /// The key of the record.
        found: RecordKey,
    },
    /// The value is whole, but no record of this release.
    #[error("not a record")]
    Decode(#[source] DecodeError),
}

/// Appends the checksum: CRC-32 (IEEE) of `key`, then `value`, as 4 bytes big-endian.
///
/// The key is part of it so that a value under a wrong key does not pass.
pub fn seal(key: &[u8], value: &mut Vec<u8>) {
    value.extend_from_slice(&checksum(key, value).to_be_bytes());
}

/// Checks and takes off what [`seal`] appended.
///
/// # Errors
/// `Length`, `Checksum`.
pub(super) fn unseal(key: &[u8], mut sealed: Vec<u8>) -> Result<Bytes, Damage> {
    let short = Damage::Length { len: sealed.len() };
    let (value, found) = sealed.split_last_chunk::<CHECKSUM_LEN>().ok_or(short)?;
    let (expected, found) = (checksum(key, value), u32::from_be_bytes(*found));
    if expected != found {
        return Err(Damage::Checksum { expected, found });
    }
    sealed.truncate(sealed.len() - CHECKSUM_LEN);
    Ok(sealed.into())
}

/// The record in a sealed value.
///
/// # Errors
/// `Length`, `Checksum`, `Decode`, `Misplaced`.
pub(super) fn decode(kind: Kind, key: &[u8], sealed: Vec<u8>) -> Result<Record, Damage> {
    let record = Record::decode(kind, unseal(key, sealed)?).map_err(Damage::Decode)?;
    let found = record.key();
    if found.to_bytes() != key {
        return Err(Damage::Misplaced { found });
    }
    Ok(record)
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut value = value.to_vec();
        seal(key, &mut value);
        value
    }

    #[test]
    fn the_checksum_is_crc_32_in_big_endian() {
        // Check value of CRC-32/ISO-HDLC.
        assert_eq!(sealed(b"1234", b"56789"), b"56789\xcb\xf4\x39\x26");
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let good = sealed(b"key", b"value");
        assert_eq!(unseal(b"key", good.clone()).as_deref(), Ok(&b"value"[..]));
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(unseal(b"key", bad), Err(Damage::Checksum { .. })), "bit {bit}");
        }
    }

    #[test]
    fn a_value_under_another_key_is_refused() {
        let value = sealed(b"key", b"value");
        assert!(matches!(unseal(b"kez", value), Err(Damage::Checksum { .. })));
    }

    #[test]
    fn a_record_of_another_key_is_refused() {
        let meta = channelcoord::MetaRecord { name: "a".into(), value: Bytes::new() };
        let mut value = Vec::new();
        Record::Meta(meta.clone()).as_ref().encode_to(&mut value);
        let (here, elsewhere) = (channelcoord::meta_key("a"), channelcoord::meta_key("b"));
        let read =
            |key: &RecordKey| decode(Kind::Meta, &key.to_bytes(), sealed(&key.to_bytes(), &value));
        assert_eq!(read(&here), Ok(Record::Meta(meta)));
        assert_eq!(read(&elsewhere), Err(Damage::Misplaced { found: here }));
    }

    #[test]
    fn a_value_without_room_for_a_checksum_is_refused() {
        assert_eq!(unseal(b"key", vec![1, 2, 3]), Err(Damage::Length { len: 3 }));
        assert_eq!(unseal(b"key", sealed(b"key", b"")).as_deref(), Ok(&b""[..]));
    }
}
