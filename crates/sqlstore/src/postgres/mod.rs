//! PostgreSQL.
//!
//! | Module | Content |
//! |---|---|
//! | `options`, `open`, `upgrade`, `manage` | how a store is opened, created, upgraded, moved and dropped |
//! | `server`, `client`, `readers`, `worker` | connections, their settings, and the threads they run on |
//! | `lease`, `clock` | who may write, and for how long |
//! | `batch`, `part`, `size`, `commit`, `settle` | a batch as one statement, its way to the server, and what became of it |
//! | `read`, `text` | look-ups and scans, and their statements |
//! | `row`, `array` | values as columns and as parameters |
//! | `error` | what the server says, and what that tells of what was stored |
//! | `single` | the way not taken, for benchmarks |

mod array;
mod batch;
mod client;
mod clock;
mod commit;
mod error;
mod lease;
mod manage;
mod open;
mod options;
mod part;
mod read;
mod readers;
mod row;
mod server;
mod settle;
#[cfg(feature = "single-statements")]
mod single;
mod size;
#[cfg(test)]
mod tests;
mod text;
mod upgrade;
mod worker;

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use channelcoord::{
    Backend, BackendError, Batch, ClaimError, CommitError, Head, Record, Seq, Settled, Verdict,
};
use chanstate::key::{KeyRange, RecordKey};

use self::batch::Prepared;
use self::client::Client;
use self::error::Fault;
pub use self::manage::Standing;
pub use self::options::PostgresOptions;
#[cfg(feature = "single-statements")]
pub use self::single::SingleStatements;
use self::size::TooLarge;
use self::worker::{Stopped, Worker};
use crate::fault::Shut;
use crate::row::Checksums;

/// A store in one schema of a PostgreSQL database.
///
/// The calls of [`Backend`] do their work on threads of the store's own, so they can be polled by any
/// executor, and one that is dropped goes on. One connection commits, one renews the lease, others
/// read; a connection that is lost is made anew.
pub struct PostgresBackend {
    name: String,
    client: Arc<Client>,
    worker: Worker,
    /// Most bytes of a commit's statement.
    largest: usize,
    read_only: bool,
    shut: OnceLock<Shut>,
    checksums: Checksums,
}

impl fmt::Debug for PostgresBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresBackend").field(&self.name).finish()
    }
}

impl PostgresBackend {
    /// The name of this node instance: to be kept and given to
    /// [`PostgresOptions::instance`] at the next start.
    pub fn instance(&self) -> &str {
        self.client.lease.instance()
    }

    /// Reads rows as they are from now on, whether or not their checksums are right: to see what
    /// differs in a row that is damaged. For a store that is open for reading only.
    #[must_use]
    pub fn without_checksums(self) -> PostgresBackend {
        PostgresBackend { checksums: Checksums::Passed, ..self }
    }

    fn prepare(&self, batch: Batch<'_>) -> Result<Arc<Prepared>, TooLarge> {
        let instance = self.client.lease.instance();
        Prepared::new(batch, instance, self.largest).map(Arc::new)
    }

    fn writing(&self) -> Result<(), Shut> {
        self.reading()?;
        if self.read_only { Err(Shut::ReadOnly) } else { Ok(()) }
    }

    fn reading(&self) -> Result<(), Shut> {
        self.shut.get().map_or(Ok(()), |shut| Err(shut.clone()))
    }
}

#[async_trait]
impl Backend for PostgresBackend {
    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError> {
        self.writing().map_err(Shut::unavailable)?;
        let claiming = lease::claim(Arc::clone(&self.client), at_least);
        self.worker.run(claiming).await.map_err(Stopped::unavailable)?
    }

    async fn release(&self) -> Result<(), BackendError> {
        if self.shut.set(Shut::Released).is_err() {
            return Ok(());
        }
        let client = Arc::clone(&self.client);
        let releasing = async move { client.close().await };
        let released = self.worker.run(releasing).await.map_err(Stopped::unavailable)?;
        released.map_err(Fault::reading)
    }

    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        self.writing().map_err(|shut| CommitError::NotStored(Arc::new(shut)))?;
        let prepared = self.prepare(batch);
        let prepared = prepared.map_err(|large| CommitError::NotStored(Arc::new(large)))?;
        let (client, sent) = (Arc::clone(&self.client), Arc::clone(&prepared));
        let committing = async move { commit::commit(&client, &sent).await };
        let stored = self.worker.run(committing).await;
        // If the threads stopped, they did so at any point.
        let stored = stored.map_err(|stopped| CommitError::Unknown(Arc::new(stopped)))?;
        commit::verdicts(batch, &prepared, stored?)
    }

    /// The batch's sequence numbers are taken first, unless they are: whatever is still on its way
    /// to the server cannot be stored afterwards.
    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        self.writing().map_err(Shut::unavailable)?;
        let prepared = self.prepare(batch);
        let prepared = prepared.map_err(|large| BackendError::Unavailable(Arc::new(large)))?;
        let (client, asked) = (Arc::clone(&self.client), Arc::clone(&prepared));
        let settling = async move { settle::settle(&client, &asked).await };
        let fate = self.worker.run(settling).await.map_err(Stopped::unavailable)?;
        fate?.settled(batch, &prepared)
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        self.reading().map_err(Shut::unavailable)?;
        let reading = read::read(Arc::clone(&self.client), keys.to_vec(), self.checksums);
        self.worker.run(reading).await.map_err(Stopped::unavailable)?
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        self.reading().map_err(Shut::unavailable)?;
        let client = Arc::clone(&self.client);
        let scanning = read::scan(client, range.clone(), limit, self.checksums);
        self.worker.run(scanning).await.map_err(Stopped::unavailable)?
    }
}

impl Stopped {
    fn unavailable(self) -> BackendError {
        BackendError::Unavailable(Arc::new(self))
    }
}
