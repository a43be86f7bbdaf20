//! Final outcomes of HTLCs.

use async_trait::async_trait;

use super::Result;
use crate::{FinalHtlc, HtlcId, ShortChannelId};

/// Keeps how the peer's HTLCs ended. Outcomes are stored only with the option for it.
#[async_trait]
pub trait FinalHtlcStore: Send + Sync {
    /// Returns how an HTLC ended, whether or not outcomes are stored now.
    ///
    /// # Errors
    /// `Rejected(UnknownHtlc)`.
    async fn final_htlc(&self, scid: ShortChannelId, id: HtlcId) -> Result<FinalHtlc>;

    /// Stores an outcome on chain, replacing another. Stores nothing without the option.
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
