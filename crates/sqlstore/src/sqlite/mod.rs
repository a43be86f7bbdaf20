//! SQLite.

mod bind;
mod commit;
mod connection;
mod error;
mod lock;
mod open;
mod read;
mod session;
mod settle;
#[cfg(test)]
mod tests;
mod text;

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_trait::async_trait;
use channelcoord::{
    Backend, BackendError, Batch, ClaimError, CommitError, Epoch, Head, Record, Seq, Settled,
    Verdict,
};
use chanstate::Cause;
use chanstate::key::{KeyRange, RecordKey};
use rusqlite::Connection;

use self::commit::Unclaimed;
use self::lock::StoreLock;
use self::session::Session;
use crate::fault::Shut;
use crate::row::Checksums;

/// A store in one SQLite file.
///
/// The calls of [`Backend`] do their work on the thread that polls them and never wait for anything
/// but the disk. One connection writes, a second one reads beside it.
#[derive(Debug)]
pub struct SqliteBackend {
    // Dropped in this order: the last connection to close empties the log, which the reading one
    // cannot, and the lock is given back at the end.
    reader: Mutex<Option<Connection>>,
    writer: Mutex<Option<Connection>>,
    lock: Mutex<Option<StoreLock>>,
    shut: OnceLock<Shut>,
    checksums: Checksums,
}

impl SqliteBackend {
    fn new(writer: Option<Connection>, reader: Connection, lock: Option<StoreLock>) -> Self {
        SqliteBackend {
            writer: Mutex::new(writer),
            reader: Mutex::new(Some(reader)),
            lock: Mutex::new(lock),
            shut: OnceLock::new(),
            checksums: Checksums::Checked,
        }
    }

    /// Reads rows as they are from now on, whether or not their checksums are right: to see what
    /// differs in a row that is damaged. For a store that is open for reading only.
    #[must_use]
    pub fn without_checksums(self) -> SqliteBackend {
        SqliteBackend { checksums: Checksums::Passed, ..self }
    }

    /// Where the store stands, without a claim.
    ///
    /// # Errors
    /// `Unavailable`; `Corrupt` if the store's own row is damaged.
    pub fn head(&self) -> Result<Head, BackendError> {
        self.read_with(|connection| {
            let store = Session::reading(connection, self.checksums).store()?;
            Ok(Head { epoch: Epoch(store.epoch), seq: Seq(store.seq) })
        })
    }

    /// Runs `work` on the writing connection.
    fn write<T>(&self, work: impl FnOnce(&mut Connection) -> T) -> Result<T, Shut> {
        let mut writer = hold(&self.writer);
        self.serving()?;
        let connection = writer.as_mut().ok_or(Shut::ReadOnly)?;
        let result = work(connection);
        if !connection.is_autocommit() {
            // Rolling back failed too. Whatever comes next must not join that transaction.
            let _ = self.shut.set(Shut::Stuck);
        }
        Ok(result)
    }

    /// Runs `work` on the reading connection.
    fn read_with<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let reader = hold(&self.reader);
        self.serving().map_err(Shut::unavailable)?;
        let connection = reader.as_ref().ok_or(Shut::Released).map_err(Shut::unavailable)?;
        work(connection)
    }

    fn serving(&self) -> Result<(), Shut> {
        self.shut.get().map_or(Ok(()), |shut| Err(shut.clone()))
    }

    /// Serves nothing any more, since it is not known what is stored.
    fn poison(&self, cause: &Cause) {
        let _ = self.shut.set(Shut::Unknown(cause.clone()));
    }
}

#[async_trait]
impl Backend for SqliteBackend {
    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError> {
        let claimed = self.write(|connection| {
            let claimed = commit::claim(connection, at_least);
            if let Err(Unclaimed::Unknown(cause)) = &claimed {
                self.poison(cause);
            }
            claimed
        });
        claimed.map_err(Shut::unavailable)?.map_err(|error| match error {
            Unclaimed::No(error) => error,
            Unclaimed::Unknown(cause) => BackendError::Unavailable(cause).into(),
        })
    }

    async fn release(&self) -> Result<(), BackendError> {
        let (mut writer, mut reader) = (hold(&self.writer), hold(&self.reader));
        let _ = self.shut.set(Shut::Released);
        // A reading connection would keep the checkpoint from emptying the log.
        drop(reader.take());
        let closed = writer.take().map_or(Ok(()), connection::close);
        drop(hold(&self.lock).take());
        closed
    }

    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        let result = self.write(|connection| {
            let result = commit::commit(connection, batch);
            if let Err(CommitError::Unknown(cause)) = &result {
                self.poison(cause);
            }
            result
        });
        result.map_err(|shut| CommitError::NotStored(Arc::new(shut)))?
    }

    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        // Holding the writing connection: no commit is under way, and none of this batch can follow
        // unless it is asked for again.
        let settled = self.write(|connection| settle::settle(connection, batch));
        settled.map_err(Shut::unavailable)?
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        self.read_with(|connection| read::read(connection, self.checksums, keys))
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        self.read_with(|connection| read::scan(connection, self.checksums, range, limit))
    }
}

/// A panic in an earlier call rolled its transaction back, so what the mutex guards is sound.
fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
