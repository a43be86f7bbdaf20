//! What calls share: connections, and the patience to make new ones.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep};

use super::batch::Texts;
use super::error::{Class, Fault};
use super::lease::Lease;
use super::options::PostgresOptions;
use super::readers::Readers;
use super::row::{Cells, Parameters};
use super::server::{Purpose, Server};
use super::text;
use crate::columns::Columns;
use crate::row::{Checksums, RowReader};
use crate::table::{EpochRow, StoreRow};
use crate::text::Entry;

/// First pause before a call tries again; it doubles from time to time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The connections of a store.
pub(crate) struct Client {
    pub(crate) server: Server,
    /// One statement at a time changes the store.
    writer: Mutex<Option<PgConnection>>,
    pub(crate) readers: Readers,
    pub(crate) lease: Lease,
    /// The statements of batches.
    pub(crate) texts: Texts,
    patience: Duration,
}

impl Client {
    /// Goes on with the connections that there are, and makes others when there is something to do.
    pub(crate) fn new(
        options: &PostgresOptions,
        writer: Option<PgConnection>,
        reader: Option<PgConnection>,
    ) -> Client {
        Client {
            server: Server::new(options),
            writer: Mutex::new(writer),
            readers: Readers::new(options.readers, reader),
            lease: Lease::new(options),
            texts: Texts::default(),
            patience: options.patience,
        }
    }

    /// Time for one call.
    pub(crate) fn patience(&self) -> Patience {
        Patience { until: Instant::now() + self.patience, pause: FIRST_PAUSE }
    }

    /// The connection that writes, for as long as the session lasts.
    pub(crate) async fn session(&self) -> Session<'_> {
        Session { server: &self.server, connection: self.writer.lock().await }
    }

    /// Closes every connection.
    pub(crate) async fn close(&self) {
        if let Some(connection) = self.writer.lock().await.take() {
            // The server notices by itself otherwise.
            let _ = sqlx::Connection::close(connection).await;
        }
        self.readers.close().await;
    }
}

/// How long a call goes on.
pub(crate) struct Patience {
    until: Instant,
    pause: Duration,
}

impl Patience {
    /// Waits before the next try; gives the failure back if there is no time for one, or no sense in
    /// it.
    pub(crate) async fn pause(&mut self, fault: Fault) -> Result<(), Fault> {
        if fault.class() == Class::Refused || Instant::now() + self.pause > self.until {
            return Err(fault);
        }
        tracing::warn!(error = &fault as &dyn std::error::Error, "trying again");
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// The connection that writes, in use.
pub(crate) struct Session<'a> {
    server: &'a Server,
    connection: MutexGuard<'a, Option<PgConnection>>,
}

impl Session<'_> {
    /// Runs a statement, on a new connection if there is none. One that is lost is not kept, nor one
    /// that the caller leaves in the middle.
    pub(crate) async fn ask(
        &mut self,
        doing: &'static str,
        text: impl Into<Arc<str>>,
        parameters: Parameters,
    ) -> Result<Vec<PgRow>, Fault> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.server.connect(Purpose::Write).await?,
        };
        let answer = self.server.ask(&mut connection, doing, text.into(), parameters).await;
        if !matches!(&answer, Err(fault) if fault.class() == Class::Lost) {
            *self.connection = Some(connection);
        }
        answer
    }

    /// Where the store stands.
    pub(crate) async fn store(&mut self) -> Result<StoreRow, Fault> {
        let row = self.row(text::store(), 1, "store").await?;
        row.ok_or_else(|| Fault::gone("store"))
    }

    /// A claim.
    pub(crate) async fn epoch(&mut self, epoch: u64) -> Result<EpochRow, Fault> {
        let name = format!("epoch/{epoch}");
        let row = self.row(text::epoch(), epoch, &name).await?;
        row.ok_or_else(|| Fault::gone(name))
    }

    async fn row<T: Columns>(
        &mut self,
        entry: &'static Entry,
        key: u64,
        name: &str,
    ) -> Result<Option<T>, Fault> {
        let key = Parameters::new().unsigned(key);
        let rows = self.ask("reading", entry.statements.get.as_str(), key).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let cells = Cells { row, table: entry.table };
        let read = RowReader::new(entry.table, &cells, Checksums::Checked)
            .and_then(|mut reader| T::read(&mut reader));
        read.map(Some).map_err(|damage| Fault::Damaged { record: name.to_owned(), damage })
    }
}
