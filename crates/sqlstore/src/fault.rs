//! What can be wrong with a store, whatever the engine.

use std::sync::Arc;

use channelcoord::BackendError;
use chanstate::Cause;
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

/// The store is not where a batch expects it.
#[derive(Debug, Error)]
#[error("store is at sequence number {found}, batch expects {expected}")]
pub(crate) struct WrongSeq {
    pub(crate) expected: u64,
    pub(crate) found: u64,
}

/// Later commits hide which sets of a batch were applied.
#[derive(Debug, Error)]
#[error("traces of the batch were overwritten")]
pub(crate) struct Overwritten;

/// The row of `store` is missing.
#[derive(Debug, Error)]
#[error("row missing")]
pub(crate) struct Missing;

/// No epoch is left.
#[derive(Debug, Error)]
#[error("epochs are used up")]
pub(crate) struct Exhausted;
