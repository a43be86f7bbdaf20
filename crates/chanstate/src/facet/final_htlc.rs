//! Final outcomes of HTLCs.

use async_trait::async_trait;

use super::Result;
use crate::{FinalHtlc, HtlcId, ShortChannelId};

/// Keeps how the peer's HTLCs ended.
///
/// # Obligations
/// * `on_request`: outcomes are stored only with the option for it, and found without it too.
/// * `locked_in`: an outcome in the channel is stored with the commitment that locks it in.
/// * `newest`: an outcome on chain replaces another.
/// * `outlives`: outcomes stay when their channel closes, and need none.
/// * `unknown`: an HTLC without an outcome is refused with `Rejected(UnknownHtlc)`.
/// * `largest_id`: ids below 2^63 are taken under every short channel id, others refused.
#[async_trait]
pub trait FinalHtlcStore: Send + Sync {
    /// Returns how an HTLC ended.
    ///
    /// # Errors
    /// `Rejected(UnknownHtlc)`.
    async fn final_htlc(&self, scid: ShortChannelId, id: HtlcId) -> Result<FinalHtlc>;

    /// Stores an outcome on chain.
    ///
    /// # Errors
    /// `Rejected(TooLarge)` for an id from 2^63 on.
    async fn put_onchain_outcome(
        &self,
        scid: ShortChannelId,
        id: HtlcId,
        settled: bool,
    ) -> Result<()>;
}
