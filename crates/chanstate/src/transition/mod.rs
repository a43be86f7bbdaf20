//! The rules of the channel state machine, as pure functions.
//!
//! Each takes the stored state and a request, and returns either a [`Rejection`] or the change that
//! the request makes; `None` means that the request asks for what is stored already. Those of the
//! commitment protocol return a [`Refusal`], which tells damage of the store from a request that
//! breaks a rule. Nothing here does I/O, reads a clock or draws random numbers.

mod advance;
mod append;
mod close;
mod holding;
mod lifecycle;
mod local;
mod open;
mod package;
mod status;

pub use advance::{AdvanceTail, advance_tail, insert_next_revocation};
pub use append::{AppendRemote, append_remote};
pub use close::{abandon_summary, close, mark_fully_closed};
pub use holding::require_htlc_id;
pub use lifecycle::{
    mark_open, negotiate_scid_alias, set_close_confirmation_height, set_confirmation_height,
    set_confirmed_scid, store_shutdown,
};
pub use local::{LocalUpdate, UpdateLocal, update_local};
pub use open::{Imported, import, open, restore};
pub use package::{check_ack, import_package, own_ack, remove_packages, set_forward_filter};
pub use status::{
    apply_status, clear_status, mark_broadcast_commitment, mark_broadcast_cooperative,
    mark_data_loss,
};

use thiserror::Error;

use crate::change::ChannelChange;
use crate::error::Rejection;
use crate::flags::ChannelStatus;
use crate::record::ChannelRecord;
use crate::state::{ChannelState, StateFault};

/// Options that change what transitions store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Revoked states are stored without balances.
    pub no_revocation_log_amounts: bool,
    /// Final outcomes of HTLCs are stored.
    pub store_final_htlcs: bool,
}

/// Why a transition makes no change.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// The request breaks a rule.
    #[error("refused")]
    Rejected(#[from] Rejection),
    /// The stored state is damaged; the request may be right.
    #[error("damaged state")]
    Damaged(#[from] StateFault),
}

/// The row of a channel that is not closed.
fn open_row(state: &ChannelState) -> Result<&ChannelRecord, Rejection> {
    match state.row() {
        row if row.closed => Err(Rejection::AlreadyClosed(row.funding_outpoint)),
        row => Ok(row),
    }
}

/// The row of a channel that may exchange commitments: open, not restored, no status bit.
fn usable_row(state: &ChannelState) -> Result<&ChannelRecord, Rejection> {
    let row = open_row(state)?;
    if row.status.contains(ChannelStatus::RESTORED) {
        return Err(Rejection::Restored);
    }
    if !row.status.is_empty() {
        return Err(Rejection::NotActive { status: row.status });
    }
    Ok(row)
}

/// The change that leaves an open channel with the row that `edit` makes; `None` if it is equal.
fn edit_row(
    state: &ChannelState,
    edit: impl FnOnce(&mut ChannelRecord),
) -> Result<Option<ChannelChange>, Rejection> {
    let row = open_row(state)?;
    let mut edited = row.clone();
    edit(&mut edited);
    Ok((edited != *row).then(|| ChannelChange::new(edited)))
}

#[cfg(test)]
mod tests;
