//! Revoked states.

use channelcoord::ChangeSet;
use chanstate::facet::{CommitmentStore, RevocationLogStore};
use chanstate::key::{KeyPart, Kind};
use chanstate::record::RevokedCommitmentRecord;
use chanstate::transition::{AdvanceTail, Options};
use chanstate::{
    ChannelNo, CommitmentHeight, PreviousState, Record, Rejection, RevokedCommitment, Side,
};

use crate::values::{self, outpoint};
use crate::{End, Host, Place, inspect, rejection};

/// Every revoked state is found under its height with what it held.
/// Obligations: `revocation/every_height`, `revocation/tail`, `revocation/no_dust`.
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
/// Obligations: `revocation/unknown_state`, `revocation/tail`.
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
/// Obligations: `revocation/no_amounts`.
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

/// Output indexes are kept: none, zero and the largest.
/// Obligations: `revocation/every_height`.
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
/// Obligations: `revocation/secrets`.
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

/// Of an imported channel the current log is asked first, then the deprecated one.
/// Obligations: `revocation/current_first`, `revocation/tail`, `revocation/unknown_state`.
pub(crate) async fn the_current_log_is_asked_first(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    host.rounds(&mut exchange, 4).await;
    // Both logs have height 0, the deprecated one alone has 1, none has 2.
    let states = inspect::records(host.backend.as_ref(), Kind::RevokedState).await;
    let no = ChannelNo(match states[0].key().parts[0] {
        KeyPart::Int(no) => no,
        _ => panic!("the log is kept by channel"),
    });
    let deprecated = |height| values::commitment(9, Side::Remote, height, Vec::new());
    let record = |height| {
        let revoked =
            RevokedCommitment { commitment: deprecated(height), trailing: Default::default() };
        let height = CommitmentHeight(height);
        channelcoord::Record::Channel(Record::RevokedCommitment(RevokedCommitmentRecord {
            no,
            height,
            revoked,
        }))
    };
    let puts = vec![record(0), record(1)];
    let removes = vec![states[1].key(), states[2].key()];
    let host = host.rewritten(ChangeSet { puts, removes, ..ChangeSet::default() }).await;
    let at = async |height| host.previous_state(point, CommitmentHeight(height)).await;
    assert_eq!(at(0).await.unwrap(), PreviousState::State(exchange.revoked[0].clone()));
    let whole = PreviousState::Commitment(Box::new(deprecated(1)));
    assert_eq!(at(1).await.unwrap(), whole);
    let unknown = rejection(at(2).await);
    assert_eq!(unknown, Rejection::UnknownState(CommitmentHeight(2)));
    assert_eq!(at(3).await.unwrap(), PreviousState::State(exchange.revoked[3].clone()));
    assert_eq!(host.revocation_log_tail(point).await.unwrap(), Some(CommitmentHeight(3)));
}

/// A revoked state keeps the blob of its commitment and what its HTLCs carried: absent, empty and
/// long.
/// Obligations: `revocation/every_height`, `facet/read_back`.
pub(crate) async fn blobs_of_revoked_states_are_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let blobs = [None, Some(bytes::Bytes::new()), Some(values::bytes("blob", 1, 100_000))];
    // The commitment at height 0 is the channel's first.
    for blob in blobs.iter().chain([&None]) {
        let mut append = exchange.append();
        append.pending.commitment.custom_blob = blob.clone();
        host.append_remote(exchange.point, append.clone()).await.unwrap();
        exchange.stored_append(&append);
        host.take_revocation(&mut exchange).await;
    }
    let host = host.reopen().await;
    for (height, blob) in (1..).zip(blobs) {
        let state = host.previous_state(exchange.point, CommitmentHeight(height)).await.unwrap();
        let PreviousState::State(state) = state else { panic!("not of this store") };
        assert_eq!(state.custom_blob, blob);
    }
}

/// A revoked output or HTLC beyond the largest index is refused, and the peer's commitment stays.
/// Obligations: `revocation/every_height`, `facet/nothing_on_error`.
pub(crate) async fn an_output_index_too_large_is_refused(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    exchange.we_add(1_000_000);
    let point = exchange.point;
    let mut append = exchange.append();
    append.pending.commitment.htlcs[0].output_index = Some(65_535);
    host.append_remote(point, append.clone()).await.unwrap();
    exchange.stored_append(&append);
    for too_large in [65_535, 65_536, u32::MAX] {
        let advance = exchange.advance();
        let ours = AdvanceTail { our_output_index: Some(too_large), ..advance.clone() };
        let theirs = AdvanceTail { their_output_index: Some(too_large), ..advance };
        for advance in [ours, theirs] {
            let refused = host.refused(host.advance_tail(point, advance)).await;
            assert_eq!(refused, Rejection::OutputIndex(too_large));
        }
    }
    host.take_revocation(&mut exchange).await;
    host.sign(&mut exchange).await;
    let refused = host.refused(host.advance_tail(point, exchange.advance())).await;
    assert_eq!(refused, Rejection::OutputIndex(65_535));
    host.check(&exchange).await;
}
