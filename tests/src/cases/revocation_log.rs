//! Revoked states.

use chanstate::facet::{CommitmentStore, RevocationLogStore};
use chanstate::transition::Options;
use chanstate::{CommitmentHeight, PreviousState, Rejection};

use crate::values::{self, outpoint};
use crate::{End, Host, Place};

/// Every revoked state is found under its height with what it held.
pub(crate) async fn every_revoked_state_is_found(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    for n in 0..6 {
        // One of the incoming ones is dust, one carries a custom record.
        exchange.we_add(1_000_000 + n);
        exchange.they_add(if n == 2 { 1 } else { 2_000_000 });
        host.round(&mut exchange).await;
        if let Some(id) = exchange.ours_to_end().first().filter(|_| n % 2 == 1) {
            exchange.we_end(*id, End::Settle);
        }
    }
    assert!(exchange.revoked.iter().any(|s| s.htlcs.iter().any(|h| h.custom_records.is_some())));
    let host = host.reopen().await;
    for state in &exchange.revoked {
        let found = host.previous_state(point, state.height).await.unwrap();
        assert_eq!(found, PreviousState::State(state.clone()));
    }
    assert_eq!(host.revocation_log_tail(point).await.unwrap(), Some(CommitmentHeight(5)));
    let secrets = host.remote_revocation(point).await.unwrap().secrets;
    assert_eq!((secrets.secrets_received(), secrets.verify()), (6, Ok(())));
}

/// A height that was not revoked is unknown, also when nothing was revoked, and the tail is absent.
pub(crate) async fn a_height_without_a_state_is_unknown(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    let unknown = async |host: &Host<'_>, height| {
        let height = CommitmentHeight(height);
        let refused = host.refused(host.previous_state(point, height)).await;
        assert_eq!(refused, Rejection::UnknownState(height));
    };
    unknown(&host, 0).await;
    assert_eq!(host.revocation_log_tail(point).await.unwrap(), None);
    host.sign(&mut exchange).await;
    unknown(&host, 0).await;
    host.take_revocation(&mut exchange).await;
    for height in [1, 2, 1 << 63, u64::MAX] {
        unknown(&host, height).await;
    }
    assert_eq!(host.revocation_log_tail(point).await.unwrap(), Some(CommitmentHeight(0)));
    let nowhere = outpoint(2);
    let refused = host.refused(host.previous_state(nowhere, CommitmentHeight(0))).await;
    assert_eq!(refused, Rejection::UnknownChannel(nowhere));
    let refused = host.refused(host.revocation_log_tail(nowhere)).await;
    assert_eq!(refused, Rejection::UnknownChannel(nowhere));
}

/// With the option, states carry no balances, and say so.
pub(crate) async fn balances_are_left_out_on_request(place: &dyn Place) {
    let options = Options { no_revocation_log_amounts: true, ..Options::default() };
    let host = Host::with(place, options).await;
    let mut exchange = host.exchange(1).await;
    exchange.we_add(1_000_000);
    host.rounds(&mut exchange, 2).await;
    let host = host.reopen().await;
    for expected in &exchange.revoked {
        let state = host.previous_state(exchange.point, expected.height).await.unwrap();
        let PreviousState::State(state) = state else { panic!("not of this store") };
        assert_eq!((state.our_balance, state.their_balance), (None, None));
        assert_eq!(state.htlcs, expected.htlcs);
    }
}

/// Output indexes: none, zero and the largest one.
pub(crate) async fn output_indexes_are_kept_up_to_the_largest(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    for (height, ours, theirs) in [(0, None, Some(0)), (1, Some(65_534), None)] {
        host.sign(&mut exchange).await;
        let mut advance = exchange.advance();
        (advance.our_output_index, advance.their_output_index) = (ours, theirs);
        host.advance_tail(point, advance.clone()).await.unwrap();
        exchange.stored_advance(&advance);
        let state = host.previous_state(point, CommitmentHeight(height)).await.unwrap();
        let PreviousState::State(state) = state else { panic!("not of this store") };
        assert_eq!(state.our_output_index.map(u32::from), ours);
        assert_eq!(state.their_output_index.map(u32::from), theirs);
    }
}

/// A log of many states: each secret replaces one bucket, and all can be derived.
pub(crate) async fn secrets_of_a_long_log_can_be_derived(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    for _ in 0..33 {
        host.sign(&mut exchange).await;
        host.take_revocation(&mut exchange).await;
    }
    let host = host.reopen().await;
    let secrets = host.remote_revocation(exchange.point).await.unwrap().secrets;
    for height in 0..33 {
        let secret = chanstate::shachain::derive_secret(&values::peer_seed(1), height).unwrap();
        assert_eq!(secrets.lookup(height), Some(secret));
    }
    assert_eq!((secrets.lookup(33), secrets.buckets().len()), (None, 6));
}
