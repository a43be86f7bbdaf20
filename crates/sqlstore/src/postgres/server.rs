//! Connections to the server, and their settings.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};
use tokio::time::timeout;

use super::error::Fault;
use super::options::PostgresOptions;
use super::row::Parameters;

/// Prepared statements that a connection keeps. Commits use few combinations of parts.
const STATEMENTS: usize = 128;

/// Settings of every connection, checked once it is made.
///
/// Plans are made once for each statement, for parameters of any size: planning a commit takes longer
/// than running it. A plan that is kept must not be one for the tables as they were on the first day,
/// so those that read whole tables are ruled out.
const SETTINGS: &[(&str, &str)] = &[
    ("plan_cache_mode", "force_generic_plan"),
    ("jit", "off"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("default_transaction_isolation", "read committed"),
    // Limits are ours: the server must not give up a commit half-way.
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
];

/// Settings of the server itself that durability rests on.
const REQUIRED: &[(&str, &str)] = &[("fsync", "on"), ("full_page_writes", "on")];

/// Whether the server has these settings still: a reload changes them while it runs. Part of each
/// commit's statement, before which a session takes a reload in.
pub(crate) const DURABLE: &str =
    "current_setting('fsync') = 'on' and current_setting('full_page_writes') = 'on'";

/// Lets a session whose client is gone end within 10 s, also while it waits for a lock. Otherwise the
/// sessions of lost attempts pile up behind a commit that waits for a standby. That one stays: nothing
/// but the standby ends its wait.
///
/// Servers before 14 do not know the setting, and some systems do not support it.
const NOTICE: &str = "select set_config('client_connection_check_interval', '10s', false) \
                      where current_setting('client_connection_check_interval', true) is not null";

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Changing what is stored.
    Write,
    /// Reading, in key order.
    Read,
    /// Renewing the lease. Losing a renewal in a crash is harmless, so it waits for no disk and for
    /// no standby.
    Lease,
}

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Server {
    options: PgConnectOptions,
    schema: String,
    connect: Duration,
    statement: Duration,
}

impl Server {
    pub(crate) fn new(options: &PostgresOptions) -> Server {
        let search_path = [("search_path", options.schema.as_str())];
        let server = options.server.clone().options(SETTINGS.iter().copied()).options(search_path);
        let server = server.statement_cache_capacity(STATEMENTS).disable_statement_logging();
        let PostgresOptions { schema, connect, statement, .. } = options.clone();
        Server { options: server, schema, connect, statement }
    }

    fn options(&self, purpose: Purpose) -> PgConnectOptions {
        let (name, settings): (_, &[(&str, &str)]) = match purpose {
            Purpose::Write => ("commit", &[]),
            Purpose::Read => {
                ("read", &[("default_transaction_read_only", "on"), ("enable_sort", "off")])
            }
            Purpose::Lease => ("lease", &[("synchronous_commit", "off")]),
        };
        // Operators see which store a session is of, and what it does there.
        let name = format!("chanstore {name} {}", self.schema);
        self.options.clone().options(settings.iter().copied()).application_name(&name)
    }

    /// Makes a connection.
    pub(crate) async fn connect(&self, purpose: Purpose) -> Result<PgConnection, Fault> {
        let options = self.options(purpose);
        let connecting = async {
            let connected = options.connect().await;
            let mut connection = connected.map_err(Fault::doing("connecting"))?;
            prepare(&mut connection, purpose).await?;
            Ok(connection)
        };
        let connected = timeout(self.connect, connecting).await;
        let late = |_| Err(Fault::Late { doing: "connecting", waited: self.connect });
        connected.unwrap_or_else(late).map_err(|fault| Fault::Unconnected(Box::new(fault)))
    }

    /// Runs one statement to its end.
    ///
    /// All rows are taken before any is looked at: the server commits after the last one, and only
    /// then says whether that went well.
    pub(crate) async fn ask(
        &self,
        connection: &mut PgConnection,
        doing: &'static str,
        text: Arc<str>,
        parameters: Parameters,
    ) -> Result<Vec<PgRow>, Fault> {
        let arguments = parameters.finish()?;
        let asking = sqlx::query_with(AssertSqlSafe(text), arguments).fetch_all(connection);
        self.limit(doing, asking).await
    }

    /// Waits for an answer as long as for that of one statement.
    pub(crate) async fn limit<T>(
        &self,
        doing: &'static str,
        asking: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, Fault> {
        match timeout(self.statement, asking).await {
            Ok(answered) => answered.map_err(Fault::doing(doing)),
            Err(_) => Err(Fault::Late { doing, waited: self.statement }),
        }
    }
}

/// Refuses a server that does not have the settings that durability rests on any more.
pub(crate) fn durable(rows: &[PgRow]) -> Result<(), Fault> {
    let Some(row) = rows.first() else { return Ok(()) };
    check(REQUIRED, row, 0)
}

/// Asks for them.
pub(crate) const REQUIRED_NOW: &str =
    "select array[current_setting('fsync'), current_setting('full_page_writes')]";

fn check(expected: &[(&'static str, &'static str)], row: &PgRow, at: usize) -> Result<(), Fault> {
    let found: Vec<String> = row.try_get(at).map_err(Fault::doing("reading the settings"))?;
    for ((name, expected), found) in expected.iter().copied().zip(found) {
        if found != expected {
            return Err(Fault::Setting { name, expected, found });
        }
    }
    Ok(())
}

/// Checks that the server is one to write to, and that the connection has its settings: a pooler in
/// between may have swallowed them.
async fn prepare(connection: &mut PgConnection, purpose: Purpose) -> Result<(), Fault> {
    if purpose == Purpose::Write {
        // Weaker settings of a role must not undo what a commit promises. Set in any case, so that
        // a reload of the server's settings does not change it either.
        let text = "select set_config('synchronous_commit', case \
                    when current_setting('synchronous_commit') = 'remote_apply' \
                    then 'remote_apply' else 'on' end, false)";
        let set = sqlx::query(text).fetch_all(&mut *connection).await;
        set.map_err(Fault::doing("setting synchronous_commit"))?;
    }
    match sqlx::query(NOTICE).fetch_all(&mut *connection).await {
        // Without it sessions only take longer to end.
        Ok(_) | Err(sqlx::Error::Database(_)) => {}
        Err(error) => return Err(Fault::doing("setting client_connection_check_interval")(error)),
    }
    let text = "select pg_is_in_recovery(), array(select current_setting(name) \
                from unnest($1::text[]) with ordinality as s (name, at) order by at)";
    let expected: Vec<_> = SETTINGS.iter().chain(REQUIRED).copied().collect();
    let names: Vec<_> = expected.iter().map(|(name, _)| *name).collect();
    let row = sqlx::query(text).bind(names).fetch_one(&mut *connection).await;
    let doing = || Fault::doing("reading the settings");
    let row = row.map_err(doing())?;
    check(&expected, &row, 1)?;
    match row.try_get(0).map_err(doing())? {
        true => Err(Fault::Standby),
        false => Ok(()),
    }
}
