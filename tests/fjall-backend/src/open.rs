//! Opening and creating stores.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use channelcoord::BackendError;
use chanstate::Cause;
use fjall::{KeyspaceCreateOptions, SingleWriterTxDatabase};
use kvstore::kv::{self, Engine, WriteError};
use thiserror::Error;

use crate::FjallBackend;
use crate::engine::{Fjall, failed};

/// The layout that this release reads and writes: every row in one keyspace.
const FORMAT: u32 = 1;
const KEYSPACE: &str = "chanstore";

/// What fjall puts into each of its directories.
const MARKER: &str = "version";

/// Why a store could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store is open already, here or in another process.
    #[error("store is in use")]
    InUse,
    /// The directory holds something else, or the creation of a store in it was never finished.
    #[error("directory is not a channel store")]
    NotOurs,
    /// A newer release wrote the store.
    #[error("format {found}, newest known is {FORMAT}")]
    NewerFormat {
        /// Format of the store.
        found: u32,
    },
    /// The store is damaged.
    #[error("store is damaged")]
    Damaged(#[source] Cause),
    /// The file system failed.
    #[error("file system failed")]
    Io(#[source] io::Error),
    /// The engine failed in another way.
    #[error("engine failed")]
    Engine(#[source] Cause),
}

/// Opens the store in the directory `path`, or creates it if there is none or an empty one.
///
/// A creation that a crash cut short is not completed, since a store that lost its rows looks the
/// same: it is `NotOurs`. It holds nothing and can be deleted.
///
/// # Errors
/// Any [`OpenError`].
pub fn open(path: impl AsRef<Path>) -> Result<FjallBackend, OpenError> {
    let path = path.as_ref();
    let exists = path.join(MARKER).try_exists().map_err(OpenError::Io)?;
    let engine = match exists {
        true => kv::catch(|| open_existing(path)),
        false => kv::catch(|| create(path)),
    };
    let engine = engine.map_err(|panicked| OpenError::Damaged(Arc::new(panicked)))?;
    Ok(FjallBackend::new(engine?))
}

fn open_existing(path: &Path) -> Result<Fjall, OpenError> {
    let db = database(path)?;
    if !db.keyspace_exists(KEYSPACE) {
        return Err(OpenError::NotOurs);
    }
    let engine = engine(db)?;
    match engine.read(|rows| kv::format(rows))? {
        Some(FORMAT) => Ok(engine),
        Some(found) => Err(OpenError::NewerFormat { found }),
        None => Err(OpenError::NotOurs),
    }
}

fn create(path: &Path) -> Result<Fjall, OpenError> {
    require_empty(path)?;
    let engine = engine(database(path)?)?;
    engine.write(|rows| {
        kv::create(rows)?;
        kv::set_format(rows, FORMAT)
    })?;
    kv::sync_parent(path).map_err(OpenError::Io)?;
    Ok(engine)
}

/// Refuses a directory with anything in it: fjall would put its files beside that.
fn require_empty(path: &Path) -> Result<(), OpenError> {
    match fs::read_dir(path).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(OpenError::NotOurs),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(OpenError::Io(error)),
    }
}

fn database(path: &Path) -> Result<SingleWriterTxDatabase, OpenError> {
    // One thread is enough for what a commit leaves to the background.
    Ok(SingleWriterTxDatabase::builder(path).worker_threads(1).open()?)
}

fn engine(db: SingleWriterTxDatabase) -> Result<Fjall, OpenError> {
    let rows = db.keyspace(KEYSPACE, KeyspaceCreateOptions::default)?;
    Ok(Fjall { db, rows })
}

impl From<fjall::Error> for OpenError {
    fn from(error: fjall::Error) -> OpenError {
        match error {
            fjall::Error::Locked => OpenError::InUse,
            fjall::Error::InvalidVersion(_) => OpenError::NotOurs,
            fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => {
                OpenError::Io(error)
            }
            other => failed(other).into(),
        }
    }
}

impl From<BackendError> for OpenError {
    fn from(error: BackendError) -> OpenError {
        match error {
            BackendError::Corrupt { cause, .. } => OpenError::Damaged(cause),
            BackendError::Unavailable(cause) => OpenError::Engine(cause),
            other => OpenError::Engine(Arc::new(other)),
        }
    }
}

impl From<WriteError<BackendError>> for OpenError {
    fn from(error: WriteError<BackendError>) -> OpenError {
        match error {
            WriteError::Work(error) => error.into(),
            WriteError::NotStored(cause) | WriteError::Unknown(cause) => OpenError::Engine(cause),
        }
    }
}
