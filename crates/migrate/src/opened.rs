//! Opening stores by name.

use std::fs::File;

use channelcoord::{Backend, BackendError};
use thiserror::Error;

use crate::finding::chain;
use crate::lnd::source::{LndSource, SourceError};
use crate::url::{Engine, StoreUrl};

/// A store opened for reading.
pub enum Opened {
    /// lnd's.
    Lnd(Box<LndSource>),
    /// One of ours.
    Store(Box<dyn Backend>),
}

/// Why a job did not come to its end. Decides the exit code of `migrate`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Failure {
    /// What was read or asked for stops the job: exit code 1.
    #[error("{0}")]
    Content(String),
    /// The request cannot be carried out as it stands: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Something cannot be read or written: exit code 3.
    #[error("{0}")]
    Access(String),
}

impl Failure {
    /// An access failure from an error and its causes.
    pub fn access(what: impl std::fmt::Display, error: &dyn std::error::Error) -> Failure {
        Failure::Access(format!("{what}: {}", chain(error)))
    }

    /// A content failure from an error and its causes.
    pub fn content(what: impl std::fmt::Display, error: &dyn std::error::Error) -> Failure {
        Failure::Content(format!("{what}: {}", chain(error)))
    }

    /// Sorts a failure to read a store: damage is content, anything else is access.
    pub fn of_backend(what: impl std::fmt::Display, error: &BackendError) -> Failure {
        match error {
            BackendError::Corrupt { .. } => Failure::content(what, error),
            _ => Failure::access(what, error),
        }
    }
}

/// Opens a store for reading. Nothing in it changes. SQLite leaves its shared memory beside it.
///
/// # Errors
/// `Content` for an lnd file that must not be used (damaged as a whole, tombstoned, of an unknown
/// version); `Access` for anything else.
pub fn open(url: &StoreUrl, allow_tombstoned: bool) -> Result<Opened, Failure> {
    let access = |error: &dyn std::error::Error| Failure::access(url, error);
    // Opening a pipe would wait for somebody to write to it.
    if std::fs::metadata(&url.path).is_ok_and(|kind| !kind.is_file()) {
        return Err(Failure::Access(format!("{url}: not a regular file")));
    }
    Ok(match url.engine {
        Engine::LndBolt => {
            let source = LndSource::open(&url.path, allow_tombstoned);
            Opened::Lnd(Box::new(source.map_err(|error| match is_access(&error) {
                true => access(&error),
                false => Failure::content(url, &error),
            })?))
        }
        Engine::Redb => Opened::Store(Box::new(
            redb().open_read_only(&url.path).map_err(|error| access(&error))?,
        )),
        Engine::Sqlite => Opened::Store(Box::new(
            sqlstore::SqliteBackend::open_read_only(&url.path).map_err(|error| access(&error))?,
        )),
    })
}

/// Whether a file cannot be read at all, rather than holds something that must not be used.
fn is_access(error: &SourceError) -> bool {
    use crate::bolt::{FileError, OpenError};
    matches!(
        error,
        SourceError::Open(
            OpenError::Open { .. }
                | OpenError::NotAFile
                | OpenError::Locked
                | OpenError::Lock { .. }
                | OpenError::Read { .. }
        ) | SourceError::File(FileError::Io { .. } | FileError::OutOfMemory { .. })
    )
}

/// redb with a cache that keeps memory flat: records are read and written once, in order.
fn redb() -> kvstore::Options {
    kvstore::Options::default().cache_bytes(32 << 20)
}

/// Opens a store so that damaged rows can be compared; `None` if its engine shows none.
///
/// # Errors
/// `Access`.
pub fn open_damaged(url: &StoreUrl) -> Result<Option<Opened>, Failure> {
    if url.engine != Engine::Sqlite {
        return Ok(None);
    }
    let store = sqlstore::SqliteBackend::open_read_only(&url.path)
        .map_err(|error| Failure::access(url, &error))?;
    Ok(Some(Opened::Store(Box::new(store.without_checksums()))))
}

/// Makes sure that no node writes a store while it is copied; hold the result until the end.
///
/// The readers of lnd's databases and of redb's lock the file themselves.
///
/// # Errors
/// `Access` while the store is in use.
pub fn keep_writers_out(url: &StoreUrl) -> Result<Option<File>, Failure> {
    if url.engine != Engine::Sqlite {
        return Ok(None);
    }
    let mut lock = url.path.as_os_str().to_owned();
    lock.push(".lock");
    match File::open(lock) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::access(url, &error)),
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => Ok(Some(file)),
            Err(error) => Err(Failure::access(format!("{url} is in use"), &error)),
        },
    }
}

/// Creates an empty store for writing; `shown` is its name for messages.
///
/// # Errors
/// `Usage` for an engine that cannot be written; `Access`.
pub fn create(url: &StoreUrl, shown: &StoreUrl) -> Result<Box<dyn Backend>, Failure> {
    let access = |error: &dyn std::error::Error| Failure::access(shown, error);
    Ok(match url.engine {
        Engine::LndBolt => return Err(Failure::Usage("lnd's databases are only read".into())),
        Engine::Redb => Box::new(redb().create(&url.path).map_err(|error| access(&error))?),
        Engine::Sqlite => {
            Box::new(sqlstore::SqliteBackend::create(&url.path).map_err(|error| access(&error))?)
        }
    })
}
