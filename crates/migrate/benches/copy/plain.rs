//! The rows of a store, inserted one by one with a prepared statement in big transactions: what a
//! copy is measured against.
//!
//! Rows come from a store that `migrate` wrote, go into an empty one that its engine made, and are in
//! memory before the clock runs: only insertions and commits are counted.

use std::path::Path;
use std::time::{Duration, Instant};

use channelcoord::Backend;
use pollster::block_on;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Statement};
use sqlstore::{PostgresOptions, SqliteBackend};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::{Arguments, AssertSqlSafe, Column, ConnectOptions, Row, TypeInfo};
use tokio::runtime::Builder;

use crate::child::{Took, cpu};

/// Rows in a transaction.
const TRANSACTION: usize = 50_000;

/// Tables that hold no records.
const OWN: &str = "'schema_step', 'store', 'epoch', 'lease', 'identity', 'burnt'";

/// Rows, and how long it took to insert them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inserted {
    rows: u64,
    took: Took,
}

impl Inserted {
    pub(crate) fn per_second(self) -> f64 {
        self.rows as f64 / self.took.wall.as_secs_f64()
    }

    /// Rows in a second of processor time of this process.
    pub(crate) fn per_cpu_second(self) -> f64 {
        self.rows as f64 / self.took.cpu.as_secs_f64()
    }

    fn count<T>(&mut self, rows: usize, work: impl FnOnce() -> T) -> T {
        let (start, used) = (Instant::now(), own_cpu());
        let done = work();
        self.took = self.took + Took { wall: start.elapsed(), cpu: own_cpu() - used };
        self.rows += rows as u64;
        done
    }
}

fn own_cpu() -> Duration {
    cpu("thread-self").expect("the system counts processor time")
}

/// Inserts the rows of one SQLite store into another one, with the settings of `sqlstore`.
pub(crate) fn sqlite(from: &Path, to: &Path) -> rusqlite::Result<Inserted> {
    let empty = SqliteBackend::create(to).expect("the store is created");
    block_on(empty.release()).expect("the store is released");
    let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let target = Connection::open(to)?;
    for (name, value) in [
        ("synchronous", 2),
        ("foreign_keys", 1),
        ("cache_size", -(32 << 10)),
        ("temp_store", 2),
        ("cell_size_check", 1),
        ("wal_autocheckpoint", 4096),
        ("journal_size_limit", 64 << 20),
    ] {
        target.pragma_update(None, name, value)?;
    }
    let tables = "select name from sqlite_schema where type = 'table'";
    // In the order of their creation, so that parents come first.
    let mut tables = source.prepare(&format!("{tables} and name not in ({OWN}) order by rowid"))?;
    let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut inserted = Inserted::default();
    for table in tables {
        let mut select = source.prepare(&format!("select * from {table}"))?;
        let columns = select.column_count();
        let values = vec!["?"; columns].join(", ");
        let mut insert = target.prepare(&format!("insert into {table} values ({values})"))?;
        let mut rows = select.query([])?;
        loop {
            let mut page: Vec<Vec<Value>> = Vec::new();
            while page.len() < TRANSACTION
                && let Some(row) = rows.next()?
            {
                page.push((0..columns).map(|at| row.get(at)).collect::<Result<_, _>>()?);
            }
            if page.is_empty() {
                break;
            }
            inserted.count(page.len(), || transaction(&target, &mut insert, &page))?;
        }
    }
    // As at the end of a copy, the log goes into the file.
    let close = || target.query_row("pragma wal_checkpoint(truncate)", [], |_| Ok(()));
    inserted.count(0, close)?;
    Ok(inserted)
}

fn transaction(
    target: &Connection,
    insert: &mut Statement<'_>,
    page: &[Vec<Value>],
) -> rusqlite::Result<()> {
    target.execute_batch("begin immediate")?;
    for row in page {
        for (at, value) in row.iter().enumerate() {
            insert.raw_bind_parameter(at + 1, value)?;
        }
        insert.raw_execute()?;
    }
    target.execute_batch("commit")
}

/// Inserts rows of one schema into another one, at most `most` of each table: each row is a round
/// trip, and all of them would take very long.
pub(crate) fn postgres(
    server: &str,
    from: &str,
    to: &str,
    most: usize,
) -> Result<Inserted, sqlx::Error> {
    let options = PostgresOptions::new(server).and_then(|options| options.schema(to));
    let empty = options.and_then(|options| options.create()).expect("the store is created");
    block_on(empty.release()).expect("the store is released");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(insert_all(server, from, to, most))
}

async fn insert_all(
    server: &str,
    from: &str,
    to: &str,
    most: usize,
) -> Result<Inserted, sqlx::Error> {
    let server: PgConnectOptions = server.parse()?;
    let mut source = server.clone().options([("search_path", from)]).connect().await?;
    let mut target = server.options([("search_path", to)]).connect().await?;
    // Parents come first, as they have the lower numbers.
    let tables = format!(
        "select relname::text from pg_class where relnamespace = '{to}'::regnamespace \
         and relkind = 'r' and relname not in ({OWN}) order by oid"
    );
    let tables: Vec<String> =
        sqlx::query_scalar(AssertSqlSafe(tables)).fetch_all(&mut source).await?;
    let mut inserted = Inserted::default();
    for table in tables {
        let select = format!("select * from {table} limit {most}");
        let rows = sqlx::query(AssertSqlSafe(select)).fetch_all(&mut source).await?;
        let Some(first) = rows.first() else { continue };
        let values: Vec<_> = (1..=first.len()).map(|at| format!("${at}")).collect();
        let insert = format!("insert into {table} values ({})", values.join(", "));
        for page in rows.chunks(TRANSACTION) {
            let arguments = page.iter().map(arguments).collect::<Result<Vec<_>, _>>()?;
            let start = Instant::now();
            transaction_of(&mut target, &insert, arguments).await?;
            inserted.took.wall += start.elapsed();
            inserted.rows += page.len() as u64;
        }
    }
    Ok(inserted)
}

async fn transaction_of(
    target: &mut PgConnection,
    insert: &str,
    rows: Vec<PgArguments>,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("begin").execute(&mut *target).await?;
    for row in rows {
        sqlx::query_with(AssertSqlSafe(insert), row).execute(&mut *target).await?;
    }
    sqlx::raw_sql("commit").execute(&mut *target).await?;
    Ok(())
}

fn arguments(row: &PgRow) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for column in row.columns() {
        let at = column.ordinal();
        let added = match column.type_info().name() {
            "INT8" => arguments.add(row.try_get::<Option<i64>, _>(at)?),
            "BOOL" => arguments.add(row.try_get::<Option<bool>, _>(at)?),
            "BYTEA" => arguments.add(row.try_get::<Option<Vec<u8>>, _>(at)?),
            _ => arguments.add(row.try_get::<Option<String>, _>(at)?),
        };
        added.map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}
