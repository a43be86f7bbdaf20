//! What any key-value engine needs to become a backend.
//!
//! An engine is an ordered map from bytes to bytes, with durable transactions and a lock. It
//! implements [`Engine`], with [`ReadRows`] and [`WriteRows`] for its transactions, and
//! [`KvBackend`] makes a [`Backend`](channelcoord::Backend) of it. The rest is here: keys and
//! values with checksums, guards and change sets, claims and their fencing, what became of a
//! commit, and the end of a store that cannot be trusted any more.
//!
//! What the engine has to do by itself is opening. Refuse a store that is open elsewhere, files
//! of somebody else, and a [`format()`] that is not known; in a new one, [`create()`] the first
//! rows and [`set_format()`] in one durable transaction, then [`sync_parent()`]. An engine that
//! panics over damaged files is called within [`catch()`].
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Mutex;
//!
//! use channelcoord::{Backend, BackendError};
//! use kvstore::kv::{self, Bounds, KvBackend, ReadRows, Row, Table, WriteError, WriteRows};
//!
//! #[derive(Clone, Default)]
//! struct Rows(BTreeMap<Vec<u8>, Vec<u8>>);
//!
//! impl ReadRows for Rows {
//!     fn get(&mut self, _: Table, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
//!         Ok(self.0.get(key).cloned())
//!     }
//!     fn range(&mut self, _: Table, bounds: Bounds, max: usize) -> Result<Vec<Row>, BackendError> {
//!         let found = self.0.range(bounds).take(max);
//!         Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
//!     }
//! }
//!
//! impl WriteRows for Rows {
//!     fn put(&mut self, _: Table, key: &[u8], value: &[u8]) -> Result<(), BackendError> {
//!         self.0.insert(key.to_vec(), value.to_vec());
//!         Ok(())
//!     }
//!     fn remove(&mut self, _: Table, key: &[u8]) -> Result<(), BackendError> {
//!         self.0.remove(key);
//!         Ok(())
//!     }
//! }
//!
//! /// Lasts as long as the process.
//! struct Memory(Mutex<Rows>);
//!
//! impl kv::Engine for Memory {
//!     fn read<T>(
//!         &self,
//!         work: impl FnOnce(&mut dyn ReadRows) -> Result<T, BackendError>,
//!     ) -> Result<T, BackendError> {
//!         work(&mut *self.0.lock().unwrap())
//!     }
//!     fn write<T, E>(
//!         &self,
//!         work: impl FnOnce(&mut dyn WriteRows) -> Result<T, E>,
//!     ) -> Result<T, WriteError<E>> {
//!         let mut rows = self.0.lock().unwrap();
//!         let mut changed = rows.clone();
//!         let done = work(&mut changed).map_err(WriteError::Work)?;
//!         *rows = changed;
//!         Ok(done)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut rows = Rows::default();
//! kv::create(&mut rows)?;
//! kv::set_format(&mut rows, 1)?;
//! let store = KvBackend::new(Memory(Mutex::new(rows)));
//! let head = pollster::block_on(store.claim(None))?;
//! assert_eq!((head.epoch.0, head.seq.0), (1, 0));
//! # Ok(())
//! # }
//! ```

mod apply;
mod backend;
mod fault;
mod files;
mod head;
mod keys;
mod rows;
mod seal;

use std::sync::Arc;

use channelcoord::{BackendError, Record, encoded_version};
use chanstate::Version;
use chanstate::key::{KeyRange, RecordKey};

use apply::{apply, verdicts_of};
pub use backend::KvBackend;
pub use fault::{Fault, catch};
pub use files::sync_parent;
pub use head::{create, format, format_row, set_format};
pub use keys::{Bounds, parse_key};
use keys::{bounds, key_name};
pub use rows::{Engine, ReadRows, Row, Table, WriteError, WriteRows};
pub use seal::{Damage, seal};
use seal::{decode, unseal};

/// Why a record could not be read.
enum ReadError {
    /// The engine failed.
    Engine(BackendError),
    /// The value is damaged.
    Damaged(RecordKey, Damage),
}

/// Reads one record.
fn read<R: ReadRows + ?Sized>(
    rows: &mut R,
    key: &RecordKey,
) -> Result<Option<Record>, BackendError> {
    Ok(find(rows, key)?)
}

/// Reads the first `limit` records of a range.
fn scan<R: ReadRows + ?Sized>(
    rows: &mut R,
    range: &KeyRange,
    limit: usize,
) -> Result<Vec<Record>, BackendError> {
    let Some(bounds) = bounds(range) else { return Ok(Vec::new()) };
    let rows = rows.range(Table::Records(range.kind), bounds, limit)?;
    let records = rows.into_iter().map(|(key, value)| {
        decode(range.kind, &key, value).map_err(|damage| BackendError::Corrupt {
            record: key_name(&key),
            cause: Arc::new(damage),
        })
    });
    records.collect()
}

fn find<R: ReadRows + ?Sized>(rows: &mut R, key: &RecordKey) -> Result<Option<Record>, ReadError> {
    find_with(rows, key, |bytes, value| decode(key.kind, bytes, value))
}

/// The version of a channel or link node; [`Version::ABSENT`] if there is none.
///
/// The rest of the record is checked for damage and not decoded: guards are read at each commit.
fn find_version<R: ReadRows + ?Sized>(rows: &mut R, key: &RecordKey) -> Result<Version, ReadError> {
    let version = find_with(rows, key, |bytes, value| {
        encoded_version(key.kind, unseal(bytes, value)?).map_err(Damage::Decode)
    });
    Ok(version?.unwrap_or(Version::ABSENT))
}

fn find_with<R: ReadRows + ?Sized, T>(
    rows: &mut R,
    key: &RecordKey,
    decode: impl FnOnce(&[u8], Vec<u8>) -> Result<T, Damage>,
) -> Result<Option<T>, ReadError> {
    let bytes = key.to_bytes();
    let value = rows.get(Table::Records(key.kind), &bytes).map_err(|error| match error {
        BackendError::Corrupt { cause, .. } => {
            ReadError::Engine(BackendError::Corrupt { record: key.to_string(), cause })
        }
        other => ReadError::Engine(other),
    })?;
    let value = value.map(|value| decode(&bytes, value)).transpose();
    value.map_err(|damage| ReadError::Damaged(key.clone(), damage))
}

impl From<ReadError> for BackendError {
    fn from(error: ReadError) -> BackendError {
        match error {
            ReadError::Engine(error) => error,
            ReadError::Damaged(key, damage) => {
                BackendError::Corrupt { record: key.to_string(), cause: Arc::new(damage) }
            }
        }
    }
}
