//! Domain values put together from the records in memory.

use std::sync::Arc;

use bitcoin::OutPoint;

use super::{ChannelState, PackageShape, StateFault};
use crate::channel::{Channel, RevocationState};
use crate::close::{Mark, MarkKind};
use crate::commitment::{Commitment, Htlc, HtlcTerms, LogUpdate, PendingCommitment};
use crate::ids::{ChannelId, CommitmentHeight, Direction, HtlcId, HtlcKey, ShortChannelId, Side};
use crate::key::{Kind, RecordKey};
use crate::message::{Message, ParsedMessage};
use crate::record::*;
use crate::shachain::{Bucket, SecretStore};
use crate::terms::ChannelTerms;

impl ChannelState {
    /// The hot row.
    pub fn row(&self) -> &ChannelRecord {
        &self.row
    }

    /// Funding outpoint.
    pub fn point(&self) -> OutPoint {
        self.row.funding_outpoint
    }

    /// What was agreed; `None` if only a close summary of the channel is known.
    pub fn terms(&self) -> Option<&Arc<ChannelTerms>> {
        self.terms.as_ref()
    }

    /// Our commitment.
    pub fn local(&self) -> Option<&CommitmentRecord> {
        self.commitments.get(&(Side::Local, self.row.local_height?))
    }

    /// The peer's commitment.
    pub fn remote(&self) -> Option<&CommitmentRecord> {
        self.commitments.get(&(Side::Remote, self.row.remote_height?))
    }

    /// The commitment in force that the row names; `None` if it names none.
    ///
    /// # Errors
    /// `Missing` if the row names one that is not there.
    pub fn in_force(&self, side: Side) -> Result<Option<&CommitmentRecord>, StateFault> {
        let height = match side {
            Side::Local => self.row.local_height,
            Side::Remote => self.row.remote_height,
        };
        height.map(|height| self.commitment_at(side, height)).transpose()
    }

    /// The peer's next commitment, signed and not yet in force.
    ///
    /// # Errors
    /// `Missing` if a part of it is not there, `Pending` if it does not follow the one in force.
    pub fn pending(&self) -> Result<Option<(&CommitmentRecord, &DiffRecord)>, StateFault> {
        if !self.row.has_pending {
            return Ok(None);
        }
        let current = self.row.remote_height;
        let due = current.and_then(CommitmentHeight::next).ok_or(StateFault::Pending)?;
        let commitment = self.commitment_at(Side::Remote, due).map_err(|missing| {
            let mut remote = self.commitments.keys().filter(|(side, _)| *side == Side::Remote);
            let elsewhere = remote.any(|(_, height)| Some(*height) != current);
            if elsewhere { StateFault::Pending } else { missing }
        })?;
        let missing = || StateFault::Missing(RecordKey::single(Kind::Diff, self.row.no));
        Ok(Some((commitment, self.diff.as_ref().ok_or_else(missing)?)))
    }

    fn commitment_at(
        &self,
        side: Side,
        height: CommitmentHeight,
    ) -> Result<&CommitmentRecord, StateFault> {
        self.commitments
            .get(&(side, height))
            .ok_or_else(|| StateFault::Missing(RecordKey::commitment(self.row.no, side, height)))
    }

    /// An HTLC's record.
    pub fn htlc(&self, key: HtlcKey) -> Option<&HtlcRecord> {
        self.htlcs.get(&key)
    }

    /// HTLC records that exist.
    pub fn htlcs(&self) -> impl Iterator<Item = &HtlcRecord> {
        self.htlcs.values()
    }

    /// How often an HTLC is referred to.
    pub fn references(&self, key: HtlcKey) -> u32 {
        self.references.get(&key).copied().unwrap_or(0)
    }

    /// A list between commitments; `None` if it was never stored.
    pub fn list(&self, list: ListKind) -> Option<&[UpdateRef]> {
        self.lists.get(&list).map(Vec::as_slice)
    }

    /// A mark.
    pub fn mark(&self, kind: MarkKind) -> Option<&Mark> {
        self.marks.get(&kind)
    }

    /// The package at a height, with its source.
    pub fn package(&self, height: CommitmentHeight) -> Option<(ShortChannelId, &PackageShape)> {
        let from = (height, ShortChannelId(0));
        let to = (height, ShortChannelId(u64::MAX));
        // If two packages carry one height, the one under the channel's current id wins.
        let mut found = self.packages.range(from..=to).map(|((_, source), shape)| (*source, shape));
        let first = found.next()?;
        let current = |package: &(ShortChannelId, &PackageShape)| package.0 == self.row.scid;
        Some(std::iter::once(first).chain(found).find(current).unwrap_or(first))
    }

    /// The package at a height that is kept under `source`.
    pub fn package_at(
        &self,
        height: CommitmentHeight,
        source: ShortChannelId,
    ) -> Option<&PackageShape> {
        self.packages.get(&(height, source))
    }

    /// Packages by height and source.
    pub fn packages(
        &self,
    ) -> impl Iterator<Item = ((CommitmentHeight, ShortChannelId), &PackageShape)> {
        self.packages.iter().map(|(key, shape)| (*key, shape))
    }

    /// The peer's revealed secrets.
    ///
    /// # Errors
    /// `Secrets` if there are more than BOLT 3 can have.
    pub fn secrets(&self) -> Result<SecretStore, StateFault> {
        let buckets = self.secrets.values().map(|bucket| Bucket::from(*bucket)).collect();
        SecretStore::from_parts(buckets, self.row.next_secret_index).map_err(StateFault::Secrets)
    }

    /// The channel as readers see it; `None` if only a close summary is known.
    ///
    /// # Errors
    /// `Missing` or `Secrets` if records contradict each other.
    pub fn channel(&self) -> Result<Option<Channel>, StateFault> {
        let Some(terms) = &self.terms else { return Ok(None) };
        let row = &self.row;
        Ok(Some(Channel {
            funding_outpoint: row.funding_outpoint,
            channel_id: row.channel_id,
            peer: row.peer,
            chain: row.chain,
            terms: Arc::clone(terms),
            channel_type: row.channel_type,
            status: row.status,
            pending: row.pending,
            scid: row.scid,
            confirmed_scid: row.confirmed_scid,
            confirmation_height: row.confirmation_height,
            close_confirmation_height: row.close_confirmation_height,
            last_was_revoke: row.last_was_revoke,
            total_sent: row.total_sent,
            total_received: row.total_received,
            local_commitment: self.current(Side::Local)?,
            remote_commitment: self.current(Side::Remote)?,
            revocation: RevocationState {
                current_point: row.remote_current_point,
                next_point: row.remote_next_point,
                secrets: self.secrets()?,
            },
        }))
    }

    fn current(&self, side: Side) -> Result<Option<Commitment>, StateFault> {
        self.in_force(side)?.map(|record| self.commitment(record)).transpose()
    }

    /// A commitment with the terms of its HTLCs.
    ///
    /// # Errors
    /// `Missing` if an HTLC's record is not there.
    pub fn commitment(&self, record: &CommitmentRecord) -> Result<Commitment, StateFault> {
        let htlcs = record.slots.iter().map(|slot| {
            Ok(Htlc {
                direction: slot.key.direction,
                id: slot.key.id,
                output_index: slot.output_index,
                signature: slot.signature.clone(),
                terms: self.slot_terms(slot)?.clone(),
            })
        });
        Ok(Commitment {
            height: record.height,
            local_log_index: record.local_log_index,
            local_htlc_index: record.local_htlc_index,
            remote_log_index: record.remote_log_index,
            remote_htlc_index: record.remote_htlc_index,
            local_balance: record.local_balance,
            remote_balance: record.remote_balance,
            commit_fee: record.commit_fee,
            fee_per_kw: record.fee_per_kw,
            commit_tx: Arc::clone(&record.commit_tx),
            commit_sig: record.commit_sig.clone(),
            htlcs: htlcs.collect::<Result<_, StateFault>>()?,
            custom_blob: record.custom_blob.clone(),
            unknown_tlvs: record.unknown_tlvs.clone(),
        })
    }

    /// The terms of an HTLC in a commitment.
    ///
    /// # Errors
    /// `Missing` if the HTLC's record is not there.
    pub fn slot_terms<'a>(&'a self, slot: &'a HtlcSlot) -> Result<&'a HtlcTerms, StateFault> {
        let own = slot.own_terms.as_deref();
        own.or_else(|| self.htlcs.get(&slot.key).map(|record| &record.terms))
            .ok_or_else(|| StateFault::Missing(RecordKey::htlc(self.row.no, slot.key)))
    }

    /// The pending commitment as the caller gave it.
    ///
    /// # Errors
    /// `Missing`, `Pending` or `Message` if records contradict each other.
    pub fn pending_commitment(&self) -> Result<Option<PendingCommitment>, StateFault> {
        let Some((commitment, diff)) = self.pending()? else { return Ok(None) };
        Ok(Some(PendingCommitment {
            commitment: self.commitment(commitment)?,
            commit_sig: diff.commit_sig.clone(),
            updates: self.updates(&diff.updates, Direction::Outgoing)?,
            opened_circuits: diff.opened_circuits.clone(),
            closed_circuits: diff.closed_circuits.clone(),
        }))
    }

    /// Updates with their messages.
    ///
    /// # Errors
    /// `Missing` or `Message` if records contradict each other.
    pub fn updates(
        &self,
        updates: &[UpdateRef],
        direction: Direction,
    ) -> Result<Vec<LogUpdate>, StateFault> {
        updates.iter().map(|update| self.update(update, direction)).collect()
    }

    /// An update with its message.
    ///
    /// # Errors
    /// `Missing` or `Message` if records contradict each other.
    pub fn update(
        &self,
        update: &UpdateRef,
        direction: Direction,
    ) -> Result<LogUpdate, StateFault> {
        let message = match &update.body {
            UpdateBody::Message(message) => message.clone(),
            UpdateBody::Add(id) => {
                let key = HtlcKey { direction, id: *id };
                let name = || RecordKey::htlc(self.row.no, key);
                let htlc = self.htlcs.get(&key).ok_or_else(|| StateFault::Missing(name()))?;
                add_message(self.row.channel_id, *id, &htlc.terms)
                    .ok_or_else(|| StateFault::Message(name()))?
            }
        };
        Ok(LogUpdate { log_index: update.log_index, message })
    }
}

/// The `update_add_htlc` that announces an HTLC; `None` if its terms do not make one.
pub fn add_message(channel_id: ChannelId, id: HtlcId, terms: &HtlcTerms) -> Option<Message> {
    ParsedMessage::UpdateAddHtlc {
        channel_id: channel_id.0,
        id: id.0,
        amount_msat: terms.amount.0,
        payment_hash: terms.payment_hash,
        cltv_expiry: terms.cltv_expiry,
        onion: terms.onion.clone(),
        extra: terms.extra.clone(),
    }
    .encode()
    .ok()
}
