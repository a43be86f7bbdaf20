//! The facet that a node core calls.

use async_trait::async_trait;
use bitcoin::secp256k1::PublicKey;

use crate::Error;
use crate::address::Address;
use crate::node::LinkNode;

/// Reads and changes link nodes.
///
/// Every call that returns `Ok` is durable. Opening a channel creates its peer's link node, and the
/// last full close removes it; these calls are for what happens in between.
///
/// # Differences from lnd
/// * Deleting a link node is refused while a channel with it is open.
/// * Creating a link node that exists is refused instead of overwriting it.
#[async_trait]
pub trait LinkNodeStore: Send + Sync {
    /// Stores a new link node.
    ///
    /// # Errors
    /// `Rejected(AlreadyExists)`, `Rejected(Address)`.
    async fn create_link_node(&self, node: LinkNode) -> Result<(), Error>;

    /// Returns the link node, or `None`.
    async fn link_node(&self, node: &PublicKey) -> Result<Option<LinkNode>, Error>;

    /// Returns all link nodes in the order of their ids.
    async fn link_nodes(&self) -> Result<Vec<LinkNode>, Error>;

    /// Adds an address at the end of the list; an address that is there already changes nothing.
    ///
    /// # Errors
    /// `Rejected(Unknown)`, `Rejected(Address)`.
    async fn add_link_node_address(&self, node: &PublicKey, address: Address) -> Result<(), Error>;

    /// Replaces the list of addresses.
    ///
    /// # Errors
    /// `Rejected(Unknown)`, `Rejected(Address)`.
    async fn set_link_node_addresses(
        &self,
        node: &PublicKey,
        addresses: Vec<Address>,
    ) -> Result<(), Error>;

    /// Sets when the node was last seen, in Unix seconds.
    ///
    /// # Errors
    /// `Rejected(Unknown)`.
    async fn set_link_node_last_seen(&self, node: &PublicKey, last_seen: u64) -> Result<(), Error>;

    /// Removes a link node; one that does not exist is no error.
    ///
    /// # Errors
    /// `Rejected(HasChannels)` while a channel with the node is not closed.
    async fn delete_link_node(&self, node: &PublicKey) -> Result<(), Error>;
}
