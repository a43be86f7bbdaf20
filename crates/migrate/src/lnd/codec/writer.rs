//! Appends fields to a value.

use bitcoin::consensus::Encodable;
use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Transaction};
use bytes::Bytes;
use chanstate::message::Message;
use chanstate::tlv::{BigSize, TlvStream};

use super::cursor::MAX_VAR_BYTES;
use super::error::{EncodeError, EncodeFault};

/// Writes fields in order; each failure names the field.
pub(super) struct Writer {
    record: &'static str,
    out: Vec<u8>,
}

impl Writer {
    /// Starts a value of the kind `record`.
    pub(super) fn new(record: &'static str) -> Writer {
        Writer { record, out: Vec::new() }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }

    pub(super) fn error(&self, field: &'static str, fault: EncodeFault) -> EncodeError {
        EncodeError { record: self.record, field, fault }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_be_bytes());
    }

    pub(super) fn flag(&mut self, value: bool) {
        self.u8(value.into());
    }

    pub(super) fn outpoint(&mut self, outpoint: &OutPoint) {
        self.bytes(outpoint.txid.as_byte_array());
        self.u32(outpoint.vout);
    }

    pub(super) fn big_size(&mut self, value: u64) {
        BigSize(value).encode_into(&mut self.out);
    }

    /// The number of elements that follow, as `u16`.
    pub(super) fn count(&mut self, field: &'static str, found: usize) -> Result<(), EncodeError> {
        let max = usize::from(u16::MAX);
        let count = u16::try_from(found)
            .map_err(|_| self.error(field, EncodeFault::TooLong { max, found }))?;
        self.u16(count);
        Ok(())
    }

    /// Bytes in two parts behind their length as Bitcoin's variable-length integer.
    pub(super) fn var_bytes(
        &mut self,
        field: &'static str,
        head: &[u8],
        tail: &[u8],
    ) -> Result<(), EncodeError> {
        let found = head.len() + tail.len();
        let max = MAX_VAR_BYTES as usize;
        match u32::try_from(found) {
            Ok(len @ 0..=0xfc) => self.u8(len as u8),
            Ok(len @ 0xfd..=0xffff) => {
                self.u8(0xfd);
                self.bytes(&(len as u16).to_le_bytes());
            }
            Ok(len) if found <= max => {
                self.u8(0xfe);
                self.bytes(&len.to_le_bytes());
            }
            _ => return Err(self.error(field, EncodeFault::TooLong { max, found })),
        }
        self.bytes(head);
        self.bytes(tail);
        Ok(())
    }

    pub(super) fn transaction(&mut self, transaction: &Transaction) {
        // A Vec takes all that is written to it.
        let _ = transaction.consensus_encode(&mut self.out);
    }

    /// A message behind its length.
    pub(super) fn message(
        &mut self,
        field: &'static str,
        message: &Message,
    ) -> Result<(), EncodeError> {
        self.count(field, message.as_bytes().len())?;
        self.bytes(message.as_bytes());
        Ok(())
    }

    /// A TLV record. The caller keeps the types in order.
    pub(super) fn tlv(&mut self, ty: u64, value: &[u8]) {
        self.big_size(ty);
        self.big_size(value.len() as u64);
        self.bytes(value);
    }

    /// A TLV record whose value is a `BigSize`.
    pub(super) fn tlv_big_size(&mut self, ty: u64, value: u64) {
        self.big_size(ty);
        self.big_size(BigSize(value).encoded_len() as u64);
        self.big_size(value);
    }

    /// What `inner` holds, behind its length.
    pub(super) fn block(&mut self, inner: Writer) {
        self.big_size(inner.out.len() as u64);
        self.bytes(&inner.out);
    }

    /// TLV records to the end of the value: the known ones among the unknown ones.
    pub(super) fn tlv_tail(
        &mut self,
        known: impl IntoIterator<Item = (u64, Bytes)>,
        unknown: &Bytes,
    ) -> Result<(), EncodeError> {
        const FIELD: &str = "unknown records";
        let mut stream = TlvStream::parse_shared(unknown)
            .map_err(|source| self.error(FIELD, EncodeFault::NotATlvStream(source)))?;
        for (ty, value) in known {
            if stream.insert(ty, value).is_some() {
                return Err(self.error(FIELD, EncodeFault::KnownRecord { ty }));
            }
        }
        self.bytes(&stream.encode());
        Ok(())
    }
}
