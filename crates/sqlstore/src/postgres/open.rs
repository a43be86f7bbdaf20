//! Opening a store.

use std::sync::{Arc, OnceLock};

use bitcoin::secp256k1::PublicKey;
use pollster::block_on;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Connection, Row, raw_sql};

use super::PostgresBackend;
use super::batch::store_checksum;
use super::client::Client;
use super::error::Fault;
use super::manage::exists;
use super::options::PostgresOptions;
use super::server::{Purpose, Server};
use super::worker::Worker;
use crate::open::OpenError;
use crate::row::Checksums;
use crate::schema::{NEWEST, POSTGRES, STEPS, Step};
use crate::table::FORMAT;

/// What has to be in the schema, and what may be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// No store; one is made.
    Nothing,
    /// A store, or nothing, and then one is made.
    Anything,
    /// A store.
    Store,
    /// A store, which is left as it is.
    ReadOnly,
}

impl PostgresOptions {
    /// Creates a store in a schema that does not exist or is empty.
    ///
    /// # Errors
    /// `Exists`, and as for [`open`](PostgresOptions::open).
    pub fn create(self) -> Result<PostgresBackend, OpenError> {
        self.open_as(Expect::Nothing)
    }

    /// Opens the store, or creates it where there is nothing.
    ///
    /// # Errors
    /// `Foreign`, `Newer`, `History`, `Owner`, `Setting`, `Engine`. A store that another instance
    /// holds opens, but cannot be claimed.
    pub fn open(self) -> Result<PostgresBackend, OpenError> {
        self.open_as(Expect::Anything)
    }

    /// Opens the store.
    ///
    /// # Errors
    /// `Absent`, and as for [`open`](PostgresOptions::open).
    pub fn open_existing(self) -> Result<PostgresBackend, OpenError> {
        self.open_as(Expect::Store)
    }

    /// Opens the store to read it, beside whoever writes it. Claims and commits are refused, an older
    /// schema is not upgraded, and an owner is checked but not kept.
    ///
    /// # Errors
    /// `Absent`, `Older`, and as for [`open`](PostgresOptions::open).
    pub fn open_read_only(self) -> Result<PostgresBackend, OpenError> {
        self.open_as(Expect::ReadOnly)
    }

    fn open_as(self, expect: Expect) -> Result<PostgresBackend, OpenError> {
        let failed = |error| OpenError::Engine(Arc::new(error));
        let worker = Worker::start().map_err(|error| OpenError::Engine(Arc::new(error)))?;
        let name = self.name();
        let opening = async move {
            let connection = Some(prepare(&self, expect).await?);
            Ok::<_, OpenError>(match expect {
                Expect::ReadOnly => Client::new(&self, None, connection),
                _ => Client::new(&self, connection, None),
            })
        };
        let client = Arc::new(block_on(worker.run(opening)).map_err(failed)??);
        Ok(PostgresBackend {
            name,
            client,
            worker,
            read_only: expect == Expect::ReadOnly,
            shut: OnceLock::new(),
            checksums: Checksums::Checked,
        })
    }
}

/// Checks the schema, and brings it to the version of this release if that is wanted.
async fn prepare(options: &PostgresOptions, expect: Expect) -> Result<PgConnection, OpenError> {
    let purpose = if expect == Expect::ReadOnly { Purpose::Read } else { Purpose::Write };
    let mut connection = Server::new(options).connect(purpose).await?;
    let begun = connection.begin().await;
    let mut transaction = begun.map_err(engine("beginning a transaction"))?;
    if expect != Expect::ReadOnly {
        lock(&mut transaction, &options.schema).await?;
    }
    let version = schema_version(&mut transaction, options).await?;
    match (version, expect) {
        (0, Expect::Store | Expect::ReadOnly) => return Err(OpenError::Absent(options.name())),
        (1.., Expect::Nothing) => return Err(OpenError::Exists(options.name())),
        (found, Expect::ReadOnly) if found < NEWEST => {
            return Err(OpenError::Older { found, newest: NEWEST });
        }
        _ => {}
    }
    check_history(&mut transaction, version).await?;
    if version == 0 {
        create_schema(&mut transaction, &options.schema).await?;
    }
    for step in STEPS.iter().filter(|step| step.version > version) {
        upgrade(&mut transaction, step).await?;
    }
    check_owner(&mut transaction, options, expect).await?;
    // None of the statements failed, so this is no COMMIT of a transaction that was undone.
    transaction.commit().await.map_err(engine("committing the schema"))?;
    Ok(connection)
}

/// Says what was being done.
pub(super) fn engine(doing: &'static str) -> impl FnOnce(sqlx::Error) -> OpenError {
    move |error| Fault::doing(doing)(error).into()
}

/// Keeps others from creating or upgrading the same schema until the transaction ends.
async fn lock(connection: &mut PgConnection, schema: &str) -> Result<(), OpenError> {
    let text = "select pg_advisory_xact_lock(hashtextextended('chanstore ' || $1, 0))";
    let locked = sqlx::query(text).bind(schema).fetch_all(connection).await;
    locked.map(drop).map_err(engine("locking the schema"))
}

/// Version of the schema; 0 for one that is empty or does not exist.
pub(super) async fn schema_version(
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<u32, OpenError> {
    let doing = || engine("reading the schema");
    let text = "select count(*), count(*) filter (where c.relname in ('schema_step', 'store')) \
                from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                where n.nspname = $1 and c.relkind <> 'i'";
    let row = sqlx::query(text).bind(&options.schema).fetch_one(&mut *connection).await;
    let row = row.map_err(doing())?;
    let count = |index| row.try_get::<i64, _>(index).map_err(doing());
    match (count(0)?, count(1)?) {
        (0, _) => return Ok(0),
        (_, 2) => {}
        _ => return Err(OpenError::Foreign(options.name())),
    }
    let text = "select max(version), (select count(*) from store where id = 1 and format = $1) \
                from schema_step";
    let row = match sqlx::query(text).bind(FORMAT).fetch_one(connection).await {
        Ok(row) => row,
        // Tables of the same names, with other columns.
        Err(sqlx::Error::Database(error)) if error.code().is_some_and(|c| c.starts_with("42")) => {
            return Err(OpenError::Foreign(options.name()));
        }
        Err(error) => return Err(doing()(error)),
    };
    let version: Option<i64> = row.try_get(0).map_err(doing())?;
    let stores: i64 = row.try_get(1).map_err(doing())?;
    match (version.and_then(|version| u32::try_from(version).ok()), stores) {
        (Some(found @ 1..), 1) if found <= NEWEST => Ok(found),
        (Some(found), 1) if found > NEWEST => Err(OpenError::Newer { found, newest: NEWEST }),
        _ => Err(OpenError::Foreign(options.name())),
    }
}

/// Checks that the schema went through the steps that lead to `version`.
async fn check_history(connection: &mut PgConnection, version: u32) -> Result<(), OpenError> {
    for step in STEPS.iter().filter(|step| step.version <= version) {
        let text = "select from schema_step where version = $1 and digest = $2";
        let query = sqlx::query(text).bind(i64::from(step.version));
        let query = query.bind(i64::from(step.digest(&POSTGRES)));
        let found = query.fetch_all(&mut *connection).await;
        if found.map_err(engine("reading the schema steps"))?.is_empty() {
            return Err(OpenError::History { version: step.version });
        }
    }
    Ok(())
}

async fn create_schema(connection: &mut PgConnection, schema: &str) -> Result<(), OpenError> {
    // Asked first, since a role that may not create schemas can be given an empty one.
    if !exists(connection, schema).await? {
        let text = format!("create schema {schema}");
        let created = raw_sql(AssertSqlSafe(text)).execute(connection).await;
        created.map_err(engine("creating the schema"))?;
    }
    Ok(())
}

/// Takes one step.
async fn upgrade(connection: &mut PgConnection, step: &Step) -> Result<(), OpenError> {
    let doing = || engine("upgrading the schema");
    let taken = raw_sql(AssertSqlSafe(step.sql(&POSTGRES))).execute(&mut *connection).await;
    taken.map_err(doing())?;
    let text = "insert into schema_step (version, name, digest, applied_at) \
                values ($1, $2, $3, extract(epoch from now())::int8)";
    let noted = sqlx::query(text).bind(i64::from(step.version)).bind(step.name);
    let noted = noted.bind(i64::from(step.digest(&POSTGRES))).execute(&mut *connection).await;
    noted.map_err(doing())?;
    if step.version == 1 {
        let text = "insert into store (id, format, epoch, seq, checksum) values (1, $1, 0, 0, $2)";
        let checksum = store_checksum(channelcoord::Epoch(0), channelcoord::Seq(0));
        let put = sqlx::query(text).bind(FORMAT).bind(checksum).execute(connection).await;
        put.map_err(doing())?;
    }
    Ok(())
}

/// Checks that the store belongs to the node and network that are named; one that belongs to nobody
/// is theirs from now on.
async fn check_owner(
    connection: &mut PgConnection,
    options: &PostgresOptions,
    expect: Expect,
) -> Result<(), OpenError> {
    let doing = || engine("reading whose store it is");
    let text = "select encode(node, 'hex'), network from identity where id = 1";
    let rows = sqlx::query(text).fetch_all(&mut *connection).await.map_err(doing())?;
    let found = |index: usize| -> Result<Option<String>, OpenError> {
        let read = |row: &PgRow| row.try_get::<Option<String>, _>(index);
        Ok(rows.first().map(read).transpose().map_err(doing())?.flatten())
    };
    let node = options.node.as_ref().map(ToString::to_string);
    let network = options.network.map(|network| network.to_string());
    agree("node", node.as_ref(), found(0)?)?;
    agree("network", network.as_ref(), found(1)?)?;
    if expect == Expect::ReadOnly || (node.is_none() && network.is_none()) {
        return Ok(());
    }
    let text = "insert into identity (id, node, network) values (1, $1, $2) \
                on conflict (id) do update set node = coalesce(identity.node, excluded.node), \
                network = coalesce(identity.network, excluded.network)";
    let node = options.node.as_ref().map(PublicKey::serialize).map(Vec::from);
    let kept = sqlx::query(text).bind(node).bind(network).execute(connection).await;
    kept.map(drop).map_err(engine("keeping whose store it is"))
}

fn agree(
    what: &'static str,
    expected: Option<&String>,
    found: Option<String>,
) -> Result<(), OpenError> {
    match (expected, found) {
        (Some(expected), Some(found)) if *expected != found => {
            Err(OpenError::Owner { what, expected: expected.clone(), found })
        }
        _ => Ok(()),
    }
}
