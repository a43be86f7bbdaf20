//! From pending to open, and the data that comes with it. Allowed whatever the status.

use super::edit_row;
use crate::change::{ChannelChange, Record};
use crate::close::{Mark, ShutdownInfo};
use crate::error::Rejection;
use crate::flags::ChannelType;
use crate::ids::ShortChannelId;
use crate::record::MarkRecord;
use crate::state::ChannelState;

type Change = Result<Option<ChannelChange>, Rejection>;

/// Sets the height at which the funding transaction confirmed.
pub fn set_confirmation_height(state: &ChannelState, height: u32) -> Change {
    edit_row(state, |row| row.confirmation_height = Some(height))
}

/// Sets or clears the height at which the closing transaction confirmed.
pub fn set_close_confirmation_height(state: &ChannelState, height: Option<u32>) -> Change {
    edit_row(state, |row| row.close_confirmation_height = height)
}

/// The funding transaction confirmed: the channel is open under `scid`.
pub fn mark_open(state: &ChannelState, scid: ShortChannelId) -> Change {
    edit_row(state, |row| {
        row.pending = false;
        row.scid = scid;
    })
}

/// Sets the confirmed short channel id of a zero-conf channel.
pub fn set_confirmed_scid(state: &ChannelState, scid: ShortChannelId) -> Change {
    edit_row(state, |row| row.confirmed_scid = Some(scid))
}

/// Notes that the alias feature was negotiated.
pub fn negotiate_scid_alias(state: &ChannelState) -> Change {
    edit_row(state, |row| row.channel_type |= ChannelType::SCID_ALIAS_FEATURE)
}

/// Stores our part of a cooperative close.
pub fn store_shutdown(state: &ChannelState, info: ShutdownInfo) -> Change {
    put_mark(state, Mark::Shutdown(info), |_| {})
}

/// Writes a mark together with an edit of the row; nothing if both are stored already.
pub(super) fn put_mark(
    state: &ChannelState,
    mark: Mark,
    edit: impl FnOnce(&mut crate::record::ChannelRecord),
) -> Change {
    let edited = edit_row(state, edit)?;
    if state.mark(mark.kind()) == Some(&mark) {
        return Ok(edited);
    }
    let mut change = edited.unwrap_or_else(|| ChannelChange::new(state.row().clone()));
    change.put(Record::Mark(MarkRecord { no: state.row().no, mark }));
    Ok(Some(change))
}
