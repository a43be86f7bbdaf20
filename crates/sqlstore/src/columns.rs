//! How values spread over columns.

use bytes::Bytes;
use chanstate::codec::Codec;

use crate::row::{Damage, Misread, RowReader, RowWriter};
use crate::value::{Type, Value};

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) ty: Type,
    /// Whether it may be null.
    pub(crate) null: bool,
}

impl Column {
    /// A column of the type of `T`.
    pub(crate) fn of<T: Scalar>(name: String, null: bool) -> Column {
        Column { name, ty: T::TYPE, null }
    }
}

/// A value that takes one or more columns of a row.
pub(crate) trait Columns: Sized {
    /// Appends the columns. `name` is the name of a single one, and the prefix of several.
    fn describe(name: &str, out: &mut Vec<Column>);

    /// Appends the values, one for each column.
    fn write(&self, row: &mut RowWriter<'_>);

    /// Takes the values back.
    fn read(row: &mut RowReader<'_>) -> Result<Self, Damage>;
}

/// A value that takes one column and is never null.
pub(crate) trait Scalar: Sized {
    /// Type of the column.
    const TYPE: Type;

    /// Appends the value.
    fn store(&self, row: &mut RowWriter<'_>);

    /// Reads it back.
    fn load(value: Value<'_>) -> Result<Self, Misread>;
}

impl<T: Scalar> Columns for T {
    fn describe(name: &str, out: &mut Vec<Column>) {
        out.push(Column::of::<T>(name.to_owned(), false));
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        self.store(row);
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, Damage> {
        row.take()
    }
}

impl<T: Scalar> Columns for Option<T> {
    fn describe(name: &str, out: &mut Vec<Column>) {
        out.push(Column::of::<T>(name.to_owned(), true));
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        match self {
            None => row.push(Value::Null),
            Some(value) => value.store(row),
        }
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, Damage> {
        row.take_option()
    }
}

/// Implements [`Columns`] for a struct: its fields in the order of their columns, each with the
/// name of its column, or with the prefix of its columns if it takes several.
macro_rules! columns {
    ($name:ty { $($field:ident: $column:literal),* $(,)? }) => {
        impl $crate::columns::Columns for $name {
            fn describe(name: &str, out: &mut Vec<$crate::columns::Column>) {
                // The type of a field follows from a function that is never called.
                $( $crate::columns::describe_field(
                    |value: &$name| &value.$field,
                    &format!("{name}{}", $column),
                    out,
                ); )*
            }

            fn write(&self, row: &mut $crate::row::RowWriter<'_>) {
                $( $crate::columns::Columns::write(&self.$field, row); )*
            }

            fn read(
                row: &mut $crate::row::RowReader<'_>,
            ) -> Result<Self, $crate::row::Damage> {
                Ok(Self { $( $field: $crate::columns::Columns::read(row)?, )* })
            }
        }
    };
}
pub(crate) use columns;

/// Describes the field that `_field` selects.
pub(crate) fn describe_field<T, F: Columns>(
    _field: fn(&T) -> &F,
    name: &str,
    out: &mut Vec<Column>,
) {
    F::describe(name, out);
}

/// Numbers that a `u64` holds, each with the way to it and back.
macro_rules! numbers {
    ($($ty:ty: $column:ident, |$value:ident| $to:expr, |$raw:ident| $from:expr;)*) => {$(
        impl $crate::columns::Scalar for $ty {
            const TYPE: $crate::value::Type = $crate::value::Type::$column;

            fn store(&self, row: &mut $crate::row::RowWriter<'_>) {
                let $value = *self;
                row.int($to);
            }

            fn load(value: $crate::value::Value<'_>) -> Result<Self, $crate::row::Misread> {
                let $crate::value::Value::Int(stored) = value else {
                    return Err($crate::row::Misread::Type);
                };
                let $raw = stored.cast_unsigned();
                $from.ok_or($crate::row::Misread::Range)
            }
        }
    )*};
}
pub(crate) use numbers;

numbers! {
    u64: Int, |v| v, |raw| Some(raw);
    u32: Int, |v| v.into(), |raw| raw.try_into().ok();
    u16: Int, |v| v.into(), |raw| raw.try_into().ok();
    u8: Int, |v| v.into(), |raw| raw.try_into().ok();
    bool: Bool, |v| v.into(), |raw| match raw {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
}

/// Values that are bytes, each with the way to a slice and back.
macro_rules! blobs {
    ($($ty:ty: |$value:ident| $to:expr, |$bytes:ident| $from:expr;)*) => {$(
        impl $crate::columns::Scalar for $ty {
            const TYPE: $crate::value::Type = $crate::value::Type::Blob;

            fn store(&self, row: &mut $crate::row::RowWriter<'_>) {
                let $value = self;
                row.push($crate::value::Value::Blob($to));
            }

            fn load(value: $crate::value::Value<'_>) -> Result<Self, $crate::row::Misread> {
                let $crate::value::Value::Blob($bytes) = value else {
                    return Err($crate::row::Misread::Type);
                };
                $from.ok_or($crate::row::Misread::Range)
            }
        }
    )*};
}
pub(crate) use blobs;

blobs! {
    Bytes: |v| v, |bytes| Some(Bytes::copy_from_slice(bytes));
    [u8; 32]: |v| v, |bytes| bytes.try_into().ok();
}

/// Values that are kept as blobs in the form of the record codec.
macro_rules! encoded {
    ($($ty:ty),* $(,)?) => {$(
        impl $crate::columns::Scalar for $ty {
            const TYPE: $crate::value::Type = $crate::value::Type::Blob;

            fn store(&self, row: &mut $crate::row::RowWriter<'_>) {
                row.encoded(self);
            }

            fn load(value: $crate::value::Value<'_>) -> Result<Self, $crate::row::Misread> {
                $crate::columns::decode(value)
            }
        }
    )*};
}
pub(crate) use encoded;

/// Reads a blob in the form of the record codec.
pub(crate) fn decode<T: Codec>(value: Value<'_>) -> Result<T, Misread> {
    let Value::Blob(bytes) = value else { return Err(Misread::Type) };
    T::from_bytes(Bytes::copy_from_slice(bytes)).map_err(Misread::Blob)
}

impl Scalar for String {
    const TYPE: Type = Type::Text;

    fn store(&self, row: &mut RowWriter<'_>) {
        row.push(Value::Text(self.as_bytes()));
    }

    fn load(value: Value<'_>) -> Result<Self, Misread> {
        let Value::Text(bytes) = value else { return Err(Misread::Type) };
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Misread::Range)
    }
}
