//! Which channels are closed, whatever else is stored of them.

use std::collections::HashMap;

use bitcoin::OutPoint;
use chanstate::record::ChannelRecord;
use chanstate::{
    ChannelId, ChannelNo, ChannelStatus, ChannelType, CloseSummary, MilliSatoshi, Version,
};

use super::codec::keys::{self, bucket as top};
use super::codec::small::{self, OutpointStatus};
use super::source::{LndSource, Refused};
use super::tree::{Entry, ReadError};

/// What the outpoint index says.
#[derive(Debug, Default)]
pub(super) struct Statuses {
    /// Status by outpoint, `None` where it does not decode.
    found: HashMap<OutPoint, Option<OutpointStatus>>,
    /// The index itself cannot be read.
    refused: bool,
}

impl Statuses {
    /// Reads the index.
    pub(super) fn read(source: &LndSource, refused: &Refused) -> Result<Statuses, ReadError> {
        let index_refused = refused.contains(&[]) || refused.contains(&[top::OUTPOINTS.to_vec()]);
        let mut found = HashMap::new();
        if let Some(bucket) = source.bucket(&[top::OUTPOINTS], refused)? {
            for entry in bucket.entries() {
                let (key, entry) = entry?;
                let Ok(outpoint) = keys::decode_outpoint(&key) else { continue };
                let status = match entry {
                    Entry::Value(value) => small::decode_outpoint_status(value.into()).ok(),
                    Entry::Bucket(_) => None,
                };
                found.insert(outpoint, status);
            }
        }
        Ok(Statuses { found, refused: index_refused })
    }

    /// The outpoints of the index; `None` if it cannot be read.
    pub(super) fn outpoints(&self) -> Option<impl Iterator<Item = &OutPoint>> {
        (!self.refused).then(|| self.found.keys())
    }

    /// Whether the index is known not to mark a channel as closed.
    pub(super) fn is_not_closed(&self, outpoint: &OutPoint) -> bool {
        !self.refused && matches!(self.found.get(outpoint), None | Some(Some(OutpointStatus::Open)))
    }

    /// Whether the index is known to have no entry for a channel.
    pub(super) fn lacks(&self, outpoint: &OutPoint) -> bool {
        !self.refused && !self.found.contains_key(outpoint)
    }

    /// Whether what the index says of a channel cannot be read.
    pub(super) fn is_unreadable(&self, outpoint: &OutPoint) -> bool {
        self.refused || matches!(self.found.get(outpoint), Some(None))
    }

    /// Whether a channel is closed. Where the index cannot be read, what a close leaves behind
    /// tells: using a closed channel on would be worse than not using an open one.
    pub(super) fn is_closed(
        &self,
        source: &LndSource,
        refused: &Refused,
        outpoint: &OutPoint,
    ) -> Result<bool, ReadError> {
        if !self.is_unreadable(outpoint) {
            let status = self.found.get(outpoint).copied().flatten();
            return Ok(status == Some(OutpointStatus::Closed));
        }
        // What cannot be read itself is there all the same.
        let key = keys::encode_outpoint(outpoint);
        for name in [top::CLOSED_CHANNELS, top::HISTORICAL_CHANNELS] {
            if let Some(bucket) = source.bucket(&[name], refused)?
                && bucket.get(&key)?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The row of a channel of which nothing but its summary is known.
pub(super) fn row_of_summary(
    no: ChannelNo,
    outpoint: OutPoint,
    summary: &CloseSummary,
) -> ChannelRecord {
    let resume = summary.resume.as_ref();
    ChannelRecord {
        no,
        version: Version::ABSENT,
        funding_outpoint: outpoint,
        channel_id: ChannelId::from_outpoint(outpoint),
        peer: summary.peer,
        chain: summary.chain,
        closed: true,
        pending: false,
        channel_type: ChannelType::empty(),
        status: ChannelStatus::empty(),
        scid: summary.scid,
        confirmed_scid: None,
        confirmation_height: None,
        close_confirmation_height: None,
        local_height: None,
        remote_height: None,
        has_pending: false,
        last_was_revoke: None,
        total_sent: MilliSatoshi(0),
        total_received: MilliSatoshi(0),
        // As lnd does for shells: the node key stands in for a point that is not known.
        remote_current_point: resume.map_or(summary.peer, |resume| resume.remote_current_point),
        remote_next_point: resume.and_then(|resume| resume.remote_next_point),
        next_secret_index: chanstate::shachain::MAX_INDEX,
    }
}
