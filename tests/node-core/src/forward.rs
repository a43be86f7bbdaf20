//! What becomes of locked-in updates: HTLCs are forwarded or ended, ends are passed back.
//!
//! Everything here can be done again after a restart. An add is left to do until the package knows
//! it as answered, which is stored with the signature that covers the answer; an end until the
//! package knows that it reached the incoming channel, stored likewise. An HTLC that was forwarded
//! and signed has a circuit, and is not forwarded again.

use std::collections::HashSet;

use chanstate::message::ParsedMessage;
use chanstate::{
    CircuitKey, Direction, Filter, ForwardingPackage, HtlcId, LogUpdate, SettleFailRef,
    ShortChannelId,
};

use crate::channel::{Answer, Channel, Offer};
use crate::effect::Effect;
use crate::node::{HERE, Node, Outcome};
use crate::onion::{Hop, Instruction};
use crate::{Error, circuit};

/// Reason for an HTLC that no invoice asks for.
pub const UNKNOWN_PAYMENT: &str = "unknown payment";

/// Reason for an HTLC that could not be forwarded.
pub const NOT_FORWARDED: &str = "cannot forward";

/// Reason for an HTLC whose onion the next hop could not read.
pub const BAD_ONION: &str = "bad onion";

/// Blocks that we need between the expiry of an incoming HTLC and that of the outgoing one.
pub const EXPIRY_DELTA: u32 = 40;

impl Node {
    /// Works on the packages that came in since the last call, all of them after a restart. Does
    /// nothing before every channel is ready.
    ///
    /// # Errors
    /// `Store`.
    pub async fn work(&mut self) -> Result<(), Error> {
        if !self.links.values().all(|link| link.channel.ready) {
            return Ok(());
        }
        let scids: Vec<_> = self.links.keys().copied().collect();
        for scid in scids {
            while let Some(package) = self.next_package(scid) {
                self.process(scid, package).await?;
            }
        }
        Ok(())
    }

    /// Removes the packages of which everything is done, and the circuits that ended with them.
    ///
    /// # Errors
    /// `Store`.
    pub async fn tidy(&mut self) -> Result<(), Error> {
        for link in self.links.values() {
            let point = link.channel.contract.point;
            let mut done = self.store.forwarding_packages(point).await?;
            done.retain(|p| p.ack_filter.is_full() && p.settle_fail_filter.is_full());
            for end in done.iter().flat_map(|package| &package.settle_fails) {
                let outgoing = outgoing(link.channel.scid(), end)?;
                circuit::forget(&*self.store, outgoing).await?;
                self.circuits.remove(&outgoing);
            }
            let heights: Vec<_> = done.iter().map(|package| package.height).collect();
            if !heights.is_empty() {
                self.store.remove_forwarding_packages(point, &heights).await?;
            }
        }
        Ok(())
    }

    /// Finds the circuits of a channel's HTLCs that have not ended: those the peer's commitment
    /// has, those of the pending commitment, and those whose end waits in a package.
    pub(crate) async fn load_circuits(
        &mut self,
        channel: &Channel,
        packages: &[ForwardingPackage],
    ) -> Result<(), Error> {
        self.circuits.extend(channel.opened_circuits());
        let offered = channel.remote.htlcs.iter().filter(|h| h.direction == Direction::Outgoing);
        let scid = channel.scid;
        let mut open: Vec<_> = offered.map(|h| CircuitKey { scid, htlc_id: h.id }).collect();
        for (_, end) in packages.iter().flat_map(unacked_ends) {
            open.push(outgoing(scid, end)?);
        }
        for outgoing in open {
            let incoming = circuit::find(&*self.store, outgoing).await?;
            let incoming = incoming.ok_or(Error::Gap("an HTLC of ours without a circuit"))?;
            self.circuits.insert(outgoing, incoming);
        }
        Ok(())
    }

    fn next_package(&mut self, scid: ShortChannelId) -> Option<ForwardingPackage> {
        self.links.get_mut(&scid)?.packages.pop_front()
    }

    async fn process(
        &mut self,
        scid: ShortChannelId,
        package: ForwardingPackage,
    ) -> Result<(), Error> {
        let forwarded = self.decide(scid, &package).await?;
        let on_their_way: HashSet<_> = self.circuits.values().copied().collect();
        for (index, add) in (0..=u16::MAX).zip(&package.adds) {
            let Effect::Add(htlc_id, terms) = Effect::of(add)? else { continue };
            let incoming = CircuitKey { scid, htlc_id };
            if package.ack_filter.contains(index) || on_their_way.contains(&incoming) {
                continue;
            }
            let answer = match Instruction::of(&terms.onion) {
                Instruction::Forward(hop, onion) if forwarded.contains(index) => {
                    let Hop { scid, amount, cltv_expiry } = hop;
                    let offer =
                        Offer { amount, payment_hash: terms.payment_hash, cltv_expiry, onion };
                    let pays = amount <= terms.amount;
                    let in_time = cltv_expiry.saturating_add(EXPIRY_DELTA) <= terms.cltv_expiry;
                    match pays && in_time && self.forward(scid, offer, incoming)? {
                        true => continue,
                        false => Answer::Fail(NOT_FORWARDED.into()),
                    }
                }
                Instruction::Forward(..) => Answer::Fail(NOT_FORWARDED.into()),
                Instruction::Receive => match self.payments.preimage(&terms) {
                    Some(preimage) => Answer::Settle(preimage),
                    None => Answer::Fail(UNKNOWN_PAYMENT.into()),
                },
                Instruction::Unreadable => Answer::Malformed,
            };
            self.answer(incoming, answer, None)?;
        }
        self.pass_back(scid, &package).await
    }

    /// The adds of a package that are to be forwarded: once decided, it stays so.
    async fn decide(
        &self,
        scid: ShortChannelId,
        package: &ForwardingPackage,
    ) -> Result<Filter, Error> {
        let mut filter = Filter::empty(package.adds.len() as u16);
        if let Some(decided) = &package.forward_filter {
            return Ok(decided.clone());
        }
        for (index, add) in (0..=u16::MAX).zip(&package.adds) {
            let Effect::Add(_, terms) = Effect::of(add)? else { continue };
            if matches!(Instruction::of(&terms.onion), Instruction::Forward(..)) {
                filter = filter.with(index).unwrap_or(filter);
            }
        }
        if let Some(link) = self.links.get(&scid).filter(|_| !package.adds.is_empty()) {
            let point = link.channel.contract.point;
            self.store.set_forward_filter(point, package.height, filter.clone()).await?;
        }
        Ok(filter)
    }

    /// Offers the next HTLC; false if its channel does not take it.
    fn forward(
        &mut self,
        scid: ShortChannelId,
        offer: Offer,
        incoming: CircuitKey,
    ) -> Result<bool, Error> {
        match self.offer(scid, offer, incoming) {
            Ok(()) => Ok(true),
            Err(Error::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes each settle and fail to where the HTLC came from.
    async fn pass_back(
        &mut self,
        scid: ShortChannelId,
        package: &ForwardingPackage,
    ) -> Result<(), Error> {
        let mut ended_here = Vec::new();
        for (index, end) in unacked_ends(package) {
            let reference = SettleFailRef { source: package.source, height: package.height, index };
            let incoming = self.circuits.get(&outgoing(scid, end)?).copied();
            match incoming.ok_or(Error::Gap("an HTLC of ours without a circuit"))? {
                CircuitKey { scid: HERE, htlc_id: payment } => {
                    self.payments.ended(payment.0, outcome(end)?);
                    ended_here.push(reference);
                }
                incoming => {
                    let answer = match outcome(end)? {
                        Outcome::Settled(preimage) => Answer::Settle(preimage),
                        Outcome::Failed(reason) => {
                            Answer::Fail(reason.unwrap_or_else(|| BAD_ONION.into()))
                        }
                    };
                    self.answer(incoming, answer, Some(reference))?;
                }
            }
        }
        if !ended_here.is_empty() {
            self.store.ack_settle_fails(&ended_here).await?;
        }
        Ok(())
    }

    fn answer(
        &mut self,
        incoming: CircuitKey,
        answer: Answer,
        end: Option<SettleFailRef>,
    ) -> Result<(), Error> {
        let link = self.links.get_mut(&incoming.scid);
        let link = link.ok_or(Error::Gap("a circuit from an unknown channel"))?;
        let add = link.adds.remove(&incoming.htlc_id);
        let add = add.ok_or(Error::Gap("a circuit from an HTLC that was answered"))?;
        let message = link.channel.answer(incoming.htlc_id, answer, add, end)?;
        self.outbox.push_back(message);
        Ok(())
    }
}

impl Channel {
    /// The circuits that the pending commitment opens.
    pub(crate) fn opened_circuits(&self) -> Vec<(CircuitKey, CircuitKey)> {
        let pending = self.pending.iter();
        pending.flat_map(|pending| circuit::opened_by(self.scid, pending)).collect()
    }
}

/// Settles and fails of a package that have not reached the incoming channel.
fn unacked_ends(package: &ForwardingPackage) -> impl Iterator<Item = (u16, &LogUpdate)> {
    let ends = (0..=u16::MAX).zip(&package.settle_fails);
    ends.filter(|(index, _)| !package.settle_fail_filter.contains(*index))
}

/// The HTLC of ours that an update of the peer ends.
fn outgoing(scid: ShortChannelId, end: &LogUpdate) -> Result<CircuitKey, Error> {
    let id = end.message.htlc_id().ok_or(Error::Gap("a package update without an HTLC"))?;
    Ok(CircuitKey { scid, htlc_id: HtlcId(id) })
}

fn outcome(end: &LogUpdate) -> Result<Outcome, Error> {
    Ok(match end.message.parse()? {
        ParsedMessage::UpdateFulfillHtlc { preimage, .. } => Outcome::Settled(preimage),
        ParsedMessage::UpdateFailHtlc { reason, .. } => Outcome::Failed(Some(reason)),
        _ => Outcome::Failed(None),
    })
}
