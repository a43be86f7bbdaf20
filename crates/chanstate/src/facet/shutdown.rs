//! Cooperative shutdown.

use async_trait::async_trait;
use bitcoin::OutPoint;

use super::Result;
use crate::ShutdownInfo;

/// Keeps our part of a cooperative close.
///
/// # Obligations
/// * `newest`: script and initiator replace the earlier ones.
/// * `any_script`: a script of any length is kept, also an empty one.
/// * `any_status`: they are taken whatever the channel's status, and do not change it.
/// * `absent`: what was not stored is `None` (lnd: an error).
#[async_trait]
pub trait ShutdownStore: Send + Sync {
    /// Stores script and initiator; call before sending `shutdown`.
    async fn store_shutdown_info(&self, point: OutPoint, info: ShutdownInfo) -> Result<()>;

    /// Returns what was stored.
    async fn shutdown_info(&self, point: OutPoint) -> Result<Option<ShutdownInfo>>;
}
