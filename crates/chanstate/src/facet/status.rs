//! Status bits.

use async_trait::async_trait;
use bitcoin::OutPoint;
use bitcoin::secp256k1::PublicKey;

use super::Result;
use crate::ChannelStatus;

/// Sets and clears the status bits of a channel.
///
/// # Obligations
/// * `combined`: bits are combined with what is stored, never with a copy that the caller holds.
/// * `every_bit`: each of the 64 bits can be set and cleared alone, except the restored one.
/// * `restored`: the restored bit is neither set nor cleared here (lnd: clearing it destroys the
///   commitments).
/// * `borked`: a borked channel refuses commitments; reads, its close and chain events go on.
/// * `data_loss`: bit and commitment point are stored together; another point replaces it, and it
///   outlives the bit.
/// * `absent`: a commitment point that was not stored is `None` (lnd: an error).
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

    /// Notes that the peer proved a lost state.
    async fn mark_data_loss(&self, point: OutPoint, commit_point: PublicKey) -> Result<()>;

    /// Returns the commitment point of a data loss.
    async fn data_loss_point(&self, point: OutPoint) -> Result<Option<PublicKey>>;
}
