//! Causes of failures.

use std::sync::Arc;

use channelcoord::BackendError;
use chanstate::Cause;
use rusqlite::ErrorCode;
use thiserror::Error;

/// Why a store serves no calls.
#[derive(Clone, Debug, Error)]
pub(crate) enum Shut {
    /// It is not known what the last commit stored.
    #[error("a commit had an unknown outcome, the store must be reopened")]
    Unknown(#[source] Cause),
    /// A transaction could neither be committed nor rolled back.
    #[error("a transaction could not be rolled back, the store must be reopened")]
    Stuck,
    /// It was released.
    #[error("store was released")]
    Released,
    /// It was opened to be read only.
    #[error("store is read-only")]
    ReadOnly,
}

impl Shut {
    pub(crate) fn unavailable(self) -> BackendError {
        BackendError::Unavailable(Arc::new(self))
    }
}

/// A failure of SQLite.
#[derive(Debug, Error)]
#[error("{doing} failed")]
pub(crate) struct Engine {
    /// What was being done.
    pub(crate) doing: &'static str,
    #[source]
    source: rusqlite::Error,
}

impl Engine {
    /// Says what was being done.
    pub(crate) fn doing(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Engine {
        move |source| Engine { doing, source }
    }

    /// As a cause.
    pub(crate) fn cause(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Cause {
        move |source| Arc::new(Engine { doing, source })
    }

    /// The failure of a read of what `record` names.
    pub(crate) fn reading(record: impl ToString) -> impl FnOnce(rusqlite::Error) -> BackendError {
        move |source| {
            let damaged = is_damage(&source);
            let cause: Cause = Arc::new(Engine { doing: "reading", source });
            if damaged {
                BackendError::Corrupt { record: record.to_string(), cause }
            } else {
                BackendError::Unavailable(cause)
            }
        }
    }
}

/// Whether SQLite found its own file damaged.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error_code();
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// A record that cannot be written, with the reason.
#[derive(Debug, Error)]
#[error("writing {record} failed")]
pub(crate) struct Unwritten {
    /// Names the record.
    pub(crate) record: String,
    #[source]
    pub(crate) source: rusqlite::Error,
}

/// The store is not where a batch expects it.
#[derive(Debug, Error)]
#[error("store is at sequence number {found}, batch expects {expected}")]
pub(crate) struct WrongSeq {
    pub(crate) expected: u64,
    pub(crate) found: u64,
}

/// The row of `store` is missing.
#[derive(Debug, Error)]
#[error("row missing")]
pub(crate) struct Missing;

/// No epoch is left.
#[derive(Debug, Error)]
#[error("epochs are used up")]
pub(crate) struct Exhausted;
