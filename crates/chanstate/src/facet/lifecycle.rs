//! From pending to open.

use async_trait::async_trait;
use bitcoin::OutPoint;

use super::Result;
use crate::{Channel, ShortChannelId};

/// Follows a channel's funding transaction.
///
/// # Obligations
/// * `any_status`: changes are allowed whatever the channel's status: a chain event happens to
///   borked channels and shells too.
/// * `own_field`: each change sets its own fields and leaves the others, in any order.
/// * `opened`: a channel that is marked open is not pending and runs under its short channel id.
/// * `heights`: both confirmation heights are kept, and that of the close can be cleared.
/// * `two_scids`: a zero-conf channel has its confirmed short channel id beside its alias.
/// * `alias`: once negotiated, the alias feature stays with the channel type's other bits.
/// * `refreshed`: a refreshed channel is as stored now, open or closed; what is absent is absent
///   in it (lnd: keeps what the caller had).
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
