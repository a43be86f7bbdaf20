//! A node: its channels, their messages, and what becomes of payments.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bitcoin::OutPoint;
use bytes::Bytes;
use chanstate::message::{Message, MessageKind, ParsedMessage};
use chanstate::{
    AddRef, ChannelId, CircuitKey, ForwardingPackage, HtlcId, HtlcTerms, ShortChannelId,
};

use crate::channel::{Channel, Offer};
use crate::contract::Signatures;
use crate::reestablish::Standing;
use crate::wire::{RevokeAndAck, channel_of};
use crate::{Error, Facets, circuit};

/// Short channel id of payments that start here.
pub(crate) const HERE: ShortChannelId = ShortChannelId(0);

/// How a payment of ours ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With this preimage.
    Settled([u8; 32]),
    /// With this reason; `None` if the first hop could not read its onion.
    Failed(Option<Bytes>),
}

/// Keeps invoices and payments, which are no business of a channel store.
pub trait Payments: Send + Sync {
    /// The preimage for an HTLC that ends here, if an invoice asks for its payment hash, for no
    /// more than its amount, and for no later expiry. Whoever returns it settles the HTLC.
    fn preimage(&self, htlc: &HtlcTerms) -> Option<[u8; 32]>;

    /// Notes how a payment of ours ended; called again if we stop soon after. What is noted has to
    /// be durable on return.
    fn ended(&self, payment: u64, outcome: Outcome);
}

/// A channel and what is left to do about its packages.
pub(crate) struct Link {
    pub(crate) channel: Channel,
    /// Packages that this life of the node has not looked at.
    pub(crate) packages: VecDeque<ForwardingPackage>,
    /// Where the adds of the peer's HTLCs stand in packages, until they are answered.
    pub(crate) adds: BTreeMap<HtlcId, AddRef>,
}

/// A node with some of the channels of its store.
pub struct Node {
    pub(crate) store: Arc<dyn Facets>,
    pub(crate) payments: Arc<dyn Payments>,
    pub(crate) links: BTreeMap<ShortChannelId, Link>,
    /// What each HTLC of ours was offered for, signed or not, until its end is passed on.
    pub(crate) circuits: HashMap<CircuitKey, CircuitKey>,
    pub(crate) outbox: VecDeque<Message>,
}

impl Node {
    /// Loads channels, and finds out from packages and circuits what is left to do. Every channel
    /// that HTLCs are forwarded between has to be among them.
    ///
    /// # Errors
    /// `Store`, `Gap`.
    pub async fn load(
        store: Arc<dyn Facets>,
        payments: Arc<dyn Payments>,
        points: &[OutPoint],
    ) -> Result<Node, Error> {
        let (links, circuits) = (BTreeMap::new(), HashMap::new());
        let mut node = Node { store, payments, links, circuits, outbox: VecDeque::new() };
        for point in points {
            let channel = Channel::load(&*node.store, *point).await?;
            let packages = node.store.forwarding_packages(*point).await?;
            node.load_circuits(&channel, &packages).await?;
            let mut link = Link { channel, packages: VecDeque::new(), adds: BTreeMap::new() };
            packages.into_iter().for_each(|package| link.take(package));
            node.links.insert(link.channel.scid(), link);
        }
        Ok(node)
    }

    /// A channel.
    pub fn channel(&self, scid: ShortChannelId) -> Option<&Channel> {
        self.links.get(&scid).map(|link| &link.channel)
    }

    /// All channels.
    pub fn channels(&self) -> impl Iterator<Item = &Channel> {
        self.links.values().map(|link| &link.channel)
    }

    /// Whether an HTLC is on its way for a payment of ours. One that no signature covered is
    /// forgotten with the connection, and may be paid again.
    pub fn is_paying(&self, payment: u64) -> bool {
        let incoming = CircuitKey { scid: HERE, htlc_id: HtlcId(payment) };
        self.circuits.values().any(|circuit| *circuit == incoming)
    }

    /// The messages to send, in order. Each begins with its channel's id behind the type.
    pub fn take_messages(&mut self) -> impl Iterator<Item = Message> + '_ {
        self.outbox.drain(..)
    }

    /// Starts on a new connection.
    ///
    /// # Errors
    /// `Store`, `Gap`.
    pub async fn connect(&mut self) -> Result<(), Error> {
        for link in self.links.values() {
            self.outbox.push_back(link.channel.reestablish(&*self.store).await?);
        }
        Ok(())
    }

    /// Offers the first HTLC of a payment of ours. `payment` names it for good.
    ///
    /// # Errors
    /// `Refused` if the channel cannot carry it now.
    pub fn pay(&mut self, scid: ShortChannelId, payment: u64, offer: Offer) -> Result<(), Error> {
        self.offer(scid, offer, CircuitKey { scid: HERE, htlc_id: HtlcId(payment) })
    }

    /// Sets the fee rate of a channel that we opened.
    ///
    /// # Errors
    /// `Refused` if we did not, or cannot pay it.
    pub fn set_fee(&mut self, scid: ShortChannelId, fee_per_kw: u32) -> Result<(), Error> {
        let link = self.links.get_mut(&scid).ok_or(Error::Refused("no such channel"))?;
        self.outbox.push_back(link.channel.set_fee(fee_per_kw)?);
        Ok(())
    }

    /// Signs the peer's next commitment if there is anything new in it, and the peer revoked the
    /// one before. Returns whether it did.
    ///
    /// # Errors
    /// `Store`.
    pub async fn sign(&mut self, scid: ShortChannelId) -> Result<bool, Error> {
        let link = self.links.get_mut(&scid).ok_or(Error::Refused("no such channel"))?;
        let signature = link.channel.sign(&*self.store).await?;
        let signed = signature.is_some();
        self.outbox.extend(signature);
        Ok(signed)
    }

    /// Takes a message of the peer.
    ///
    /// # Errors
    /// `Store`, `Protocol`, `DataLoss`.
    pub async fn receive(&mut self, message: Message) -> Result<(), Error> {
        let store = Arc::clone(&self.store);
        let link = self.link_of(channel_of(&message)?)?;
        let channel = &mut link.channel;
        if message.kind() != MessageKind::ChannelReestablish && !channel.ready {
            return Err(Error::Protocol("a message before channel_reestablish"));
        }
        match message.parse()? {
            ParsedMessage::ChannelReestablish {
                next_commitment_number,
                next_revocation_number,
                data_loss,
                ..
            } => {
                let (next_commitment, next_revocation) =
                    (next_commitment_number, next_revocation_number);
                let standing = Standing { next_commitment, next_revocation, data_loss };
                let again = channel.receive_reestablish(&*store, standing).await?;
                self.outbox.extend(again);
            }
            ParsedMessage::CommitmentSigned { signature, htlc_signatures, .. } => {
                let signatures = Signatures { commitment: signature, htlcs: htlc_signatures };
                let revocation = channel.receive_signature(&*store, &signatures).await?;
                self.outbox.push_back(revocation);
            }
            ParsedMessage::Unknown { ty, body } => {
                // A message of an unknown odd type means nothing to us (BOLT 1).
                if let Some(revocation) = RevokeAndAck::of(ty, &body)? {
                    // Retiring the pending commitment drops its list of circuits.
                    for (outgoing, incoming) in channel.opened_circuits() {
                        circuit::save(&*store, outgoing, incoming).await?;
                    }
                    let package = channel.receive_revocation(&*store, revocation).await?;
                    link.take(package);
                } else if ty % 2 == 0 {
                    return Err(Error::Protocol("unknown message"));
                }
            }
            _ => channel.receive_update(message)?,
        }
        Ok(())
    }

    pub(crate) fn offer(
        &mut self,
        scid: ShortChannelId,
        offer: Offer,
        incoming: CircuitKey,
    ) -> Result<(), Error> {
        let link = self.links.get_mut(&scid).ok_or(Error::Refused("no such channel"))?;
        let (htlc_id, add) = link.channel.offer(offer, incoming)?;
        self.circuits.insert(CircuitKey { scid, htlc_id }, incoming);
        self.outbox.push_back(add);
        Ok(())
    }

    fn link_of(&mut self, id: ChannelId) -> Result<&mut Link, Error> {
        let mut links = self.links.values_mut();
        let link = links.find(|link| link.channel.contract.id == id);
        link.ok_or(Error::Protocol("message for an unknown channel"))
    }
}

impl Link {
    /// Takes a package in, to be worked on.
    fn take(&mut self, package: ForwardingPackage) {
        for (index, add) in (0..=u16::MAX).zip(&package.adds) {
            if let Some(id) = add.message.htlc_id().filter(|_| !package.ack_filter.contains(index))
            {
                self.adds.insert(HtlcId(id), AddRef { height: package.height, index });
            }
        }
        self.packages.push_back(package);
    }
}
