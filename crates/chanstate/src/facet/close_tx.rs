//! Closing transactions that were broadcast.

use std::sync::Arc;

use async_trait::async_trait;
use bitcoin::{OutPoint, Transaction};

use super::Result;
use crate::Closer;

/// Keeps closing transactions, to broadcast them again.
///
/// The status bits that go with a transaction are stored with it. Bits accumulate: a channel can
/// be closed by both sides in turn.
///
/// # Differences from lnd
/// * Absence is `None`; an unknown channel is an error.
#[async_trait]
pub trait CloseTxStore: Send + Sync {
    /// Stores a commitment transaction that is about to be broadcast, replacing an earlier one.
    async fn mark_commitment_broadcasted(
        &self,
        point: OutPoint,
        tx: Arc<Transaction>,
        closer: Closer,
    ) -> Result<()>;

    /// Stores a cooperative closing transaction that is about to be broadcast, replacing an
    /// earlier one.
    async fn mark_coop_broadcasted(
        &self,
        point: OutPoint,
        tx: Arc<Transaction>,
        closer: Closer,
    ) -> Result<()>;

    /// Returns the commitment transaction; `None` if none was stored.
    async fn broadcasted_commitment(&self, point: OutPoint) -> Result<Option<Arc<Transaction>>>;

    /// Returns the cooperative closing transaction; `None` if none was stored.
    async fn broadcasted_cooperative(&self, point: OutPoint) -> Result<Option<Arc<Transaction>>>;
}
