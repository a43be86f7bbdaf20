//! What can be done with a store without opening it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use channelcoord::{Epoch, Head, Seq};
use pollster::block_on;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Postgres, Row, Transaction, raw_sql};

use super::error::Fault;
use super::open::{lock, schema_version};
use super::options::PostgresOptions;
use super::server::{Purpose, Server};
use super::worker::Worker;
use crate::open::OpenError;

/// What is known of a store from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Standing {
    /// Its newest claim and sequence number.
    pub head: Head,
    /// The instance whose lease runs, and for how long unless it is renewed.
    pub holder: Option<(String, Duration)>,
    /// Bytes of its tables and indexes.
    pub bytes: u64,
    /// The node that it belongs to, as hex digits; `None` if nobody named one.
    pub node: Option<String>,
    /// The network that it belongs to; `None` if nobody named one.
    pub network: Option<String>,
}

impl PostgresOptions {
    /// Whether the schema exists, with or without a store.
    ///
    /// # Errors
    /// `Setting`, `Engine`.
    pub fn has_schema(self) -> Result<bool, OpenError> {
        run(async move {
            let server = Server::new(&self);
            let mut connection = server.connect(Purpose::Read).await?;
            exists(&server, &mut connection, &self.schema).await
        })
    }

    /// Version of the server, such as `16.4`, without connecting to a store.
    ///
    /// # Errors
    /// `Setting`, `Engine`.
    pub fn server_version(self) -> Result<String, OpenError> {
        run(async move {
            let server = Server::new(&self);
            let mut connection = server.connect(Purpose::Read).await?;
            let text = "select split_part(current_setting('server_version'), ' ', 1)";
            const DOING: &str = "reading the version of the server";
            let row = server.limit(DOING, sqlx::query(text).fetch_one(&mut connection)).await?;
            Ok(row.try_get(0).map_err(Fault::doing(DOING))?)
        })
    }

    /// Names of the database's schemas that begin with `prefix`, with or without stores.
    ///
    /// # Errors
    /// `Setting`, `Engine`.
    pub fn schemas(self, prefix: &str) -> Result<Vec<String>, OpenError> {
        let prefix = prefix.to_owned();
        run(async move {
            let server = Server::new(&self);
            let mut connection = server.connect(Purpose::Read).await?;
            let text = "select nspname::text from pg_namespace \
                        where starts_with(nspname::text, $1) order by 1";
            const DOING: &str = "reading the schemas";
            let asking = sqlx::query(text).bind(prefix).fetch_all(&mut connection);
            let found = server.limit(DOING, asking).await?;
            let names = found.iter().map(|row| row.try_get(0).map_err(Fault::doing(DOING)));
            Ok(names.collect::<Result<_, _>>()?)
        })
    }

    /// Looks at a store from outside. Nothing is kept from anybody by that.
    ///
    /// # Errors
    /// `Absent`, `Foreign`, `Newer`, `Setting`, `Engine`.
    pub fn standing(self) -> Result<Standing, OpenError> {
        run(async move {
            let server = Server::new(&self);
            let mut connection = server.connect(Purpose::Read).await?;
            require_store(&server, &mut connection, &self).await?;
            standing(&server, &mut connection, &self).await
        })
    }

    /// Moves a store to a schema that does not exist, in one step. Nobody may have it open.
    ///
    /// # Errors
    /// `Exists` if there is such a schema; `Absent`, `Foreign`, `Newer`, `Option`, `Setting`, `Engine`.
    /// Whether it moved cannot be told from `Engine` if the connection was lost.
    pub fn rename_store(self, schema: &str) -> Result<(), OpenError> {
        let target = self.clone().schema(schema)?;
        run(async move { rename(&self, &target).await })
    }

    /// Throws the store away, with everything else in its schema.
    ///
    /// # Errors
    /// `Absent` if there is none; `Foreign`, `Newer`, `Setting`, `Engine`.
    pub fn drop_store(self) -> Result<(), OpenError> {
        run(async move {
            let server = Server::new(&self);
            let mut connection = server.connect(Purpose::Write).await?;
            let mut transaction = begin(&server, &mut connection, &[&self]).await?;
            require_store(&server, &mut transaction, &self).await?;
            let text = format!("drop schema {} cascade", self.schema);
            let dropping = raw_sql(AssertSqlSafe(text)).execute(&mut *transaction);
            server.limit("dropping the schema", dropping).await?;
            server.limit("dropping the schema", transaction.commit()).await?;
            let _ = connection.close().await;
            Ok(())
        })
    }
}

/// Runs `work` to its end.
fn run<T: Send + 'static>(
    work: impl Future<Output = Result<T, OpenError>> + Send + 'static,
) -> Result<T, OpenError> {
    let worker = Worker::start().map_err(|error| OpenError::Engine(Arc::new(error)))?;
    block_on(worker.run(work)).map_err(|error| OpenError::Engine(Arc::new(error)))?
}

/// Begins a transaction that keeps others from creating, upgrading, moving or dropping these stores.
async fn begin<'c>(
    server: &Server,
    connection: &'c mut PgConnection,
    stores: &[&PostgresOptions],
) -> Result<Transaction<'c, Postgres>, OpenError> {
    let mut transaction = server.limit("beginning a transaction", connection.begin()).await?;
    let mut schemas: Vec<_> = stores.iter().map(|options| &options.schema).collect();
    // In one order, so that nobody waits for whoever waits for him.
    schemas.sort_unstable();
    for schema in schemas {
        lock(server, &mut transaction, schema).await?;
    }
    Ok(transaction)
}

async fn require_store(
    server: &Server,
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<(), OpenError> {
    match schema_version(server, connection, options).await? {
        0 => Err(OpenError::Absent(options.name())),
        _ => Ok(()),
    }
}

/// Whether there is a schema of this name.
pub(super) async fn exists(
    server: &Server,
    connection: &mut PgConnection,
    schema: &str,
) -> Result<bool, OpenError> {
    let text = "select from pg_namespace where nspname = $1";
    let asking = sqlx::query(text).bind(schema).fetch_all(connection);
    Ok(!server.limit("reading the schema", asking).await?.is_empty())
}

async fn standing(
    server: &Server,
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<Standing, OpenError> {
    let text = "select s.epoch, s.seq, l.instance, \
                ceil(extract(epoch from l.until - clock_timestamp()) * 1000)::int8, \
                (select sum(pg_total_relation_size(c.oid))::int8 \
                from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                where n.nspname = $1 and c.relkind = 'r'), encode(i.node, 'hex'), i.network \
                from store s left join identity i on i.id = 1 \
                left join lease l on l.id = 1 and l.until > clock_timestamp() \
                where s.id = 1";
    const DOING: &str = "reading where the store stands";
    let asking = sqlx::query(text).bind(&options.schema).fetch_one(connection);
    let row = server.limit(DOING, asking).await?;
    let number = |index: usize| row.try_get::<i64, _>(index).map_err(Fault::doing(DOING));
    let instance: Option<String> = row.try_get(2).map_err(Fault::doing(DOING))?;
    let remaining: Option<i64> = row.try_get(3).map_err(Fault::doing(DOING))?;
    let remaining = remaining.and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default();
    Ok(Standing {
        head: Head {
            epoch: Epoch(number(0)?.cast_unsigned()),
            seq: Seq(number(1)?.cast_unsigned()),
        },
        holder: instance.map(|instance| (instance, Duration::from_millis(remaining))),
        bytes: number(4)?.cast_unsigned(),
        node: row.try_get(5).map_err(Fault::doing(DOING))?,
        network: row.try_get(6).map_err(Fault::doing(DOING))?,
    })
}

async fn rename(options: &PostgresOptions, target: &PostgresOptions) -> Result<(), OpenError> {
    let server = Server::new(options);
    let mut connection = server.connect(Purpose::Write).await?;
    let mut transaction = begin(&server, &mut connection, &[options, target]).await?;
    require_store(&server, &mut transaction, options).await?;
    let text = format!("alter schema {} rename to {}", options.schema, target.schema);
    let renaming = raw_sql(AssertSqlSafe(text)).execute(&mut *transaction);
    match server.limit("renaming the schema", renaming).await {
        Err(fault) if is_taken(fault.code()) => return Err(OpenError::Exists(target.name())),
        renamed => renamed?,
    };
    server.limit("renaming the schema", transaction.commit()).await?;
    let _ = connection.close().await;
    Ok(())
}

/// Whether there is such a schema, or somebody else was faster to make one.
fn is_taken(code: Option<&str>) -> bool {
    matches!(code, Some("42P06" | "23505"))
}
