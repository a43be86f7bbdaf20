//! Values as columns and parameters of PostgreSQL.

use std::ops::Range;
use std::str::from_utf8;

use sqlx::encode::Encode;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments as _, Row, TypeInfo, ValueRef};

use super::array::Rows;
use super::error::Fault;
use crate::table::Table;
use crate::value::{Source, Type, Value};

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

    pub(crate) fn rows(mut self, rows: &Rows) -> Self {
        let columns = rows.columns();
        self.arguments.reserve(columns.len(), columns.iter().map(Encode::size_hint).sum());
        let added = columns.iter().try_for_each(|column| self.arguments.add(column));
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
