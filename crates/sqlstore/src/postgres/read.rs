//! Reads by key and in key order.

use std::collections::BTreeMap;
use std::sync::Arc;

use channelcoord::{BackendError, Record};
use chanstate::key::{KeyRange, Kind, RecordKey};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::array::{Rows, array_type};
use super::client::Client;
use super::error::Fault;
use super::part::joined;
use super::readers::Statement;
use super::row::{Cells, Parameters, kept, kept_as};
use super::text;
use crate::keys::{self, Pass, Plan};
use crate::row::Checksums;
use crate::statement::list;
use crate::table;
use crate::value::{Sink, Type, Value};

/// A statement that reads rows of a kind.
struct Query {
    kind: Kind,
    text: Arc<str>,
    parameters: Parameters,
}

/// Reads records by key, all as of the same moment.
pub(crate) async fn read(
    client: Arc<Client>,
    keys: Vec<RecordKey>,
    checksums: Checksums,
) -> Result<Vec<Option<Record>>, BackendError> {
    let mut of_kinds: BTreeMap<Kind, Vec<usize>> = BTreeMap::new();
    for (at, key) in keys.iter().enumerate() {
        of_kinds.entry(key.kind).or_default().push(at);
    }
    let queries = of_kinds.iter().map(|(kind, places)| {
        let keys = places.iter().map(|at| (*at, &keys[*at]));
        by_keys(*kind, keys)
    });
    let mut found: Vec<_> = keys.iter().map(|_| None).collect();
    for (kind, rows) in run(&client, queries.collect()).await? {
        let places = table::of_kind(kind).columns.len() + 1;
        for row in rows {
            let at: i64 = row.try_get(places).map_err(|e| Fault::doing("reading")(e).reading())?;
            let place = usize::try_from(at).ok().and_then(|at| found.get_mut(at));
            if let Some(place) = place {
                *place = Some(record(kind, &row, checksums)?);
            }
        }
    }
    Ok(found)
}

/// Selects the rows with these keys, each with its place.
fn by_keys<'k>(kind: Kind, keys: impl Iterator<Item = (usize, &'k RecordKey)>) -> Query {
    let table = table::of_kind(kind);
    let types: Vec<_> = kept(table, 0..table.key).chain([Type::Int]).collect();
    let mut rows = Rows::new(types.iter().copied());
    for (at, key) in keys {
        // No row has a key that no column can hold.
        let values = keys::values(table, key);
        for value in
            values.into_iter().flat_map(|v| v.into_iter().chain([Value::unsigned(at as u64)]))
        {
            rows.push(value);
        }
    }
    let parameter = |(index, ty)| format!("${}::{}", index + 1, array_type(ty));
    let arrays = list(", ", types.into_iter().enumerate().map(parameter));
    let columns = table.some(0..table.columns.len()).chain(["checksum"]);
    let columns = list(", ", columns.map(|name| format!("t.{name}")));
    let keys = table.names(0..table.key);
    let (name, same) = (table.name, joined(table));
    let text = format!(
        "select {columns}, u.at from unnest({arrays}) u ({keys}, at) join {name} t on {same}"
    );
    Query { kind, text: text.into(), parameters: Parameters::new().rows(&rows) }
}

/// Reads up to `limit` records of a range.
pub(crate) async fn scan(
    client: Arc<Client>,
    range: KeyRange,
    limit: usize,
    checksums: Checksums,
) -> Result<Vec<Record>, BackendError> {
    let entry = text::of_kind(range.kind);
    let passes = match keys::plan(entry.table, &range) {
        Plan::Nothing => return Ok(Vec::new()),
        Plan::One => {
            let key = RecordKey { kind: range.kind, parts: range.prefix.clone() };
            let found = read(client, vec![key], checksums).await?;
            return Ok(found.into_iter().flatten().take(limit).collect());
        }
        Plan::Passes(passes) => passes,
    };
    let queries = passes.iter().map(|pass| in_order(range.kind, pass, limit));
    let rows = run(&client, queries.collect()).await?.into_iter().flat_map(|(_, rows)| rows);
    rows.take(limit).map(|row| record(range.kind, &row, checksums)).collect()
}

fn record(kind: Kind, row: &PgRow, checksums: Checksums) -> Result<Record, BackendError> {
    table::record(kind, &Cells { row, table: table::of_kind(kind) }, checksums)
}

fn in_order(kind: Kind, pass: &Pass<'_>, limit: usize) -> Query {
    let entry = text::of_kind(kind);
    let scan = &entry.statements.scans[pass.given];
    let text = if pass.after { &scan.after } else { &scan.all };
    let mut parameters = Parameters::new();
    for (index, value) in pass.values.iter().enumerate() {
        // Half of a wide key has two bounds for its first column, all of them numbers.
        let ty = match entry.table.wide {
            true => Type::Int,
            false => kept_as(entry.table, index),
        };
        parameters = parameters.value(ty, *value);
    }
    let parameters = parameters.int(i64::try_from(limit).unwrap_or(i64::MAX));
    Query { kind, text: text.as_str().into(), parameters }
}

/// Runs statements that see the same commits.
async fn run(
    client: &Client,
    queries: Vec<Query>,
) -> Result<Vec<(Kind, Vec<PgRow>)>, BackendError> {
    let (kinds, statements): (Vec<Kind>, Vec<Statement>) =
        queries.into_iter().map(|query| (query.kind, (query.text, query.parameters))).unzip();
    if kinds.is_empty() {
        return Ok(Vec::new());
    }
    let mut patience = client.patience();
    loop {
        let asked = client.unless_closed(client.readers.ask(&client.server, &statements)).await;
        let fault = match asked.and_then(|answers| answers) {
            Ok(answers) => return Ok(kinds.into_iter().zip(answers).collect()),
            Err(fault) => fault,
        };
        let name = table::of_kind(kinds[0]).name;
        patience.pause(fault).await.map_err(|fault| fault.reading_table(name))?;
    }
}
