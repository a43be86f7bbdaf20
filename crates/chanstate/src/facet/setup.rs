//! State of channels that are being set up.

use async_trait::async_trait;
use bytes::Bytes;

use super::Result;
use crate::{ChannelId, ForwardingPolicy};

/// Keeps what the funding protocol needs before and after a channel exists.
///
/// None of it needs the channel, and closing a channel does not remove it.
///
/// # Differences from lnd
/// * What is absent is `None`; deleting what is absent is no error.
#[async_trait]
pub trait ChannelSetupStore: Send + Sync {
    /// Stores a value under a key, replacing another.
    async fn save_opening_state(&self, key: Bytes, value: Bytes) -> Result<()>;

    /// Returns the value; `None` if there is none.
    async fn opening_state(&self, key: Bytes) -> Result<Option<Bytes>>;

    /// Removes the value.
    async fn delete_opening_state(&self, key: Bytes) -> Result<()>;

    /// Stores a channel's initial forwarding policy, replacing another.
    async fn save_initial_policy(&self, id: ChannelId, policy: ForwardingPolicy) -> Result<()>;

    /// Returns the policy; `None` if there is none.
    async fn initial_policy(&self, id: ChannelId) -> Result<Option<ForwardingPolicy>>;

    /// Removes the policy.
    async fn delete_initial_policy(&self, id: ChannelId) -> Result<()>;
}
