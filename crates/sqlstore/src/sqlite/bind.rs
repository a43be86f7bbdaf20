//! Values as parameters and columns of SQLite.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row, Statement, ToSql};

use crate::value::{Sink, Source, Value};

/// Binds values to the parameters of a statement, from the first one on.
pub(crate) struct Parameters<'s, 'c> {
    statement: &'s mut Statement<'c>,
    bound: usize,
    result: rusqlite::Result<()>,
}

impl<'s, 'c> Parameters<'s, 'c> {
    pub(crate) fn new(statement: &'s mut Statement<'c>) -> Self {
        Parameters { statement, bound: 0, result: Ok(()) }
    }

    /// The first failure.
    pub(crate) fn finish(self) -> rusqlite::Result<()> {
        self.result
    }
}

impl Sink for Parameters<'_, '_> {
    fn push(&mut self, value: Value<'_>) {
        self.bound += 1;
        if self.result.is_ok() {
            self.result = self.statement.raw_bind_parameter(self.bound, Parameter(value));
        }
    }
}

/// Binds `values`.
pub(crate) fn bind<'v>(
    statement: &mut Statement<'_>,
    values: impl IntoIterator<Item = Value<'v>>,
) -> rusqlite::Result<()> {
    let mut parameters = Parameters::new(statement);
    values.into_iter().for_each(|value| parameters.push(value));
    parameters.finish()
}

struct Parameter<'a>(Value<'a>);

impl ToSql for Parameter<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null | Value::Foreign => ValueRef::Null,
            Value::Int(value) => ValueRef::Integer(value),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
            Value::Text(bytes) => ValueRef::Text(bytes),
        }))
    }
}

impl Source for Row<'_> {
    fn value(&self, index: usize) -> Value<'_> {
        match self.get_ref(index) {
            Ok(ValueRef::Null) => Value::Null,
            Ok(ValueRef::Integer(value)) => Value::Int(value),
            Ok(ValueRef::Blob(bytes)) => Value::Blob(bytes),
            Ok(ValueRef::Text(bytes)) => Value::Text(bytes),
            Ok(ValueRef::Real(_)) | Err(_) => Value::Foreign,
        }
    }
}
