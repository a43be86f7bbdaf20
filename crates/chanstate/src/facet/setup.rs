//! State of channels that are being set up.

use async_trait::async_trait;
use bytes::Bytes;

use super::Result;
use crate::{ChannelId, ForwardingPolicy};

/// Keeps what the funding protocol needs before and after a channel exists.
///
/// # Obligations
/// * `no_channel`: nothing of it needs the channel, and closing a channel does not remove it.
/// * `any_bytes`: a key and a value may be any bytes, also none.
/// * `replaced`: a value or policy replaces the one before.
/// * `absent`: what is absent is `None` (lnd: an error); deleting it is no error.
#[async_trait]
pub trait ChannelSetupStore: Send + Sync {
    /// Stores a value under a key.
    async fn save_opening_state(&self, key: Bytes, value: Bytes) -> Result<()>;

    /// Returns the value.
    async fn opening_state(&self, key: Bytes) -> Result<Option<Bytes>>;

    /// Removes the value.
    async fn delete_opening_state(&self, key: Bytes) -> Result<()>;

    /// Stores a channel's initial forwarding policy.
    async fn save_initial_policy(&self, id: ChannelId, policy: ForwardingPolicy) -> Result<()>;

    /// Returns the policy.
    async fn initial_policy(&self, id: ChannelId) -> Result<Option<ForwardingPolicy>>;

    /// Removes the policy.
    async fn delete_initial_policy(&self, id: ChannelId) -> Result<()>;
}
