//! The facet that a node core calls.

use async_trait::async_trait;
use bitcoin::secp256k1::PublicKey;

use crate::Error;
use crate::address::Address;
use crate::node::LinkNode;

/// Reads and changes link nodes.
///
/// Opening a channel creates its peer's link node, and the last full close removes it; these calls
/// are for what happens in between.
///
/// # Obligations
/// * `durable`: every call that returns `Ok` is durable.
/// * `unchanged`: a call that changes nothing writes nothing.
/// * `unknown`: a link node that does not exist is refused, except by its removal.
/// * `address_length`: an address that is too long is refused by every call that brings one.
///
/// # Differences from lnd
/// * Deleting a link node is refused while a channel with it is open.
/// * Creating a link node that exists is refused instead of overwriting it.
#[async_trait]
pub trait LinkNodeStore: Send + Sync {
    /// Stores a new link node.
    ///
    /// * `created`: it reads back as given, with addresses of every kind in their order.
    /// * `exists`: a link node that exists is refused and stays as it is.
    /// * `anew`: one that is created again has nothing of the one before.
    ///
    /// # Errors
    /// `Rejected(AlreadyExists)`, `Rejected(Address)`.
    async fn create_link_node(&self, node: LinkNode) -> Result<(), Error>;

    /// Returns the link node, or `None`.
    async fn link_node(&self, node: &PublicKey) -> Result<Option<LinkNode>, Error>;

    /// Returns all link nodes.
    ///
    /// * `order`: they come in the order of their ids.
    async fn link_nodes(&self) -> Result<Vec<LinkNode>, Error>;

    /// Adds an address.
    ///
    /// * `added`: it comes at the end of the list; one that is there already changes nothing. Kind,
    ///   host and port tell addresses apart.
    ///
    /// # Errors
    /// `Rejected(Unknown)`, `Rejected(Address)`.
    async fn add_link_node_address(&self, node: &PublicKey, address: Address) -> Result<(), Error>;

    /// Replaces the list of addresses.
    ///
    /// * `replaced`: the list is as given, repetitions included.
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
    /// * `seen`: any time is kept, also an earlier one, and nothing else changes.
    ///
    /// # Errors
    /// `Rejected(Unknown)`.
    async fn set_link_node_last_seen(&self, node: &PublicKey, last_seen: u64) -> Result<(), Error>;

    /// Removes a link node.
    ///
    /// * `deleted`: the node goes with its addresses; one that does not exist is no error.
    /// * `in_use`: it is refused while a channel with the node is not closed.
    ///
    /// # Errors
    /// `Rejected(HasChannels)` while a channel with the node is not closed.
    async fn delete_link_node(&self, node: &PublicKey) -> Result<(), Error>;
}
