//! Closing channels.

use super::open_row;
use crate::change::{ChannelChange, Record};
use crate::close::{CloseKind, CloseResume, CloseSummary};
use crate::error::Rejection;
use crate::flags::ChannelStatus;
use crate::record::{ChannelRecord, CloseRecord, ReclaimRecord};
use crate::state::ChannelState;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, Txid};

/// Closes a channel: it leaves the open ones at once, its summary and its historical view stay.
///
/// The state at the close is filled into the summary; `statuses` are added to the channel's.
///
/// # Errors
/// `AlreadyClosed`; `SummaryOfOther` if the summary names another channel.
pub fn close(
    state: &ChannelState,
    mut summary: CloseSummary,
    statuses: ChannelStatus,
) -> Result<ChannelChange, Rejection> {
    let row = open_row(state)?;
    if summary.channel_point != row.funding_outpoint {
        return Err(Rejection::SummaryOfOther { found: summary.channel_point });
    }
    if let Some(terms) = state.terms() {
        let reestablish = summary.resume.and_then(|resume| resume.reestablish);
        summary.resume = Some(CloseResume {
            remote_current_point: row.remote_current_point,
            remote_next_point: row.remote_next_point,
            local_config: terms.local_config.clone(),
            reestablish,
        });
    }
    let mut edited = row.clone();
    edited.closed = true;
    edited.status |= statuses;
    let mut change = ChannelChange::new(edited);
    let (no, status_before) = (row.no, row.status);
    change.put(Record::Close(CloseRecord { no, status_before, summary }));
    change.put(Record::Reclaim(ReclaimRecord { no }));
    Ok(change)
}

/// The summary of a channel that is given up at `height` without a transaction.
pub fn abandon_summary(state: &ChannelState, height: u32) -> CloseSummary {
    let row = state.row();
    let capacity = state.terms().map_or(Amount::ZERO, |terms| terms.capacity);
    let balance = state.local().map_or(0, |local| local.local_balance.0 / 1000);
    CloseSummary {
        channel_point: row.funding_outpoint,
        scid: row.scid,
        chain: row.chain,
        closing_txid: Txid::all_zeros(),
        close_height: height,
        peer: row.peer,
        capacity,
        settled_balance: Amount::from_sat(balance),
        time_locked_balance: Amount::ZERO,
        kind: CloseKind::Abandoned,
        pending: false,
        resume: None,
    }
}

/// Notes that everything of a closed channel is resolved on chain; `None` if it was noted before.
///
/// # Errors
/// `NotClosed` if the channel is open.
pub fn mark_fully_closed(
    row: &ChannelRecord,
    close: &CloseRecord,
) -> Result<Option<ChannelChange>, Rejection> {
    if !row.closed {
        return Err(Rejection::NotClosed(row.funding_outpoint));
    }
    if !close.summary.pending {
        return Ok(None);
    }
    let mut close = close.clone();
    close.summary.pending = false;
    let mut change = ChannelChange::new(row.clone());
    change.put(Record::Close(close));
    Ok(Some(change))
}
