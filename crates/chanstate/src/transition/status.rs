//! Status bits. They are set and cleared on what is stored, never on a caller's copy.

use std::sync::Arc;

use bitcoin::Transaction;
use bitcoin::secp256k1::PublicKey;

use super::lifecycle::put_mark;
use super::{edit_row, open_row};
use crate::change::ChannelChange;
use crate::close::{Closer, Mark};
use crate::error::Rejection;
use crate::flags::ChannelStatus;
use crate::state::ChannelState;

type Change = Result<Option<ChannelChange>, Rejection>;

/// Sets bits. The restored bit cannot be set: it would hide the channel's commitments.
pub fn apply_status(state: &ChannelState, bits: ChannelStatus) -> Change {
    let row = open_row(state)?;
    let sets_restored = (bits - row.status).contains(ChannelStatus::RESTORED);
    if sets_restored {
        return Err(Rejection::RestoredBit);
    }
    edit_row(state, |row| row.status |= bits)
}

/// Clears bits. The restored bit cannot be cleared: there are no commitments to go on with.
pub fn clear_status(state: &ChannelState, bits: ChannelStatus) -> Change {
    let row = open_row(state)?;
    if (bits & row.status).contains(ChannelStatus::RESTORED) {
        return Err(Rejection::RestoredBit);
    }
    edit_row(state, |row| row.status -= bits)
}

/// Notes that the peer proved with `point` that we lost state.
pub fn mark_data_loss(state: &ChannelState, point: PublicKey) -> Change {
    put_mark(state, Mark::DataLossPoint(point), |row| {
        row.status |= ChannelStatus::LOCAL_DATA_LOSS;
    })
}

/// Notes that a commitment transaction is broadcast.
pub fn mark_broadcast_commitment(
    state: &ChannelState,
    tx: Arc<Transaction>,
    closer: Closer,
) -> Change {
    put_mark(state, Mark::BroadcastCommitment(tx), |row| {
        row.status |= ChannelStatus::COMMITMENT_BROADCASTED | initiator_bit(closer);
    })
}

/// Notes that a cooperative closing transaction is broadcast.
pub fn mark_broadcast_cooperative(
    state: &ChannelState,
    tx: Arc<Transaction>,
    closer: Closer,
) -> Change {
    put_mark(state, Mark::BroadcastCooperative(tx), |row| {
        row.status |= ChannelStatus::COOP_BROADCASTED | initiator_bit(closer);
    })
}

fn initiator_bit(closer: Closer) -> ChannelStatus {
    match closer {
        Closer::Local => ChannelStatus::LOCAL_CLOSE_INITIATOR,
        Closer::Remote => ChannelStatus::REMOTE_CLOSE_INITIATOR,
    }
}
