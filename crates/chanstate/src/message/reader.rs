//! A cursor over the body of a message that hands out slices of the same memory.

use bitcoin::secp256k1::{PublicKey, constants::PUBLIC_KEY_SIZE};
use bytes::Bytes;

use super::{Message, MessageError, TYPE_LEN};
use crate::tlv::TlvStream;

/// Reads fields in order; each failure names the field and where it begins.
pub(super) struct Reader<'a> {
    ty: u16,
    bytes: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts behind the type.
    pub(super) fn new(message: &'a Message) -> Self {
        Self { ty: message.ty, bytes: &message.bytes, at: TYPE_LEN }
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(super) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], MessageError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let value = *rest.first_chunk().ok_or_else(|| self.truncated(field, N))?;
        self.at += N;
        Ok(value)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, MessageError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, MessageError> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, MessageError> {
        self.array(field).map(u64::from_be_bytes)
    }

    pub(super) fn point(&mut self, field: &'static str) -> Result<PublicKey, MessageError> {
        let offset = self.at;
        let bytes: [u8; PUBLIC_KEY_SIZE] = self.array(field)?;
        PublicKey::from_slice(&bytes).map_err(|source| MessageError::InvalidPoint {
            ty: self.ty,
            field,
            offset,
            source,
        })
    }

    pub(super) fn slice(&mut self, field: &'static str, len: usize) -> Result<Bytes, MessageError> {
        if len > self.remaining() {
            return Err(self.truncated(field, len));
        }
        let start = self.at;
        self.at += len;
        Ok(self.bytes.slice(start..self.at))
    }

    /// Takes a u16 count and that many arrays.
    pub(super) fn arrays<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<Vec<[u8; N]>, MessageError> {
        let count = usize::from(self.u16(field)?);
        // The count is checked against what is there before memory is reserved for it.
        if count * N > self.remaining() {
            return Err(self.truncated(field, count * N));
        }
        (0..count).map(|_| self.array(field)).collect()
    }

    /// Takes the rest as it is.
    pub(super) fn rest(mut self) -> Bytes {
        let start = self.at.min(self.bytes.len());
        self.at = self.bytes.len();
        self.bytes.slice(start..)
    }

    /// Takes the rest, which must be a TLV stream.
    pub(super) fn tlv(self) -> Result<Bytes, MessageError> {
        let (ty, offset) = (self.ty, self.at);
        let rest = self.rest();
        check_tlv(ty, offset, &rest)?;
        Ok(rest)
    }

    fn truncated(&self, field: &'static str, expected: usize) -> MessageError {
        MessageError::Truncated {
            ty: self.ty,
            field,
            offset: self.at,
            expected,
            found: self.remaining(),
        }
    }
}

/// Checks the bytes at `offset` of a message for being a TLV stream.
pub(super) fn check_tlv(ty: u16, offset: usize, bytes: &[u8]) -> Result<(), MessageError> {
    TlvStream::check(bytes).map_err(|source| MessageError::InvalidTlv { ty, offset, source })
}
