//! Binary form of records: what key-value backends store as values and SQL backends as blobs.
//!
//! Integers are LEB128, lengths and counts come first, options carry a presence byte. A value
//! starts with a version byte where it is a record of its own (see `Record::encode`).

use std::sync::Arc;

use bitcoin::consensus::{deserialize, serialize};
use bitcoin::constants::ChainHash;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, Txid};
use bytes::Bytes;
use thiserror::Error;

use crate::ids::{
    ChannelId, ChannelNo, CommitmentHeight, Direction, HtlcId, HtlcKey, LogIndex, MilliSatoshi,
    ShortChannelId, Side, Version,
};
use crate::message::Message;
use crate::{ChannelStatus, ChannelType};

/// Why stored bytes are not a record.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end inside a field.
    #[error("ends at byte {at}, inside a field")]
    Truncated {
        /// Offset of the field that is cut.
        at: usize,
    },
    /// Bytes are left after the last field.
    #[error("{left} bytes left over")]
    Trailing {
        /// How many.
        left: usize,
    },
    /// A field holds a value outside its range.
    #[error("{what} out of range at byte {at}")]
    Invalid {
        /// What the field should be.
        what: &'static str,
        /// Offset of the field.
        at: usize,
    },
    /// The record was written in a version that this release does not know.
    #[error("record version {found}, newest known is {newest}")]
    Version {
        /// Version in the record.
        found: u8,
        /// Newest version that can be read.
        newest: u8,
    },
}

/// A cursor over encoded bytes. Byte fields are slices of the same buffer, not copies.
#[derive(Debug)]
pub struct Reader {
    data: Bytes,
    at: usize,
}

impl Reader {
    /// Starts at the first byte.
    pub fn new(data: Bytes) -> Reader {
        Reader { data, at: 0 }
    }

    /// Takes `len` bytes.
    ///
    /// # Errors
    /// `Truncated` if fewer are left.
    pub fn bytes(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        let end = self.at.checked_add(len).filter(|end| *end <= self.data.len());
        let end = end.ok_or(DecodeError::Truncated { at: self.at })?;
        let bytes = self.data.slice(self.at..end);
        self.at = end;
        Ok(bytes)
    }

    /// Requires that everything was read.
    ///
    /// # Errors
    /// `Trailing` if bytes are left.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.data.len() - self.at {
            0 => Ok(()),
            left => Err(DecodeError::Trailing { left }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        // Copied, since a slice of the buffer would count one more owner of it.
        let rest = self.data.get(self.at..).unwrap_or_default();
        let array = *rest.first_chunk().ok_or(DecodeError::Truncated { at: self.at })?;
        self.at += N;
        Ok(array)
    }

    /// An error for the field that starts here.
    pub fn invalid(&self, what: &'static str) -> DecodeError {
        DecodeError::Invalid { what, at: self.at }
    }
}

/// A value with a binary form.
pub trait Codec: Sized {
    /// Appends the binary form.
    fn encode_to(&self, out: &mut Vec<u8>);

    /// Reads the value back.
    ///
    /// # Errors
    /// `Truncated` or `Invalid`.
    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError>;

    /// The binary form as a buffer of its own.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_to(&mut out);
        out
    }

    /// Reads a value that fills all of `data`.
    ///
    /// # Errors
    /// Any [`DecodeError`].
    fn from_bytes(data: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        let value = Self::decode_from(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// Implements [`Codec`] for a struct, field by field in the order given.
///
/// Construction is exhaustive, so a field that is left out does not compile.
#[macro_export]
macro_rules! codec_struct {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::codec::Codec for $name {
            fn encode_to(&self, out: &mut Vec<u8>) {
                $( $crate::codec::Codec::encode_to(&self.$field, out); )*
            }

            fn decode_from(
                reader: &mut $crate::codec::Reader,
            ) -> Result<Self, $crate::codec::DecodeError> {
                Ok(Self { $( $field: $crate::codec::Codec::decode_from(reader)?, )* })
            }
        }
    };
}

/// Implements [`Codec`] for a fieldless enum with `u8` discriminants.
#[macro_export]
macro_rules! codec_enum {
    ($name:ident { $($variant:ident),* $(,)? }) => {
        impl $name {
            /// The value with this discriminant.
            pub fn from_u8(value: u8) -> Option<Self> {
                $( if value == $name::$variant as u8 { return Some($name::$variant); } )*
                None
            }
        }

        impl $crate::codec::Codec for $name {
            fn encode_to(&self, out: &mut Vec<u8>) {
                out.push(*self as u8);
            }

            fn decode_from(
                reader: &mut $crate::codec::Reader,
            ) -> Result<Self, $crate::codec::DecodeError> {
                let value = <u8 as $crate::codec::Codec>::decode_from(reader)?;
                Self::from_u8(value).ok_or_else(|| reader.invalid(stringify!($name)))
            }
        }
    };
}

codec_enum!(Side { Local, Remote });
codec_enum!(Direction { Outgoing, Incoming });
codec_struct!(HtlcKey { direction, id });
codec_struct!(OutPoint { txid, vout });

impl Codec for u8 {
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        reader.array::<1>().map(|[byte]| byte)
    }
}

impl Codec for bool {
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        match u8::decode_from(reader)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(reader.invalid("flag")),
        }
    }
}

impl Codec for u64 {
    fn encode_to(&self, out: &mut Vec<u8>) {
        let mut rest = *self;
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = u8::decode_from(reader)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(reader.invalid("integer"))
    }
}

macro_rules! narrow_integer {
    ($($int:ty),*) => {$(
        impl Codec for $int {
            fn encode_to(&self, out: &mut Vec<u8>) {
                u64::from(*self).encode_to(out);
            }

            fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
                let value = u64::decode_from(reader)?;
                <$int>::try_from(value).map_err(|_| reader.invalid(stringify!($int)))
            }
        }
    )*};
}
narrow_integer!(u16, u32);

macro_rules! wrapped_u64 {
    ($($name:ident),*) => {$(
        impl Codec for $name {
            fn encode_to(&self, out: &mut Vec<u8>) {
                self.0.encode_to(out);
            }

            fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
                u64::decode_from(reader).map($name)
            }
        }
    )*};
}
wrapped_u64!(ChannelNo, Version, CommitmentHeight, HtlcId, LogIndex, MilliSatoshi, ShortChannelId);

macro_rules! through {
    ($($name:ty: $raw:ty, |$value:ident| $to:expr, |$bytes:ident| $from:expr;)*) => {$(
        impl Codec for $name {
            fn encode_to(&self, out: &mut Vec<u8>) {
                let $value = self;
                <$raw as Codec>::encode_to(&$to, out);
            }

            fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
                let $bytes = <$raw as Codec>::decode_from(reader)?;
                $from.ok_or_else(|| reader.invalid(stringify!($name)))
            }
        }
    )*};
}
through! {
    Txid: [u8; 32], |v| v.to_byte_array(), |b| Some(Txid::from_byte_array(b));
    ChainHash: [u8; 32], |v| *v.as_bytes(), |b| Some(ChainHash::from(b));
    ChannelId: [u8; 32], |v| v.0, |b| Some(ChannelId(b));
    PublicKey: [u8; 33], |v| v.serialize(), |b| PublicKey::from_slice(&b).ok();
    Amount: u64, |v| v.to_sat(), |b| Some(Amount::from_sat(b));
    ChannelType: u64, |v| v.bits(), |b| Some(ChannelType::from_bits_retain(b));
    ChannelStatus: u64, |v| v.bits(), |b| Some(ChannelStatus::from_bits_retain(b));
    Message: Bytes, |v| v.as_bytes().clone(), |b| Message::new(b).ok();
    String: Bytes, |v| Bytes::copy_from_slice(v.as_bytes()), |b| String::from_utf8(b.to_vec()).ok();
    ScriptBuf: Bytes, |v| Bytes::copy_from_slice(v.as_bytes()), |b| Some(ScriptBuf::from_bytes(b.to_vec()));
    Arc<Transaction>: Bytes, |v| Bytes::from(serialize(v.as_ref())), |b| deserialize(&b).ok().map(Arc::new);
}

impl<const N: usize> Codec for [u8; N] {
    fn encode_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        reader.array()
    }
}

impl Codec for Bytes {
    fn encode_to(&self, out: &mut Vec<u8>) {
        (self.len() as u64).encode_to(out);
        out.extend_from_slice(self);
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        let len = u64::decode_from(reader)?;
        let len = usize::try_from(len).map_err(|_| reader.invalid("length"))?;
        reader.bytes(len)
    }
}

impl<T: Codec> Codec for Option<T> {
    fn encode_to(&self, out: &mut Vec<u8>) {
        match self {
            None => out.push(0),
            Some(value) => {
                out.push(1);
                value.encode_to(out);
            }
        }
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        match u8::decode_from(reader)? {
            0 => Ok(None),
            1 => T::decode_from(reader).map(Some),
            _ => Err(reader.invalid("presence")),
        }
    }
}

impl<T: Codec> Codec for Box<T> {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.as_ref().encode_to(out);
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        T::decode_from(reader).map(Box::new)
    }
}

impl<T: Codec> Codec for Vec<T> {
    fn encode_to(&self, out: &mut Vec<u8>) {
        (self.len() as u64).encode_to(out);
        self.iter().for_each(|item| item.encode_to(out));
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        let count = u64::decode_from(reader)?;
        // No reservation by a count that damage may have made huge.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(T::decode_from(reader)?);
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip<T: Codec + PartialEq + std::fmt::Debug>(value: T) {
        assert_eq!(T::from_bytes(value.to_bytes().into()).as_ref(), Ok(&value));
    }

    #[test]
    fn integers_round_trip_at_their_limits() {
        for value in [0, 0x7f, 0x80, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            round_trip(value);
        }
        round_trip(u32::MAX);
        round_trip(u16::MAX);
    }

    #[test]
    fn an_integer_over_64_bits_is_refused() {
        let mut bytes = vec![0xff; 9];
        bytes.push(0x02);
        assert!(matches!(u64::from_bytes(bytes.into()), Err(DecodeError::Invalid { .. })));
    }

    #[test]
    fn absent_and_empty_are_different() {
        assert_ne!(None::<Bytes>.to_bytes(), Some(Bytes::new()).to_bytes());
        round_trip(None::<Bytes>);
        round_trip(Some(Bytes::new()));
    }

    #[test]
    fn a_length_beyond_the_data_is_refused() {
        let bytes = vec![0x05, 1, 2];
        assert_eq!(Bytes::from_bytes(bytes.into()), Err(DecodeError::Truncated { at: 1 }));
    }

    #[test]
    fn left_over_bytes_are_refused() {
        assert_eq!(
            u8::from_bytes(Bytes::from_static(&[1, 2])),
            Err(DecodeError::Trailing { left: 1 })
        );
    }
}
