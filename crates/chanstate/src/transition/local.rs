//! The peer signed our next commitment, and we revoke the one before.

use std::collections::BTreeMap;

use super::append::require_next;
use super::holding::Holding;
use super::{Options, Refusal, usable_row};
use crate::change::{ChannelChange, Record};
use crate::commitment::{Commitment, LogUpdate};
use crate::error::Rejection;
use crate::ids::{HtlcId, LogIndex, MilliSatoshi, Side};
use crate::key::RecordKey;
use crate::message::MessageKind;
use crate::record::{CommitmentRecord, ListKind, UpdateBody, UpdateListRecord, UpdateRef};
use crate::setup::{FinalHtlc, FinalHtlcRecord};
use crate::state::ChannelState;

/// Our next commitment, to be stored before `revoke_and_ack` is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateLocal {
    /// Our next commitment.
    pub commitment: Commitment,
    /// The peer's updates that it has and the peer's commitment in force has not, those in the
    /// pending commitment included.
    pub unsigned_acked: Vec<LogUpdate>,
    /// Total settled towards the peer.
    pub total_sent: MilliSatoshi,
    /// Total settled towards us.
    pub total_received: MilliSatoshi,
}

/// What storing a local commitment does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalUpdate {
    /// The change.
    pub change: ChannelChange,
    /// HTLCs of the peer that our settles and fails ended for good: `true` if settled.
    pub finals: BTreeMap<HtlcId, bool>,
}

/// Replaces our commitment by the next one.
///
/// Our settles and fails that the new commitment locks in leave the list of those the peer has not
/// signed, and are returned.
///
/// # Errors
/// * `NotActive`, `Restored`, `AlreadyClosed`, `NoCommitments`.
/// * `Height` if it is not the next one.
/// * `IndexWentBack`, `TotalWentBack`.
/// * `OnionLength`, `DuplicateHtlc`, `Message`, `TooLarge`.
/// * `Damaged` if the commitment that the row names is missing.
pub fn update_local(
    state: &ChannelState,
    options: Options,
    request: &UpdateLocal,
) -> Result<LocalUpdate, Refusal> {
    let row = usable_row(state)?;
    let local = state.in_force(Side::Local)?.ok_or(Rejection::NoCommitments)?;
    require_next(local.height, request.commitment.height)?;
    require_total("total sent", row.total_sent, request.total_sent)?;
    require_total("total received", row.total_received, request.total_received)?;

    let mut holding = Holding::of(state);
    let commitment = holding.commitment(Side::Local, &request.commitment)?;
    require_forward(local, &commitment)?;
    let mut edited = row.clone();
    edited.local_height = Some(commitment.height);
    edited.last_was_revoke = Some(true);
    edited.total_sent = request.total_sent;
    edited.total_received = request.total_received;
    let mut change = ChannelChange::new(edited);

    let acked = holding.updates(&request.unsigned_acked, ListKind::UnsignedAcked.direction())?;
    replace_list(state, &mut change, &mut holding, ListKind::UnsignedAcked, acked);
    let finals = lock_in(state, &mut change, &mut holding, commitment.local_log_index);
    if options.store_final_htlcs {
        for (id, settled) in &finals {
            let outcome = FinalHtlc { settled: *settled, offchain: true };
            change.put(Record::FinalHtlc(FinalHtlcRecord { scid: row.scid, id: *id, outcome }));
        }
    }
    holding.lose_commitment(local);
    change.remove(RecordKey::commitment(row.no, Side::Local, local.height));
    change.put(Record::Commitment(commitment));
    holding.settle(&mut change);
    Ok(LocalUpdate { change, finals })
}

/// Drops from the list of our unsigned updates those below `log_index`, and tells how they end.
fn lock_in(
    state: &ChannelState,
    change: &mut ChannelChange,
    holding: &mut Holding<'_>,
    log_index: LogIndex,
) -> BTreeMap<HtlcId, bool> {
    let list = ListKind::RemoteUnsignedLocal;
    let Some(updates) = state.list(list) else { return BTreeMap::new() };
    let (kept, locked): (Vec<_>, Vec<_>) =
        updates.iter().cloned().partition(|update| update.log_index >= log_index);
    let finals = locked.iter().filter_map(outcome).collect();
    for key in crate::state::added(&kept, list.direction()) {
        holding.gain(key);
    }
    replace_list(state, change, holding, list, kept);
    finals
}

/// The HTLC that an update ends, and whether it is settled.
fn outcome(update: &UpdateRef) -> Option<(HtlcId, bool)> {
    let UpdateBody::Message(message) = &update.body else { return None };
    let settled = match message.kind() {
        MessageKind::UpdateFulfillHtlc => true,
        MessageKind::UpdateFailHtlc | MessageKind::UpdateFailMalformedHtlc => false,
        _ => return None,
    };
    message.htlc_id().map(|id| (HtlcId(id), settled))
}

/// Writes a list if it differs from what is stored; an empty list is stored as such.
///
/// The references of `updates` are counted already, those of the stored list go.
pub(super) fn replace_list(
    state: &ChannelState,
    change: &mut ChannelChange,
    holding: &mut Holding<'_>,
    list: ListKind,
    updates: Vec<UpdateRef>,
) {
    let stored = state.list(list);
    holding.lose_updates(stored.unwrap_or_default(), list.direction());
    if stored != Some(updates.as_slice()) {
        change.put(Record::UpdateList(UpdateListRecord { no: state.row().no, list, updates }));
    }
}

/// Refuses a commitment that contains less than the one before.
pub(super) fn require_forward(
    stored: &CommitmentRecord,
    next: &CommitmentRecord,
) -> Result<(), Rejection> {
    let indexes = [
        ("local log index", stored.local_log_index.0, next.local_log_index.0),
        ("remote log index", stored.remote_log_index.0, next.remote_log_index.0),
        ("local HTLC index", stored.local_htlc_index.0, next.local_htlc_index.0),
        ("remote HTLC index", stored.remote_htlc_index.0, next.remote_htlc_index.0),
    ];
    for (what, stored, found) in indexes {
        if found < stored {
            let (stored, found) = (LogIndex(stored), LogIndex(found));
            return Err(Rejection::IndexWentBack { what, stored, found });
        }
    }
    Ok(())
}

fn require_total(
    what: &'static str,
    stored: MilliSatoshi,
    found: MilliSatoshi,
) -> Result<(), Rejection> {
    if found < stored { Err(Rejection::TotalWentBack { what, stored, found }) } else { Ok(()) }
}
