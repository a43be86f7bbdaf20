//! BigSize integers and TLV streams, as BOLT 1 defines them.
//!
//! A stream is a run of records `BigSize type, BigSize length, value` with strictly ascending
//! types, up to the end of its buffer. Records of unknown type are kept as they are: bytes that
//! parse encode back to themselves, because BigSize has exactly one encoding per number.
//!
//! There is no even/odd rule here. It says what a peer may send; a stored record is read whatever
//! its type.

use bytes::Bytes;

/// A variable-length unsigned integer, big-endian, in its shortest form (BOLT 1).
///
/// Not to be confused with Bitcoin's CompactSize, which has the same first bytes but is
/// little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BigSize(
    /// The number itself.
    pub u64,
);

impl BigSize {
    /// Returns the encoding of the number.
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.encoded_len());
        self.encode_into(&mut out);
        out
    }

    /// Appends the encoding of the number to `out`.
    pub fn encode_into(self, out: &mut Vec<u8>) {
        let bytes = self.0.to_be_bytes();
        let len = self.encoded_len();
        match len {
            1 => {}
            3 => out.push(0xfd),
            5 => out.push(0xfe),
            _ => out.push(0xff),
        }
        let digits = if len == 1 { 1 } else { len - 1 };
        out.extend_from_slice(&bytes[8 - digits..]);
    }

    /// Returns the length of the encoding in bytes: 1, 3, 5 or 9.
    pub fn encoded_len(self) -> usize {
        match self.0 {
            0..=0xfc => 1,
            0xfd..=0xffff => 3,
            0x1_0000..=0xffff_ffff => 5,
            _ => 9,
        }
    }

    /// Reads a number from the start of `cursor` and moves the cursor behind it.
    ///
    /// The cursor stays where it is when this fails.
    ///
    /// # Errors
    ///
    /// [`TlvError::Truncated`] if the slice ends inside the number, [`TlvError::NonMinimal`] if a
    /// shorter form exists. Offsets count from the start of the slice passed in.
    pub fn decode(cursor: &mut &[u8]) -> Result<Self, TlvError> {
        let (value, end) = read_number(cursor, 0)?;
        *cursor = &cursor[end..];
        Ok(Self(value))
    }
}

/// One record of a [`TlvStream`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlvRecord {
    /// The record type.
    pub ty: u64,
    /// The value, without type and length.
    pub value: Bytes,
}

/// Records in strictly ascending type order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlvStream {
    records: Vec<TlvRecord>,
}

impl TlvStream {
    /// Creates a stream without records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses a whole buffer and copies its values.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn parse(bytes: &[u8]) -> Result<Self, TlvError> {
        Self::parse_shared(&Bytes::copy_from_slice(bytes))
    }

    /// Parses a whole buffer; the values share its memory.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub fn parse_shared(bytes: &Bytes) -> Result<Self, TlvError> {
        let mut records = Vec::new();
        walk(bytes, |ty, start, end| {
            records.push(TlvRecord { ty, value: bytes.slice(start..end) });
        })?;
        Ok(Self { records })
    }

    /// Checks that a buffer is a well-formed stream, without building one.
    ///
    /// # Errors
    ///
    /// * [`TlvError::Truncated`]: the buffer ends inside a type or length, or right before a length.
    /// * [`TlvError::TruncatedValue`]: a length reaches beyond the buffer.
    /// * [`TlvError::NonMinimal`]: a type or length has a shorter form.
    /// * [`TlvError::Order`]: a type is not greater than the one before it.
    pub fn check(bytes: &[u8]) -> Result<(), TlvError> {
        walk(bytes, |_, _, _| {})
    }

    /// Returns the encoded stream.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for record in &self.records {
            BigSize(record.ty).encode_into(&mut out);
            BigSize(record.value.len() as u64).encode_into(&mut out);
            out.extend_from_slice(&record.value);
        }
        out
    }

    /// Returns the value of a record, or `None` if the stream has no record of that type.
    pub fn get(&self, ty: u64) -> Option<&Bytes> {
        let at = self.position(ty).ok()?;
        self.records.get(at).map(|record| &record.value)
    }

    /// Iterates over the records in ascending type order.
    pub fn iter(&self) -> std::slice::Iter<'_, TlvRecord> {
        self.records.iter()
    }

    /// Returns whether the stream has no records.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Puts a record at its place in the order and returns the value it replaced, if any.
    pub fn insert(&mut self, ty: u64, value: impl Into<Bytes>) -> Option<Bytes> {
        let value = value.into();
        match self.position(ty) {
            Ok(at) => Some(std::mem::replace(&mut self.records[at].value, value)),
            Err(at) => {
                self.records.insert(at, TlvRecord { ty, value });
                None
            }
        }
    }

    fn position(&self, ty: u64) -> Result<usize, usize> {
        self.records.binary_search_by_key(&ty, |record| record.ty)
    }
}

impl<'a> IntoIterator for &'a TlvStream {
    type Item = &'a TlvRecord;
    type IntoIter = std::slice::Iter<'a, TlvRecord>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Why bytes are not a BigSize integer or not a TLV stream.
///
/// Offsets are in bytes from the start of the buffer that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlvError {
    /// The buffer ends inside a type or length, or a length is missing.
    #[error("number at offset {offset} needs {expected} bytes, found {found}")]
    Truncated {
        /// Where the number begins.
        offset: usize,
        /// Bytes the number takes, first byte included.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// The buffer ends inside a value.
    #[error("value of record {ty} at offset {offset} needs {expected} bytes, found {found}")]
    TruncatedValue {
        /// Type of the record.
        ty: u64,
        /// Where the value begins.
        offset: usize,
        /// Bytes the record announces.
        expected: u64,
        /// Bytes that are there.
        found: usize,
    },
    /// A number is not in its shortest form.
    #[error("number {value} at offset {offset} takes {found} bytes instead of {expected}")]
    NonMinimal {
        /// Where the number begins.
        offset: usize,
        /// The number.
        value: u64,
        /// Bytes of the shortest form.
        expected: usize,
        /// Bytes it was written with.
        found: usize,
    },
    /// A type is not greater than the type before it.
    #[error("record {found} at offset {offset} follows record {previous}")]
    Order {
        /// Where the record begins.
        offset: usize,
        /// Type of the record before.
        previous: u64,
        /// Type of this record.
        found: u64,
    },
}

/// Reads the BigSize number at `at`, and returns it with the offset behind it.
fn read_number(bytes: &[u8], at: usize) -> Result<(u64, usize), TlvError> {
    let rest = bytes.get(at..).unwrap_or_default();
    let truncated = |expected| TlvError::Truncated { offset: at, expected, found: rest.len() };
    let (&first, tail) = rest.split_first().ok_or(truncated(1))?;
    let digits = match first {
        0xfd => 2,
        0xfe => 4,
        0xff => 8,
        small => return Ok((u64::from(small), at + 1)),
    };
    let value = tail
        .get(..digits)
        .ok_or(truncated(1 + digits))?
        .iter()
        .fold(0, |value, &byte| value << 8 | u64::from(byte));
    let expected = BigSize(value).encoded_len();
    if expected != 1 + digits {
        return Err(TlvError::NonMinimal { offset: at, value, expected, found: 1 + digits });
    }
    Ok((value, at + 1 + digits))
}

/// Calls `visit(type, start of value, end of value)` for each record.
fn walk(bytes: &[u8], mut visit: impl FnMut(u64, usize, usize)) -> Result<(), TlvError> {
    let mut at = 0;
    let mut last = None;
    while at < bytes.len() {
        let (ty, after_type) = read_number(bytes, at)?;
        if let Some(previous) = last.filter(|&previous| previous >= ty) {
            return Err(TlvError::Order { offset: at, previous, found: ty });
        }
        let (len, start) = read_number(bytes, after_type)?;
        let found = bytes.len() - start;
        let end = usize::try_from(len)
            .ok()
            .filter(|&len| len <= found)
            .map(|len| start + len)
            .ok_or(TlvError::TruncatedValue { ty, offset: start, expected: len, found })?;
        visit(ty, start, end);
        last = Some(ty);
        at = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bitcoin::hex::FromHex;
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        Vec::from_hex(text).unwrap()
    }

    #[test]
    fn bigsize_matches_bolt_1_appendix_a() {
        for (value, text) in [
            (0, "00"),
            (252, "fc"),
            (253, "fd00fd"),
            (65535, "fdffff"),
            (65536, "fe00010000"),
            (4_294_967_295, "feffffffff"),
            (4_294_967_296, "ff0000000100000000"),
            (u64::MAX, "ffffffffffffffffff"),
        ] {
            let bytes = hex(text);
            assert_eq!(BigSize(value).encode(), bytes);
            let mut cursor = &bytes[..];
            assert_eq!(BigSize::decode(&mut cursor), Ok(BigSize(value)));
            assert!(cursor.is_empty());
        }
    }

    #[test]
    fn bigsize_refuses_longer_forms_and_keeps_the_cursor() {
        for (text, value, expected, found) in [
            ("fd00fc", 252, 1, 3),
            ("fe0000ffff", 65535, 3, 5),
            ("ff00000000ffffffff", 4_294_967_295, 5, 9),
        ] {
            let bytes = hex(text);
            let mut cursor = &bytes[..];
            let refused = TlvError::NonMinimal { offset: 0, value, expected, found };
            assert_eq!(BigSize::decode(&mut cursor), Err(refused));
            assert_eq!(cursor.len(), bytes.len());
        }
    }

    #[test]
    fn bigsize_refuses_short_reads() {
        for (text, expected, found) in
            [("", 1, 0), ("fd", 3, 1), ("fd00", 3, 2), ("feffff", 5, 3), ("ffffffffff", 9, 5)]
        {
            let refused = TlvError::Truncated { offset: 0, expected, found };
            assert_eq!(BigSize::decode(&mut &hex(text)[..]), Err(refused), "{text}");
        }
    }

    #[test]
    fn stream_refuses_truncated_and_overlong_records() {
        for text in ["fd", "fd01", "fd0101", "0ffd", "0ffd26", "010002fd"] {
            let refused = TlvStream::parse(&hex(text)).unwrap_err();
            assert!(matches!(refused, TlvError::Truncated { .. }), "{text}");
        }
        for text in ["0ffd2602", "0fff7fffffffffffffff00", "01020a"] {
            let refused = TlvStream::parse(&hex(text)).unwrap_err();
            assert!(matches!(refused, TlvError::TruncatedValue { .. }), "{text}");
        }
        for text in ["fd000100", "0ffd000100"] {
            let refused = TlvStream::parse(&hex(text)).unwrap_err();
            assert!(matches!(refused, TlvError::NonMinimal { .. }), "{text}");
        }
    }

    #[test]
    fn stream_refuses_types_out_of_order() {
        for (text, offset, previous, found) in [
            ("02080000000000000226 01012a", 10, 2, 1),
            ("1f000f012a", 2, 31, 15),
            ("1f001f012a", 2, 31, 31),
            ("ffffffffffffffffff000000", 10, u64::MAX, 0),
        ] {
            let refused = TlvError::Order { offset, previous, found };
            let bytes = hex(&text.replace(' ', ""));
            assert_eq!(TlvStream::parse(&bytes), Err(refused), "{text}");
        }
    }

    #[test]
    fn unknown_types_of_either_parity_are_kept() {
        let bytes = hex("0108000000050000004d1200fe0001000201ff");
        let stream = TlvStream::parse(&bytes).unwrap();
        let types: Vec<u64> = stream.iter().map(|record| record.ty).collect();
        assert_eq!(types, [1, 18, 65538]);
        assert_eq!(stream.get(18), Some(&Bytes::new()));
        assert_eq!(stream.get(2), None);
        assert_eq!(stream.encode(), bytes);
    }

    #[test]
    fn insert_keeps_the_order_and_returns_what_it_replaced() {
        let mut stream = TlvStream::new();
        assert_eq!(stream.insert(5, vec![5]), None);
        assert_eq!(stream.insert(1, vec![1]), None);
        assert_eq!(stream.insert(5, vec![6, 6]), Some(Bytes::from(vec![5])));
        assert_eq!(stream.encode(), [1, 1, 1, 5, 2, 6, 6]);
    }

    proptest! {
        #[test]
        fn whatever_parses_encodes_to_itself(bytes in proptest::collection::vec(0u8..6, 0..40)) {
            let checked = TlvStream::check(&bytes);
            match TlvStream::parse(&bytes) {
                Ok(stream) => prop_assert_eq!(stream.encode(), bytes),
                Err(refused) => prop_assert_eq!(checked, Err(refused)),
            }
        }

        #[test]
        fn built_streams_parse_back(records in proptest::collection::btree_map(
            any::<u64>(), proptest::collection::vec(any::<u8>(), 0..300), 0..6)) {
            let mut stream = TlvStream::new();
            for (ty, value) in records.into_iter().rev() {
                stream.insert(ty, value);
            }
            prop_assert_eq!(TlvStream::parse(&stream.encode()), Ok(stream));
        }
    }
}
