//! What calls share: connections, and the patience to make new ones.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgRow};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::time::{Instant, sleep};

use super::batch::Texts;
use super::error::{Class, Fault};
use super::lease::{self, Lease};
use super::options::PostgresOptions;
use super::readers::Readers;
use super::row::{Cells, Parameters};
use super::server::{self, Purpose, Server};
use super::text;
use crate::columns::Columns;
use crate::fault::Shut;
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
    closed: watch::Sender<bool>,
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
            closed: watch::Sender::new(false),
        }
    }

    /// Time for one call.
    pub(crate) fn patience(&self) -> Patience<'_> {
        Patience { client: self, until: Instant::now() + self.patience, pause: FIRST_PAUSE }
    }

    /// Does something that may be left in the middle, unless the store is released.
    pub(crate) async fn unless_closed<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        let mut closed = self.closed.subscribe();
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Err(Shut::Released.into()),
            done = work => Ok(done),
        }
    }

    /// The connection that writes, for as long as the session lasts.
    pub(crate) async fn session(&self) -> Session<'_> {
        Session { client: self, connection: self.writer.lock().await, last: false }
    }

    /// Ends whatever waits, gives the lease back and closes every connection. A statement that changes
    /// the store is waited for.
    pub(crate) async fn close(&self) -> Result<(), Fault> {
        self.closed.send_replace(true);
        let connection = self.writer.lock().await;
        let mut session = Session { client: self, connection, last: true };
        // Not before: a claim may just have been made.
        let given = match self.lease.end() {
            Some(epoch) => lease::give_back(&self.lease, &mut session, epoch).await,
            None => Ok(()),
        };
        if let Some(connection) = session.connection.take() {
            // The server notices by itself otherwise.
            let _ = sqlx::Connection::close(connection).await;
        }
        self.readers.close().await;
        given
    }
}

/// How long a call goes on.
pub(crate) struct Patience<'a> {
    client: &'a Client,
    until: Instant,
    pause: Duration,
}

impl Patience<'_> {
    /// Waits before the next try; gives the failure back if there is no time for one, or no sense in
    /// it. Released, there is none.
    pub(crate) async fn pause(&mut self, fault: Fault) -> Result<(), Fault> {
        if fault.class() == Class::Refused || Instant::now() + self.pause > self.until {
            return Err(fault);
        }
        tracing::warn!(error = &fault as &dyn std::error::Error, "trying again");
        self.client.unless_closed(sleep(self.pause)).await?;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// The connection that writes, in use.
pub(crate) struct Session<'a> {
    client: &'a Client,
    connection: MutexGuard<'a, Option<PgConnection>>,
    /// It is the one that gives the lease back.
    last: bool,
}

impl Session<'_> {
    /// Runs a statement, on a new connection if there is none. One that is lost is not kept, nor one
    /// that the caller leaves in the middle. Nothing is begun once the store is released.
    pub(crate) async fn ask(
        &mut self,
        doing: &'static str,
        text: impl Into<Arc<str>>,
        parameters: Parameters,
    ) -> Result<Vec<PgRow>, Fault> {
        let server = &self.client.server;
        if *self.client.closed.borrow() && !self.last {
            return Err(Shut::Released.into());
        }
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None if self.last => server.connect(Purpose::Write).await?,
            None => self.client.unless_closed(server.connect(Purpose::Write)).await??,
        };
        let answer = server.ask(&mut connection, doing, text.into(), parameters).await;
        if !matches!(&answer, Err(fault) if fault.class() == Class::Lost) {
            *self.connection = Some(connection);
        }
        answer
    }

    /// Checks that what is stored now is durable.
    pub(crate) async fn durable(&mut self) -> Result<(), Fault> {
        let text = server::REQUIRED_NOW;
        server::durable(&self.ask("reading the settings", text, Parameters::new()).await?)
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
        rows.first().map(|row| decode(entry, row, name)).transpose()
    }
}

/// What a row of a table holds.
pub(crate) fn decode<T: Columns>(
    entry: &'static Entry,
    row: &PgRow,
    name: &str,
) -> Result<T, Fault> {
    let cells = Cells { row, table: entry.table };
    let read = RowReader::new(entry.table, &cells, Checksums::Checked)
        .and_then(|mut reader| T::read(&mut reader));
    read.map_err(|damage| Fault::Damaged { record: name.to_owned(), damage })
}
