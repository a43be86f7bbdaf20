//! The server that the tests share, and operators' connections.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use channelcoord::Backend;
use conformance::{InPostgres, Place, Unusable};
use sqlstore::PostgresOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row};
use tokio::runtime::{Builder, Runtime};

/// A server that listens on a socket and asks for no password there.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    dir: PathBuf,
    port: u16,
}

impl Server {
    /// The one whose socket is in `dir`.
    pub(crate) fn at(dir: &Path, port: u16) -> Server {
        Server { dir: dir.to_owned(), port }
    }

    /// The one that `tests/with-postgres` started.
    pub(crate) fn shared() -> Server {
        let url: PgConnectOptions = variable("CHANSTORE_POSTGRES_URL").parse().unwrap();
        Server::at(Path::new(&variable("CHANSTORE_POSTGRES_DIR")), url.get_port())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The URL of a database.
    pub(crate) fn url(&self, database: &str) -> String {
        let Server { dir, port } = self;
        format!("postgres://postgres@localhost:{port}/{database}?host={}", dir.display())
    }

    /// The socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join(format!(".s.PGSQL.{}", self.port))
    }

    /// A place for a store.
    pub(crate) fn place(&self) -> InPostgres {
        InPostgres::on_server(&self.url("postgres")).unwrap()
    }

    /// An operator's connection.
    pub(crate) fn shell(&self, schema: &str) -> Shell {
        self.try_shell(schema).unwrap()
    }

    /// An operator's connection, if the server takes one.
    pub(crate) fn try_shell(&self, schema: &str) -> Result<Shell, sqlx::Error> {
        Shell::new(&self.url("postgres"), schema)
    }
}

/// A variable that `tests/with-postgres` sets.
pub(crate) fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set; see tests/with-postgres"))
}

/// An operator's connection.
pub(crate) struct Shell {
    runtime: Runtime,
    connection: PgConnection,
    schema: String,
}

impl Shell {
    /// Connects, with the schema in the search path.
    pub(crate) fn new(url: &str, schema: &str) -> Result<Shell, sqlx::Error> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options: PgConnectOptions = url.parse()?;
        let options = options.options([("search_path", schema)]);
        let connection = runtime.block_on(options.connect())?;
        Ok(Shell { runtime, connection, schema: schema.to_owned() })
    }

    /// Runs statements.
    pub(crate) fn run(&mut self, sql: &str) {
        self.try_run(sql).unwrap();
    }

    /// Runs statements that may fail.
    pub(crate) fn try_run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let run = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection);
        self.runtime.block_on(run).map(drop)
    }

    /// The numbers that a statement selects, one in a row.
    pub(crate) fn numbers(&mut self, sql: &str) -> Vec<i64> {
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut self.connection);
        self.runtime.block_on(rows).unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// The number that a statement selects.
    pub(crate) fn number(&mut self, sql: &str) -> i64 {
        self.numbers(sql)[0]
    }

    /// Whether the server ended the session.
    pub(crate) fn is_lost(&mut self) -> bool {
        let asked = sqlx::query("select 1").fetch_all(&mut self.connection);
        self.runtime.block_on(asked).is_err()
    }

    /// Processes of the sessions that commit to the schema and wait for something of this type.
    pub(crate) fn commits_waiting(&mut self, wait: &str) -> Vec<i64> {
        let commit = self.sessions("commit");
        self.numbers(&format!("select pid::int8 {commit} and {wait}"))
    }

    /// Ends the sessions of a purpose, all if it is `%`; returns how many there were.
    pub(crate) fn terminate(&mut self, purpose: &str) -> u64 {
        let sessions = self.sessions(purpose);
        self.numbers(&format!("select pg_terminate_backend(pid)::int::int8 {sessions}")).len()
            as u64
    }

    fn sessions(&self, purpose: &str) -> String {
        let name = format!("chanstore {purpose} {}", self.schema);
        format!("from pg_stat_activity where application_name like '{name}'")
    }
}

/// The store that is in a schema already, opened in some way.
pub(crate) struct Existing(pub(crate) PostgresOptions);

impl Place for Existing {
    fn open(&self) -> Result<Arc<dyn Backend>, Unusable> {
        Ok(Arc::new(self.0.clone().open()?))
    }

    fn set_newer(&self, _newer: bool) -> Result<bool, Unusable> {
        Err("the schema belongs to another place".into())
    }
}

/// Waits until something is so, and fails if that takes too long.
pub(crate) fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    // Only for what never comes: no machine is that slow.
    let end = Instant::now() + Duration::from_secs(300);
    while !so() {
        assert!(Instant::now() < end, "not within five minutes: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
