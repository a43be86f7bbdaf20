//! The values of one channel against each other.

use bitcoin::{Amount, OutPoint};
use chanstate::{ChannelStatus, ChannelType, Commitment, Side};

use super::super::channel::ChannelParts;
use super::super::codec::commitment::htlc_extra_fault;
use super::super::codec::keys::{self, channel as key};
use crate::finding::{Severity, chain};

/// Bits of a channel's type that have a name.
const KNOWN_TYPE: u64 = 0x1fff;
/// Bits of a channel's status that have a name.
const KNOWN_STATUS: u64 = 0x7f;

/// Both anchors of a commitment.
const ANCHORS: Amount = Amount::from_sat(660);

/// Takes how bad it is, the key of the value, and what is wrong.
type Report<'a> = dyn FnMut(Severity, &'static [u8], String) + 'a;

/// Reports what contradicts each other in a channel that can be read and stored.
pub(super) fn contradictions(parts: &ChannelParts, report: &mut Report<'_>) {
    info(parts, report);
    for (side, commitment) in [(Side::Local, &parts.local), (Side::Remote, &parts.remote)] {
        let key = keys::commitment(side);
        if let Some(found) = commitment {
            self::commitment(parts, key, found, report);
        }
    }
    presence(parts, report);
    pending(parts, report);
    thaw_height(parts, report);
    secrets(parts, report);
}

fn info(parts: &ChannelParts, report: &mut Report<'_>) {
    let info = &parts.info;
    let mut warn = |what: String| report(Severity::Warning, key::INFO, what);
    let unknown = info.channel_type.bits() & !KNOWN_TYPE;
    if unknown != 0 {
        warn(format!("unknown bits {unknown:#x} of the channel type"));
    }
    let unknown = info.status.bits() & !KNOWN_STATUS;
    if unknown != 0 {
        warn(format!("unknown bits {unknown:#x} of the status, the channel is not usable"));
    }
    if !info.unknown_tlvs.is_empty() {
        warn("unknown TLV records, kept as they are".into());
    }
    if let Some(fault) = funding_fault(parts) {
        report(Severity::Inconsistency, key::INFO, fault);
    }
}

/// What is wrong with the funding transaction.
fn funding_fault(parts: &ChannelParts) -> Option<String> {
    let info = &parts.info;
    let OutPoint { txid, vout } = info.funding_outpoint;
    let transaction = info.funding_tx.as_ref()?;
    let found = transaction.compute_txid();
    if found != txid {
        return Some(format!("funding transaction is {found}, the outpoint's is {txid}"));
    }
    let output = usize::try_from(vout).ok().and_then(|vout| transaction.output.get(vout));
    match output {
        None => Some(format!("funding transaction has no output {vout}")),
        Some(output) if output.value != info.capacity => {
            Some(format!("capacity is {}, the funding output has {}", info.capacity, output.value))
        }
        Some(_) => None,
    }
}

/// Checks one commitment, which may be the pending one.
fn commitment(
    parts: &ChannelParts,
    key: &'static [u8],
    commitment: &Commitment,
    report: &mut Report<'_>,
) {
    let inputs = &commitment.commit_tx.input;
    let funding = parts.info.funding_outpoint;
    if inputs.len() != 1 || inputs.iter().any(|input| input.previous_output != funding) {
        let what = "the transaction does not spend exactly the funding outpoint";
        report(Severity::Inconsistency, key, what.into());
    }
    for htlc in &commitment.htlcs {
        if let Some(fault) = htlc_extra_fault(&htlc.terms.extra) {
            let what = format!("lnd cannot load this channel: HTLC {}: {}", htlc.id, chain(&fault));
            report(Severity::Inconsistency, key, what);
        }
    }
    if !commitment.unknown_tlvs.is_empty() {
        report(Severity::Warning, key, "unknown TLV records, kept as they are".into());
    }
    let sum = sum_of(parts.info.channel_type, commitment);
    let capacity = in_msat(parts.info.capacity);
    if sum != capacity {
        let what = format!("balances, HTLCs and fees are {sum} msat of {capacity}");
        report(Severity::Warning, key, what);
    }
}

/// Everything that a commitment distributes, in msat.
fn sum_of(channel_type: ChannelType, commitment: &Commitment) -> u128 {
    let htlcs = commitment.htlcs.iter().map(|htlc| u128::from(htlc.terms.amount.0));
    let has_anchors = channel_type.contains(ChannelType::ANCHORS);
    let anchors = if has_anchors { ANCHORS } else { Amount::ZERO };
    u128::from(commitment.local_balance.0)
        + u128::from(commitment.remote_balance.0)
        + htlcs.sum::<u128>()
        + in_msat(commitment.commit_fee)
        + in_msat(anchors)
}

fn in_msat(amount: Amount) -> u128 {
    u128::from(amount.to_sat()) * 1000
}

/// Requires both commitments, and none of a restored channel.
fn presence(parts: &ChannelParts, report: &mut Report<'_>) {
    let restored = parts.info.status.contains(ChannelStatus::RESTORED);
    for (key, found) in [
        (key::LOCAL_COMMITMENT, parts.local.is_some()),
        (key::REMOTE_COMMITMENT, parts.remote.is_some()),
    ] {
        match (restored, found) {
            (true, true) => {
                let what = "a channel restored from a backup has no commitments";
                report(Severity::Inconsistency, key, what.into());
            }
            (false, false) => report(Severity::Inconsistency, key, "is missing".into()),
            _ => {}
        }
    }
}

fn pending(parts: &ChannelParts, report: &mut Report<'_>) {
    let Some(pending) = &parts.pending else { return };
    let found = pending.commitment.height;
    let due = parts.remote.as_ref().and_then(|remote| remote.height.next());
    if due != Some(found) {
        let due = due.map_or_else(|| "none".into(), |due| due.to_string());
        let what = format!("the pending commitment has height {found}, {due} is due");
        report(Severity::Inconsistency, key::COMMIT_DIFF, what);
    }
    commitment(parts, key::COMMIT_DIFF, &pending.commitment, report);
}

fn thaw_height(parts: &ChannelParts, report: &mut Report<'_>) {
    let what = match (parts.info.channel_type.has_thaw_height(), parts.thaw_height) {
        (true, None) => "lnd cannot load this channel: a channel of its type has a thaw height",
        (false, Some(_)) => "a channel of its type has no thaw height",
        _ => return,
    };
    report(Severity::Inconsistency, key::THAW_HEIGHT, what.into());
}

fn secrets(parts: &ChannelParts, report: &mut Report<'_>) {
    let secrets = &parts.revocation.secrets;
    if let Err(fault) = secrets.verify() {
        let what = format!("the peer's secrets: {}; breach remedy in danger", chain(&fault));
        report(Severity::Inconsistency, key::REVOCATION_STATE, what);
    }
    let received = secrets.secrets_received();
    if let Some(remote) = &parts.remote
        && !parts.info.status.contains(ChannelStatus::RESTORED)
        && remote.height.0 != received
    {
        let what = format!("{received} secrets, but the peer's commitment is {}", remote.height);
        report(Severity::Inconsistency, key::REVOCATION_STATE, what);
    }
}
