//! Why redb cannot serve, and why a file cannot be opened.

use channelcoord::BackendError;
use chanstate::Cause;
use std::sync::Arc;
use thiserror::Error;

use crate::kv;

/// Why redb failed a call: the cause inside the errors of a [`Backend`](channelcoord::Backend),
/// where it is not a [`kv::Fault`].
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The engine failed.
    #[error("redb failed")]
    Redb(#[source] redb::Error),
    /// A check found damaged pages.
    #[error("damaged pages")]
    DamagedFile,
    /// The store was opened for reading.
    #[error("store is open for reading only")]
    ReadOnly,
}

macro_rules! from_redb {
    ($($error:ty),*) => {$(
        impl From<$error> for Fault {
            fn from(error: $error) -> Fault {
                Fault::Redb(error.into())
            }
        }
    )*};
}
from_redb!(
    redb::Error,
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::SetDurabilityError
);

impl From<Fault> for BackendError {
    fn from(fault: Fault) -> BackendError {
        match fault {
            Fault::Redb(redb::Error::Corrupted(_)) | Fault::DamagedFile => {
                BackendError::Corrupt { record: "file".into(), cause: Arc::new(fault) }
            }
            other => BackendError::Unavailable(Arc::new(other)),
        }
    }
}

/// Why a store could not be opened or created.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store is open already, here or in another process.
    #[error("store is in use")]
    InUse,
    /// There is a file already, and a new store was asked for.
    #[error("file exists")]
    Exists,
    /// There is no file, and an existing store was asked for.
    #[error("no such file")]
    Missing,
    /// The file is something else, or its creation was never finished.
    #[error("file is not a channel store")]
    NotOurs,
    /// A newer release wrote the store.
    #[error("format {found}, newest known is {newest}")]
    NewerFormat {
        /// Format of the store.
        found: u32,
        /// Newest format that this release knows.
        newest: u32,
    },
    /// The store has to be upgraded, and it was to be opened for reading only.
    #[error("format {found} needs an upgrade to {newest}")]
    OlderFormat {
        /// Format of the store.
        found: u32,
        /// Format that this release needs.
        newest: u32,
    },
    /// The file is in a format of redb that this release cannot read.
    #[error("redb file format {0} is not supported")]
    EngineFormat(u8),
    /// The store was not closed in an orderly way. Open it for writing once, which repairs it.
    #[error("store needs repair")]
    NeedsRepair,
    /// The file is damaged beyond what redb can repair.
    #[error("file is damaged")]
    Damaged(#[source] Cause),
    /// The file system failed.
    #[error("file system failed")]
    Io(#[source] std::io::Error),
    /// The engine failed in another way.
    #[error("engine failed")]
    Engine(#[source] Cause),
}

impl From<redb::DatabaseError> for OpenError {
    fn from(error: redb::DatabaseError) -> OpenError {
        match error {
            redb::DatabaseError::DatabaseAlreadyOpen => OpenError::InUse,
            redb::DatabaseError::RepairAborted => OpenError::NeedsRepair,
            redb::DatabaseError::UpgradeRequired(found) => OpenError::EngineFormat(found),
            other => Fault::Redb(other.into()).into(),
        }
    }
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> OpenError {
        match fault {
            // redb says this of a file that does not start like one of its own.
            Fault::Redb(redb::Error::Io(error))
                if error.kind() == std::io::ErrorKind::InvalidData =>
            {
                OpenError::NotOurs
            }
            Fault::Redb(redb::Error::Io(error)) => OpenError::Io(error),
            Fault::Redb(redb::Error::Corrupted(_)) | Fault::DamagedFile => {
                OpenError::Damaged(Arc::new(fault))
            }
            other => OpenError::Engine(Arc::new(other)),
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

/// A panic of redb, most likely over a damaged file.
impl From<kv::Fault> for OpenError {
    fn from(fault: kv::Fault) -> OpenError {
        OpenError::Damaged(Arc::new(fault))
    }
}
