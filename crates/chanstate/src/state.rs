//! A channel's records put together: what transitions read and commits update.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bitcoin::OutPoint;
use thiserror::Error;

use crate::change::{ChannelChange, Record};
use crate::channel::{Channel, RevocationState};
use crate::close::{Mark, MarkKind};
use crate::commitment::{Commitment, Htlc, HtlcTerms, LogUpdate, PendingCommitment};
use crate::ids::{ChannelId, CommitmentHeight, Direction, HtlcId, HtlcKey, ShortChannelId, Side};
use crate::key::{KeyPart, Kind, RecordKey};
use crate::message::{Message, ParsedMessage};
use crate::package::PackageList;
use crate::record::*;
use crate::shachain::{Bucket, SecretStore, ShachainFault};
use crate::terms::ChannelTerms;

/// Everything hot of one channel.
///
/// Filled and changed by [`put`](ChannelState::put) and [`remove`](ChannelState::remove) alone, so
/// loading a channel and applying its changes one by one give the same state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelState {
    row: ChannelRecord,
    terms: Option<Arc<ChannelTerms>>,
    commitments: BTreeMap<(Side, CommitmentHeight), CommitmentRecord>,
    diff: Option<DiffRecord>,
    htlcs: HashMap<HtlcKey, HtlcRecord>,
    /// How many commitments, lists and packages refer to each HTLC.
    references: HashMap<HtlcKey, u32>,
    lists: BTreeMap<ListKind, Vec<UpdateRef>>,
    secrets: BTreeMap<u8, (u64, [u8; 32])>,
    marks: BTreeMap<MarkKind, Mark>,
    packages: BTreeMap<(CommitmentHeight, ShortChannelId), PackageShape>,
}

/// What is kept in memory of a forwarding package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackageShape {
    /// Number of adds.
    pub adds: u16,
    /// Number of settles and fails.
    pub settle_fails: u16,
    /// The forward filter is set.
    pub forwarded: bool,
    /// HTLCs that its adds refer to, with the position of the add.
    pub htlcs: BTreeMap<u16, HtlcId>,
}

impl PackageShape {
    /// Number of updates in a list.
    pub fn count(&self, list: PackageList) -> u16 {
        match list {
            PackageList::Adds => self.adds,
            PackageList::SettleFails => self.settle_fails,
        }
    }
}

/// Records of a channel contradict each other.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateFault {
    /// A record refers to one that is not there.
    #[error("record {0} is missing")]
    Missing(RecordKey),
    /// An HTLC's record does not give a message back.
    #[error("HTLC record {0} does not give a message")]
    Message(RecordKey),
    /// The secrets cannot be a store.
    #[error("more secrets than buckets")]
    Secrets(#[source] ShachainFault),
}

impl ChannelState {
    /// A channel of which only the row is known yet.
    pub fn new(row: ChannelRecord) -> ChannelState {
        ChannelState {
            row,
            terms: None,
            commitments: BTreeMap::new(),
            diff: None,
            htlcs: HashMap::new(),
            references: HashMap::new(),
            lists: BTreeMap::new(),
            secrets: BTreeMap::new(),
            marks: BTreeMap::new(),
            packages: BTreeMap::new(),
        }
    }

    /// Carries out a committed change.
    pub fn apply(&mut self, change: &ChannelChange) {
        change.removes().iter().for_each(|key| self.remove(key));
        change.puts().iter().for_each(|record| self.put(record));
    }

    /// Takes in a record of this channel. Records that are not kept in memory are passed over.
    pub fn put(&mut self, record: &Record) {
        if let Some(before) = self.referrer(&record.key()) {
            self.count(&before, false);
        }
        match record {
            Record::Channel(row) => self.row = row.clone(),
            Record::Terms(terms) => self.terms = Some(Arc::clone(&terms.terms)),
            Record::Commitment(commitment) => {
                self.commitments.insert((commitment.side, commitment.height), commitment.clone());
            }
            Record::Diff(diff) => self.diff = Some(diff.clone()),
            Record::Htlc(htlc) => {
                self.htlcs.insert(htlc.key(), htlc.clone());
            }
            Record::UpdateList(list) => {
                self.lists.insert(list.list, list.updates.clone());
            }
            Record::Secret(secret) => {
                self.secrets.insert(secret.slot, (secret.index, secret.secret));
            }
            Record::Mark(mark) => {
                self.marks.insert(mark.mark.kind(), mark.mark.clone());
            }
            Record::Package(package) => {
                let shape = self.packages.entry((package.height, package.source)).or_default();
                shape.forwarded = package.forward_filter.is_some();
            }
            Record::PackageUpdate(update) => self.put_package_update(update),
            Record::RevokedState(_)
            | Record::RevokedCommitment(_)
            | Record::Close(_)
            | Record::Reclaim(_)
            | Record::FinalHtlc(_)
            | Record::OpeningState(_)
            | Record::ForwardingPolicy(_) => {}
        }
        if let Some(after) = self.referrer(&record.key()) {
            self.count(&after, true);
        }
    }

    /// Drops a record of this channel, if it is kept in memory.
    pub fn remove(&mut self, key: &RecordKey) {
        if let Some(before) = self.referrer(key) {
            self.count(&before, false);
        }
        let int = |at: usize| match key.parts.get(at) {
            Some(KeyPart::Int(value)) => *value,
            _ => 0,
        };
        let small = |at: usize| u8::try_from(int(at)).unwrap_or(u8::MAX);
        match key.kind {
            Kind::Terms => self.terms = None,
            Kind::Commitment => {
                if let Some(side) = Side::from_u8(small(1)) {
                    self.commitments.remove(&(side, int(2).into()));
                }
            }
            Kind::Diff => self.diff = None,
            Kind::Htlc => {
                if let Some(direction) = Direction::from_u8(small(1)) {
                    self.htlcs.remove(&HtlcKey { direction, id: int(2).into() });
                }
            }
            Kind::UpdateList => {
                if let Some(list) = ListKind::from_u8(small(1)) {
                    self.lists.remove(&list);
                }
            }
            Kind::Secret => {
                self.secrets.remove(&small(1));
            }
            Kind::Mark => {
                if let Some(mark) = MarkKind::from_u8(small(1)) {
                    self.marks.remove(&mark);
                }
            }
            Kind::Package => {
                let gone = self.packages.remove(&(int(1).into(), int(0).into()));
                let ids = gone.into_iter().flat_map(|shape| shape.htlcs.into_values());
                let keys: Vec<_> = ids.map(incoming).collect();
                self.count(&keys, false);
            }
            _ => {}
        }
    }

    fn put_package_update(&mut self, update: &PackageUpdateRecord) {
        let shape = self.packages.entry((update.height, update.source)).or_default();
        let count = update.index.saturating_add(1);
        match update.list {
            PackageList::SettleFails => shape.settle_fails = shape.settle_fails.max(count),
            PackageList::Adds => {
                shape.adds = shape.adds.max(count);
                let before = match update.update.body {
                    UpdateBody::Add(id) => shape.htlcs.insert(update.index, id),
                    UpdateBody::Message(_) => shape.htlcs.remove(&update.index),
                };
                let after: Vec<_> =
                    added(std::slice::from_ref(&update.update), Direction::Incoming).collect();
                self.count(&after, true);
                self.count(&before.map(incoming).into_iter().collect::<Vec<_>>(), false);
            }
        }
    }

    /// HTLCs that the record under `key` refers to. Package updates are counted one by one as they
    /// come, and all together when their package goes.
    fn referrer(&self, key: &RecordKey) -> Option<Vec<HtlcKey>> {
        let int = |at: usize| match key.parts.get(at) {
            Some(KeyPart::Int(value)) => *value,
            _ => u64::MAX,
        };
        match key.kind {
            Kind::Commitment => {
                let side = Side::from_u8(int(1) as u8)?;
                let commitment = self.commitments.get(&(side, int(2).into()))?;
                Some(commitment.slots.iter().map(|slot| slot.key).collect())
            }
            Kind::Diff => Some(added(&self.diff.as_ref()?.updates, Direction::Outgoing).collect()),
            Kind::UpdateList => {
                let list = ListKind::from_u8(int(1) as u8)?;
                Some(added(self.lists.get(&list)?, list.direction()).collect())
            }
            _ => None,
        }
    }

    fn count(&mut self, keys: &[HtlcKey], more: bool) {
        for key in keys {
            let count = self.references.entry(*key).or_default();
            *count = if more { *count + 1 } else { count.saturating_sub(1) };
            if *count == 0 {
                self.references.remove(key);
            }
        }
    }
}

/// Reading.
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

    /// The peer's next commitment, signed and not yet in force.
    pub fn pending(&self) -> Option<(&CommitmentRecord, &DiffRecord)> {
        if !self.row.has_pending {
            return None;
        }
        let height = self.row.remote_height?.next()?;
        Some((self.commitments.get(&(Side::Remote, height))?, self.diff.as_ref()?))
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
        // The newest id of the channel wins if two packages carry one height.
        let mut found = self.packages.range(from..=to).map(|((_, source), shape)| (*source, shape));
        let first = found.next()?;
        let current = |package: &(ShortChannelId, &PackageShape)| package.0 == self.row.scid;
        Some(std::iter::once(first).chain(found).find(current).unwrap_or(first))
    }

    /// The package at a height that is kept under `source`.
    pub fn packages_at(
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
            local_commitment: self.current(Side::Local, row.local_height)?,
            remote_commitment: self.current(Side::Remote, row.remote_height)?,
            revocation: RevocationState {
                current_point: row.remote_current_point,
                next_point: row.remote_next_point,
                secrets: self.secrets()?,
            },
        }))
    }

    /// The commitment that should be there according to the row.
    fn current(
        &self,
        side: Side,
        height: Option<CommitmentHeight>,
    ) -> Result<Option<Commitment>, StateFault> {
        let Some(height) = height else { return Ok(None) };
        let record = self
            .commitments
            .get(&(side, height))
            .ok_or_else(|| StateFault::Missing(RecordKey::commitment(self.row.no, side, height)))?;
        self.commitment(record).map(Some)
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
    /// `Missing` or `Message` if records contradict each other.
    pub fn pending_commitment(&self) -> Result<Option<PendingCommitment>, StateFault> {
        let Some((commitment, diff)) = self.pending() else { return Ok(None) };
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

fn incoming(id: HtlcId) -> HtlcKey {
    HtlcKey { direction: Direction::Incoming, id }
}

/// HTLCs that updates add by reference.
pub(crate) fn added(
    updates: &[UpdateRef],
    direction: Direction,
) -> impl Iterator<Item = HtlcKey> + '_ {
    updates.iter().filter_map(move |update| match update.body {
        UpdateBody::Add(id) => Some(HtlcKey { direction, id }),
        UpdateBody::Message(_) => None,
    })
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
