//! From pending to open.

use async_trait::async_trait;
use bitcoin::OutPoint;

use super::Result;
use crate::{Channel, ShortChannelId};

/// Follows a channel's funding transaction.
///
/// Allowed whatever the channel's status: a chain event happens to borked channels too.
///
/// # Differences from lnd
/// * `refresh` returns a new value; an absent optional field is absent in it.
/// * Nothing the caller holds changes.
#[async_trait]
pub trait LifecycleStore: Send + Sync {
    /// Returns the channel as it is stored now, open or closed.
    async fn refresh(&self, point: OutPoint) -> Result<Channel>;

    /// Sets the height at which the funding transaction confirmed.
    async fn set_confirmation_height(&self, point: OutPoint, height: u32) -> Result<()>;

    /// Sets, or clears with `None`, the height at which the closing transaction confirmed.
    async fn set_close_confirmation_height(
        &self,
        point: OutPoint,
        height: Option<u32>,
    ) -> Result<()>;

    /// Makes a pending channel open under `scid`.
    async fn mark_open(&self, point: OutPoint, scid: ShortChannelId) -> Result<()>;

    /// Sets the confirmed short channel id of a zero-conf channel.
    async fn set_confirmed_scid(&self, point: OutPoint, scid: ShortChannelId) -> Result<()>;

    /// Notes that the alias feature was negotiated.
    async fn set_scid_alias_negotiated(&self, point: OutPoint) -> Result<()>;
}
