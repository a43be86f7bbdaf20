//! Channels that are closed.

use async_trait::async_trait;
use bitcoin::OutPoint;

use super::Result;
use crate::{Channel, ChannelId, ChannelStatus, CloseSummary};

/// Closes channels and keeps the results.
///
/// # Obligations
/// * `at_once`: the channel leaves the open ones, its summary and its historical view appear, all
///   at once.
/// * `any_status`: any channel can be closed: pending, borked, a shell.
/// * `once`: a second close is `Rejected(AlreadyClosed)` and changes nothing (lnd: depends on the
///   backend).
/// * `used_up`: outpoint and id of a closed channel are not used again.
/// * `resume`: the store fills in the state at the close and keeps the rest of the summary, the
///   last `channel_reestablish` too (lnd: changes the caller's summary).
/// * `own_summary`: a summary of another channel is refused.
/// * `listed`: summaries are listed in the order of funding outpoints, and only those with
///   unresolved outputs on request.
/// * `found`: a summary is found by outpoint and by channel id; a channel that is open has none.
/// * `reclaimed`: a close takes the same time however long the revocation log is; log, packages
///   and lists go later, in steps, and the historical view stays.
#[async_trait]
pub trait ClosedChannelStore: Send + Sync {
    /// Closes a channel. `statuses` are added to the status that the historical view shows.
    ///
    /// # Errors
    /// `Rejected(SummaryOfOther)` if the summary names another channel.
    async fn close_channel(
        &self,
        point: OutPoint,
        summary: CloseSummary,
        statuses: ChannelStatus,
    ) -> Result<()>;

    /// Returns all summaries; only those with unresolved outputs if `pending_only`.
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
///
/// # Obligations
/// * `as_it_was`: a closed channel reads as it was last, with the statuses that its close added.
/// * `not_closed`: a channel that is open has no history.
#[async_trait]
pub trait HistoricalStore: Send + Sync {
    /// Returns a closed channel.
    ///
    /// # Errors
    /// `Rejected(NotClosed)` for a channel that is open; `Rejected(NoCommitments)` if only its
    /// summary was imported.
    async fn historical_channel(&self, point: OutPoint) -> Result<Channel>;
}
