//! Revoked states.

use async_trait::async_trait;
use bitcoin::OutPoint;

use super::Result;
use crate::{CommitmentHeight, PreviousState};

/// Finds revoked states of the peer, to punish their broadcast.
///
/// # Differences from lnd
/// * A height without an entry is `UnknownState`, also when there is no log at all.
/// * Once a channel is closed its log may be reclaimed at any time.
#[async_trait]
pub trait RevocationLogStore: Send + Sync {
    /// Returns the state that was revoked at `height`; the current log is asked before the
    /// deprecated one of an imported channel.
    ///
    /// # Errors
    /// `Rejected(UnknownState)`.
    async fn previous_state(
        &self,
        point: OutPoint,
        height: CommitmentHeight,
    ) -> Result<PreviousState>;

    /// Returns the height of the newest revoked state; `None` if nothing was revoked.
    ///
    /// # Errors
    /// `Rejected(AlreadyClosed)`: the log of a closed channel has no end to rely on.
    async fn revocation_log_tail(&self, point: OutPoint) -> Result<Option<CommitmentHeight>>;
}
