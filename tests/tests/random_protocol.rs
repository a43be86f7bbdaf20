//! Random sequences of commitment operations on two channels: what a store keeps, what it loads
//! and what both sides expect stay the same.

#![allow(clippy::unwrap_used, reason = "a property fails by panicking")]

use channelcoord::PeerChannelStore;
use chanstate::facet::{CommitmentStore, ForwardingPackageStore, RevocationLogStore};
use chanstate::{AddRef, CommitmentHeight, Filter, PreviousState, SettleFailRef};
use conformance::{End, Exchange, Host, InMemory, Reads, values};
use proptest::prelude::*;
use proptest::sample::Index;

/// One thing that happens to a channel.
#[derive(Clone, Debug)]
enum Step {
    WeAdd(u64),
    TheyAdd(u64),
    WeEnd(Index, usize),
    TheyEnd(Index, usize),
    WeSetFee,
    Sign { own: Option<Index>, other: Option<Index> },
    TakeRevocation,
    Revoke,
    Forward(Index),
    Remove(Index),
    Refused,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let end = || (any::<Index>(), 0..3usize);
    let ack = || proptest::option::of(any::<Index>());
    prop_oneof![
        3 => (1..3_000_000u64).prop_map(Step::WeAdd),
        3 => (1..3_000_000u64).prop_map(Step::TheyAdd),
        2 => end().prop_map(|(index, end)| Step::WeEnd(index, end)),
        2 => end().prop_map(|(index, end)| Step::TheyEnd(index, end)),
        1 => Just(Step::WeSetFee),
        5 => (ack(), ack()).prop_map(|(own, other)| Step::Sign { own, other }),
        5 => Just(Step::TakeRevocation),
        5 => Just(Step::Revoke),
        1 => any::<Index>().prop_map(Step::Forward),
        1 => any::<Index>().prop_map(Step::Remove),
        1 => Just(Step::Refused),
        1 => Just(Step::Reopen),
    ]
}

const ENDS: [End; 3] = [End::Settle, End::Fail, End::Malformed];

/// Carries out a step on `exchange`; `other` is the channel beside it.
async fn take(host: &Host<'_>, exchange: &mut Exchange, other: &mut Exchange, step: &Step) {
    match step {
        Step::WeAdd(amount) => drop(exchange.we_add(*amount)),
        Step::TheyAdd(amount) => drop(exchange.they_add(*amount)),
        Step::WeEnd(index, end) => match exchange.ours_to_end() {
            ids if ids.is_empty() => {}
            ids => exchange.we_end(*index.get(&ids), ENDS[*end]),
        },
        Step::TheyEnd(index, end) => match exchange.theirs_to_end() {
            ids if ids.is_empty() => {}
            ids => exchange.they_end(*index.get(&ids), ENDS[*end]),
        },
        Step::WeSetFee => exchange.we_set_fee(),
        Step::Sign { .. } if exchange.pending.is_some() => {
            let again = exchange.append();
            let refused = host.still(host.append_remote(exchange.point, again)).await;
            // The same one again if nothing happened since.
            assert!(
                refused.is_ok() || exchange.append().pending != *exchange.pending.as_ref().unwrap()
            );
        }
        Step::Sign { own, other: foreign } => sign(host, exchange, other, own, foreign).await,
        Step::TakeRevocation if exchange.pending.is_none() => {}
        Step::TakeRevocation => host.take_revocation(exchange).await,
        Step::Revoke => drop(host.revoke(exchange).await),
        Step::Forward(index) => {
            let Some((height, adds)) = pick(exchange, index, |p| p.adds.len()) else { return };
            let filter = Filter::empty(adds as u16);
            let package = exchange.packages.get_mut(&height).unwrap();
            package.forward_filter.get_or_insert(filter.clone());
            host.set_forward_filter(exchange.point, height, filter).await.unwrap();
        }
        Step::Remove(index) => {
            let Some((height, _)) = pick(exchange, index, |_| 1) else { return };
            exchange.packages.remove(&height);
            host.remove_forwarding_packages(exchange.point, &[height]).await.unwrap();
        }
        Step::Refused => {
            let mut update = exchange.update();
            update.commitment.height.0 += 1;
            host.still(host.update_local(exchange.point, update)).await.unwrap_err();
            let refused =
                host.open_channel(values::new_channel(1, values::peer(9)), values::link_node(9));
            host.still(refused).await.unwrap_err();
        }
        Step::Reopen => {}
    }
}

/// Signs, with an acknowledgement in a package of each channel.
async fn sign(
    host: &Host<'_>,
    exchange: &mut Exchange,
    other: &mut Exchange,
    own: &Option<Index>,
    foreign: &Option<Index>,
) {
    let mut append = exchange.append();
    let add =
        own.as_ref().and_then(|index| Some((index, pick(exchange, index, |p| p.adds.len())?)));
    if let Some((index, (height, adds))) = add.filter(|(_, (_, adds))| *adds > 0) {
        append.ack_adds.push(AddRef { height, index: index.index(adds) as u16 });
    }
    let end = foreign.as_ref();
    let end = end.and_then(|index| Some((index, pick(other, index, |p| p.settle_fails.len())?)));
    if let Some((index, (height, ends))) = end.filter(|(_, (_, ends))| *ends > 0) {
        let index = index.index(ends) as u16;
        append.ack_settle_fails.push(SettleFailRef { source: other.scid, height, index });
        let package = other.packages.get_mut(&height).unwrap();
        package.settle_fail_filter = package.settle_fail_filter.with(index).unwrap();
    }
    host.append_remote(exchange.point, append.clone()).await.unwrap();
    exchange.stored_append(&append);
}

/// Height of one of the packages, and how many of something it has.
fn pick(
    exchange: &Exchange,
    index: &Index,
    count: impl Fn(&chanstate::ForwardingPackage) -> usize,
) -> Option<(CommitmentHeight, usize)> {
    let packages: Vec<_> = exchange.packages.values().collect();
    (!packages.is_empty()).then(|| index.get(&packages)).map(|p| (p.height, count(p)))
}

async fn play(steps: &[(bool, Step)]) {
    let place = InMemory::default();
    let mut host = Host::new(&place).await;
    let mut exchanges = [host.exchange(1).await, host.exchange(2).await];
    let points = exchanges.clone().map(|exchange| exchange.point);
    for (second, step) in steps.iter().chain([&(false, Step::Reopen)]) {
        let [one, two] = &mut exchanges;
        let (exchange, other) = if *second { (two, one) } else { (one, two) };
        take(&host, exchange, other, step).await;
        if matches!(step, Step::Reopen) {
            let kept = Reads::of(&host, &points).await;
            host = host.reopen().await;
            assert_eq!(Reads::of(&host, &points).await, kept);
        }
        for exchange in &exchanges {
            host.check(exchange).await;
        }
    }
    for exchange in &exchanges {
        for state in &exchange.revoked {
            let found = host.previous_state(exchange.point, state.height).await.unwrap();
            assert_eq!(found, PreviousState::State(state.clone()));
        }
        let tail = host.revocation_log_tail(exchange.point).await.unwrap();
        assert_eq!(tail, exchange.revoked.last().map(|state| state.height));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn one_channel_is_kept_as_it_is_loaded(steps in proptest::collection::vec(step(), 1..60)) {
        let steps: Vec<_> = steps.into_iter().map(|step| (false, step)).collect();
        pollster::block_on(play(&steps));
    }

    #[test]
    fn two_channels_are_kept_as_they_are_loaded(
        steps in proptest::collection::vec((any::<bool>(), step()), 1..80),
    ) {
        pollster::block_on(play(&steps));
    }
}
