//! Forwarding packages.

use async_trait::async_trait;
use bitcoin::OutPoint;

use super::Result;
use crate::{AddRef, CommitmentHeight, Filter, ForwardingPackage, SettleFailRef};

/// Follows the updates that revocations locked in until everything about them is done.
///
/// Acknowledgements are idempotent and may come in any order.
///
/// # Differences from lnd
/// * An index that the package does not have is refused instead of panicking or being set.
/// * Acknowledging in a package that is gone is no error, whatever else is missing.
/// * Removing passes over heights without a package.
/// * Packages of a closed channel cannot be read any more.
#[async_trait]
pub trait ForwardingPackageStore: Send + Sync {
    /// Returns all packages of the channel by height.
    async fn forwarding_packages(&self, point: OutPoint) -> Result<Vec<ForwardingPackage>>;

    /// Notes that adds of this channel's packages were answered.
    ///
    /// # Errors
    /// `Rejected(AckOutOfRange)`; then none of the acknowledgements is stored.
    async fn ack_adds(&self, point: OutPoint, adds: &[AddRef]) -> Result<()>;

    /// Notes that settles and fails in packages of any channel reached the incoming channel.
    ///
    /// # Errors
    /// `Rejected(AckOutOfRange)`; then none of the acknowledgements is stored.
    async fn ack_settle_fails(&self, settle_fails: &[SettleFailRef]) -> Result<()>;

    /// Notes which adds of a package were forwarded; a package that has its filter keeps it.
    ///
    /// # Errors
    /// `Rejected(UnknownPackage)`, `Rejected(PackageFilter)`.
    async fn set_forward_filter(
        &self,
        point: OutPoint,
        height: CommitmentHeight,
        filter: Filter,
    ) -> Result<()>;

    /// Removes packages.
    async fn remove_forwarding_packages(
        &self,
        point: OutPoint,
        heights: &[CommitmentHeight],
    ) -> Result<()>;
}
