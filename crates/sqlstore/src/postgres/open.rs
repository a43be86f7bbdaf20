//! Opening a store.

use std::sync::{Arc, OnceLock};

use bitcoin::secp256k1::PublicKey;
use pollster::block_on;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Row};

use super::PostgresBackend;
use super::client::Client;
use super::error::Fault;
use super::options::PostgresOptions;
use super::server::{Purpose, Server};
use super::upgrade;
use super::worker::Worker;
use crate::open::OpenError;
use crate::row::Checksums;
use crate::schema::POSTGRES;
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
    /// `Foreign`, `Newer`, `History`, `Owner`, `Setting`, `Denied`, `Tls`, `Engine`. A store that
    /// another instance holds opens, but cannot be claimed; if it has to be upgraded first, it is
    /// `Held`.
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
        let (name, largest) = (self.name(), self.largest);
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
            largest,
            read_only: expect == Expect::ReadOnly,
            shut: OnceLock::new(),
            checksums: Checksums::Checked,
        })
    }
}

/// Checks the schema, and brings it to the version of this release if that is wanted.
async fn prepare(options: &PostgresOptions, expect: Expect) -> Result<PgConnection, OpenError> {
    let purpose = if expect == Expect::ReadOnly { Purpose::Read } else { Purpose::Write };
    let server = Server::new(options);
    let mut connection = server.connect(purpose).await?;
    let mut transaction = server.limit("beginning a transaction", connection.begin()).await?;
    if expect != Expect::ReadOnly {
        lock(&server, &mut transaction, &options.schema).await?;
    }
    let newest = options.newest();
    let version = schema_version(&server, &mut transaction, options).await?;
    match (version, expect) {
        (0, Expect::Store | Expect::ReadOnly) => return Err(OpenError::Absent(options.name())),
        (1.., Expect::Nothing) => return Err(OpenError::Exists(options.name())),
        (found, Expect::ReadOnly) if found < newest => {
            return Err(OpenError::Older { found, newest });
        }
        _ => {}
    }
    check_history(&server, &mut transaction, options, version).await?;
    upgrade::bring(&server, &mut transaction, options, version).await?;
    check_owner(&server, &mut transaction, options, expect).await?;
    // None of the statements failed, so this is no COMMIT of a transaction that was undone.
    server.limit("committing the schema", transaction.commit()).await?;
    Ok(connection)
}

/// Keeps others from creating, upgrading, moving or dropping the same schema until the transaction
/// ends.
pub(super) async fn lock(
    server: &Server,
    connection: &mut PgConnection,
    schema: &str,
) -> Result<(), OpenError> {
    let text = "select pg_advisory_xact_lock(hashtextextended('chanstore ' || $1, 0))";
    let locking = sqlx::query(text).bind(schema).fetch_all(connection);
    Ok(server.limit("locking the schema", locking).await.map(drop)?)
}

/// Version of the schema; 0 for one that is empty or does not exist.
pub(super) async fn schema_version(
    server: &Server,
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<u32, OpenError> {
    const DOING: &str = "reading the schema";
    let text = "select count(*), count(*) filter (where c.relname in ('schema_step', 'store')) \
                from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                where n.nspname = $1 and c.relkind <> 'i'";
    let asking = sqlx::query(text).bind(&options.schema).fetch_one(&mut *connection);
    let row = server.limit(DOING, asking).await?;
    let count = |index| row.try_get::<i64, _>(index).map_err(Fault::doing(DOING));
    match (count(0)?, count(1)?) {
        (0, _) => return Ok(0),
        (_, 2) => {}
        _ => return Err(OpenError::Foreign(options.name())),
    }
    let text = "select max(version), (select count(*) from store where id = 1 and format = $1) \
                from schema_step";
    let asking = sqlx::query(text).bind(FORMAT).fetch_one(connection);
    let row = match server.limit(DOING, asking).await {
        // Tables of the same names, with other columns.
        Err(fault) if fault.code().is_some_and(|code| code.starts_with("42")) => {
            return Err(OpenError::Foreign(options.name()));
        }
        asked => asked?,
    };
    let version: Option<i64> = row.try_get(0).map_err(Fault::doing(DOING))?;
    let stores: i64 = row.try_get(1).map_err(Fault::doing(DOING))?;
    let newest = options.newest();
    match (version.and_then(|version| u32::try_from(version).ok()), stores) {
        (Some(found @ 1..), 1) if found <= newest => Ok(found),
        (Some(found), 1) if found > newest => Err(OpenError::Newer { found, newest }),
        _ => Err(OpenError::Foreign(options.name())),
    }
}

/// Checks that the schema went through the steps that lead to `version`.
async fn check_history(
    server: &Server,
    connection: &mut PgConnection,
    options: &PostgresOptions,
    version: u32,
) -> Result<(), OpenError> {
    for step in options.steps(..=version) {
        let text = "select from schema_step where version = $1 and digest = $2";
        let query = sqlx::query(text).bind(i64::from(step.version));
        let asking = query.bind(i64::from(step.digest(&POSTGRES))).fetch_all(&mut *connection);
        if server.limit("reading the schema steps", asking).await?.is_empty() {
            return Err(OpenError::History { version: step.version });
        }
    }
    Ok(())
}

/// Checks that the store belongs to the node and network that are named; one that belongs to nobody
/// is theirs from now on.
async fn check_owner(
    server: &Server,
    connection: &mut PgConnection,
    options: &PostgresOptions,
    expect: Expect,
) -> Result<(), OpenError> {
    const DOING: &str = "reading whose store it is";
    let text = "select encode(node, 'hex'), network from identity where id = 1";
    let rows = server.limit(DOING, sqlx::query(text).fetch_all(&mut *connection)).await?;
    let found = |index: usize| -> Result<Option<String>, OpenError> {
        let read = |row: &PgRow| row.try_get::<Option<String>, _>(index);
        Ok(rows.first().map(read).transpose().map_err(Fault::doing(DOING))?.flatten())
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
    let keeping = sqlx::query(text).bind(node).bind(network).execute(connection);
    Ok(server.limit("keeping whose store it is", keeping).await.map(drop)?)
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
