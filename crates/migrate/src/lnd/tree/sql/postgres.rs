//! lnd's table in PostgreSQL.
//!
//! Everything is read in one transaction that shows one state. Its connection lives on a thread of its
//! own, so that callers may run on any runtime or none.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use pollster::block_on;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column, ConnectOptions, PgConnection, Postgres, Row as _, TypeInfo};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Mutex;

use super::OpenError;
use super::engine::{Cell, Engine, EngineCause, EngineError, Row};

/// What columns must be, since PostgreSQL sorts and compares by type.
const COLUMNS: [(&str, &str); 5] = [
    ("key", "bytea"),
    ("value", "bytea"),
    ("parent_id", "bigint"),
    ("id", "bigint"),
    ("sequence", "bigint"),
];

/// A long job must not be ended half-way; statements that run once for each bucket need no new plan.
const SETTINGS: [(&str, &str); 5] = [
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("jit", "off"),
    ("default_transaction_read_only", "on"),
];

/// Entries are read by index in key order. A plan that sorts would read a bucket whole for each page.
const AHEAD: &str = "set local enable_seqscan = off; set local enable_bitmapscan = off; \
                     set local enable_sort = off; set local plan_cache_mode = force_generic_plan";

/// How a job begins that sees one state.
const READING: &str = "begin isolation level repeatable read read only";

/// How a job begins that changes the table. What was committed before it was locked is seen.
const WRITING: &str = "begin isolation level read committed read write";

/// Plans for statements over all rows.
const WHOLE: &str = "set local enable_seqscan = on; set local enable_bitmapscan = on; \
                     set local enable_sort = on";

/// Where lnd's table is: a database, and a table in it.
#[derive(Clone)]
pub struct Place {
    // Boxed, since it is large.
    server: Box<PgConnectOptions>,
    schema: String,
    name: String,
}

/// A table with a snapshot.
#[derive(Debug)]
struct Server {
    session: Session,
    place: Place,
    table: String,
}

/// A connection in a transaction, and the thread that it runs on.
#[derive(Debug)]
struct Session {
    connection: Arc<Mutex<PgConnection>>,
    // Taken when dropped.
    runtime: Option<Runtime>,
}

impl Place {
    /// The table of the namespace `prefix`, `channeldb` for channel state, in a schema of the database
    /// at `url`. What the URL lacks comes from the environment, as `psql` does it.
    ///
    /// # Errors
    /// If it is no URL of a database.
    pub fn new(url: &str, schema: &str, prefix: &str) -> Result<Place, EngineError> {
        let server = PgConnectOptions::from_str(url).map_err(EngineError::doing("not a URL"))?;
        let server = server.options(SETTINGS).application_name("chanstore migrate");
        let server = Box::new(server.disable_statement_logging());
        Ok(Place { server, schema: schema.to_owned(), name: format!("{prefix}_kv") })
    }

    /// Bytes that the table takes, with its indexes.
    ///
    /// # Errors
    /// If the server does not tell.
    pub fn size(&self) -> Result<u64, EngineError> {
        let session = Session::begin(&self.server, READING)?;
        let text = "select pg_total_relation_size(format('%I.%I', $1, $2)::regclass)";
        let rows = session.rows(text, &[self.schema.clone(), self.name.clone()].map(Cell::Text))?;
        let size = rows.into_iter().next().and_then(|mut row| row.integer());
        Ok(size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0))
    }

    /// The table, quoted for statements.
    fn quoted(&self) -> String {
        let quote = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

// The server's options hold the password.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.quoted()).finish()
    }
}

/// Connects and takes a snapshot.
pub(super) fn open(place: &Place) -> Result<impl Engine + use<>, OpenError> {
    let session = Session::begin(&place.server, READING)?;
    let (place, table) = (place.clone(), place.quoted());
    Ok(Server { session, place, table })
}

/// Connects, and locks the table in a transaction that may write. Whoever else writes it is not waited
/// for.
pub(super) fn open_to_write(place: &Place) -> Result<impl Engine + use<>, OpenError> {
    let session = Session::begin(&place.server, WRITING)?;
    let (place, table) = (place.clone(), place.quoted());
    // A weaker setting of the role would make a commit return before it is durable.
    session.set("set local synchronous_commit = on")?;
    session.rows(&format!("lock table {table} in exclusive mode nowait"), &[])?;
    Ok(Server { session, place, table })
}

impl Session {
    /// Connects and begins the transaction that everything is read in.
    fn begin(server: &PgConnectOptions, begin: &'static str) -> Result<Session, EngineError> {
        let mut builder = Builder::new_multi_thread();
        let builder = builder.worker_threads(1).thread_name("migrate-postgres").enable_all();
        let runtime = builder.build().map_err(EngineError::doing("cannot start a thread"))?;
        let server = server.clone();
        let connecting = runtime.spawn(async move {
            let mut connection = server.connect().await?;
            sqlx::raw_sql(begin).execute(&mut connection).await?;
            // The first statement takes the snapshot.
            sqlx::raw_sql("select 1").execute(&mut connection).await?;
            Ok::<_, sqlx::Error>(connection)
        });
        let connected = block_on(connecting);
        // From here on dropped in the background, whatever comes.
        let lost = |_| EngineError { doing: "cannot connect", cause: EngineCause::Stopped };
        let connection = match connected.map_err(lost) {
            Ok(connected) => connected.map_err(EngineError::doing("cannot connect")),
            Err(error) => Err(error),
        };
        match connection {
            Ok(connection) => {
                let connection = Arc::new(Mutex::new(connection));
                Ok(Session { connection, runtime: Some(runtime) })
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    fn rows(&self, text: &str, parameters: &[Cell]) -> Result<Vec<Row>, EngineError> {
        let (text, parameters) = (text.to_owned(), parameters.to_vec());
        self.run(|connection| async move {
            let query = parameters.into_iter().fold(sqlx::query(AssertSqlSafe(text)), bind);
            query.fetch_all(&mut *connection.lock().await).await?.iter().map(row).collect()
        })
    }

    fn set(&self, text: &'static str) -> Result<(), EngineError> {
        self.run(|connection| async move {
            sqlx::raw_sql(text).execute(&mut *connection.lock().await).await?;
            Ok(())
        })
    }

    /// Runs work on the thread and waits for it.
    fn run<T, F>(&self, work: impl FnOnce(Arc<Mutex<PgConnection>>) -> F) -> Result<T, EngineError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    {
        let doing = "cannot read the database";
        let stopped = || EngineError { doing, cause: EngineCause::Stopped };
        let runtime = self.runtime.as_ref().ok_or_else(stopped)?;
        let spawned = runtime.spawn(work(Arc::clone(&self.connection)));
        block_on(spawned).map_err(|_| stopped())?.map_err(EngineError::doing(doing))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Waiting for the thread is not allowed on a thread of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

type Asked<'q> = Query<'q, Postgres, PgArguments>;

fn bind(query: Asked<'_>, parameter: Cell) -> Asked<'_> {
    match parameter {
        Cell::Null => query.bind(None::<i64>),
        Cell::Integer(number) => query.bind(number),
        Cell::Bytes(bytes) => query.bind(bytes),
        Cell::Text(text) => query.bind(text),
    }
}

fn row(row: &PgRow) -> Result<Row, sqlx::Error> {
    let cells = row.columns().iter().enumerate().map(|(at, column)| {
        let cell = match column.type_info().name() {
            "INT8" => row.try_get::<Option<i64>, _>(at)?.map(Cell::Integer),
            "INT4" => row.try_get::<Option<i32>, _>(at)?.map(|it| Cell::Integer(it.into())),
            "BYTEA" => row.try_get::<Option<Vec<u8>>, _>(at)?.map(Cell::Bytes),
            _ => row.try_get::<Option<String>, _>(at)?.map(Cell::Text),
        };
        Ok(cell.unwrap_or(Cell::Null))
    });
    cells.collect::<Result<_, sqlx::Error>>().map(Row::new)
}

/// Number and sum of all rows: what differs if any of them does.
const PRINT: &str = "select count(*), coalesce(sum(('x' || left(encode(sha256(convert_to(concat_ws(':', \
     id, coalesce(parent_id::text, '-'), coalesce(sequence::text, '-'), encode(sha256(key), 'hex'), \
     coalesce(encode(sha256(value), 'hex'), '-')), 'UTF8')), 'hex'), 16))::bit(64)::bigint), 0)::text \
     from {table}";

impl Server {
    fn print(&self, session: &Session) -> Result<Option<(i64, String)>, EngineError> {
        let rows = session.rows(&PRINT.replace("{table}", &self.table), &[])?;
        Ok(rows.into_iter().next().and_then(|mut row| Some((row.integer()?, row.text()?))))
    }
}

impl Engine for Server {
    fn table(&self) -> &str {
        &self.table
    }

    fn key_fault(&self) -> &'static str {
        "case when key is null then 'it has no key' when key = '' then 'its key is empty' end"
    }

    fn fault(&self) -> &'static str {
        "case when parent_id is null and value is not null then 'is a value, a bucket belongs here' \
         when sequence < 0 then 'its sequence is negative: ' || sequence \
         when value is not null and sequence <> 0 then 'is a value and has a sequence: ' || sequence \
         end"
    }

    fn require_columns(&self) -> Result<(), OpenError> {
        let text = "select attname::text, format_type(atttypid, null) from pg_attribute \
                    where attrelid = to_regclass($1) and attnum > 0 and not attisdropped";
        let found = self.rows(text, &[Cell::Text(self.table.clone())])?;
        if found.is_empty() {
            return Err(OpenError::NoTable(self.table.clone()));
        }
        let found: Vec<_> =
            found.into_iter().filter_map(|mut row| Some((row.text()?, row.text()?))).collect();
        for (column, kind) in COLUMNS {
            let fault = match found.iter().find(|(name, _)| name == column) {
                None => "is missing".to_owned(),
                Some((_, found)) if found != kind => format!("is of type {found}, not {kind}"),
                Some(_) => continue,
            };
            return Err(OpenError::Column { table: self.table.clone(), column, fault });
        }
        Ok(())
    }

    fn rows(&self, text: &str, parameters: &[Cell]) -> Result<Vec<Row>, EngineError> {
        self.session.rows(text, parameters)
    }

    fn walk_ahead(&self) -> Result<(), EngineError> {
        self.session.set(AHEAD)
    }

    fn in_use(&self) -> Result<Option<String>, EngineError> {
        // lnd locks nothing that would tell.
        Ok(None)
    }

    fn moved(&self) -> Result<Option<String>, EngineError> {
        self.session.set(WHOLE)?;
        let before = self.print(&self.session)?;
        self.session.set(AHEAD)?;
        let now = self.print(&Session::begin(&self.place.server, READING)?)?;
        Ok((before.is_none() || now != before).then(|| "its rows changed".to_owned()))
    }
    fn commit(&self) -> Result<(), EngineError> {
        self.session.set("commit")
    }
}
