//! Rows on their way to and from columns, with the checksum that each of them carries.

use chanstate::codec::{Codec, DecodeError};
use thiserror::Error;

use crate::columns::{Columns, Scalar};
use crate::table::Table;
use crate::value::{Sink, Source, Value};

/// Passes the values of a row on and computes its checksum.
pub(crate) struct RowWriter<'a> {
    sink: &'a mut dyn Sink,
    checksum: Checksum,
    scratch: &'a mut Vec<u8>,
}

impl<'a> RowWriter<'a> {
    /// Starts a row of `table`. `scratch` is memory to encode blobs in.
    pub(crate) fn new(table: &Table, sink: &'a mut dyn Sink, scratch: &'a mut Vec<u8>) -> Self {
        RowWriter { sink, checksum: Checksum::of_table(table), scratch }
    }

    /// Adds a value.
    pub(crate) fn push(&mut self, value: Value<'_>) {
        self.checksum.update(value);
        self.sink.push(value);
    }

    /// Adds a number.
    pub(crate) fn int(&mut self, value: u64) {
        self.push(Value::unsigned(value));
    }

    /// Adds a blob that `encode` appends to its argument.
    pub(crate) fn blob_with(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = std::mem::take(self.scratch);
        bytes.clear();
        encode(&mut bytes);
        self.push(Value::Blob(&bytes));
        *self.scratch = bytes;
    }

    /// Adds a blob in the form of the record codec.
    pub(crate) fn encoded(&mut self, value: &impl Codec) {
        self.blob_with(|out| value.encode_to(out));
    }

    /// Adds the checksum, the last column of every row.
    pub(crate) fn finish(self) {
        self.sink.push(Value::Int(self.checksum.finish()));
    }
}

/// The checksum of a row.
pub(crate) fn checksum(table: &Table, row: &impl Columns) -> i64 {
    struct Last(i64);
    impl Sink for Last {
        fn push(&mut self, value: Value<'_>) {
            if let Value::Int(value) = value {
                self.0 = value;
            }
        }
    }
    let (mut last, mut scratch) = (Last(0), Vec::new());
    let mut writer = RowWriter::new(table, &mut last, &mut scratch);
    row.write(&mut writer);
    writer.finish();
    last.0
}

/// The bits of a row's checksum that change when its last value does. A CRC is linear, so they do
/// not depend on the other values, and a wrong checksum stays wrong.
pub(crate) fn checksum_change(from: Value<'_>, to: Value<'_>) -> i64 {
    let of = |value| {
        let mut checksum = Checksum::new();
        checksum.update(value);
        checksum.finish()
    };
    of(from) ^ of(to)
}

/// What to do about the checksum of a row that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksums {
    /// Refuse the row if it is wrong.
    Checked,
    /// Do not look at it.
    Passed,
}

/// Takes the values of a row in order.
pub(crate) struct RowReader<'a> {
    source: &'a dyn Source,
    table: &'a Table,
    next: usize,
}

impl<'a> RowReader<'a> {
    /// Starts with the first column, once the checksum of the whole row was found right.
    pub(crate) fn new(
        table: &'a Table,
        source: &'a dyn Source,
        checksums: Checksums,
    ) -> Result<Self, Damage> {
        if checksums == Checksums::Passed {
            return Ok(RowReader { source, table, next: 0 });
        }
        let mut checksum = Checksum::of_table(table);
        let count = table.columns.len();
        (0..count).for_each(|index| checksum.update(source.value(index)));
        let computed = Value::Int(checksum.finish());
        if source.value(count) != computed {
            return Err(Damage::Checksum);
        }
        Ok(RowReader { source, table, next: 0 })
    }

    /// Takes the next value.
    pub(crate) fn take<T: Scalar>(&mut self) -> Result<T, Damage> {
        let value = self.value();
        T::load(value).map_err(|misread| self.damage(misread))
    }

    /// Takes the next value, which may be null.
    pub(crate) fn take_option<T: Scalar>(&mut self) -> Result<Option<T>, Damage> {
        match self.value() {
            Value::Null => Ok(None),
            value => T::load(value).map(Some).map_err(|misread| self.damage(misread)),
        }
    }

    /// An error for the column taken last.
    pub(crate) fn damage(&self, misread: Misread) -> Damage {
        let column = self.table.columns.get(self.next.saturating_sub(1));
        Damage::Column { column: column.map_or_else(String::new, |c| c.name.clone()), misread }
    }

    fn value(&mut self) -> Value<'a> {
        let value = self.source.value(self.next);
        self.next += 1;
        value
    }
}

/// CRC-32 over the table's name and all values, each with a tag for its type.
struct Checksum {
    hasher: crc32fast::Hasher,
    /// What was not hashed yet: a row is many short pieces, and each call costs more than its bytes.
    waiting: [u8; WAITING],
    len: usize,
}

/// Bytes that wait to be hashed together.
const WAITING: usize = 256;

impl Checksum {
    fn new() -> Checksum {
        Checksum::with(crc32fast::Hasher::new())
    }

    fn of_table(table: &Table) -> Checksum {
        Checksum::with(crc32fast::Hasher::new_with_initial(table.name_digest))
    }

    fn with(hasher: crc32fast::Hasher) -> Checksum {
        Checksum { hasher, waiting: [0; WAITING], len: 0 }
    }

    fn update(&mut self, value: Value<'_>) {
        match value {
            Value::Null => self.add(&[0]),
            Value::Int(value) => {
                let mut bytes = [1; 9];
                bytes[1..].copy_from_slice(&value.to_le_bytes());
                self.add(&bytes);
            }
            Value::Blob(bytes) => self.update_bytes(2, bytes),
            Value::Text(bytes) => self.update_bytes(3, bytes),
            Value::Foreign => self.add(&[4]),
        }
    }

    fn update_bytes(&mut self, tag: u8, bytes: &[u8]) {
        // With its length in front, a value cannot run into the next one.
        let mut head = [tag; 9];
        head[1..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.add(&head);
        self.add(bytes);
    }

    fn add(&mut self, bytes: &[u8]) {
        if self.len + bytes.len() > WAITING {
            self.hasher.update(&self.waiting[..self.len]);
            self.len = 0;
        }
        match self.waiting.get_mut(self.len..self.len + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.hasher.update(bytes),
        }
    }

    fn finish(mut self) -> i64 {
        self.hasher.update(&self.waiting[..self.len]);
        self.hasher.finalize().into()
    }
}

/// What is wrong with a stored row.
#[derive(Debug, Error)]
pub(crate) enum Damage {
    /// The checksum does not belong to the values.
    #[error("wrong checksum")]
    Checksum,
    /// A column holds what it cannot hold.
    #[error("column {column}")]
    Column {
        /// Its name.
        column: String,
        /// What is wrong with it.
        #[source]
        misread: Misread,
    },
}

/// What is wrong with a value.
#[derive(Debug, Error)]
pub(crate) enum Misread {
    /// Null, or of another type or length.
    #[error("not of its type")]
    Type,
    /// A number or text outside its range.
    #[error("out of range")]
    Range,
    /// Columns that show a blob show another one.
    #[error("not what the columns beside it show")]
    Shown,
    /// A blob that does not decode.
    #[error("blob does not decode")]
    Blob(#[source] DecodeError),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is hashed, written down in one piece.
    fn plain(values: &[Value<'_>]) -> i64 {
        let mut bytes = Vec::new();
        for value in values {
            match value {
                Value::Null => bytes.push(0),
                Value::Int(value) => {
                    bytes.push(1);
                    bytes.extend(value.to_le_bytes());
                }
                Value::Blob(blob) | Value::Text(blob) => {
                    bytes.push(if matches!(value, Value::Blob(_)) { 2 } else { 3 });
                    bytes.extend((blob.len() as u64).to_le_bytes());
                    bytes.extend(*blob);
                }
                Value::Foreign => bytes.push(4),
            }
        }
        crc32fast::hash(&bytes).into()
    }

    #[test]
    fn a_checksum_is_that_of_all_bytes_however_they_fall() {
        for len in [0, 1, 9, 200, 237, 238, 239, 246, 247, 248, 255, 256, 257, 511, 600, 5_000] {
            let blob: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let values = [
                Value::Int(-2),
                Value::Blob(&blob),
                Value::Null,
                Value::Text(b"text"),
                Value::Foreign,
                Value::Blob(&blob),
                Value::Int(7),
            ];
            let mut checksum = Checksum::new();
            values.into_iter().for_each(|value| checksum.update(value));
            assert_eq!(checksum.finish(), plain(&values), "{len} bytes");
        }
    }
}
