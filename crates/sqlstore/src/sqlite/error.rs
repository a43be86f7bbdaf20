//! Causes of failures.

use std::sync::Arc;

use channelcoord::BackendError;
use chanstate::Cause;
use rusqlite::ErrorCode;
use thiserror::Error;

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
