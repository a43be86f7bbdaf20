//! Why a key-value store cannot serve, whatever its engine.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use channelcoord::{BackendError, Epoch, Seq};
use chanstate::Cause;
use thiserror::Error;

use super::Damage;

/// Why a call failed: the cause inside the errors of a [`Backend`](channelcoord::Backend), unless
/// the engine gave one of its own.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Fault {
    /// The engine panicked, most likely because its files are damaged.
    #[error("engine panicked: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
    /// A commit had an unknown outcome, or the files are damaged. Open the store again.
    #[error("closed after a failure")]
    Poisoned(#[source] Cause),
    /// The store was released.
    #[error("store was released")]
    Released,
    /// The batch does not follow the last commit.
    #[error("batch starts after {}, store is at {}", before.0, found.0)]
    OutOfOrder {
        /// Sequence number that the batch needs.
        before: Seq,
        /// Where the store stands.
        found: Seq,
    },
    /// The store never saw the batch's claim: it is an older copy or another store.
    #[error("claim {} is newer than {}", ours.0, found.0)]
    FutureEpoch {
        /// The batch's claim.
        ours: Epoch,
        /// The newest claim in the store.
        found: Epoch,
    },
    /// Later changes hide which of the batch's change sets were applied.
    #[error("traces of the batch were overwritten")]
    Overwritten,
    /// A row of the store itself is missing.
    #[error("store row {row} is missing")]
    MissingRow {
        /// Which one.
        row: &'static str,
    },
    /// A row of the store itself is damaged.
    #[error("store row {row} is damaged")]
    DamagedRow {
        /// Which one.
        row: &'static str,
        /// What is wrong with it.
        #[source]
        damage: Damage,
    },
}

impl From<Fault> for BackendError {
    fn from(fault: Fault) -> BackendError {
        match fault {
            Fault::MissingRow { row } | Fault::DamagedRow { row, .. } => {
                BackendError::Corrupt { record: format!("store/{row}"), cause: Arc::new(fault) }
            }
            other => BackendError::Unavailable(Arc::new(other)),
        }
    }
}

/// Runs code of an engine that may panic over damaged files.
///
/// # Errors
/// `Panicked`.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Fault::Panicked { message: message.unwrap_or_default() }
    })
}

/// The reason for which an engine failed a call.
pub(super) fn cause_of(error: BackendError) -> Cause {
    match error {
        BackendError::Unavailable(cause) => cause,
        other => Arc::new(other),
    }
}
