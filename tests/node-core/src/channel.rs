//! One channel: what it knows, and the updates of both sides.

use bitcoin::OutPoint;
use bitcoin::hashes::{Hash, sha256};
use bytes::Bytes;
use chanstate::message::{Message, MessageKind, ParsedMessage};
use chanstate::{
    AddRef, CircuitKey, Commitment, Direction, Htlc, HtlcId, HtlcTerms, LogIndex, LogUpdate,
    MilliSatoshi, PendingCommitment, SettleFailRef, ShortChannelId, Side,
};

use crate::contract::{Contract, htlc_fee};
use crate::effect::{Effect, ends, opens};
use crate::limits::{check_commitment, check_htlc};
use crate::{Error, Facets};

/// Failure code for an onion whose version is unknown (BOLT 4).
const BAD_ONION_VERSION: u16 = 0xc004;

/// The state machine of one channel.
///
/// Two logs of updates run into two chains of commitments. An update is dropped here once the
/// chain that gets it last has it: ours when our own commitment has it, the peer's when the peer's
/// commitment has it. What is not dropped is exactly what the store gives back after a restart,
/// with the updates that no stored commitment covers yet on top.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    pub(crate) contract: Contract,
    pub(crate) scid: ShortChannelId,
    /// Our commitment.
    pub(crate) local: Commitment,
    /// The peer's commitment.
    pub(crate) remote: Commitment,
    /// The peer's next commitment, signed by us and not yet revoked for.
    pub(crate) pending: Option<PendingCommitment>,
    /// Our updates that our commitment does not have.
    pub(crate) ours: Vec<LogUpdate>,
    /// The peer's updates that the peer's commitment does not have.
    pub(crate) theirs: Vec<LogUpdate>,
    /// What goes with our updates that no signature covers.
    pub(crate) unsigned: Unsigned,
    /// The last thing we sent of signature and revocation was the revocation.
    pub(crate) last_was_revoke: bool,
    pub(crate) total_sent: MilliSatoshi,
    pub(crate) total_received: MilliSatoshi,
    /// Both sides know where they stand; updates may be sent.
    pub(crate) ready: bool,
}

/// What is stored with the next signature, beside the commitment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Unsigned {
    pub(crate) opened: Vec<CircuitKey>,
    pub(crate) closed: Vec<CircuitKey>,
    pub(crate) ack_adds: Vec<AddRef>,
    pub(crate) ack_settle_fails: Vec<SettleFailRef>,
}

/// An HTLC to be offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Amount.
    pub amount: MilliSatoshi,
    /// Hash of the preimage that claims it.
    pub payment_hash: [u8; 32],
    /// Block height until which it can be claimed.
    pub cltv_expiry: u32,
    /// For the receiver, [`ONION_LEN`](chanstate::ONION_LEN) bytes.
    pub onion: Bytes,
}

/// How an HTLC of the peer ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// With its preimage.
    Settle([u8; 32]),
    /// With a reason for its sender.
    Fail(Bytes),
    /// Its onion could not be read.
    Malformed,
}

impl Channel {
    /// Loads a channel. Updates that no stored commitment covers are forgotten.
    ///
    /// # Errors
    /// `Store`; `Gap` if the parts do not fit together.
    pub async fn load(store: &dyn Facets, point: OutPoint) -> Result<Channel, Error> {
        let channel = store.refresh(point).await?;
        let latest = store.latest_commitments(point).await?;
        let pending = store.remote_tip(point).await?;
        let mut ours = store.remote_unsigned_local_updates(point).await?.unwrap_or_default();
        ours.extend(pending.iter().flat_map(|pending| pending.updates.iter().cloned()));
        let theirs = store.unsigned_acked_updates(point).await?.unwrap_or_default();
        let channel = Channel {
            contract: Contract { id: channel.channel_id, point, terms: channel.terms },
            scid: channel.scid,
            local: latest.local,
            remote: latest.remote,
            pending,
            ours,
            theirs,
            unsigned: Unsigned::default(),
            last_was_revoke: channel.last_was_revoke.unwrap_or(false),
            total_sent: channel.total_sent,
            total_received: channel.total_received,
            ready: false,
        };
        let (tip, local) = (channel.tip(), &channel.local);
        continues(&channel.ours, local.local_log_index, tip.local_log_index)?;
        continues(&channel.theirs, channel.remote.remote_log_index, local.remote_log_index)?;
        Ok(channel)
    }

    /// Short channel id.
    pub fn scid(&self) -> ShortChannelId {
        self.scid
    }

    /// Our commitment.
    pub fn local(&self) -> &Commitment {
        &self.local
    }

    /// The peer's commitment.
    pub fn remote(&self) -> &Commitment {
        &self.remote
    }

    /// The newest commitment that we signed for the peer.
    pub fn tip(&self) -> &Commitment {
        self.pending.as_ref().map_or(&self.remote, |pending| &pending.commitment)
    }

    /// Both sides exchanged `channel_reestablish`.
    pub fn ready(&self) -> bool {
        self.ready
    }

    /// We opened the channel, so we pay the fee and set its rate.
    pub fn initiator(&self) -> bool {
        self.contract.terms.initiator
    }

    /// Offers an HTLC for `incoming`.
    ///
    /// # Errors
    /// `Refused` if the channel cannot carry it now.
    pub(crate) fn offer(
        &mut self,
        offer: Offer,
        incoming: CircuitKey,
    ) -> Result<(HtlcId, Message), Error> {
        let id = HtlcId(self.tip().local_htlc_index.0 + self.unsigned.opened.len() as u64);
        let limits = &self.contract.terms.local_config;
        check_htlc(limits, offer.amount, offer.cltv_expiry).map_err(Error::Refused)?;
        let message = ParsedMessage::UpdateAddHtlc {
            channel_id: self.contract.id.0,
            id: id.0,
            amount_msat: offer.amount.0,
            payment_hash: offer.payment_hash,
            cltv_expiry: offer.cltv_expiry,
            onion: offer.onion,
            extra: Bytes::new(),
        };
        let message = self.try_update(message)?;
        self.unsigned.opened.push(incoming);
        Ok((id, message))
    }

    /// Sets the fee rate in satoshi per 1000 weight units.
    ///
    /// # Errors
    /// `Refused` if the peer pays the fee, or we cannot pay it.
    pub(crate) fn set_fee(&mut self, fee_per_kw: u32) -> Result<Message, Error> {
        if !self.initiator() {
            return Err(Error::Refused("the peer pays the fee"));
        }
        let (channel_id, extra) = (self.contract.id.0, Bytes::new());
        let message = ParsedMessage::UpdateFee { channel_id, feerate_per_kw: fee_per_kw, extra };
        self.try_update(message)
    }

    /// Ends an HTLC that the peer offered, and notes what that acknowledges.
    ///
    /// # Errors
    /// `Refused` unless the HTLC is locked in and not ended yet.
    pub(crate) fn answer(
        &mut self,
        id: HtlcId,
        answer: Answer,
        add: AddRef,
        settle_fail: Option<SettleFailRef>,
    ) -> Result<Message, Error> {
        self.require_ready()?;
        let incoming = |c: &Commitment| find(c, Direction::Incoming, id).is_some();
        let locked_in = incoming(&self.remote) && incoming(self.tip());
        if !locked_in || ends(self.after_tip(), id)? {
            return Err(Error::Refused("no such HTLC to end"));
        }
        let (channel_id, extra) = (self.contract.id.0, Bytes::new());
        let htlc_id = id;
        let id = id.0;
        let message = match answer {
            Answer::Settle(preimage) => {
                ParsedMessage::UpdateFulfillHtlc { channel_id, id, preimage, extra }
            }
            Answer::Fail(reason) => ParsedMessage::UpdateFailHtlc { channel_id, id, reason, extra },
            Answer::Malformed => {
                let onion =
                    find(&self.remote, Direction::Incoming, htlc_id).map(|h| &h.terms.onion);
                let hash = sha256::Hash::hash(onion.map_or(&[], |onion| onion));
                ParsedMessage::UpdateFailMalformedHtlc {
                    channel_id,
                    id,
                    sha256_of_onion: hash.to_byte_array(),
                    failure_code: BAD_ONION_VERSION,
                    extra,
                }
            }
        };
        let message = self.push_ours(message.encode()?);
        self.unsigned.closed.push(CircuitKey { scid: self.scid, htlc_id });
        self.unsigned.ack_adds.push(add);
        self.unsigned.ack_settle_fails.extend(settle_fail);
        Ok(message)
    }

    /// Takes an update of the peer.
    ///
    /// # Errors
    /// `Protocol` if the peer may not send it now.
    pub(crate) fn receive_update(&mut self, message: Message) -> Result<(), Error> {
        let log_index = LogIndex(self.remote.remote_log_index.0 + self.theirs.len() as u64);
        let update = LogUpdate { log_index, message };
        match Effect::of(&update)? {
            Effect::Add(_, HtlcTerms { amount, cltv_expiry, .. }) => {
                let limits = &self.contract.terms.remote_config;
                check_htlc(limits, amount, cltv_expiry).map_err(Error::Protocol)?;
            }
            Effect::Remove(id, preimage) => {
                self.require_end(id, preimage)?;
                self.theirs.push(update);
                return Ok(());
            }
            Effect::Fee(_) if self.initiator() => {
                return Err(Error::Protocol("fee set by the side that does not pay it"));
            }
            Effect::Fee(_) => {}
        }
        self.theirs.push(update);
        self.require_carried()
    }

    /// Checks that our next commitment keeps the limits of the peer, who sees the same one when it
    /// sends an update.
    fn require_carried(&self) -> Result<(), Error> {
        let (contract, ours) = (&self.contract, self.acknowledged());
        let next = contract.next(Side::Local, &self.local, ours, self.after_local())?;
        // After a reconnect, the peer's revocation may overtake its updates, so that HTLCs of ours
        // are in it that the peer did not count; it pays the fee for them all the same.
        let added = ours.iter().filter(|u| u.message.kind() == MessageKind::UpdateAddHtlc).count();
        let unforeseen =
            if self.initiator() { 0 } else { htlc_fee(next.fee_per_kw, added as u64).to_sat() };
        let limits = &contract.terms.remote_config;
        check_commitment(limits, &next, Direction::Incoming, unforeseen * 1000)
            .map_err(Error::Protocol)
    }

    /// Refuses an end of an HTLC that the peer may not end, or not so.
    fn require_end(&self, id: HtlcId, preimage: Option<[u8; 32]>) -> Result<(), Error> {
        let [own, other] = [&self.local, &self.remote].map(|c| find(c, Direction::Outgoing, id));
        let (Some(htlc), Some(_)) = (own, other) else {
            return Err(Error::Protocol("end of an HTLC that is not locked in"));
        };
        if ends(self.after_local(), id)? {
            return Err(Error::Protocol("an HTLC ended twice"));
        }
        if preimage.is_some_and(|preimage| !opens(&preimage, &htlc.terms.payment_hash)) {
            return Err(Error::Protocol("wrong preimage"));
        }
        Ok(())
    }

    /// Our updates that no signature covers.
    pub(crate) fn after_tip(&self) -> &[LogUpdate] {
        let signed = self.tip().local_log_index.0 - self.local.local_log_index.0;
        &self.ours[signed as usize..]
    }

    /// The peer's updates that our commitment does not have.
    pub(crate) fn after_local(&self) -> &[LogUpdate] {
        let signed = self.local.remote_log_index.0 - self.remote.remote_log_index.0;
        &self.theirs[signed as usize..]
    }

    /// The peer's updates that our commitment has and no commitment signed for the peer has.
    pub(crate) fn to_acknowledge(&self) -> &[LogUpdate] {
        let from = self.tip().remote_log_index.0 - self.remote.remote_log_index.0;
        let to = self.local.remote_log_index.0 - self.remote.remote_log_index.0;
        &self.theirs[from as usize..to as usize]
    }

    /// Appends an update of ours if the commitment that it would give the peer keeps our limits.
    fn try_update(&mut self, message: ParsedMessage) -> Result<Message, Error> {
        self.require_ready()?;
        let message = self.push_ours(message.encode()?);
        let (contract, limits) = (&self.contract, &self.contract.terms.local_config);
        let next = contract.next(Side::Remote, self.tip(), self.after_tip(), self.to_acknowledge());
        let kept = next
            .map_err(|_| "the channel cannot carry it")
            .and_then(|next| check_commitment(limits, &next, Direction::Outgoing, 0));
        if kept.is_err() {
            self.ours.pop();
        }
        kept.map(|()| message).map_err(Error::Refused)
    }

    fn push_ours(&mut self, message: Message) -> Message {
        let log_index = LogIndex(self.local.local_log_index.0 + self.ours.len() as u64);
        self.ours.push(LogUpdate { log_index, message: message.clone() });
        message
    }

    pub(crate) fn require_ready(&self) -> Result<(), Error> {
        if self.ready { Ok(()) } else { Err(Error::Refused("not connected")) }
    }
}

/// Finds an HTLC in a commitment.
pub(crate) fn find(commitment: &Commitment, direction: Direction, id: HtlcId) -> Option<&Htlc> {
    commitment.htlcs.iter().find(|htlc| htlc.direction == direction && htlc.id == id)
}

/// Checks that updates fill the range between two commitments.
fn continues(updates: &[LogUpdate], from: LogIndex, to: LogIndex) -> Result<(), Error> {
    let indexes = updates.iter().map(|update| update.log_index.0);
    if from <= to && indexes.eq(from.0..to.0) {
        Ok(())
    } else {
        Err(Error::Gap("updates are missing"))
    }
}
