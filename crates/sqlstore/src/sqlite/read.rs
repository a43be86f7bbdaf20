//! Reads by key and in key order.

use channelcoord::{BackendError, Record};
use chanstate::key::{KeyRange, RecordKey};
use rusqlite::{Connection, Row};

use super::bind::bind;
use super::error::Engine;
use super::session::Session;
use super::text;
use crate::keys::{self, Pass, Plan};
use crate::row::Checksums;
use crate::table;
use crate::text::Entry;
use crate::value::Value;

/// Reads records by key, all as of the same moment.
pub(crate) fn read(
    connection: &Connection,
    checksums: Checksums,
    keys: &[RecordKey],
) -> Result<Vec<Option<Record>>, BackendError> {
    at_one_moment(connection, || {
        let mut session = Session::reading(connection, checksums);
        keys.iter().map(|key| session.record(key)).collect()
    })
}

/// Reads up to `limit` records of a range.
pub(crate) fn scan(
    connection: &Connection,
    checksums: Checksums,
    range: &KeyRange,
    limit: usize,
) -> Result<Vec<Record>, BackendError> {
    let entry = text::of_kind(range.kind);
    match keys::plan(entry.table, range) {
        Plan::Nothing => Ok(Vec::new()),
        Plan::One if limit == 0 => Ok(Vec::new()),
        Plan::One => {
            let key = RecordKey { kind: range.kind, parts: range.prefix.clone() };
            let record = Session::reading(connection, checksums).record(&key);
            record.map(|record| record.into_iter().collect())
        }
        Plan::Passes(passes) => at_one_moment(connection, || {
            let mut found = Vec::new();
            for pass in &passes {
                let left = limit - found.len();
                if left > 0 {
                    let mut take = |row: &Row<'_>| {
                        found.push(table::record(range.kind, row, checksums)?);
                        Ok(())
                    };
                    run(connection, entry, pass, left, &mut take)?;
                }
            }
            Ok(found)
        }),
    }
}

fn run(
    connection: &Connection,
    entry: &Entry,
    pass: &Pass<'_>,
    limit: usize,
    take: &mut dyn FnMut(&Row<'_>) -> Result<(), BackendError>,
) -> Result<(), BackendError> {
    let failed = || Engine::reading(entry.table.name);
    let scan = &entry.statements.scans[pass.given];
    let text = if pass.after { &scan.after } else { &scan.all };
    let mut statement = connection.prepare_cached(text).map_err(failed())?;
    let limit = Value::Int(i64::try_from(limit).unwrap_or(i64::MAX));
    bind(&mut statement, pass.values.iter().copied().chain([limit])).map_err(failed())?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(failed())? {
        take(row)?;
    }
    Ok(())
}

/// Runs `work` in a transaction, so that all its statements see the same commits.
fn at_one_moment<T>(
    connection: &Connection,
    work: impl FnOnce() -> Result<T, BackendError>,
) -> Result<T, BackendError> {
    let begin = connection.unchecked_transaction();
    let transaction = begin
        .map_err(|error| BackendError::Unavailable(Engine::cause("beginning a read")(error)))?;
    let result = work();
    // Nothing was written: rolling back ends the read as well as committing does.
    drop(transaction);
    result
}
