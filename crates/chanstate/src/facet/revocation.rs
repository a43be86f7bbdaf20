//! Revoked states.

use async_trait::async_trait;
use bitcoin::OutPoint;

use super::Result;
use crate::{CommitmentHeight, PreviousState};

/// Finds revoked states of the peer, to punish their broadcast.
///
/// # Obligations
/// * `every_height`: every revoked state is found under its height, as it was stored (lnd: as the
///   caller held it).
/// * `unknown_state`: a height without an entry is `UnknownState`, also when there is no log at all
///   (lnd: two errors).
/// * `tail`: the newest height is that of the state revoked last.
/// * `current_first`: the current log is asked before the deprecated one of an imported channel.
/// * `no_dust`: HTLCs without an output are left out, they cannot be taken.
/// * `no_amounts`: with the option for it, states have no balances.
/// * `secrets`: the secret of every revoked state can be derived.
/// * `may_go`: once a channel is closed its log may be reclaimed at any time.
#[async_trait]
pub trait RevocationLogStore: Send + Sync {
    /// Returns the state that was revoked at `height`.
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
