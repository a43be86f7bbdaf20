//! The outpoint index and the channel ids against each other and against the channels.

use std::collections::HashSet;

use bitcoin::OutPoint;
use chanstate::ChannelId;

use super::super::closed::Statuses;
use super::super::codec::keys::{self, bucket as top};
use super::super::codec::small::{self, OutpointStatus};
use super::super::path::Path;
use super::Checker;
use crate::lnd::tree::ReadError;

/// What the indexes say. An index that is refused says nothing.
#[derive(Default)]
pub(super) struct Index {
    statuses: Statuses,
    channel_ids: Option<HashSet<ChannelId>>,
    /// Whether summaries can be looked up.
    has_summaries: bool,
}

impl Index {
    /// Reads the indexes; what is wrong with them is reported when their turn comes.
    pub(super) fn read(checker: &Checker<'_, '_>) -> Result<Index, ReadError> {
        let refused = |name: &[u8]| checker.is_refused(&[name.to_vec()]);
        let mut channel_ids = HashSet::new();
        if let Some(bucket) = checker.top(top::CHANNEL_IDS)? {
            for entry in bucket.entries() {
                channel_ids.extend(keys::decode_channel_id(&entry?.0));
            }
        }
        Ok(Index {
            statuses: Statuses::read(checker.source, &checker.checked.refused)?,
            channel_ids: (!refused(top::CHANNEL_IDS)).then_some(channel_ids),
            has_summaries: !refused(top::CLOSED_CHANNELS),
        })
    }

    /// Whether the index is known not to mark a channel as closed.
    pub(super) fn is_not_closed(&self, outpoint: &OutPoint) -> bool {
        self.statuses.is_not_closed(outpoint)
    }

    fn lacks_id(&self, id: &ChannelId) -> bool {
        self.channel_ids.as_ref().is_some_and(|ids| !ids.contains(id))
    }
}

impl Checker<'_, '_> {
    pub(super) fn channel_ids(&mut self) -> Result<(), ReadError> {
        let known: Option<HashSet<ChannelId>> = self
            .index
            .statuses
            .outpoints()
            .map(|points| points.map(|point| ChannelId::from_outpoint(*point)).collect());
        self.values(self.top(top::CHANNEL_IDS)?, |checker, key, value| {
            let id = keys::decode_channel_id(key)?;
            let path = || vec![top::CHANNEL_IDS.to_vec(), key.to_vec()];
            if known.as_ref().is_some_and(|known| !known.contains(&id)) {
                checker.inconsistency(&path(), "no outpoint has this channel id");
            }
            if !value.is_empty() {
                checker.warning(&path(), "has a value, which lnd does not give it");
            }
            Ok(())
        })
    }

    /// Whether a channel among the open ones is closed.
    pub(super) fn is_closed(&self, outpoint: &OutPoint) -> Result<bool, ReadError> {
        self.index.statuses.is_closed(self.source, &self.checked.refused, outpoint)
    }

    /// Reports what the indexes lack of a channel among the open ones.
    pub(super) fn in_index(&mut self, path: &[Vec<u8>], outpoint: &OutPoint, closed: bool) {
        if closed && self.index.statuses.is_unreadable(outpoint) {
            let what = "its entry in the outpoint index cannot be read; taken as closed, since its \
                        summary or historical record is there";
            self.inconsistency(path, what);
        }
        if self.index.statuses.lacks(outpoint) {
            self.inconsistency(path, "the outpoint index has no entry for this channel");
            // With an entry, the index itself tells.
            if self.index.lacks_id(&ChannelId::from_outpoint(*outpoint)) {
                self.inconsistency(path, "chan-id-bucket has no entry for this channel");
            }
        }
    }

    pub(super) fn outpoints(&mut self) -> Result<(), ReadError> {
        let summaries = self.source.bucket(&[top::CLOSED_CHANNELS], &Default::default())?;
        let summaries = summaries.filter(|_| self.index.has_summaries);
        let Some(bucket) = self.top(top::OUTPOINTS)? else { return Ok(()) };
        // A look-up can fail to be read, which no value's own check does.
        let mut failed = Ok(());
        self.values(Some(bucket), |checker, key, value| {
            let outpoint = keys::decode_outpoint(key)?;
            let status = small::decode_outpoint_status(value)?;
            let path = vec![top::OUTPOINTS.to_vec(), key.to_vec()];
            let summary = summaries.as_ref().map(|bucket| bucket.get(key)).transpose();
            let has_summary = summary.map(|found| found.map(|found| found.is_some()));
            let what = match (status, has_summary) {
                (_, Err(error)) => {
                    failed = Err(error);
                    return Ok(());
                }
                (OutpointStatus::Closed, Ok(Some(false))) => "closed, but there is no summary",
                (OutpointStatus::Open, _) if checker.is_lost(&outpoint) => {
                    "open, but there is no such channel"
                }
                _ => "",
            };
            if !what.is_empty() {
                checker.inconsistency(&path, what);
            }
            if checker.index.lacks_id(&ChannelId::from_outpoint(outpoint)) {
                checker.inconsistency(&path, "chan-id-bucket has no entry for this channel");
            }
            Ok(())
        })?;
        failed
    }

    /// Whether a channel is not among the open ones, and not because of reported damage either.
    fn is_lost(&self, outpoint: &OutPoint) -> bool {
        if self.open.contains(outpoint) {
            return false;
        }
        let key = keys::encode_outpoint(outpoint);
        !self.checked.refused.iter().any(|path| may_hold(path, &key))
    }

    /// Takes a channel's id. Tells the channel that has it already, if it is another one.
    pub(super) fn claim_id(&mut self, outpoint: OutPoint) -> Option<OutPoint> {
        let owner = *self.ids.entry(ChannelId::from_outpoint(outpoint)).or_insert(outpoint);
        (owner != outpoint).then_some(owner)
    }
}

/// Whether the bucket of an open channel can be at or below `path`.
fn may_hold(path: &Path, outpoint: &[u8; 36]) -> bool {
    let open = path.first().is_some_and(|name| name == top::OPEN_CHANNELS);
    open && match path.get(3) {
        None => true,
        Some(name) => path.len() == 4 && name == outpoint,
    }
}

/// What is reported of a channel whose id another one has.
pub(super) fn id_taken(owner: &OutPoint) -> String {
    format!("has the channel id of {owner}, a store cannot hold both")
}
