//! What an engine has to bring: rows, and two kinds of transaction over them.

use channelcoord::BackendError;
use chanstate::Cause;
use chanstate::key::Kind;

use super::Bounds;

/// The group that a row belongs to, for an engine that keeps several tables.
///
/// Keys differ between groups: those of records begin with the number of their kind, those of the
/// store itself with 0. So one table can hold everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Rows of the store itself: format, head, epochs.
    Store,
    /// Records of a kind.
    Records(Kind),
}

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Rows that can be read.
///
/// A failure is `Unavailable`; `Corrupt` if the engine itself found damage. The record named in a
/// `Corrupt` may be anything: the caller knows the name and puts it in.
pub trait ReadRows {
    /// The value under `key`.
    ///
    /// # Errors
    /// The engine's.
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError>;

    /// The first `limit` rows within `bounds`, in the order of the keys' bytes.
    ///
    /// # Errors
    /// The engine's.
    fn range(
        &mut self,
        table: Table,
        bounds: Bounds,
        limit: usize,
    ) -> Result<Vec<Row>, BackendError>;

    /// Whether a row of these lengths can be stored. It is asked before anything of a change set
    /// is written, so that a record which does not fit leaves out its own set alone.
    ///
    /// # Errors
    /// Which limit is exceeded.
    fn fits(&self, key_len: usize, value_len: usize) -> Result<(), Cause> {
        let _ = (key_len, value_len);
        Ok(())
    }
}

/// Rows of a write transaction. Reads see what was written in it before.
///
/// After an error the transaction must not be committed.
pub trait WriteRows: ReadRows {
    /// Writes a value, replacing one under the same key.
    ///
    /// # Errors
    /// The engine's.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), BackendError>;

    /// Removes a value if there is one.
    ///
    /// # Errors
    /// The engine's.
    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), BackendError>;
}

/// A key-value engine: an ordered map from bytes to bytes, with durable transactions, that keeps
/// every other process out while it is open.
///
/// [`KvBackend`](super::KvBackend) makes a backend of it. It catches panics, calls nothing while
/// or after it drops the engine, and drops it at the release and after an unknown outcome.
/// Dropping must end everything that the engine does in the background and let go of its lock.
pub trait Engine: Send + Sync + 'static {
    /// Runs `work` on rows as they are at one moment: with every commit that returned before, and
    /// nothing of one that failed or is under way.
    ///
    /// # Errors
    /// Those of `work`, and `Unavailable`.
    fn read<T>(
        &self,
        work: impl FnOnce(&mut dyn ReadRows) -> Result<T, BackendError>,
    ) -> Result<T, BackendError>;

    /// Runs `work` in a write transaction, one at a time, and commits it if `work` succeeds: whole
    /// or not at all, and synced when the call returns.
    ///
    /// # Errors
    /// As [`WriteError`] says. When in doubt, `Unknown`.
    fn write<T, E>(
        &self,
        work: impl FnOnce(&mut dyn WriteRows) -> Result<T, E>,
    ) -> Result<T, WriteError<E>>;
}

/// How a write transaction failed.
#[derive(Debug)]
pub enum WriteError<E> {
    /// Its work failed, so it was undone.
    Work(E),
    /// It did not get as far as its commit, or the engine refused that: nothing is stored, and
    /// nothing will be.
    NotStored(Cause),
    /// Its commit failed, and it may be stored. The engine is closed then.
    Unknown(Cause),
}
