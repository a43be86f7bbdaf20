//! We sign the peer's next commitment.

use super::holding::Holding;
use super::package::own_ack;
use super::{Refusal, usable_row};
use crate::change::{ChannelChange, Record};
use crate::commitment::PendingCommitment;
use crate::error::Rejection;
use crate::ids::{ChannelNo, CommitmentHeight, Direction, Side};
use crate::package::{AddRef, SettleFailRef};
use crate::record::{CommitmentRecord, DiffRecord};
use crate::state::ChannelState;

/// A signed commitment to be stored before `commitment_signed` is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendRemote {
    /// The peer's next commitment.
    pub pending: PendingCommitment,
    /// Adds of this channel's packages that the commitment answers.
    pub ack_adds: Vec<AddRef>,
    /// Settles and fails of other channels' packages that it passes on.
    pub ack_settle_fails: Vec<SettleFailRef>,
}

/// Stores the peer's next commitment. An equal one that is pending already changes nothing; the
/// acknowledgements given along are checked all the same.
///
/// # Errors
/// * `NotActive`, `Restored`, `AlreadyClosed`, `NoCommitments`.
/// * `PendingCommitment` if another one waits for its revocation.
/// * `Height` if it is not the next one.
/// * `IndexWentBack` if an index is below the one of the current commitment.
/// * `AckOutOfRange` if an acknowledged add does not exist in its package.
/// * `OnionLength`, `DuplicateHtlc`, `Message`, `TooLarge`.
/// * `Damaged` if a commitment that the row names, or what it refers to, is missing.
pub fn append_remote(
    state: &ChannelState,
    request: &AppendRemote,
) -> Result<Option<ChannelChange>, Refusal> {
    let row = usable_row(state)?;
    let remote = state.in_force(Side::Remote)?.ok_or(Rejection::NoCommitments)?;
    let pending = state.pending_commitment()?;
    match &pending {
        Some(pending) if *pending == request.pending => {}
        Some(pending) => {
            return Err(Rejection::PendingCommitment { height: pending.commitment.height }.into());
        }
        None => require_next(remote.height, request.pending.commitment.height)?,
    }
    request.ack_adds.iter().try_for_each(|add| own_ack(state, *add).map(drop))?;
    if pending.is_some() {
        return Ok(None);
    }

    let mut holding = Holding::of(state);
    let (commitment, diff) = split_pending(&mut holding, row.no, &request.pending)?;
    super::local::require_forward(remote, &commitment)?;
    let mut edited = row.clone();
    edited.has_pending = true;
    edited.last_was_revoke = Some(false);
    let mut change = ChannelChange::new(edited);
    change.put(Record::Commitment(commitment));
    change.put(Record::Diff(diff));
    holding.settle(&mut change);
    Ok(Some(change))
}

/// Takes a pending commitment apart.
pub(super) fn split_pending(
    holding: &mut Holding<'_>,
    no: ChannelNo,
    pending: &PendingCommitment,
) -> Result<(CommitmentRecord, DiffRecord), Rejection> {
    let commitment = holding.commitment(Side::Remote, &pending.commitment)?;
    let diff = DiffRecord {
        no,
        commit_sig: pending.commit_sig.clone(),
        updates: holding.updates(&pending.updates, Direction::Outgoing)?,
        opened_circuits: pending.opened_circuits.clone(),
        closed_circuits: pending.closed_circuits.clone(),
    };
    Ok((commitment, diff))
}

/// Refuses a height that does not follow `current`.
pub(super) fn require_next(
    current: CommitmentHeight,
    found: CommitmentHeight,
) -> Result<(), Rejection> {
    let too_large = Rejection::TooLarge { what: "commitment height", found: found.0 };
    match current.next().ok_or(too_large)? {
        expected if expected == found => Ok(()),
        expected => Err(Rejection::Height { expected, found }),
    }
}
