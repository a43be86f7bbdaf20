//! Many rows as few parameters: an array for each column.

use std::str::from_utf8;

use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::{Postgres, Type as SqlType};

use crate::value::{Sink, Type, Value};

/// The type of an array parameter.
pub(crate) fn array_type(ty: Type) -> &'static str {
    match ty {
        Type::Int => "int8[]",
        Type::Bool => "bool[]",
        Type::Blob => "bytea[]",
        Type::Text => "text[]",
    }
}

/// The values of one column in several rows, in the binary form of the protocol: each behind its
/// length. They are written here as they come, so no value is copied on its own first.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    ty: Type,
    count: usize,
    values: Vec<u8>,
}

impl Array {
    fn new(ty: Type) -> Array {
        Array { ty, count: 0, values: Vec::new() }
    }

    /// Adds a value of the array's type, or none.
    fn push(&mut self, value: Value<'_>) {
        self.count += 1;
        match (self.ty, value) {
            (Type::Int, Value::Int(value)) => self.add(&value.to_be_bytes()),
            (Type::Bool, Value::Int(value)) => self.add(&[u8::from(value != 0)]),
            (Type::Blob, Value::Blob(bytes) | Value::Text(bytes)) => self.add(bytes),
            (Type::Text, Value::Text(bytes)) if from_utf8(bytes).is_ok() => self.add(bytes),
            _ => self.values.extend((-1_i32).to_be_bytes()),
        }
    }

    fn add(&mut self, value: &[u8]) {
        // The array is too large as well then, and refused when it becomes a parameter.
        let length = i32::try_from(value.len()).unwrap_or(i32::MAX);
        self.values.extend_from_slice(&length.to_be_bytes());
        self.values.extend_from_slice(value);
    }

    fn element(&self) -> PgTypeInfo {
        match self.ty {
            Type::Int => <i64 as SqlType<Postgres>>::type_info(),
            Type::Bool => <bool as SqlType<Postgres>>::type_info(),
            Type::Blob => <Vec<u8> as SqlType<Postgres>>::type_info(),
            Type::Text => <String as SqlType<Postgres>>::type_info(),
        }
    }
}

impl SqlType<Postgres> for Array {
    // Of any of them; `produces` says which one it is.
    fn type_info() -> PgTypeInfo {
        i64::array_type_info()
    }
}

impl Encode<'_, Postgres> for Array {
    fn encode_by_ref(&self, buf: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let element = self.element().oid().ok_or("a type without a number")?;
        let header = [
            1_i32.to_be_bytes(), // Dimensions.
            0_i32.to_be_bytes(), // Nulls: the server looks for itself.
            element.0.to_be_bytes(),
            i32::try_from(self.count)?.to_be_bytes(),
            1_i32.to_be_bytes(), // First index.
        ];
        buf.extend_from_slice(header.as_flattened());
        buf.extend_from_slice(&self.values);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(match self.ty {
            Type::Int => i64::array_type_info(),
            Type::Bool => bool::array_type_info(),
            Type::Blob => Vec::<u8>::array_type_info(),
            Type::Text => String::array_type_info(),
        })
    }

    fn size_hint(&self) -> usize {
        20 + self.values.len()
    }
}

/// Rows, column by column.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    columns: Vec<Array>,
    next: usize,
    bytes: usize,
}

impl Rows {
    pub(crate) fn new(types: impl IntoIterator<Item = Type>) -> Rows {
        Rows { columns: types.into_iter().map(Array::new).collect(), next: 0, bytes: 0 }
    }

    /// Bytes that all rows take on their way, or a little more.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Its parameters.
    pub(crate) fn columns(&self) -> &[Array] {
        &self.columns
    }
}

// A row ends with the last column, and the next value begins another one.
impl Sink for Rows {
    fn push(&mut self, value: Value<'_>) {
        self.bytes += weight(value);
        self.columns[self.next].push(value);
        self.next = (self.next + 1) % self.columns.len();
    }
}

/// Most bytes that a value takes within an array: its length, and what it is.
pub(crate) fn weight(value: Value<'_>) -> usize {
    4 + match value {
        Value::Blob(bytes) | Value::Text(bytes) => bytes.len(),
        Value::Int(_) | Value::Null | Value::Foreign => 8,
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Arguments as _;
    use sqlx::postgres::PgArguments;

    use super::*;

    /// An array as the driver encodes it.
    fn by_driver<'q, T: Encode<'q, Postgres> + SqlType<Postgres>>(values: T) -> String {
        shown(|arguments| arguments.add(values))
    }

    fn by_us(ty: Type, values: &[Value<'_>]) -> String {
        let mut array = Array::new(ty);
        values.iter().for_each(|value| array.push(*value));
        shown(|arguments| arguments.add(&array))
    }

    /// Types and bytes.
    fn shown(add: impl FnOnce(&mut PgArguments) -> Result<(), BoxDynError>) -> String {
        let mut arguments = PgArguments::default();
        add(&mut arguments).unwrap();
        format!("{arguments:?}")
    }

    #[test]
    fn arrays_are_those_of_the_driver() {
        let numbers = [Value::Int(-7), Value::Null, Value::Int(i64::MAX)];
        assert_eq!(by_us(Type::Int, &numbers), by_driver(vec![Some(-7), None, Some(i64::MAX)]));
        let flags = [Value::Int(1), Value::Int(0), Value::Null];
        assert_eq!(by_us(Type::Bool, &flags), by_driver(vec![Some(true), Some(false), None]));
        let blobs = [Value::Blob(b"\0a"), Value::Blob(b""), Value::Null, Value::Text(b"name")];
        let expected = vec![Some(b"\0a".to_vec()), Some(vec![]), None, Some(b"name".to_vec())];
        assert_eq!(by_us(Type::Blob, &blobs), by_driver(expected));
        let texts = [Value::Text("ü".as_bytes()), Value::Text(b"\xff"), Value::Null];
        assert_eq!(by_us(Type::Text, &texts), by_driver(vec![Some("ü"), None, None]));
    }
}
