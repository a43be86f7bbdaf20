//! Keys of records as values of columns.

use std::cmp::Ordering;

use chanstate::key::{KeyPart, KeyRange, Kind, RecordKey};
use thiserror::Error;

use crate::columns::Column;
use crate::table::Table;
use crate::value::{Source, Type, Value};

/// Why a record cannot be stored.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// A number of its key does not fit a signed column.
    #[error("{column} {found} over 2^63 - 1")]
    TooLarge {
        /// Column of the key.
        column: String,
        /// The number.
        found: u64,
    },
}

/// Checks that a row with this key sorts as it should: columns order numbers as signed ones, so all
/// but a leading short channel id must be below 2^63.
pub(crate) fn check(table: &Table, key: &RecordKey) -> Result<(), Misfit> {
    let columns = table.key_columns().iter().zip(&key.parts);
    for (column, part) in columns.skip(usize::from(table.wide)) {
        match part {
            KeyPart::Int(found) if found.cast_signed() < 0 => {
                return Err(Misfit::TooLarge { column: column.name.clone(), found: *found });
            }
            _ => {}
        }
    }
    Ok(())
}

/// The values of the key columns; `None` if no row of the table can have the key.
pub(crate) fn values<'a>(table: &Table, key: &'a RecordKey) -> Option<Vec<Value<'a>>> {
    if key.parts.len() == table.key { prefix_values(table, &key.parts) } else { None }
}

/// The key of a row, whether or not the rest of the row is sound.
pub(crate) fn of_row(kind: Kind, table: &Table, source: &dyn Source) -> RecordKey {
    let part = |index: usize| match source.value(index) {
        Value::Int(value) => KeyPart::Int(value.cast_unsigned()),
        Value::Blob(bytes) | Value::Text(bytes) => KeyPart::Bytes(bytes.to_vec().into()),
        Value::Null | Value::Foreign => KeyPart::Bytes(Vec::new().into()),
    };
    RecordKey { kind, parts: (0..table.key).map(part).collect() }
}

/// How to select the rows of a range.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan<'a> {
    /// No row can be in it.
    Nothing,
    /// The row whose key is the prefix.
    One,
    /// Rows found by one statement after the other.
    Passes(Vec<Pass<'a>>),
}

/// One statement of a scan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pass<'a> {
    /// Number of key columns that are given.
    pub(crate) given: usize,
    /// Only rows after a key.
    pub(crate) after: bool,
    /// Parameters, without the greatest number of rows.
    pub(crate) values: Vec<Value<'a>>,
}

/// Plans a scan.
pub(crate) fn plan<'a>(table: &Table, range: &'a KeyRange) -> Plan<'a> {
    let given = range.prefix.len();
    let Some(prefix) = prefix_values(table, &range.prefix) else { return Plan::Nothing };
    let rest = match &range.after {
        None => &[][..],
        Some(after) => {
            let (head, rest) = after.split_at(given.min(after.len()));
            match head.cmp(&range.prefix) {
                Ordering::Less => &[],
                Ordering::Greater => return Plan::Nothing,
                Ordering::Equal if given == table.key => return Plan::Nothing,
                Ordering::Equal => rest,
            }
        }
    };
    if given == table.key {
        return Plan::One;
    }
    let columns = table.key_columns().get(given..).unwrap_or_default();
    match lower_bound(columns, table.wide && given == 0, rest) {
        Bound::None if table.wide && given == 0 => {
            Plan::Passes(vec![LOW_HALF.all(), HIGH_HALF.all()])
        }
        Bound::None => Plan::Passes(vec![Pass { given, after: false, values: prefix }]),
        Bound::After(values) if table.wide && given == 0 => {
            if matches!(values.first(), Some(Value::Int(0..))) {
                Plan::Passes(vec![LOW_HALF.after(values), HIGH_HALF.all()])
            } else {
                Plan::Passes(vec![HIGH_HALF.after(values)])
            }
        }
        Bound::After(values) => {
            let values = prefix.into_iter().chain(values).collect();
            Plan::Passes(vec![Pass { given, after: true, values }])
        }
        Bound::End => Plan::Nothing,
    }
}

/// Half of the numbers of a wide column, as they are stored.
struct Half {
    low: i64,
    high: i64,
}

/// Numbers below 2^63.
const LOW_HALF: Half = Half { low: 0, high: i64::MAX };

/// Numbers from 2^63 on.
const HIGH_HALF: Half = Half { low: i64::MIN, high: -1 };

impl Half {
    fn all<'a>(&self) -> Pass<'a> {
        let values = vec![Value::Int(self.low), Value::Int(self.high)];
        Pass { given: 0, after: false, values }
    }

    fn after<'a>(&self, mut values: Vec<Value<'a>>) -> Pass<'a> {
        values.push(Value::Int(self.high));
        Pass { given: 0, after: true, values }
    }
}

/// Where a scan begins.
enum Bound<'a> {
    /// With the first row.
    None,
    /// After these values.
    After(Vec<Value<'a>>),
    /// Nowhere: no row comes after.
    End,
}

/// The bound for rows after `parts`, which may be incomplete, too long, or beyond what columns hold.
fn lower_bound<'a>(columns: &[Column], wide: bool, parts: &'a [KeyPart]) -> Bound<'a> {
    let mut values = Vec::with_capacity(columns.len() + 1);
    for (index, column) in columns.iter().enumerate() {
        let filler = match limit(column, wide && index == 0, parts.get(index)) {
            Limit::Value(value) => {
                values.push(value);
                continue;
            }
            Limit::BeforeAll if index == 0 => return Bound::None,
            Limit::AfterAll if index == 0 => return Bound::End,
            // Only first columns are wide, or bytes: the others hold numbers below 2^63, or flags,
            // and no flag is the last one.
            Limit::BeforeAll => [0, -1],
            Limit::AfterAll => [1, i64::MAX],
        };
        let fill = |column: &Column| match column.ty {
            Type::Bool => Value::Int(filler[0]),
            _ => Value::Int(filler[1]),
        };
        values.extend(columns.iter().skip(index).map(fill));
        break;
    }
    Bound::After(values)
}

/// How a part compares with what a column holds.
enum Limit<'a> {
    /// It may be in the column.
    Value(Value<'a>),
    /// It sorts before everything that may be in the column.
    BeforeAll,
    /// It sorts after everything that may be in the column.
    AfterAll,
}

fn limit<'a>(column: &Column, wide: bool, part: Option<&'a KeyPart>) -> Limit<'a> {
    match (column.ty, part) {
        (_, None) => Limit::BeforeAll,
        (Type::Bool, Some(KeyPart::Int(2..))) => Limit::AfterAll,
        (Type::Int | Type::Bool, Some(KeyPart::Int(value))) => {
            if value.cast_signed() < 0 && !wide {
                Limit::AfterAll
            } else {
                Limit::Value(Value::unsigned(*value))
            }
        }
        // Numbers sort before bytes.
        (Type::Int | Type::Bool, Some(KeyPart::Bytes(_))) => Limit::AfterAll,
        (Type::Blob | Type::Text, Some(KeyPart::Int(_))) => Limit::BeforeAll,
        (Type::Blob, Some(KeyPart::Bytes(bytes))) => Limit::Value(Value::Blob(bytes)),
        (Type::Text, Some(KeyPart::Bytes(bytes))) => Limit::Value(Value::Text(bytes)),
    }
}

fn prefix_values<'a>(table: &Table, parts: &'a [KeyPart]) -> Option<Vec<Value<'a>>> {
    if parts.len() > table.key {
        return None;
    }
    let value = |(column, part): (&Column, &'a KeyPart)| match (column.ty, part) {
        (Type::Bool, KeyPart::Int(2..)) => None,
        (Type::Int | Type::Bool, KeyPart::Int(value)) => Some(Value::unsigned(*value)),
        (Type::Blob, KeyPart::Bytes(bytes)) => Some(Value::Blob(bytes)),
        (Type::Text, KeyPart::Bytes(bytes)) => Some(Value::Text(bytes)),
        _ => None,
    };
    table.key_columns().iter().zip(parts).map(value).collect()
}
