//! Forwarding packages.

use async_trait::async_trait;
use bitcoin::OutPoint;

use super::Result;
use crate::{AddRef, CommitmentHeight, Filter, ForwardingPackage, SettleFailRef};

/// Follows the updates that revocations locked in until everything about them is done.
///
/// # Obligations
/// * `by_height`: packages read back by height, with their updates in order.
/// * `progress`: a package is locked in until it has its forward filter, then processed, and
///   completed once everything in it is acknowledged.
/// * `any_order`: acknowledgements may come in any order, and again.
/// * `any_channel`: settles and fails are acknowledged in packages of any channel.
/// * `ack_in_range`: an index that a package does not have is refused, and the whole call with it
///   (lnd: panics, or sets it).
/// * `gone`: acknowledging in a package that is gone is no error, whatever else is missing.
/// * `first_filter`: a package keeps its first forward filter.
/// * `fitting_filter`: a forward filter must cover the adds of a package that is there.
/// * `removal`: removing takes what is there, and passes over other heights (lnd: an error).
/// * `with_channel`: packages of a closed channel cannot be read any more (lnd: depends on the
///   backend).
#[async_trait]
pub trait ForwardingPackageStore: Send + Sync {
    /// Returns all packages of the channel.
    async fn forwarding_packages(&self, point: OutPoint) -> Result<Vec<ForwardingPackage>>;

    /// Notes that adds of this channel's packages were answered.
    ///
    /// # Errors
    /// `Rejected(AckOutOfRange)`.
    async fn ack_adds(&self, point: OutPoint, adds: &[AddRef]) -> Result<()>;

    /// Notes that settles and fails in packages of any channel reached the incoming channel.
    ///
    /// # Errors
    /// `Rejected(AckOutOfRange)`.
    async fn ack_settle_fails(&self, settle_fails: &[SettleFailRef]) -> Result<()>;

    /// Notes which adds of a package were forwarded.
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
