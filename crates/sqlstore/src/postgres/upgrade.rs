//! Creating a schema, and bringing it to the version of this release.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, raw_sql};

use super::batch::store_checksum;
use super::client::decode;
use super::error::Fault;
use super::lease::{self, CLAIM, HOLDER};
use super::manage::exists;
use super::options::PostgresOptions;
use super::row::Parameters;
use super::server::Server;
use super::text;
use crate::fault::Exhausted;
use crate::open::OpenError;
use crate::schema::{POSTGRES, Step};
use crate::table::{FORMAT, StoreRow};

/// Takes every step beyond `version`, which is 0 where there is no store. Part of a transaction that
/// holds the schema's lock.
pub(super) async fn bring(
    server: &Server,
    connection: &mut PgConnection,
    options: &PostgresOptions,
    version: u32,
) -> Result<(), OpenError> {
    let steps = options.steps(version + 1..);
    if steps.is_empty() {
        return Ok(());
    }
    match version {
        0 => create_schema(server, connection, &options.schema).await?,
        _ => fence(server, connection, options).await?,
    }
    for step in steps {
        take(server, connection, step).await?;
    }
    Ok(())
}

async fn create_schema(
    server: &Server,
    connection: &mut PgConnection,
    schema: &str,
) -> Result<(), OpenError> {
    // Asked first, since a role that may not create schemas can be given an empty one.
    if !exists(server, connection, schema).await? {
        let text = format!("create schema {schema}");
        let creating = raw_sql(AssertSqlSafe(text)).execute(connection);
        server.limit("creating the schema", creating).await?;
    }
    Ok(())
}

/// Keeps every writer out for good, whose statements are for the tables as they were: nobody may be
/// at work, and whoever comes late finds a newer claim.
async fn fence(
    server: &Server,
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<(), OpenError> {
    // Waits for a commit that is under way, and no other begins. The whole table, not only its row: a
    // commit that waits for the row holds tables that steps change.
    let locking = raw_sql("lock table store in exclusive mode").execute(&mut *connection);
    server.limit("locking the store", locking).await?;
    let get = text::store().statements.get.as_str();
    let rows = server.ask(connection, "reading", get.into(), Parameters::new().unsigned(1)).await?;
    let row = rows.first().ok_or_else(|| Fault::gone("store"))?;
    let found: StoreRow = decode(text::store(), row, "store")?;
    // A claim that lasts no time: the next one need not wait for it.
    let claiming = lease::claiming(&found, &options.instance, Duration::ZERO);
    let (_, claim) = claiming.ok_or_else(|| OpenError::Engine(Arc::new(Exhausted)))?;
    loop {
        let other = Parameters::new().text(&options.instance);
        let rows = server.ask(connection, "reading the lease", HOLDER.into(), other).await?;
        if let Some((by, remaining)) = lease::holder(&rows)? {
            return Err(OpenError::Held { by, remaining });
        }
        let raising = server.ask(connection, "raising the epoch", CLAIM.into(), claim.clone());
        // Not raised if a lease that had run out was renewed just now, which needs no lock of ours.
        if !raising.await?.is_empty() {
            return Ok(());
        }
    }
}

/// Takes one step.
async fn take(
    server: &Server,
    connection: &mut PgConnection,
    step: &Step,
) -> Result<(), OpenError> {
    const DOING: &str = "upgrading the schema";
    let taking = raw_sql(AssertSqlSafe(step.sql(&POSTGRES))).execute(&mut *connection);
    server.limit(DOING, taking).await?;
    let text = "insert into schema_step (version, name, digest, applied_at) \
                values ($1, $2, $3, extract(epoch from now())::int8)";
    let noting = sqlx::query(text).bind(i64::from(step.version)).bind(step.name);
    let noting = noting.bind(i64::from(step.digest(&POSTGRES))).execute(&mut *connection);
    server.limit(DOING, noting).await?;
    if step.version == 1 {
        let text = "insert into store (id, format, epoch, seq, checksum) values (1, $1, 0, 0, $2)";
        let checksum = store_checksum(channelcoord::Epoch(0), channelcoord::Seq(0));
        let putting = sqlx::query(text).bind(FORMAT).bind(checksum).execute(connection);
        server.limit(DOING, putting).await?;
    }
    Ok(())
}
