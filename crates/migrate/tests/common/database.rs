//! A database of its own for each test.
#![allow(dead_code, reason = "no file of tests needs all of it")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sqlstore::PostgresOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row};
use tokio::runtime::{Builder, Runtime};
use url::Url;

/// A database that nobody else uses, and an operator's connection to it.
pub(crate) struct Database {
    server: Url,
    url: Url,
    name: String,
    shell: Mutex<Shell>,
}

impl Database {
    pub(crate) fn new() -> Database {
        Database::on("CHANSTORE_POSTGRES_URL")
    }

    /// One whose server asks for passwords.
    pub(crate) fn with_password() -> Database {
        Database::on("CHANSTORE_POSTGRES_TCP_URL")
    }

    fn on(variable: &str) -> Database {
        let server = std::env::var(variable);
        let server = server
            .unwrap_or_else(|_| panic!("{variable} names no server; see tests/with-postgres"));
        let server: Url = server.parse().unwrap();
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("migrate_{}_{number}", std::process::id());
        Shell::new(&server).run(&format!("create database {name}"));
        let mut url = server.clone();
        url.set_path(&name);
        let shell = Mutex::new(Shell::new(&url));
        Database { server, url, name, shell }
    }

    /// Names a store in it.
    pub(crate) fn url(&self, schema: &str) -> String {
        let mut url = self.url.clone();
        url.query_pairs_mut().append_pair("schema", schema);
        url.into()
    }

    /// Names a store in it, for another role.
    pub(crate) fn url_as(&self, role: &str, password: &str, schema: &str) -> String {
        let mut url: Url = self.url(schema).parse().unwrap();
        url.set_username(role).unwrap();
        url.set_password(Some(password)).unwrap();
        url.into()
    }

    /// Names lnd's table in it.
    pub(crate) fn lnd_url(&self) -> String {
        format!("lnd-{}", self.url)
    }

    /// Names lnd's table in it, for another role.
    pub(crate) fn lnd_url_as(&self, role: &str, password: &str) -> String {
        let mut url = self.url.clone();
        url.set_username(role).unwrap();
        url.set_password(Some(password)).unwrap();
        format!("lnd-{url}")
    }

    pub(crate) fn password(&self) -> &str {
        self.url.password().expect("the server asks for a password")
    }

    /// Opens a store as a node does.
    pub(crate) fn options(&self, schema: &str) -> PostgresOptions {
        PostgresOptions::new(self.url.as_str()).unwrap().schema(schema).unwrap()
    }

    /// Names of its schemas, but for those that every database has.
    pub(crate) fn schemas(&self) -> Vec<String> {
        let sql = "select nspname::text from pg_namespace \
                   where nspname !~ '^(pg_.*|information_schema|public)$' order by 1";
        let rows = self.shell().rows(sql);
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub(crate) fn run(&self, sql: &str) {
        self.shell().run(sql);
    }

    /// The number that a statement selects.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        self.shell().rows(sql)[0].get(0)
    }

    /// Another connection.
    pub(crate) fn another_shell(&self) -> Shell {
        Shell::new(&self.url)
    }

    fn shell(&self) -> std::sync::MutexGuard<'_, Shell> {
        self.shell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        Shell::new(&self.server).run(&format!("drop database {} with (force)", self.name));
    }
}

/// A connection.
pub(crate) struct Shell {
    runtime: Runtime,
    connection: PgConnection,
}

impl Shell {
    fn new(url: &Url) -> Shell {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options: PgConnectOptions = url.as_str().parse().unwrap();
        let connection = runtime.block_on(options.connect()).unwrap();
        Shell { runtime, connection }
    }

    /// Connects to a server that may be away; with the process that serves the connection.
    #[allow(dead_code, reason = "not every test needs it")]
    pub(crate) fn try_new() -> Result<(i32, Shell), sqlx::Error> {
        let url: Url = std::env::var("CHANSTORE_POSTGRES_URL").unwrap().parse().unwrap();
        let options: PgConnectOptions = url.as_str().parse()?;
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut connection = runtime.block_on(options.connect())?;
        let asked = sqlx::query("select pg_backend_pid()").fetch_one(&mut connection);
        let process = runtime.block_on(asked)?.get(0);
        Ok((process, Shell { runtime, connection }))
    }

    pub(crate) fn run(&mut self, sql: &str) {
        let run = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection);
        self.runtime.block_on(run).unwrap();
    }

    /// As [`run`](Shell::run), for what the server may refuse.
    pub(crate) fn try_run(&mut self, sql: &str) -> Result<(), String> {
        let run = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection);
        self.runtime.block_on(run).map(drop).map_err(|error| error.to_string())
    }

    pub(crate) fn rows(&mut self, sql: &str) -> Vec<sqlx::postgres::PgRow> {
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut self.connection);
        self.runtime.block_on(rows).unwrap()
    }
}
