//! Which HTLC records a change has to write and may drop.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::Rejection;
use crate::change::{ChannelChange, Record};
use crate::commitment::{Commitment, Htlc, HtlcTerms, LogUpdate, ONION_LEN};
use crate::ids::{ChannelId, ChannelNo, Direction, HtlcId, HtlcKey, Side};
use crate::key::RecordKey;
use crate::message::MessageKind;
use crate::record::{CommitmentRecord, HtlcRecord, HtlcSlot, UpdateBody, UpdateRef};
use crate::state::{ChannelState, add_message};

/// Largest number that SQL integers and key order can hold.
pub(super) const MAX_KEY: u64 = i64::MAX as u64;

/// Follows, through one transition, which HTLCs gain and lose references.
///
/// An HTLC's terms are stored once. What refers to it holds its key, or terms of its own where
/// they differ from the record, which must not stop a channel.
pub(super) struct Holding<'a> {
    state: Option<&'a ChannelState>,
    no: ChannelNo,
    channel_id: ChannelId,
    new: BTreeMap<HtlcKey, HtlcTerms>,
    balance: HashMap<HtlcKey, i64>,
}

impl<'a> Holding<'a> {
    /// Starts from a stored channel.
    pub(super) fn of(state: &'a ChannelState) -> Holding<'a> {
        let row = state.row();
        Holding { state: Some(state), ..Holding::empty(row.no, row.channel_id) }
    }

    /// Starts from a channel without HTLCs.
    pub(super) fn empty(no: ChannelNo, channel_id: ChannelId) -> Holding<'a> {
        Holding { state: None, no, channel_id, new: BTreeMap::new(), balance: HashMap::new() }
    }

    /// Takes a commitment apart; its HTLCs gain a reference.
    ///
    /// # Errors
    /// `OnionLength`, `DuplicateHtlc`, `TooLarge`.
    pub(super) fn commitment(
        &mut self,
        side: Side,
        commitment: &Commitment,
    ) -> Result<CommitmentRecord, Rejection> {
        fits("commitment height", commitment.height.0)?;
        let mut seen = HashSet::with_capacity(commitment.htlcs.len());
        let mut slots = Vec::with_capacity(commitment.htlcs.len());
        for htlc in &commitment.htlcs {
            if !seen.insert(htlc.key()) {
                return Err(Rejection::DuplicateHtlc { id: htlc.id });
            }
            slots.push(self.slot(htlc)?);
        }
        Ok(CommitmentRecord {
            no: self.no,
            side,
            height: commitment.height,
            local_log_index: commitment.local_log_index,
            local_htlc_index: commitment.local_htlc_index,
            remote_log_index: commitment.remote_log_index,
            remote_htlc_index: commitment.remote_htlc_index,
            local_balance: commitment.local_balance,
            remote_balance: commitment.remote_balance,
            commit_fee: commitment.commit_fee,
            fee_per_kw: commitment.fee_per_kw,
            commit_tx: Arc::clone(&commitment.commit_tx),
            commit_sig: commitment.commit_sig.clone(),
            slots,
            custom_blob: commitment.custom_blob.clone(),
            unknown_tlvs: commitment.unknown_tlvs.clone(),
        })
    }

    fn slot(&mut self, htlc: &Htlc) -> Result<HtlcSlot, Rejection> {
        let key = htlc.key();
        require_htlc_id(key.id)?;
        if htlc.terms.onion.len() != ONION_LEN {
            return Err(Rejection::OnionLength { id: key.id, len: htlc.terms.onion.len() });
        }
        let own_terms = match self.terms(key) {
            Some(known) if *known == htlc.terms => None,
            Some(_) => Some(Box::new(htlc.terms.clone())),
            None => {
                self.new.insert(key, htlc.terms.clone());
                None
            }
        };
        self.gain(key);
        Ok(HtlcSlot {
            key,
            output_index: htlc.output_index,
            signature: htlc.signature.clone(),
            own_terms,
        })
    }

    /// Turns updates of one sender into references; their HTLCs gain one each.
    ///
    /// # Errors
    /// `Message` for a message that is no update of a channel, `TooLarge`.
    pub(super) fn updates(
        &mut self,
        updates: &[LogUpdate],
        direction: Direction,
    ) -> Result<Vec<UpdateRef>, Rejection> {
        updates.iter().map(|update| self.update(update, direction)).collect()
    }

    /// Turns one update into a reference where it can be given back identically from one.
    pub(super) fn update(
        &mut self,
        update: &LogUpdate,
        direction: Direction,
    ) -> Result<UpdateRef, Rejection> {
        let LogUpdate { log_index, message } = update.clone();
        let verbatim = |message| UpdateRef { log_index, body: UpdateBody::Message(message) };
        message.htlc_id().map_or(Ok(()), |id| require_htlc_id(HtlcId(id)))?;
        match message.kind() {
            MessageKind::UpdateAddHtlc => {}
            MessageKind::UpdateFulfillHtlc
            | MessageKind::UpdateFailHtlc
            | MessageKind::UpdateFailMalformedHtlc
            | MessageKind::UpdateFee => return Ok(verbatim(message)),
            _ => return Err(Rejection::Message { ty: message.ty() }),
        }
        let Ok(Some((id, terms))) = update.offered_htlc() else {
            return Err(Rejection::Message { ty: message.ty() });
        };
        let key = HtlcKey { direction, id };
        let known = self.terms(key).is_some();
        let source = self.terms(key).unwrap_or(&terms);
        if add_message(self.channel_id, key.id, source).as_ref() != Some(&message) {
            return Ok(verbatim(message));
        }
        if !known {
            self.new.insert(key, terms);
        }
        self.gain(key);
        Ok(UpdateRef { log_index, body: UpdateBody::Add(key.id) })
    }

    /// Notes that a reference to an HTLC appears.
    pub(super) fn gain(&mut self, key: HtlcKey) {
        *self.balance.entry(key).or_default() += 1;
    }

    /// Notes that a commitment's references go.
    pub(super) fn lose_commitment(&mut self, commitment: &CommitmentRecord) {
        commitment.slots.iter().for_each(|slot| self.lose(slot.key));
    }

    /// Notes that references of updates go.
    pub(super) fn lose_updates(&mut self, updates: &[UpdateRef], direction: Direction) {
        crate::state::added(updates, direction).for_each(|key| self.lose(key));
    }

    /// Notes that a reference to an HTLC goes.
    pub(super) fn lose(&mut self, key: HtlcKey) {
        *self.balance.entry(key).or_default() -= 1;
    }

    /// Writes the records of new HTLCs into the change, and removes those nothing refers to.
    pub(super) fn settle(self, change: &mut ChannelChange) {
        for (key, terms) in self.new {
            let HtlcKey { direction, id } = key;
            change.put(Record::Htlc(HtlcRecord { no: self.no, direction, id, terms }));
        }
        let Some(state) = self.state else { return };
        let mut gone: Vec<HtlcKey> = self
            .balance
            .iter()
            .filter(|(key, gained)| {
                i64::from(state.references(**key)) + **gained <= 0 && state.htlc(**key).is_some()
            })
            .map(|(key, _)| *key)
            .collect();
        // A fixed order makes equal requests give equal changes.
        gone.sort_unstable();
        gone.into_iter().for_each(|key| change.remove(RecordKey::htlc(self.no, key)));
    }

    fn terms(&self, key: HtlcKey) -> Option<&HtlcTerms> {
        let stored = self.state.and_then(|state| state.htlc(key)).map(|record| &record.terms);
        stored.or_else(|| self.new.get(&key))
    }
}

/// Refuses an HTLC id that a key cannot hold.
///
/// # Errors
/// `TooLarge`.
pub fn require_htlc_id(id: HtlcId) -> Result<(), Rejection> {
    fits("HTLC id", id.0)
}

/// Refuses a number that a key cannot hold.
pub(super) fn fits(what: &'static str, found: u64) -> Result<(), Rejection> {
    if found > MAX_KEY { Err(Rejection::TooLarge { what, found }) } else { Ok(()) }
}
