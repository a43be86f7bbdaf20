//! Values of columns, and the seam to an engine's parameters and rows.

/// Type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// 64 bits. Unsigned numbers are stored as the same bits.
    Int,
    /// 0 or 1.
    Bool,
    /// Bytes.
    Blob,
    /// UTF-8.
    Text,
}

/// A value on its way to or from a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// No value.
    Null,
    /// A number or a flag.
    Int(i64),
    /// Bytes.
    Blob(&'a [u8]),
    /// UTF-8 text as bytes, since a key to look for may be any bytes.
    Text(&'a [u8]),
    /// Something that no column of ours holds.
    Foreign,
}

impl Value<'_> {
    /// The same bits as a signed number.
    pub(crate) fn unsigned(value: u64) -> Value<'static> {
        Value::Int(value.cast_signed())
    }
}

/// Takes the values of one statement in order of its parameters.
pub(crate) trait Sink {
    /// Takes the next value.
    fn push(&mut self, value: Value<'_>);
}

/// Gives the values of one row.
pub(crate) trait Source {
    /// The value at a position, from 0.
    fn value(&self, index: usize) -> Value<'_>;
}
