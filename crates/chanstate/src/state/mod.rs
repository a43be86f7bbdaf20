//! A channel's records put together: what transitions read and commits update.

mod read;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use thiserror::Error;

pub use self::read::add_message;
use crate::change::{ChannelChange, Record};
use crate::close::{Mark, MarkKind};
use crate::ids::{CommitmentHeight, Direction, HtlcId, HtlcKey, ShortChannelId, Side};
use crate::key::{KeyPart, Kind, RecordKey};
use crate::package::PackageList;
use crate::record::*;
use crate::shachain::ShachainFault;
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
    /// The pending commitment does not follow the one in force. Another store may have held it so.
    #[error("pending commitment does not follow the one in force")]
    Pending,
    /// The secrets cannot be a store.
    #[error("revealed secrets do not fit together")]
    Secrets(#[source] ShachainFault),
}

impl ChannelState {
    /// Kinds of records that belong to a channel's state, beside its row and its packages. All of
    /// them are keyed by the channel's number.
    pub const KINDS: [Kind; 7] = [
        Kind::Terms,
        Kind::Commitment,
        Kind::Diff,
        Kind::Htlc,
        Kind::UpdateList,
        Kind::Secret,
        Kind::Mark,
    ];

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
