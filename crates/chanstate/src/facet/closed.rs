//! Channels that are closed.

use async_trait::async_trait;
use bitcoin::OutPoint;

use super::Result;
use crate::{Channel, ChannelId, ChannelStatus, CloseSummary};

/// Closes channels and keeps the results.
///
/// # Differences from lnd
/// * A second close is `Rejected(AlreadyClosed)` on every backend, and changes nothing.
/// * The caller's summary does not change.
/// * Closing takes the same time however long the revocation log is.
#[async_trait]
pub trait ClosedChannelStore: Send + Sync {
    /// Closes a channel. It leaves the open ones, its summary and historical view appear, all at
    /// once. `statuses` are added to the status that the historical view shows.
    ///
    /// # Errors
    /// `Rejected(SummaryOfOther)` if the summary names another channel.
    async fn close_channel(
        &self,
        point: OutPoint,
        summary: CloseSummary,
        statuses: ChannelStatus,
    ) -> Result<()>;

    /// Returns all summaries in the order of funding outpoints; only those with unresolved
    /// outputs if `pending_only`.
    async fn closed_channels(&self, pending_only: bool) -> Result<Vec<CloseSummary>>;

    /// Returns a channel's summary.
    ///
    /// # Errors
    /// `Rejected(NoSummary)` for a channel that is open.
    async fn closed_channel(&self, point: OutPoint) -> Result<CloseSummary>;

    /// Returns the summary of the channel with this id.
    ///
    /// # Errors
    /// `Rejected(UnknownChannelId)`; `Rejected(NoSummary)` for a channel that is open.
    async fn closed_channel_by_id(&self, id: ChannelId) -> Result<CloseSummary>;
}

/// Shows closed channels as they were at their close.
#[async_trait]
pub trait HistoricalStore: Send + Sync {
    /// Returns a closed channel, with the statuses that its close added.
    ///
    /// # Errors
    /// `Rejected(NotClosed)` for a channel that is open; `Rejected(NoCommitments)` if only its
    /// summary was imported.
    async fn historical_channel(&self, point: OutPoint) -> Result<Channel>;
}
