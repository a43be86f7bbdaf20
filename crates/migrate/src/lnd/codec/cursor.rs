//! A cursor over one stored value that hands out slices of the same memory.

use std::sync::Arc;

use bitcoin::consensus::deserialize;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, Transaction, Txid};
use bytes::Bytes;
use chanstate::message::Message;
use chanstate::tlv::{BigSize, TlvError};

use super::error::{LndError, LndFault};

/// Greatest length of a byte field that lnd reads.
pub(super) const MAX_VAR_BYTES: u64 = 66_000;

/// Greatest height or id that a store can hold.
pub(super) const MAX_NUMBER: u64 = i64::MAX as u64;

/// Reads fields in order; each failure names the field and where it begins.
pub(super) struct Cursor {
    record: &'static str,
    data: Bytes,
    at: usize,
    base: usize,
}

impl Cursor {
    /// Starts at the first byte of a value of the kind `record`.
    pub(super) fn new(record: &'static str, data: Bytes) -> Cursor {
        Cursor { record, data, at: 0, base: 0 }
    }

    /// Reads a value that fills all of `data`.
    pub(super) fn whole<T>(
        record: &'static str,
        data: Bytes,
        read: impl FnOnce(&mut Cursor) -> Result<T, LndError>,
    ) -> Result<T, LndError> {
        let mut cursor = Cursor::new(record, data);
        let value = read(&mut cursor)?;
        cursor.finish()?;
        Ok(value)
    }

    /// Bytes that are left.
    pub(super) fn remaining(&self) -> usize {
        self.data.len().saturating_sub(self.at)
    }

    /// Where the next field begins in the whole value.
    pub(super) fn offset(&self) -> usize {
        self.base + self.at
    }

    /// An error for a field that began at `offset`.
    pub(super) fn error(&self, field: &'static str, offset: usize, fault: LndFault) -> LndError {
        LndError { record: self.record, field, offset, fault }
    }

    /// Requires that everything was read.
    pub(super) fn finish(&self) -> Result<(), LndError> {
        match self.remaining() {
            0 => Ok(()),
            found => Err(self.error("end", self.offset(), LndFault::Trailing { found })),
        }
    }

    /// Takes `len` bytes.
    pub(super) fn take(&mut self, field: &'static str, len: u64) -> Result<Bytes, LndError> {
        let found = self.remaining();
        let len = usize::try_from(len).ok().filter(|len| *len <= found).ok_or_else(|| {
            self.error(field, self.offset(), LndFault::Truncated { expected: len, found })
        })?;
        let start = self.at;
        self.at += len;
        Ok(self.data.slice(start..self.at))
    }

    /// Takes everything that is left.
    pub(super) fn rest(&mut self) -> Bytes {
        let start = self.at.min(self.data.len());
        self.at = self.data.len();
        self.data.slice(start..)
    }

    pub(super) fn array<const N: usize>(
        &mut self,
        field: &'static str,
    ) -> Result<[u8; N], LndError> {
        let found = self.remaining();
        let chunk = self.data.get(self.at..).and_then(|rest| rest.first_chunk()).copied();
        let chunk = chunk.ok_or_else(|| {
            let expected = N as u64;
            self.error(field, self.offset(), LndFault::Truncated { expected, found })
        })?;
        self.at += N;
        Ok(chunk)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, LndError> {
        self.array(field).map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, LndError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, LndError> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, LndError> {
        self.array(field).map(u64::from_be_bytes)
    }

    /// A height or id: a `u64` that must fit a store's keys.
    pub(super) fn key_number(&mut self, field: &'static str) -> Result<u64, LndError> {
        let offset = self.offset();
        let found = self.u64(field)?;
        if found > MAX_NUMBER {
            return Err(self.error(field, offset, LndFault::TooLarge { max: MAX_NUMBER, found }));
        }
        Ok(found)
    }

    /// A flag of the fixed encodings, where lnd takes any byte but 0 for true.
    pub(super) fn flag(&mut self, field: &'static str) -> Result<bool, LndError> {
        self.u8(field).map(|byte| byte != 0)
    }

    /// A flag of a TLV record: 0 or 1.
    pub(super) fn tlv_flag(&mut self, field: &'static str) -> Result<bool, LndError> {
        let offset = self.offset();
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            found => Err(self.error(field, offset, LndFault::NotAFlag { found })),
        }
    }

    pub(super) fn point(&mut self, field: &'static str) -> Result<PublicKey, LndError> {
        let offset = self.offset();
        let bytes: [u8; 33] = self.array(field)?;
        PublicKey::from_slice(&bytes)
            .map_err(|source| self.error(field, offset, LndFault::NotAPoint(source)))
    }

    /// An outpoint as lnd's keys have it: the index is big-endian.
    pub(super) fn outpoint(&mut self, field: &'static str) -> Result<OutPoint, LndError> {
        let txid = Txid::from_byte_array(self.array(field)?);
        Ok(OutPoint { txid, vout: self.u32(field)? })
    }

    pub(super) fn big_size(&mut self, field: &'static str) -> Result<u64, LndError> {
        let offset = self.offset();
        let start = self.data.get(self.at..).unwrap_or_default();
        let mut rest = start;
        let number = BigSize::decode(&mut rest).map_err(|refused| {
            let fault = match refused {
                TlvError::NonMinimal { value, expected, found, .. } => {
                    LndFault::NonMinimal { value, expected, found }
                }
                TlvError::Truncated { expected, found, .. } => {
                    LndFault::Truncated { expected: expected as u64, found }
                }
                // Reading a number gives no other error.
                _ => LndFault::Truncated { expected: 1, found: start.len() },
            };
            self.error(field, offset, fault)
        })?;
        self.at += start.len() - rest.len();
        Ok(number.0)
    }

    /// A little-endian variable-length integer of Bitcoin.
    pub(super) fn compact_size(&mut self, field: &'static str) -> Result<u64, LndError> {
        let offset = self.offset();
        let (value, found) = match self.u8(field)? {
            0xfd => (u16::from_le_bytes(self.array(field)?).into(), 3),
            0xfe => (u32::from_le_bytes(self.array(field)?).into(), 5),
            0xff => (u64::from_le_bytes(self.array(field)?), 9),
            small => (small.into(), 1),
        };
        // Both kinds of integer have their steps at the same numbers.
        let expected = BigSize(value).encoded_len();
        if expected != found {
            let fault = LndFault::NonMinimal { value, expected, found };
            return Err(self.error(field, offset, fault));
        }
        Ok(value)
    }

    /// Bytes behind their length as a `compact_size`.
    pub(super) fn var_bytes(&mut self, field: &'static str) -> Result<Bytes, LndError> {
        let offset = self.offset();
        let found = self.compact_size(field)?;
        if found > MAX_VAR_BYTES {
            return Err(self.error(field, offset, LndFault::TooLong { max: MAX_VAR_BYTES, found }));
        }
        self.take(field, found)
    }

    /// A transaction, which alone knows where it ends.
    pub(super) fn transaction(
        &mut self,
        field: &'static str,
    ) -> Result<Arc<Transaction>, LndError> {
        let (start, offset) = (self.at, self.offset());
        // The decoder reserves memory for what a transaction announces, before it is there.
        self.skip_transaction(field)?;
        let bytes = self.data.get(start..self.at).unwrap_or_default();
        match deserialize(bytes) {
            Ok(transaction) => Ok(Arc::new(transaction)),
            Err(source) => Err(self.error(field, offset, LndFault::Transaction(Arc::new(source)))),
        }
    }

    /// Moves behind a transaction and looks at its counts and lengths only.
    fn skip_transaction(&mut self, field: &'static str) -> Result<(), LndError> {
        const VERSION: u64 = 4;
        const OUTPOINT: u64 = 36;
        const SEQUENCE: u64 = 4;
        const AMOUNT: u64 = 8;
        const LOCK_TIME: u64 = 4;
        self.take(field, VERSION)?;
        let mut inputs = self.compact_size(field)?;
        // Without inputs this is the marker of BIP 144, and a flag follows.
        let has_witnesses = inputs == 0;
        if has_witnesses {
            self.u8(field)?;
            inputs = self.compact_size(field)?;
        }
        for _ in 0..inputs {
            self.take(field, OUTPOINT)?;
            self.skip_script(field)?;
            self.take(field, SEQUENCE)?;
        }
        for _ in 0..self.compact_size(field)? {
            self.take(field, AMOUNT)?;
            self.skip_script(field)?;
        }
        for _ in 0..if has_witnesses { inputs } else { 0 } {
            for _ in 0..self.compact_size(field)? {
                self.skip_script(field)?;
            }
        }
        self.take(field, LOCK_TIME)?;
        Ok(())
    }

    /// Moves behind a script or a witness element, which may be of any length.
    fn skip_script(&mut self, field: &'static str) -> Result<(), LndError> {
        let len = self.compact_size(field)?;
        self.take(field, len)?;
        Ok(())
    }

    /// A wire message behind its length; its body must be valid for its type.
    pub(super) fn message(&mut self, field: &'static str) -> Result<Message, LndError> {
        let len = self.u16(field)?;
        let offset = self.offset();
        let bytes = self.take(field, len.into())?;
        let message = Message::new(bytes)
            .map_err(|source| self.error(field, offset, LndFault::Message(source)))?;
        match message.parse() {
            Ok(_) => Ok(message),
            Err(source) => Err(self.error(field, offset, LndFault::Message(source))),
        }
    }

    /// A wire message of one type.
    pub(super) fn message_of(
        &mut self,
        field: &'static str,
        expected: u16,
    ) -> Result<Message, LndError> {
        let offset = self.offset();
        let message = self.message(field)?;
        match message.ty() {
            found if found == expected => Ok(message),
            found => Err(self.error(field, offset, LndFault::MessageType { expected, found })),
        }
    }

    /// The part behind a `big_size` that holds its length, as a cursor of its own.
    pub(super) fn block(&mut self, field: &'static str) -> Result<Cursor, LndError> {
        let len = self.big_size(field)?;
        self.part(field, len)
    }

    /// The next `len` bytes as a cursor of their own.
    fn part(&mut self, field: &'static str, len: u64) -> Result<Cursor, LndError> {
        let base = self.offset();
        let data = self.take(field, len)?;
        Ok(Cursor { record: self.record, data, at: 0, base })
    }

    /// Everything that is left as TLV records.
    pub(super) fn tlv_records(&mut self) -> TlvRecords {
        let base = self.offset();
        let data = self.rest();
        TlvRecords { cursor: Cursor { record: self.record, data, at: 0, base }, previous: None }
    }
}

/// TLV records up to the end of their buffer, with strictly ascending types.
pub(super) struct TlvRecords {
    cursor: Cursor,
    previous: Option<u64>,
}

/// One TLV record.
pub(super) struct Tlv {
    /// Its type.
    pub(super) ty: u64,
    /// Its value.
    value: Cursor,
    /// Type, length and value.
    pub(super) raw: Bytes,
}

impl TlvRecords {
    /// Returns the next record, or `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Tlv>, LndError> {
        const FIELD: &str = "TLV record";
        let cursor = &mut self.cursor;
        if cursor.remaining() == 0 {
            return Ok(None);
        }
        let (start, offset) = (cursor.at, cursor.offset());
        let ty = cursor.big_size(FIELD)?;
        if let Some(previous) = self.previous.filter(|previous| *previous >= ty) {
            return Err(cursor.error(FIELD, offset, LndFault::TlvOrder { previous, found: ty }));
        }
        self.previous = Some(ty);
        let value = cursor.block(FIELD)?;
        Ok(Some(Tlv { ty, value, raw: cursor.data.slice(start..cursor.at) }))
    }
}

impl Tlv {
    /// Reads the whole value.
    pub(super) fn read<T>(
        mut self,
        read: impl FnOnce(&mut Cursor) -> Result<T, LndError>,
    ) -> Result<T, LndError> {
        let value = read(&mut self.value)?;
        self.value.finish()?;
        Ok(value)
    }

    /// The value as it is.
    pub(super) fn bytes(mut self) -> Bytes {
        self.value.rest()
    }

    /// Length of the value.
    pub(super) fn len(&self) -> usize {
        self.value.data.len()
    }
}
