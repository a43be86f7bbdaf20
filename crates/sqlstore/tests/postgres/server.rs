//! A store in a schema of its own, and an operator's connection beside it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use channelcoord::{
    Backend, Batch, ChangeSet, CommitError, Head, MetaRecord, Record, Verdict, meta_key,
};
use pollster::block_on;
use sqlstore::{PostgresBackend, PostgresOptions};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row};
use tokio::runtime::{Builder, Runtime};

use crate::support::puts;

/// Options of a store in a schema that nobody else uses.
pub(crate) fn options() -> (PostgresOptions, String) {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let schema = format!("test_{}_{number}", std::process::id());
    (PostgresOptions::new(&url()).unwrap().schema(schema.as_str()).unwrap(), schema)
}

fn url() -> String {
    std::env::var("CHANSTORE_POSTGRES_URL").expect("CHANSTORE_POSTGRES_URL names a server")
}

/// An operator's connection.
pub(crate) struct Shell {
    runtime: Runtime,
    connection: PgConnection,
}

impl Shell {
    /// Connects, with the schema in the search path.
    pub(crate) fn new(schema: &str) -> Shell {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let options: PgConnectOptions = url().parse().unwrap();
        let options = options.options([("search_path", schema)]);
        let connection = runtime.block_on(options.connect()).unwrap();
        Shell { runtime, connection }
    }

    /// Runs statements.
    pub(crate) fn try_run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let run = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.connection);
        self.runtime.block_on(run).map(drop)
    }

    pub(crate) fn run(&mut self, sql: &str) {
        self.try_run(sql).unwrap();
    }

    pub(crate) fn rows(&mut self, sql: &str) -> Vec<PgRow> {
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut self.connection);
        self.runtime.block_on(rows).unwrap()
    }

    /// The number that a statement selects.
    pub(crate) fn number(&mut self, sql: &str) -> i64 {
        self.rows(sql)[0].get(0)
    }

    /// Waits until a statement selects this number.
    pub(crate) fn await_number(&mut self, sql: &str, number: i64) {
        while self.number(sql) != number {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// A claimed store.
pub(crate) struct Store {
    pub(crate) backend: PostgresBackend,
    pub(crate) head: Head,
    pub(crate) options: PostgresOptions,
    pub(crate) schema: String,
}

impl Store {
    pub(crate) fn new() -> Store {
        Store::with(|options| options)
    }

    pub(crate) fn with(set: impl FnOnce(PostgresOptions) -> PostgresOptions) -> Store {
        let (options, schema) = options();
        // Without limits that are for what comes after.
        options.clone().create().unwrap();
        let options = set(options);
        let backend = options.clone().open().unwrap();
        let head = block_on(backend.claim(None)).unwrap();
        Store { backend, head, options, schema }
    }

    pub(crate) fn shell(&self) -> Shell {
        Shell::new(&self.schema)
    }

    /// Commits a batch and follows the sequence number.
    pub(crate) fn try_commit(&mut self, sets: &[ChangeSet]) -> Result<Vec<Verdict>, CommitError> {
        let batch = Batch { epoch: self.head.epoch, before: self.head.seq, sets };
        let verdicts = block_on(self.backend.commit(batch))?;
        self.head.seq = batch.last();
        Ok(verdicts)
    }

    /// Commits sets that all apply.
    pub(crate) fn commit(&mut self, sets: &[ChangeSet]) {
        let verdicts = self.try_commit(sets).unwrap();
        assert!(verdicts.iter().all(|v| matches!(v, Verdict::Applied)), "{verdicts:?}");
        assert_eq!(verdicts.len(), sets.len());
    }

    pub(crate) fn put(&mut self, records: impl IntoIterator<Item = Record>) {
        self.commit(&[puts(records)]);
    }

    /// Whether a note is stored.
    pub(crate) fn has(&self, name: &str) -> bool {
        block_on(self.backend.read(&[meta_key(name)])).unwrap() != [None]
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.options.clone().drop_store();
    }
}

/// A set that stores a value of the store.
pub(crate) fn note(name: &str) -> ChangeSet {
    puts([Record::Meta(MetaRecord { name: name.into(), value: "value".into() })])
}
