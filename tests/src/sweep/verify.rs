//! What must hold when both nodes have come to rest.

use std::collections::BTreeMap;

use bitcoin::Amount;
use chanstate::facet::{
    CommitmentStore, ForwardingPackageStore, LifecycleStore, RevocationLogStore,
};
use chanstate::key::Kind;
use chanstate::shachain::derive_secret;
use chanstate::{
    Commitment, Direction, HtlcId, MilliSatoshi, PreviousState, RevokedState, ShortChannelId,
};
use node_core::Outcome;

use super::ledger::{Payment, was_refused};
use super::party::{
    DUST_LIMITS, INITIAL_BALANCE, LEAST_HTLCS, Life, MOST_HTLCS, MOST_IN_FLIGHT, Party, root, scid,
};
use super::run::{Divergence, Run};
use crate::inspect;

/// HTLCs by channel, node that offered them, and payment hash.
type Offered = BTreeMap<(ShortChannelId, usize, [u8; 32]), BTreeMap<HtlcId, MilliSatoshi>>;

/// Stops both nodes once more, and checks what they have then.
pub(crate) async fn check(run: &mut Run<'_>) -> Result<(), Divergence> {
    for party in &mut run.parties {
        party.restart().await.map_err(|error| format!("last restart: {error:?}"))?;
    }
    check_endings(run)?;
    check_offers(run)?;
    check_limits(run)?;
    for number in run.numbers.clone() {
        check_agreement(run, number)?;
        for who in 0..2 {
            check_balance(run, number, who).await?;
            check_log(run, number, who).await?;
        }
    }
    for who in 0..2 {
        check_leftovers(run, who).await?;
    }
    Ok(())
}

/// At any time: what was answered was decided before.
pub(crate) async fn check_packages(party: &mut Party<'_>) -> Result<(), Divergence> {
    let (points, store) = (party.points().to_vec(), party.life().store.clone());
    for point in points {
        let packages = store.forwarding_packages(point).await;
        for package in packages.map_err(|error| format!("packages: {error:?}"))? {
            let answered = (0..package.ack_filter.count()).any(|i| package.ack_filter.contains(i));
            let decided = package.forward_filter.is_some();
            require(decided || !answered, || format!("answered, not decided: {package:?}"))?;
        }
    }
    Ok(())
}

/// Each payment ended as it was meant to, and its payer was told nothing else.
fn check_endings(run: &mut Run<'_>) -> Result<(), Divergence> {
    for payment in run.ledger.payments() {
        let endings = run.ledger.endings(payment);
        let ending = endings.first().ok_or(format!("{payment:?} did not end"))?;
        let same = endings.iter().all(|other| other == ending);
        require(same && payment.may_end(ending), || format!("{payment:?} ended as {endings:?}"))?;
        let report = &mut run.report;
        match ending {
            Outcome::Settled(_) => report.settled += 1,
            Outcome::Failed(_) => report.failed += 1,
        }
        if was_refused(ending) {
            report.refused += 1;
        } else {
            report.forwarded += payment.hops.len() as u64 - 1;
        }
    }
    Ok(())
}

/// Each hop was offered once, with its amount, and nothing else was offered.
fn check_offers(run: &Run<'_>) -> Result<(), Divergence> {
    let mut offered = Offered::new();
    for ((who, scid, _), commitment) in &run.history {
        for htlc in &commitment.htlcs {
            let offerer = if htlc.direction == Direction::Outgoing { *who } else { 1 - who };
            let ids = offered.entry((*scid, offerer, htlc.terms.payment_hash)).or_default();
            ids.insert(htlc.id, htlc.terms.amount);
        }
    }
    let mut meant = BTreeMap::<_, Vec<MilliSatoshi>>::new();
    for payment in run.ledger.payments() {
        let refused = run.ledger.endings(payment).iter().any(was_refused);
        for (hop, offerer) in hops(payment) {
            let key = (hop.scid, offerer, payment.hash());
            let reached = !refused || offered.contains_key(&key);
            if reached {
                meant.entry(key).or_default().push(hop.amount);
            }
        }
    }
    let found: BTreeMap<_, Vec<_>> =
        offered.iter().map(|(key, ids)| (*key, inspect::sorted(ids.values().copied()))).collect();
    meant.values_mut().for_each(|amounts| amounts.sort());
    for (key, amounts) in &found {
        let of = meant.get(key);
        // A payment that was refused on its way may have come by a channel once instead of twice.
        let all =
            of.is_some_and(|of| of == amounts || refused_hash(run, &key.2) && is_part(amounts, of));
        require(all, || format!("{key:?} offered {amounts:?}, meant {of:?}"))?;
    }
    let lost = meant.keys().find(|key| !found.contains_key(key));
    require(lost.is_none(), || format!("{lost:?} was never offered"))
}

fn refused_hash(run: &Run<'_>, hash: &[u8; 32]) -> bool {
    let mut payments = run.ledger.payments().iter();
    payments.any(|p| p.hash() == *hash && run.ledger.endings(p).iter().any(was_refused))
}

/// Whether each amount is among all of them, as often as it is there.
fn is_part(some: &[MilliSatoshi], all: &[MilliSatoshi]) -> bool {
    let mut left = all.to_vec();
    some.iter().all(|amount| {
        let found = left.iter().position(|other| other == amount);
        found.map(|at| left.swap_remove(at)).is_some()
    })
}

/// No commitment had more HTLCs of a node than it may offer, nor smaller ones.
fn check_limits(run: &Run<'_>) -> Result<(), Divergence> {
    for ((who, scid, height), commitment) in &run.history {
        for (offerer, direction) in [(*who, Direction::Outgoing), (1 - who, Direction::Incoming)] {
            let offered = commitment.htlcs.iter().filter(|htlc| htlc.direction == direction);
            let amounts: Vec<_> = offered.map(|htlc| htlc.terms.amount).collect();
            let kept = amounts.len() <= usize::from(MOST_HTLCS[offerer])
                && amounts.iter().map(|amount| amount.0).sum::<u64>() <= MOST_IN_FLIGHT[offerer].0
                && amounts.iter().all(|amount| *amount >= LEAST_HTLCS[offerer]);
            require(kept, || format!("{scid}/{height}: node {offerer} offers {amounts:?}"))?;
        }
    }
    Ok(())
}

/// Each hop of a payment with the node that offers it.
fn hops(payment: &Payment) -> impl Iterator<Item = (&node_core::Hop, usize)> {
    payment.hops.iter().zip([payment.payer, 1 - payment.payer].into_iter().cycle())
}

/// Both nodes have the same commitments of both sides, empty.
fn check_agreement(run: &mut Run<'_>, number: u64) -> Result<(), Divergence> {
    let [a, b] = &mut run.parties;
    let scid = scid(number);
    let (a, b) = (a.node().channel(scid), b.node().channel(scid));
    let (a, b) = (a.ok_or("no channel")?, b.ok_or("no channel")?);
    for (own, other) in [(a.local(), b.remote()), (b.local(), a.remote())] {
        let same = own.height == other.height
            && own.commit_tx == other.commit_tx
            && own.commit_fee == other.commit_fee
            && own.local_balance == other.remote_balance
            && own.remote_balance == other.local_balance
            && own.local_log_index == other.remote_log_index
            && own.remote_log_index == other.local_log_index
            && own.htlcs.is_empty()
            && other.htlcs.is_empty();
        require(same, || format!("{scid}: own {own:?}, the other's {other:?}"))?;
    }
    Ok(())
}

/// The node has what the payments left it, and so do its totals.
async fn check_balance(run: &mut Run<'_>, number: u64, who: usize) -> Result<(), Divergence> {
    let scid = scid(number);
    let (mut sent, mut received) = (0, 0);
    for payment in run.ledger.payments() {
        let settled = run.ledger.endings(payment).iter().any(|e| matches!(e, Outcome::Settled(_)));
        for (hop, offerer) in hops(payment).filter(|(hop, _)| settled && hop.scid == scid) {
            *if offerer == who { &mut sent } else { &mut received } += hop.amount.0;
        }
    }
    let point = crate::values::outpoint(number);
    let Life { store, node, .. } = run.parties[who].life();
    let channel = node.channel(scid).ok_or("no channel")?;
    let local = channel.local();
    let fee = if channel.initiator() { local.commit_fee.to_sat() * 1000 } else { 0 };
    let (found, meant) = (local.local_balance.0 + fee, INITIAL_BALANCE.0 + received - sent);
    require(found == meant, || format!("{scid} of node {who}: {found} instead of {meant} msat"))?;
    let stored = store.refresh(point).await.map_err(|error| format!("refresh: {error:?}"))?;
    let totals = (stored.total_sent.0, stored.total_received.0);
    require(totals == (sent, received), || format!("{scid}: totals {totals:?} of node {who}"))
}

/// Each commitment that the other node revoked is in the log, with its secret.
async fn check_log(run: &mut Run<'_>, number: u64, who: usize) -> Result<(), Divergence> {
    let (scid, point) = (scid(number), crate::values::outpoint(number));
    let Life { store, node, .. } = run.parties[who].life();
    let (store, revoked) = (store.clone(), node.channel(scid).ok_or("no channel")?.remote().height);
    let revealed = store.remote_revocation(point).await.map_err(|e| format!("secrets: {e:?}"))?;
    for height in 0..revoked.0 {
        let secret = derive_secret(&root(number, 1 - who), height).ok();
        let same = revealed.secrets.lookup(height) == secret;
        require(same, || format!("{scid}/{height}: wrong secret at node {who}"))?;
        let state = store.previous_state(point, height.into()).await;
        let Ok(PreviousState::State(state)) = state else {
            return Err(format!("{scid}/{height} is not in the log of node {who}: {state:?}"));
        };
        let meant = run.history.get(&(1 - who, scid, height));
        let same = meant.is_some_and(|meant| is_revoked(&state, meant, DUST_LIMITS[1 - who]));
        require(same, || format!("{scid}/{height} of node {who}: {state:?} for {meant:?}"))?;
        run.report.revoked += 1;
    }
    Ok(())
}

/// Whether a state in the log is the commitment that its owner had, with the owner's dust limit.
fn is_revoked(state: &RevokedState, owned: &Commitment, dust_limit: Amount) -> bool {
    let output = |index: Option<u16>, balance: MilliSatoshi| match index {
        None => balance.0 < dust_limit.to_sat() * 1000,
        Some(index) => {
            let output = owned.commit_tx.output.get(usize::from(index));
            output.is_some_and(|output| output.value.to_sat() == balance.0 / 1000)
        }
    };
    let htlcs = owned.htlcs.iter().filter_map(|htlc| {
        let flipped = match htlc.direction {
            Direction::Outgoing => Direction::Incoming,
            Direction::Incoming => Direction::Outgoing,
        };
        let amount = htlc.terms.amount.0 / 1000;
        Some((flipped, Some(htlc.id), htlc.terms.payment_hash, amount, htlc.output_index?))
    });
    let found = state.htlcs.iter().map(|htlc| {
        let index = u32::from(htlc.output_index);
        (htlc.direction, htlc.id, htlc.payment_hash, htlc.amount_sat, index)
    });
    state.height == owned.height
        && state.commit_txid == owned.commit_tx.compute_txid()
        && state.our_balance == Some(owned.remote_balance)
        && state.their_balance == Some(owned.local_balance)
        && output(state.our_output_index, owned.remote_balance)
        && output(state.their_output_index, owned.local_balance)
        && htlcs.eq(found)
}

/// Nothing is kept of what is over: no package, no circuit, no HTLC.
async fn check_leftovers(run: &mut Run<'_>, who: usize) -> Result<(), Divergence> {
    let points = run.parties[who].points().to_vec();
    let Life { store, stopper, .. } = run.parties[who].life();
    for point in &points {
        let packages = store.forwarding_packages(*point).await;
        let none = packages.as_ref().is_ok_and(Vec::is_empty);
        require(none, || format!("node {who} keeps packages: {packages:?}"))?;
    }
    let circuits = inspect::count(stopper.as_ref(), Kind::OpeningState).await;
    require(circuits == 0, || format!("node {who} keeps {circuits} circuits"))?;
    let htlcs = inspect::stored_htlcs(stopper.as_ref()).await;
    let none = points.iter().all(|point| htlcs.get(point).is_some_and(|ids| ids.is_empty()));
    require(none, || format!("node {who} keeps HTLCs: {htlcs:?}"))
}

fn require(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Divergence> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_amount_is_no_part() {
        let [a, b] = [1, 2].map(MilliSatoshi);
        assert!(is_part(&[b], &[a, b]) && is_part(&[a, a], &[a, b, a]));
        assert!(!is_part(&[a, a], &[a, b]));
    }
}
