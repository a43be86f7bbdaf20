//! An HTLC is stored once, however many refer to it, and as long as anything does.

use chanstate::facet::{CommitmentStore, ForwardingPackageStore, RevocationLogStore};
use chanstate::key::Kind;
use chanstate::{
    Commitment, CommitmentHeight, Direction, HtlcId, LogUpdate, MilliSatoshi, PreviousState, Side,
};

use crate::values::{self, peer};
use crate::{End, Host, Place, inspect};

/// An HTLC in both commitments, the pending one, a list and a package has one record.
/// Obligations: `commitment/stored_once`.
pub(crate) async fn an_htlc_is_stored_once(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    exchange.we_add(1_000_000);
    exchange.they_add(2_000_000);
    host.rounds(&mut exchange, 3).await;
    host.sign(&mut exchange).await;
    let backend = host.backend.as_ref();
    assert_eq!(inspect::count(backend, Kind::Htlc).await, 2);
    assert_eq!(inspect::count(backend, Kind::Commitment).await, 3);
    assert_eq!(inspect::count(backend, Kind::Package).await, 3);
}

/// The record goes with the last reference: here the package's.
/// Obligations: `commitment/stored_once`.
pub(crate) async fn a_record_goes_with_the_last_reference(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let id = exchange.they_add(2_000_000);
    host.revoke(&mut exchange).await;
    host.round(&mut exchange).await;
    exchange.we_end(id, End::Settle);
    host.rounds(&mut exchange, 2).await;
    assert_eq!(exchange.local.htlcs, []);
    let backend = host.backend.as_ref();
    assert_eq!(inspect::count(backend, Kind::Htlc).await, 1, "the package still needs it");
    let host = host.reopen().await;
    let adds: Vec<_> =
        host.packages(exchange.point).await.into_iter().flat_map(|p| p.adds).collect();
    assert_eq!(adds.len(), 1);
    let heights: Vec<_> = exchange.packages.keys().copied().collect();
    host.remove_forwarding_packages(exchange.point, &heights).await.unwrap();
    assert_eq!(inspect::count(host.backend.as_ref(), Kind::Htlc).await, 0);
}

/// A commitment whose HTLC differs from the record keeps the difference.
/// Obligations: `facet/read_back`, `commitment/stored_once`.
pub(crate) async fn other_terms_under_the_same_id_are_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let exchange = host.exchange(1).await;
    let mut htlcs = values::htlcs_both_ways(2);
    let update = |height, htlcs| {
        let mut update = exchange.update();
        update.commitment = values::commitment(1, Side::Local, height, htlcs);
        update
    };
    host.update_local(exchange.point, update(1, htlcs.clone())).await.unwrap();
    htlcs[0].terms.extra = values::htlc_terms(2, 0).extra;
    htlcs[1].terms.onion = values::bytes("another onion", 1, 1366);
    htlcs[2].terms.amount = MilliSatoshi(7);
    htlcs[3].terms.cltv_expiry = 0;
    for height in 2..4 {
        let update = update(height, htlcs.clone());
        host.update_local(exchange.point, update.clone()).await.unwrap();
        let latest = host.latest_commitments(exchange.point).await.unwrap();
        assert_eq!(latest.local, update.commitment);
    }
    let host = host.reopen().await;
    let latest = host.latest_commitments(exchange.point).await.unwrap();
    assert_eq!(latest.local.htlcs, htlcs);
    assert_eq!(inspect::count(host.backend.as_ref(), Kind::Htlc).await, 4);
    // Once the odd ones are gone, so are the records.
    host.update_local(exchange.point, update(4, vec![])).await.unwrap_err();
    let mut empty = update(4, vec![]);
    empty.commitment.local_log_index = 2.into();
    empty.commitment.remote_log_index = 2.into();
    empty.commitment.local_htlc_index = HtlcId(2);
    empty.commitment.remote_htlc_index = HtlcId(2);
    host.update_local(exchange.point, empty).await.unwrap();
    assert_eq!(inspect::count(host.backend.as_ref(), Kind::Htlc).await, 0);
}

/// An add whose message says something else than the commitment reads back as it was sent, from a
/// list, the pending updates and a package.
/// Obligations: `commitment/messages`.
pub(crate) async fn other_messages_under_the_same_id_are_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    let id = exchange.they_add(2_000_000).0;
    exchange.we_add(3_000_000);
    // Another channel id, other records, an amount that the commitment does not have.
    let channel = exchange.id;
    let odd = |update: &LogUpdate, direction| {
        let mut terms = values::htlc_terms(2 * id + direction as u64, 1);
        terms.extra = bytes::Bytes::from_static(&[0x2a, 0x01, 0x07]);
        let message = values::add_message(channel, id, &terms);
        LogUpdate { message, ..update.clone() }
    };
    let mut update = exchange.update();
    update.unsigned_acked = vec![odd(&update.unsigned_acked[0], Direction::Incoming)];
    host.update_local(point, update.clone()).await.unwrap();
    exchange.stored_update(&update);
    let mut append = exchange.append();
    append.pending.updates = vec![odd(&append.pending.updates[0], Direction::Outgoing)];
    host.append_remote(point, append.clone()).await.unwrap();
    exchange.stored_append(&append);
    let host = host.reopen().await;
    host.check(&exchange).await;
    let mut advance = exchange.advance();
    advance.package.adds = vec![odd(&advance.package.adds[0], Direction::Incoming)];
    advance.remote_unsigned_local = append.pending.updates;
    host.advance_tail(point, advance.clone()).await.unwrap();
    exchange.stored_advance(&advance);
    let host = host.reopen().await;
    host.check(&exchange).await;
    assert_eq!(host.packages(point).await, [advance.package]);
}

/// The most HTLCs that BOLT 2 allows, 483 in each direction, are kept.
/// Obligations: `facet/read_back`, `revocation/every_height`.
pub(crate) async fn the_most_htlcs_are_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    for n in 0..483 {
        exchange.we_add(1_000_000 + n);
        exchange.they_add(1_000_000 + n);
    }
    host.revoke(&mut exchange).await;
    host.round(&mut exchange).await;
    assert_eq!(exchange.local.htlcs.len(), 966);
    let host = host.reopen().await;
    host.check(&exchange).await;
    assert_eq!(host.packages(exchange.point).await[0].adds.len(), 483);
    host.round(&mut exchange).await;
    let state = host.previous_state(exchange.point, CommitmentHeight(1)).await.unwrap();
    let PreviousState::State(state) = state else { panic!("not of this store") };
    assert_eq!(state.htlcs.len(), 966);
}

/// Channels do not share HTLC records, whatever their ids.
/// Obligations: `facet/one_channel`.
pub(crate) async fn channels_do_not_share_htlcs(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchanges = [host.exchange(1).await, host.exchange(2).await];
    for exchange in &mut exchanges {
        exchange.we_add(1_000_000 + exchange.scid.0 % 1000);
        exchange.they_add(1_000_000);
        host.revoke(exchange).await;
        host.round(exchange).await;
    }
    assert_eq!(inspect::count(host.backend.as_ref(), Kind::Htlc).await, 4);
    let [mut first, second] = exchanges;
    for id in first.ours_to_end() {
        first.we_end(id, End::Fail);
    }
    host.rounds(&mut first, 2).await;
    let latest = host.reopen().await.latest_commitments(second.point).await.unwrap();
    assert_eq!((latest.local, latest.remote), (second.local, second.remote));
}

/// HTLCs of the first commitments are kept too.
/// Obligations: `facet/read_back`, `commitment/stored_once`.
pub(crate) async fn htlcs_of_the_first_commitments_are_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut new = values::new_channel(1, peer(1));
    new.local_commitment = values::commitment(1, Side::Local, 0, values::htlcs_both_ways(1));
    let outgoing = values::htlcs_both_ways(2).split_off(2);
    new.remote_commitment = values::commitment(1, Side::Remote, 0, outgoing);
    let point = host.open_as(new.clone(), 1).await;
    assert_eq!(inspect::count(host.backend.as_ref(), Kind::Htlc).await, 4);
    let latest = host.reopen().await.latest_commitments(point).await.unwrap();
    assert_eq!((latest.local, latest.remote), (new.local_commitment, new.remote_commitment));
}

/// The same id in the other direction is another HTLC, and each goes on its own.
/// Obligations: `commitment/stored_once`, `commitment/ends`.
pub(crate) async fn an_id_is_used_once_in_each_direction(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let (ours, theirs) = (exchange.we_add(1_000_000), exchange.they_add(2_000_000));
    assert_eq!(ours, theirs);
    host.rounds(&mut exchange, 2).await;
    host.check(&exchange).await;
    exchange.they_end(ours, End::Settle);
    host.rounds(&mut exchange, 2).await;
    let host = host.reopen().await;
    host.check(&exchange).await;
    let left: Vec<_> = exchange.local.htlcs.iter().map(|htlc| htlc.direction).collect();
    assert_eq!(left, [Direction::Incoming]);
    exchange.we_end(theirs, End::Fail);
    host.sign(&mut exchange).await;
    host.take_revocation(&mut exchange).await;
    assert_eq!(host.revoke(&mut exchange).await, [(theirs, false)].into());
}

/// Once an HTLC is gone nothing of it is left under its id.
/// Obligations: `commitment/stored_once`, `facet/read_back`.
pub(crate) async fn an_id_may_come_back_with_other_terms(place: &dyn Place) {
    let host = Host::new(place).await;
    let exchange = host.exchange(1).await;
    for (height, seed) in [(1, Some(1)), (2, None), (3, Some(2)), (4, Some(2))] {
        let htlc = |seed| {
            values::htlc(Direction::Outgoing, 0, 2, values::htlc_terms(seed, 1_000_000 * seed))
        };
        let htlcs: Vec<_> = seed.map(htlc).into_iter().collect();
        let mut update = exchange.update();
        update.commitment = Commitment {
            local_log_index: 9.into(),
            local_htlc_index: HtlcId(9),
            ..values::commitment(1, Side::Local, height, htlcs.clone())
        };
        host.update_local(exchange.point, update).await.unwrap();
        let records = inspect::records(host.backend.as_ref(), Kind::Htlc).await;
        assert_eq!(records.len(), htlcs.len());
        let latest = host.latest_commitments(exchange.point).await.unwrap();
        assert_eq!(latest.local.htlcs, htlcs);
    }
}
