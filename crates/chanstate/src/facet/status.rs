//! Status bits.

use async_trait::async_trait;
use bitcoin::OutPoint;
use bitcoin::secp256k1::PublicKey;

use super::Result;
use crate::ChannelStatus;

/// Sets and clears the status bits of a channel.
///
/// Bits are combined with what is stored, never with a copy that the caller holds. Bits without a
/// name are kept.
///
/// # Differences from lnd
/// * The restored bit is neither set nor cleared here, instead of destroying commitments.
/// * A data-loss point that is absent is `None`; an unknown channel is an error.
#[async_trait]
pub trait StatusStore: Send + Sync {
    /// Sets bits and returns the status that results.
    ///
    /// # Errors
    /// `Rejected(RestoredBit)` if that would set the restored bit.
    async fn apply_status(&self, point: OutPoint, bits: ChannelStatus) -> Result<ChannelStatus>;

    /// Clears bits and returns the status that results.
    ///
    /// # Errors
    /// `Rejected(RestoredBit)` if that would clear the restored bit.
    async fn clear_status(&self, point: OutPoint, bits: ChannelStatus) -> Result<ChannelStatus>;

    /// Makes the channel refuse commitments from now on.
    async fn mark_borked(&self, point: OutPoint) -> Result<()>;

    /// Notes that the peer proved a lost state: status bit and commitment point together.
    async fn mark_data_loss(&self, point: OutPoint, commit_point: PublicKey) -> Result<()>;

    /// Returns the commitment point of a data loss; `None` if there was none.
    async fn data_loss_point(&self, point: OutPoint) -> Result<Option<PublicKey>>;
}
