//! What a side may offer (BOLT 2, "Adding an HTLC").

use chanstate::{ChannelConfig, Commitment, Direction, MilliSatoshi};

/// Expiries from here on are times, not block heights (BIP 65).
const FIRST_TIME: u32 = 500_000_000;

/// Checks an HTLC by itself against the limits of the side that offers it.
pub(crate) fn check_htlc(
    limits: &ChannelConfig,
    amount: MilliSatoshi,
    cltv_expiry: u32,
) -> Result<(), &'static str> {
    let faults = [
        (amount.0 == 0, "an HTLC of nothing"),
        (amount < limits.min_htlc, "an HTLC below the minimum"),
        (cltv_expiry >= FIRST_TIME, "an expiry that is no block height"),
    ];
    first(&faults)
}

/// Checks the commitment that an HTLC or a fee rate of one side would give the other side. The
/// reserve may be short of what the sender could not know, `unforeseen` msat.
pub(crate) fn check_commitment(
    limits: &ChannelConfig,
    next: &Commitment,
    sender: Direction,
    unforeseen: u64,
) -> Result<(), &'static str> {
    let offered = next.htlcs.iter().filter(|htlc| htlc.direction == sender);
    let in_flight: u64 = offered.clone().map(|htlc| htlc.terms.amount.0).sum();
    let left = match sender {
        Direction::Outgoing => next.local_balance,
        Direction::Incoming => next.remote_balance,
    };
    let reserve = limits.channel_reserve.to_sat() * 1000;
    let faults = [
        (offered.count() > usize::from(limits.max_accepted_htlcs), "too many HTLCs"),
        (in_flight > limits.max_pending_amount.0, "too much in flight"),
        (left.0.saturating_add(unforeseen) < reserve, "less than the reserve is left"),
    ];
    first(&faults)
}

fn first(faults: &[(bool, &'static str)]) -> Result<(), &'static str> {
    faults.iter().find(|(found, _)| *found).map_or(Ok(()), |(_, fault)| Err(fault))
}
