//! What can be done with a store without opening it.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use channelcoord::{Epoch, Head, Seq};
use pollster::block_on;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row, raw_sql};

use super::open::{engine, schema_version};
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
            let mut connection = Server::new(&self).connect(Purpose::Read).await?;
            exists(&mut connection, &self.schema).await
        })
    }

    /// Version of the server, such as `16.4`, without connecting to a store.
    ///
    /// # Errors
    /// `Setting`, `Engine`.
    pub fn server_version(self) -> Result<String, OpenError> {
        run(async move {
            let mut connection = Server::new(&self).connect(Purpose::Read).await?;
            let text = "select split_part(current_setting('server_version'), ' ', 1)";
            let row = sqlx::query(text).fetch_one(&mut connection).await;
            let doing = || engine("reading the version of the server");
            row.map_err(doing())?.try_get(0).map_err(doing())
        })
    }

    /// Looks at a store from outside. Nothing is kept from anybody by that.
    ///
    /// # Errors
    /// `Absent`, `Foreign`, `Newer`, `Setting`, `Engine`.
    pub fn standing(self) -> Result<Standing, OpenError> {
        run(async move {
            let mut connection = Server::new(&self).connect(Purpose::Read).await?;
            require_store(&mut connection, &self).await?;
            standing(&mut connection, &self).await
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
            let mut connection = Server::new(&self).connect(Purpose::Write).await?;
            require_store(&mut connection, &self).await?;
            let text = format!("drop schema {} cascade", self.schema);
            let dropped = raw_sql(AssertSqlSafe(text)).execute(&mut connection).await;
            dropped.map_err(engine("dropping the schema"))?;
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

async fn require_store(
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<(), OpenError> {
    match schema_version(connection, options).await? {
        0 => Err(OpenError::Absent(options.name())),
        _ => Ok(()),
    }
}

/// Whether there is a schema of this name.
pub(super) async fn exists(connection: &mut PgConnection, schema: &str) -> Result<bool, OpenError> {
    let text = "select from pg_namespace where nspname = $1";
    let found = sqlx::query(text).bind(schema).fetch_all(connection).await;
    Ok(!found.map_err(engine("reading the schema"))?.is_empty())
}

async fn standing(
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<Standing, OpenError> {
    let text = "select s.epoch, s.seq, l.instance, \
                ceil(extract(epoch from l.until - clock_timestamp()) * 1000)::int8, \
                (select sum(pg_total_relation_size(c.oid))::int8 \
                from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                where n.nspname = $1 and c.relkind = 'r'), encode(i.node, 'hex'), i.network \
                from store s left join identity i on i.id = 1 left join lease l on l.id = 1 and l.until > clock_timestamp() \
                where s.id = 1";
    let doing = || engine("reading where the store stands");
    let row = sqlx::query(text).bind(&options.schema).fetch_one(connection).await;
    let row = row.map_err(doing())?;
    let number = |index: usize| row.try_get::<i64, _>(index).map_err(doing());
    let instance: Option<String> = row.try_get(2).map_err(doing())?;
    let remaining: Option<i64> = row.try_get(3).map_err(doing())?;
    let remaining = remaining.and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default();
    Ok(Standing {
        head: Head {
            epoch: Epoch(number(0)?.cast_unsigned()),
            seq: Seq(number(1)?.cast_unsigned()),
        },
        holder: instance.map(|instance| (instance, Duration::from_millis(remaining))),
        bytes: number(4)?.cast_unsigned(),
        node: row.try_get(5).map_err(doing())?,
        network: row.try_get(6).map_err(doing())?,
    })
}

async fn rename(options: &PostgresOptions, target: &PostgresOptions) -> Result<(), OpenError> {
    let mut connection = Server::new(options).connect(Purpose::Write).await?;
    require_store(&mut connection, options).await?;
    let text = format!("alter schema {} rename to {}", options.schema, target.schema);
    match raw_sql(AssertSqlSafe(text)).execute(&mut connection).await {
        Err(sqlx::Error::Database(error)) if is_taken(error.code()) => {
            return Err(OpenError::Exists(target.name()));
        }
        renamed => renamed.map_err(engine("renaming the schema"))?,
    };
    let _ = connection.close().await;
    Ok(())
}

/// Whether there is such a schema, or somebody else was faster to make one.
fn is_taken(code: Option<Cow<'_, str>>) -> bool {
    matches!(code.as_deref(), Some("42P06" | "23505"))
}
