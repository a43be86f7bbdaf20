//! Which channel a record belongs to.

use std::collections::HashMap;

use bitcoin::OutPoint;
use channelcoord::Record as AnyRecord;
use chanstate::key::{KeyPart, Kind, RecordKey};
use chanstate::record::ChannelRecord;
use chanstate::{ChannelNo, Record, ShortChannelId};

/// The channels of a store by the names that its records use: a few words of memory for each.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    points: HashMap<ChannelNo, OutPoint>,
    /// `None` for a short channel id that several channels claim.
    sources: HashMap<ShortChannelId, Option<ChannelNo>>,
}

/// How a record says whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// By the number of its channel.
    Channel(ChannelNo),
    /// By a short channel id.
    Source(ShortChannelId),
    /// It is no channel's.
    Store,
}

impl Directory {
    /// Enters a channel.
    pub(super) fn add(&mut self, row: &ChannelRecord) {
        self.points.insert(row.no, row.funding_outpoint);
        let scids = [Some(row.scid), row.confirmed_scid.filter(|scid| *scid != row.scid)];
        // 0 says that there is none yet.
        for scid in scids.into_iter().flatten().filter(|scid| scid.0 != 0) {
            let entry = self.sources.entry(scid).or_insert(Some(row.no));
            *entry = entry.filter(|no| *no == row.no);
        }
    }

    /// Funding outpoint of a channel.
    pub(super) fn point(&self, no: ChannelNo) -> Option<OutPoint> {
        self.points.get(&no).copied()
    }

    /// The one channel that runs, or ran, under a short channel id.
    pub(super) fn under(&self, scid: ShortChannelId) -> Option<ChannelNo> {
        self.sources.get(&scid).copied().flatten()
    }

    /// Funding outpoint of the channel whose record a key names.
    pub(super) fn point_of(&self, key: &RecordKey) -> Option<OutPoint> {
        let Some(KeyPart::Int(first)) = key.parts.first() else { return None };
        match key.kind {
            Kind::Package | Kind::PackageUpdate | Kind::FinalHtlc => {
                self.point(self.under(ShortChannelId(*first))?)
            }
            _ => self.point(ChannelNo(*first)),
        }
    }
}

impl Owner {
    pub(super) fn of(record: &AnyRecord) -> Owner {
        let AnyRecord::Channel(record) = record else { return Owner::Store };
        match record {
            Record::Channel(record) => Owner::Channel(record.no),
            Record::Terms(record) => Owner::Channel(record.no),
            Record::Commitment(record) => Owner::Channel(record.no),
            Record::Diff(record) => Owner::Channel(record.no),
            Record::Htlc(record) => Owner::Channel(record.no),
            Record::UpdateList(record) => Owner::Channel(record.no),
            Record::Secret(record) => Owner::Channel(record.no),
            Record::Mark(record) => Owner::Channel(record.no),
            Record::RevokedState(record) => Owner::Channel(record.no),
            Record::RevokedCommitment(record) => Owner::Channel(record.no),
            Record::Close(record) => Owner::Channel(record.no),
            Record::Reclaim(record) => Owner::Channel(record.no),
            Record::Package(record) => Owner::Source(record.source),
            Record::PackageUpdate(record) => Owner::Source(record.source),
            Record::FinalHtlc(record) => Owner::Source(record.scid),
            Record::OpeningState(_) | Record::ForwardingPolicy(_) => Owner::Store,
        }
    }
}
