//! Cooperative shutdown.

use async_trait::async_trait;
use bitcoin::OutPoint;

use super::Result;
use crate::ShutdownInfo;

/// Keeps our part of a cooperative close.
///
/// # Differences from lnd
/// * Absence is `None`; an unknown channel is an error.
#[async_trait]
pub trait ShutdownStore: Send + Sync {
    /// Stores script and initiator, replacing earlier ones; call before sending `shutdown`.
    async fn store_shutdown_info(&self, point: OutPoint, info: ShutdownInfo) -> Result<()>;

    /// Returns what was stored; `None` if nothing was.
    async fn shutdown_info(&self, point: OutPoint) -> Result<Option<ShutdownInfo>>;
}
