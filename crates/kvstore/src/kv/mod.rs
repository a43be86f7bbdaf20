//! What any key-value engine needs to become a backend.
//!
//! An engine brings [`ReadRows`] and [`WriteRows`], and an ordered range for scans. The rest is
//! here: values with checksums, guards, change sets, and the way back from keys to names. A commit
//! is [`apply()`] inside one transaction of the engine, next to the check of epoch and sequence
//! number.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::convert::Infallible;
//!
//! use channelcoord::{ChangeSet, MetaRecord, Record, meta_key};
//! use chanstate::key::Kind;
//! use kvstore::kv::{self, ReadRows, WriteRows};
//!
//! struct Memory(BTreeMap<Vec<u8>, Vec<u8>>);
//!
//! impl ReadRows for Memory {
//!     type Error = Infallible;
//!     fn get(&mut self, _: Kind, key: &[u8]) -> Result<Option<Vec<u8>>, Infallible> {
//!         Ok(self.0.get(key).cloned())
//!     }
//! }
//!
//! impl WriteRows for Memory {
//!     fn put(&mut self, _: Kind, key: &[u8], value: &[u8]) -> Result<(), Infallible> {
//!         self.0.insert(key.to_vec(), value.to_vec());
//!         Ok(())
//!     }
//!     fn remove(&mut self, _: Kind, key: &[u8]) -> Result<(), Infallible> {
//!         self.0.remove(key);
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut rows = Memory(BTreeMap::new());
//! let record = Record::Meta(MetaRecord { name: "network".into(), value: "signet".into() });
//! let set = ChangeSet { puts: vec![record.clone()], ..ChangeSet::default() };
//! kv::apply(&mut rows, &[set])?;
//! assert_eq!(kv::read(&mut rows, &meta_key("network"))?, Some(record));
//! # Ok(())
//! # }
//! ```

mod apply;
mod keys;
mod seal;

use channelcoord::{Record, encoded_version};
use chanstate::Version;
use chanstate::key::{Kind, RecordKey};
use thiserror::Error;

pub use apply::{apply, verdicts_of};
pub use keys::{Bounds, bounds, key_name, parse_key};
pub use seal::{Damage, decode, seal, unseal};

/// Rows that can be read.
pub trait ReadRows {
    /// Why the engine fails.
    type Error: std::error::Error + 'static;

    /// The value under `key`. The key begins with the number of `kind`, which tells an engine
    /// with several tables where to look.
    ///
    /// # Errors
    /// The engine's.
    fn get(&mut self, kind: Kind, key: &[u8]) -> Result<Option<Vec<u8>>, Self::Error>;
}

/// Rows of a write transaction. Reads see what was written in it before.
pub trait WriteRows: ReadRows {
    /// Writes a value, replacing one under the same key.
    ///
    /// # Errors
    /// The engine's. The transaction must then not be committed.
    fn put(&mut self, kind: Kind, key: &[u8], value: &[u8]) -> Result<(), Self::Error>;

    /// Removes a value if there is one.
    ///
    /// # Errors
    /// The engine's. The transaction must then not be committed.
    fn remove(&mut self, kind: Kind, key: &[u8]) -> Result<(), Self::Error>;
}

/// Why a record could not be read.
#[derive(Debug, Error)]
pub enum ReadError<E: std::error::Error + 'static> {
    /// The engine failed.
    #[error("engine failed at record {key}")]
    Engine {
        /// The record asked for.
        key: RecordKey,
        /// Why.
        #[source]
        error: E,
    },
    /// The record is damaged.
    #[error("damaged record {key}")]
    Damaged {
        /// The record.
        key: RecordKey,
        /// What is wrong with it.
        #[source]
        damage: Damage,
    },
}

/// Reads one record.
///
/// # Errors
/// `Engine`, `Damaged`.
pub fn read<R: ReadRows>(
    rows: &mut R,
    key: &RecordKey,
) -> Result<Option<Record>, ReadError<R::Error>> {
    read_with(rows, key, |bytes, value| decode(key.kind, bytes, value))
}

/// Reads the version of a channel or link node; [`Version::ABSENT`] if there is none.
///
/// The rest of the record is checked for damage and not decoded: guards are read at each commit.
///
/// # Errors
/// `Engine`, `Damaged`.
pub fn read_version<R: ReadRows>(
    rows: &mut R,
    key: &RecordKey,
) -> Result<Version, ReadError<R::Error>> {
    let version = read_with(rows, key, |bytes, value| {
        encoded_version(key.kind, unseal(bytes, value)?).map_err(Damage::Decode)
    });
    Ok(version?.unwrap_or(Version::ABSENT))
}

fn read_with<R: ReadRows, T>(
    rows: &mut R,
    key: &RecordKey,
    decode: impl FnOnce(&[u8], Vec<u8>) -> Result<T, Damage>,
) -> Result<Option<T>, ReadError<R::Error>> {
    let bytes = key.to_bytes();
    let value = rows.get(key.kind, &bytes);
    let value = value.map_err(|error| ReadError::Engine { key: key.clone(), error })?;
    let value = value.map(|value| decode(&bytes, value)).transpose();
    value.map_err(|damage| ReadError::Damaged { key: key.clone(), damage })
}
