//! Link nodes.

use async_trait::async_trait;
use bitcoin::secp256k1::PublicKey;
use chanstate::{StoreError, Version};
use linknode::{Address, Error, LinkNode, LinkNodeChange, LinkNodeStore, Rejection};

use super::{ATTEMPTS, Store};
use crate::change_set::ChangeSet;
use crate::locks::Lockable;

#[async_trait]
impl LinkNodeStore for Store {
    async fn create_link_node(&self, node: LinkNode) -> Result<(), Error> {
        node.check()?;
        self.change_node(&node.node_id, |stored, _| match stored {
            Some(_) => Err(Rejection::AlreadyExists(node.node_id)),
            None => Ok(Some(LinkNodeChange::put(&node, None, Version::ABSENT))),
        })
        .await
        .map(drop)
    }

    async fn link_node(&self, node: &PublicKey) -> Result<Option<LinkNode>, Error> {
        self.alive()?;
        Ok(self.inner.directory.read().link_node(node).map(|(node, _)| node))
    }

    async fn link_nodes(&self) -> Result<Vec<LinkNode>, Error> {
        self.alive()?;
        Ok(self.inner.directory.read().link_nodes().collect())
    }

    async fn add_link_node_address(&self, node: &PublicKey, address: Address) -> Result<(), Error> {
        address.check().map_err(Rejection::Address)?;
        self.edit_node(node, |node| {
            node.add_address(address.clone());
        })
        .await
    }

    async fn set_link_node_addresses(
        &self,
        node: &PublicKey,
        addresses: Vec<Address>,
    ) -> Result<(), Error> {
        addresses.iter().try_for_each(Address::check).map_err(Rejection::Address)?;
        self.edit_node(node, |node| node.addresses.clone_from(&addresses)).await
    }

    async fn set_link_node_last_seen(&self, node: &PublicKey, last_seen: u64) -> Result<(), Error> {
        self.edit_node(node, |node| node.last_seen = last_seen).await
    }

    async fn delete_link_node(&self, node: &PublicKey) -> Result<(), Error> {
        self.change_node(node, |stored, channels| match stored {
            None => Ok(None),
            Some(_) if channels > 0 => Err(Rejection::HasChannels { node: *node, channels }),
            Some((stored, version)) => Ok(Some(LinkNodeChange::remove(&stored, version))),
        })
        .await
        .map(drop)
    }
}

impl Store {
    async fn edit_node(
        &self,
        node: &PublicKey,
        edit: impl Fn(&mut LinkNode) + Send + Sync,
    ) -> Result<(), Error> {
        self.change_node(node, |stored, _| {
            let (stored, version) = stored.ok_or(Rejection::Unknown(*node))?;
            let mut edited = stored.clone();
            edit(&mut edited);
            let changed = edited != stored;
            Ok(changed.then(|| LinkNodeChange::put(&edited, Some(&stored), version)))
        })
        .await
        .map(drop)
    }

    /// Changes one link node. `decide` gets the node and the number of open channels with it. Tells
    /// whether there was a change.
    pub(super) async fn change_node(
        &self,
        node: &PublicKey,
        decide: impl Fn(Option<(LinkNode, Version)>, usize) -> Result<Option<LinkNodeChange>, Rejection>
        + Send
        + Sync,
    ) -> Result<bool, Error> {
        for _ in 0..ATTEMPTS {
            self.alive()?;
            let guards = self.inner.locks.lock([Lockable::Peer(*node)]).await;
            let (stored, channels) = {
                let index = self.inner.directory.read();
                (index.link_node(node), index.open_with(node))
            };
            let Some(change) = decide(stored, channels)? else { return Ok(false) };
            let set = ChangeSet { link_nodes: vec![change], ..ChangeSet::default() };
            if self.applies(set, guards).await? {
                return Ok(true);
            }
        }
        Err(StoreError::Conflict)
    }
}
