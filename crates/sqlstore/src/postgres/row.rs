//! Values as columns and parameters of PostgreSQL.

use std::ops::Range;
use std::str::from_utf8;

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments as _, Row, TypeInfo, ValueRef};

use super::error::Fault;
use crate::table::Table;
use crate::value::{Sink, Source, Type, Value};

/// A row of a table.
pub(crate) struct Cells<'a> {
    pub(crate) row: &'a PgRow,
    pub(crate) table: &'static Table,
}

impl Source for Cells<'_> {
    fn value(&self, index: usize) -> Value<'_> {
        let Ok(found) = self.row.try_get_raw(index) else { return Value::Foreign };
        if found.is_null() {
            return Value::Null;
        }
        let Ok(bytes) = found.as_bytes() else { return Value::Foreign };
        // In the binary form, which answers to prepared statements have.
        match (found.type_info().name(), bytes) {
            ("INT8", bytes) => bytes
                .try_into()
                .map_or(Value::Foreign, |bytes| Value::Int(i64::from_be_bytes(bytes))),
            ("BOOL", [flag]) => Value::Int((*flag).into()),
            // Names in keys are kept as bytes.
            ("BYTEA", bytes) if self.is_name(index) => Value::Text(bytes),
            ("BYTEA", bytes) => Value::Blob(bytes),
            ("TEXT", bytes) => Value::Text(bytes),
            _ => Value::Foreign,
        }
    }
}

impl Cells<'_> {
    fn is_name(&self, index: usize) -> bool {
        self.table.columns.get(index).is_some_and(|column| column.ty == Type::Text)
    }
}

/// The type of a column as PostgreSQL has it.
pub(crate) fn kept_as(table: &Table, index: usize) -> Type {
    match table.columns.get(index).map(|column| column.ty) {
        Some(Type::Text) if index < table.key => Type::Blob,
        Some(ty) => ty,
        // The checksum.
        None => Type::Int,
    }
}

/// The types of some columns.
pub(crate) fn kept(table: &Table, columns: Range<usize>) -> impl Iterator<Item = Type> {
    columns.map(|index| kept_as(table, index))
}

/// The values of one column in several rows.
#[derive(Clone, Debug)]
pub(crate) enum Array {
    Int(Vec<Option<i64>>),
    Bool(Vec<Option<bool>>),
    Blob(Vec<Option<Vec<u8>>>),
    Text(Vec<Option<String>>),
}

impl Array {
    pub(crate) fn new(ty: Type) -> Array {
        match ty {
            Type::Int => Array::Int(Vec::new()),
            Type::Bool => Array::Bool(Vec::new()),
            Type::Blob => Array::Blob(Vec::new()),
            Type::Text => Array::Text(Vec::new()),
        }
    }

    /// Adds a value of the array's type, or none.
    pub(crate) fn push(&mut self, value: Value<'_>) {
        match self {
            Array::Int(array) => array.push(match value {
                Value::Int(value) => Some(value),
                _ => None,
            }),
            Array::Bool(array) => array.push(match value {
                Value::Int(value) => Some(value != 0),
                _ => None,
            }),
            Array::Blob(array) => array.push(match value {
                Value::Blob(bytes) | Value::Text(bytes) => Some(bytes.to_vec()),
                _ => None,
            }),
            Array::Text(array) => array.push(match value {
                Value::Text(bytes) => from_utf8(bytes).ok().map(str::to_owned),
                _ => None,
            }),
        }
    }

    fn add_to(self, arguments: &mut PgArguments) -> Result<(), BoxDynError> {
        match self {
            Array::Int(array) => arguments.add(array),
            Array::Bool(array) => arguments.add(array),
            Array::Blob(array) => arguments.add(array),
            Array::Text(array) => arguments.add(array),
        }
    }
}

/// The type of an array parameter.
pub(crate) fn array_type(ty: Type) -> &'static str {
    match ty {
        Type::Int => "int8[]",
        Type::Bool => "bool[]",
        Type::Blob => "bytea[]",
        Type::Text => "text[]",
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

/// The parameters of a statement, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    arguments: PgArguments,
    failed: Option<String>,
}

impl Parameters {
    pub(crate) fn new() -> Parameters {
        Parameters::default()
    }

    pub(crate) fn int(mut self, value: i64) -> Self {
        let added = self.arguments.add(value);
        self.check(added)
    }

    pub(crate) fn unsigned(self, value: u64) -> Self {
        self.int(value.cast_signed())
    }

    pub(crate) fn text(mut self, value: &str) -> Self {
        let added = self.arguments.add(value);
        self.check(added)
    }

    pub(crate) fn rows(mut self, rows: Rows) -> Self {
        let added = rows.columns.into_iter().try_for_each(|c| c.add_to(&mut self.arguments));
        self.check(added)
    }

    /// A value of a type.
    pub(crate) fn value(mut self, ty: Type, value: Value<'_>) -> Self {
        let added = match (ty, value) {
            (Type::Bool, Value::Int(value)) => self.arguments.add(value != 0),
            (_, Value::Int(value)) => self.arguments.add(value),
            (_, Value::Blob(bytes)) => self.arguments.add(bytes),
            (Type::Text, Value::Text(bytes)) => self.arguments.add(from_utf8(bytes).ok()),
            (_, Value::Text(bytes)) => self.arguments.add(bytes),
            (Type::Int, _) => self.arguments.add(None::<i64>),
            (Type::Bool, _) => self.arguments.add(None::<bool>),
            (Type::Blob, _) => self.arguments.add(None::<&[u8]>),
            (Type::Text, _) => self.arguments.add(None::<&str>),
        };
        self.check(added)
    }

    fn check(mut self, added: Result<(), BoxDynError>) -> Self {
        if let Err(error) = added {
            self.failed.get_or_insert(error.to_string());
        }
        self
    }

    /// The arguments, unless one of them could not be encoded.
    pub(crate) fn finish(self) -> Result<PgArguments, Fault> {
        match self.failed {
            None => Ok(self.arguments),
            Some(failed) => Err(Fault::doing("encoding")(sqlx::Error::Encode(failed.into()))),
        }
    }
}
