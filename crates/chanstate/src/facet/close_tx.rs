//! Closing transactions that were broadcast.

use std::sync::Arc;

use async_trait::async_trait;
use bitcoin::{OutPoint, Transaction};

use super::Result;
use crate::Closer;

/// Keeps closing transactions, to broadcast them again.
///
/// # Obligations
/// * `kept_apart`: a commitment and a cooperative transaction each have a place of their own.
/// * `newest`: a transaction replaces the earlier one of its kind.
/// * `bits`: the bits of the broadcast and of its closer are stored with the transaction. They add
///   up: a channel can be closed by both sides in turn.
/// * `any_status`: a transaction is taken whatever the channel's status, also for a shell.
/// * `witness`: a transaction reads back with its witnesses.
/// * `absent`: a transaction that was not stored is `None` (lnd: an error).
#[async_trait]
pub trait CloseTxStore: Send + Sync {
    /// Stores a commitment transaction that is about to be broadcast.
    async fn mark_commitment_broadcasted(
        &self,
        point: OutPoint,
        tx: Arc<Transaction>,
        closer: Closer,
    ) -> Result<()>;

    /// Stores a cooperative closing transaction that is about to be broadcast.
    async fn mark_coop_broadcasted(
        &self,
        point: OutPoint,
        tx: Arc<Transaction>,
        closer: Closer,
    ) -> Result<()>;

    /// Returns the commitment transaction.
    async fn broadcasted_commitment(&self, point: OutPoint) -> Result<Option<Arc<Transaction>>>;

    /// Returns the cooperative closing transaction.
    async fn broadcasted_cooperative(&self, point: OutPoint) -> Result<Option<Arc<Transaction>>>;
}
