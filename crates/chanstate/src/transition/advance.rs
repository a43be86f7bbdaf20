//! The peer revoked its commitment.

use std::sync::LazyLock;

use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey, SignOnly};
use bytes::Bytes;

use super::holding::Holding;
use super::local::replace_list;
use super::package::put_package;
use super::{Options, Refusal, usable_row};
use crate::change::{ChannelChange, Record};
use crate::commitment::LogUpdate;
use crate::error::Rejection;
use crate::ids::Side;
use crate::key::{Kind, RecordKey};
use crate::package::ForwardingPackage;
use crate::record::*;
use crate::revocation::{RevokedHtlc, RevokedState};
use crate::shachain::ShachainFault;
use crate::state::{ChannelState, StateFault};
use crate::tlv::{TlvRecord, TlvStream};

/// First TLV type of custom records.
const FIRST_CUSTOM_TYPE: u64 = 65_536;

/// Output index that means "no output" in revoked states.
const NO_OUTPUT: u32 = 0xffff;

/// A `revoke_and_ack` of the peer with what it locks in.
#[derive(Clone, PartialEq, Eq)]
pub struct AdvanceTail {
    /// The secret that revokes the peer's current commitment.
    pub secret: [u8; 32],
    /// The commitment point after the next one.
    pub next_point: PublicKey,
    /// The peer's updates that are now in both commitments.
    pub package: ForwardingPackage,
    /// Our updates that the peer's new commitment has and ours has not.
    pub remote_unsigned_local: Vec<LogUpdate>,
    /// Our output in the revoked commitment.
    pub our_output_index: Option<u32>,
    /// The peer's output in the revoked commitment.
    pub their_output_index: Option<u32>,
}

impl std::fmt::Debug for AdvanceTail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AdvanceTail")
            .field("next_point", &self.next_point)
            .field("package", &self.package)
            .finish_non_exhaustive()
    }
}

/// Makes the pending commitment the peer's current one and files the one before as revoked.
///
/// # Errors
/// * `NotActive`, `Restored`, `AlreadyClosed`, `NoCommitments`.
/// * `NoPendingCommitment`, `NoNextPoint`.
/// * `WrongSecret` if the secret is not that of the current commitment point; `Secret` if it
///   contradicts earlier ones (BOLT 3).
/// * `Height` if the package is not of the new commitment's height, `PackageSource` if it is not
///   of this channel, `PackageFilter` if its filters do not cover its updates.
/// * `OutputIndex`, `Message`, `TooLarge`.
/// * `Damaged` if the commitments, their HTLCs or the secrets revealed before contradict each other.
pub fn advance_tail(
    state: &ChannelState,
    options: Options,
    request: &AdvanceTail,
) -> Result<ChannelChange, Refusal> {
    let row = usable_row(state)?;
    let remote = state.in_force(Side::Remote)?.ok_or(Rejection::NoCommitments)?;
    let (pending, diff) = state.pending()?.ok_or(Rejection::NoPendingCommitment)?;
    let next_point = row.remote_next_point.ok_or(Rejection::NoNextPoint)?;
    require_point(&request.secret, &row.remote_current_point)?;
    let (slot, index) = state.secrets()?.check_insert(request.secret).map_err(secret_refusal)?;
    require_package(row, pending, &request.package)?;

    let mut edited = row.clone();
    edited.remote_height = Some(pending.height);
    edited.has_pending = false;
    edited.remote_current_point = next_point;
    edited.remote_next_point = Some(request.next_point);
    edited.next_secret_index = index.wrapping_sub(1);
    let mut change = ChannelChange::new(edited);
    let no = row.no;

    let revoked = revoked_state(state, options, remote, request)?;
    change.put(Record::RevokedState(RevokedStateRecord { no, state: revoked }));
    // The index is not 0 and has 48 bits, so the slot is below 48.
    let slot = slot as u8;
    change.put(Record::Secret(SecretRecord { no, slot, index, secret: request.secret }));
    change.remove(RecordKey::commitment(no, Side::Remote, remote.height));
    change.remove(RecordKey::single(Kind::Diff, no));

    let mut holding = Holding::of(state);
    holding.lose_commitment(remote);
    holding.lose_updates(&diff.updates, crate::ids::Direction::Outgoing);
    put_package(|record| change.put(record), &mut holding, Some(no), &request.package)?;

    let list = ListKind::RemoteUnsignedLocal;
    let unsigned = holding.updates(&request.remote_unsigned_local, list.direction())?;
    replace_list(state, &mut change, &mut holding, list, unsigned);
    let list = ListKind::UnsignedAcked;
    if let Some(updates) = state.list(list) {
        let signed = pending.remote_log_index;
        let kept: Vec<_> =
            updates.iter().filter(|update| update.log_index >= signed).cloned().collect();
        crate::state::added(&kept, list.direction()).for_each(|key| holding.gain(key));
        replace_list(state, &mut change, &mut holding, list, kept);
    }
    holding.settle(&mut change);
    Ok(change)
}

/// Sets the peer's next commitment point, which `channel_ready` brings. The same one again changes
/// nothing.
///
/// # Errors
/// `NotActive`, `Restored`, `AlreadyClosed`; `NextPointSet` if another one is set.
pub fn insert_next_revocation(
    state: &ChannelState,
    point: PublicKey,
) -> Result<Option<ChannelChange>, Rejection> {
    let row = usable_row(state)?;
    match row.remote_next_point {
        Some(stored) if stored == point => Ok(None),
        Some(_) => Err(Rejection::NextPointSet),
        None => {
            let mut edited = row.clone();
            edited.remote_next_point = Some(point);
            Ok(Some(ChannelChange::new(edited)))
        }
    }
}

fn require_point(secret: &[u8; 32], point: &PublicKey) -> Result<(), Rejection> {
    static CURVE: LazyLock<Secp256k1<SignOnly>> = LazyLock::new(Secp256k1::signing_only);
    let key = SecretKey::from_slice(secret).map_err(|_| Rejection::WrongSecret)?;
    if key.public_key(&CURVE) == *point { Ok(()) } else { Err(Rejection::WrongSecret) }
}

/// Tells a secret that is wrong from secrets that were stored wrong.
fn secret_refusal(fault: ShachainFault) -> Refusal {
    match fault {
        ShachainFault::Rejected { .. } | ShachainFault::Exhausted => {
            Rejection::Secret(fault).into()
        }
        damage => StateFault::Secrets(damage).into(),
    }
}

fn require_package(
    row: &ChannelRecord,
    pending: &CommitmentRecord,
    package: &ForwardingPackage,
) -> Result<(), Rejection> {
    if package.height != pending.height {
        return Err(Rejection::Height { expected: pending.height, found: package.height });
    }
    if package.source != row.scid && Some(package.source) != row.confirmed_scid {
        return Err(Rejection::PackageSource { found: package.source });
    }
    Ok(())
}

fn revoked_state(
    state: &ChannelState,
    options: Options,
    revoked: &CommitmentRecord,
    request: &AdvanceTail,
) -> Result<RevokedState, Refusal> {
    let mut htlcs = Vec::new();
    for slot in &revoked.slots {
        // Dust has no output that could be taken.
        let Some(output_index) = slot.output_index else { continue };
        let terms = state.slot_terms(slot)?;
        htlcs.push(RevokedHtlc {
            direction: slot.key.direction,
            id: Some(slot.key.id),
            payment_hash: terms.payment_hash,
            amount_sat: terms.amount.0 / 1000,
            cltv_expiry: terms.cltv_expiry,
            output_index: output(output_index)?,
            custom_records: custom_records(&terms.extra),
        });
    }
    let amount = |balance| (!options.no_revocation_log_amounts).then_some(balance);
    Ok(RevokedState {
        height: revoked.height,
        our_output_index: request.our_output_index.map(output).transpose()?,
        their_output_index: request.their_output_index.map(output).transpose()?,
        commit_txid: revoked.commit_tx.compute_txid(),
        our_balance: amount(revoked.local_balance),
        their_balance: amount(revoked.remote_balance),
        htlcs,
        custom_blob: revoked.custom_blob.clone(),
        residue: Bytes::new(),
    })
}

fn output(index: u32) -> Result<u16, Rejection> {
    let index = Some(index).filter(|index| *index < NO_OUTPUT).ok_or(index);
    // Below 65535 the cast is exact.
    index.map(|index| index as u16).map_err(Rejection::OutputIndex)
}

/// The custom records of an HTLC's TLV stream; `None` if there are none.
fn custom_records(extra: &Bytes) -> Option<Bytes> {
    if extra.is_empty() {
        return None;
    }
    let stream = TlvStream::parse_shared(extra).ok()?;
    let mut custom = TlvStream::new();
    for TlvRecord { ty, value } in stream.iter().filter(|record| record.ty >= FIRST_CUSTOM_TYPE) {
        custom.insert(*ty, value.clone());
    }
    (!custom.is_empty()).then(|| custom.encode().into())
}
