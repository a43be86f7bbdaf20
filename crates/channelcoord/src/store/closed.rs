//! Closed channels and how they were.

use async_trait::async_trait;
use bitcoin::OutPoint;
use chanstate::facet::{ClosedChannelStore, HistoricalStore, Result};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::{ChannelRecord, CloseRecord};
use chanstate::transition as rule;
use chanstate::{
    Channel, ChannelId, ChannelNo, ChannelState, ChannelStatus, CloseSummary, Record, Rejection,
};

use super::{Store, of_channel, state_error};
use crate::directory::channel_row;

/// Kinds that the historical view is made of.
const HISTORICAL_KINDS: [Kind; 4] = [Kind::Terms, Kind::Commitment, Kind::Htlc, Kind::Secret];

#[async_trait]
impl ClosedChannelStore for Store {
    async fn close_channel(
        &self,
        point: OutPoint,
        summary: CloseSummary,
        statuses: ChannelStatus,
    ) -> Result<()> {
        self.change(point, |state| {
            Ok((Some(of_channel(rule::close(state, summary.clone(), statuses)?)), ()))
        })
        .await
    }

    async fn closed_channels(&self, pending_only: bool) -> Result<Vec<CloseSummary>> {
        self.alive()?;
        let mut summaries = Vec::new();
        self.scan_stored(KeyRange::all(Kind::Close), |record| {
            if let crate::Record::Channel(Record::Close(close)) = record
                && (close.summary.pending || !pending_only)
            {
                summaries.push(close.summary);
            }
        })
        .await?;
        summaries.sort_by_key(|summary| summary.channel_point);
        Ok(summaries)
    }

    async fn closed_channel(&self, point: OutPoint) -> Result<CloseSummary> {
        let no = self.listing(point)?.no;
        let (_, close) = self.closed_records(no).await?;
        close.map(|close| close.summary).ok_or(Rejection::NoSummary(point).into())
    }

    async fn closed_channel_by_id(&self, id: ChannelId) -> Result<CloseSummary> {
        self.closed_channel(self.point_of(id)?).await
    }
}

#[async_trait]
impl HistoricalStore for Store {
    async fn historical_channel(&self, point: OutPoint) -> Result<Channel> {
        if !self.listing(point)?.closed {
            return Err(Rejection::NotClosed(point).into());
        }
        self.closed_view(point).await
    }
}

impl Store {
    /// A closed channel as it was.
    pub(super) async fn closed_view(&self, point: OutPoint) -> Result<Channel> {
        let no = self.listing(point)?.no;
        let (row, _) = self.closed_records(no).await?;
        let mut state = ChannelState::new(row.ok_or(Rejection::UnknownChannel(point))?);
        for kind in HISTORICAL_KINDS {
            let range = KeyRange::under(kind, [no.0]);
            self.scan_stored(range, |record| {
                if let crate::Record::Channel(record) = &record {
                    state.put(record);
                }
            })
            .await?;
        }
        let channel = state.channel().map_err(|fault| state_error(point, fault))?;
        channel.ok_or(Rejection::NoCommitments.into())
    }

    /// The row of a channel and its close record.
    pub(super) async fn closed_records(
        &self,
        no: ChannelNo,
    ) -> Result<(Option<ChannelRecord>, Option<CloseRecord>)> {
        let keys = [Kind::Channel, Kind::Close].map(|kind| RecordKey::single(kind, no));
        let records = self.read_stored(&keys).await?;
        let (mut row, mut close) = (None, None);
        for record in records.into_iter().flatten() {
            match record {
                crate::Record::Channel(Record::Close(found)) => close = Some(found),
                other => row = channel_row(other).or(row),
            }
        }
        Ok((row, close))
    }
}
