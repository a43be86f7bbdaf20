//! The commitment protocol.

use bytes::Bytes;
use chanstate::facet::{CommitmentHeights, CommitmentStore, OpenChannelStore};
use chanstate::{CommitmentHeight, HtlcId, MilliSatoshi, PackageState, Rejection};

use crate::values::{self, outpoint, peer};
use crate::{End, Exchange, Host, Place};

/// Each step of the protocol stores what it must, with HTLCs in both directions; so does the store
/// that is opened after it.
/// Obligations: `commitment/whole_step`, `commitment/lists`, `facet/reopened`.
pub(crate) async fn each_step_of_the_protocol_is_stored(place: &dyn Place) {
    let mut host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    exchange.we_add(10_000_000);
    exchange.they_add(20_000_000);
    exchange.they_add(999);
    for _ in 0..3 {
        host.revoke(&mut exchange).await;
        host = host.reopen().await;
        host.check(&exchange).await;
        host.sign(&mut exchange).await;
        host = host.reopen().await;
        host.check(&exchange).await;
        host.take_revocation(&mut exchange).await;
        host = host.reopen().await;
        host.check(&exchange).await;
        exchange.we_add(5_000_000);
        if let Some(id) = exchange.ours_to_end().first() {
            exchange.we_end(*id, End::Settle);
        }
        if let Some(id) = exchange.theirs_to_end().first() {
            exchange.they_end(*id, End::Fail);
        }
    }
    assert_eq!(exchange.revoked.len(), 3);
}

/// A pending commitment reads back as it was given: HTLCs, updates, signatures, circuits.
/// Obligations: `facet/read_back`, `commitment/messages`.
pub(crate) async fn a_pending_commitment_reads_back_whole(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    assert_eq!(host.remote_tip(point).await.unwrap(), None);
    for amount in [1_000_000, 2_000_000, 500] {
        exchange.we_add(amount);
    }
    exchange.we_set_fee();
    let mut append = exchange.append();
    append.pending.commitment.custom_blob = Some(Bytes::new());
    append.pending.commitment.unknown_tlvs = Bytes::from_static(&[0xfd, 0x01, 0x01, 0x00]);
    assert_eq!((append.pending.updates.len(), append.pending.opened_circuits.len()), (4, 3));
    host.append_remote(point, append.clone()).await.unwrap();
    let host = host.reopen().await;
    assert_eq!(host.remote_tip(point).await.unwrap().as_ref(), Some(&append.pending));
    let heights = host.heights(point).await.unwrap();
    let (local, remote) = (CommitmentHeight(0), CommitmentHeight(0));
    let pending = Some(CommitmentHeight(1));
    assert_eq!(heights, CommitmentHeights { local, remote, pending });
    assert_eq!(host.channel(point).await.unwrap().last_was_revoke, Some(false));
}

/// Signing and revoking note which of the two we did last.
/// Obligations: `commitment/last_sent`.
pub(crate) async fn the_last_message_sent_is_noted(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let last = async |host: &Host<'_>| host.channel(outpoint(1)).await.unwrap().last_was_revoke;
    assert_eq!(last(&host).await, None);
    host.revoke(&mut exchange).await;
    assert_eq!(last(&host).await, Some(true));
    host.sign(&mut exchange).await;
    assert_eq!(last(&host).await, Some(false));
    host.take_revocation(&mut exchange).await;
    assert_eq!(last(&host).await, Some(false), "taking a revocation sends nothing");
}

/// Only the next height is accepted, on both sides.
/// Obligations: `commitment/next_height`.
pub(crate) async fn only_the_next_height_is_accepted(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    host.rounds(&mut exchange, 2).await;
    let expected = CommitmentHeight(3);
    for found in [0, 1, 2, 4, u64::MAX].map(CommitmentHeight) {
        let mut append = exchange.append();
        append.pending.commitment.height = found;
        let refused = host.refused(host.append_remote(point, append)).await;
        assert_eq!(refused, Rejection::Height { expected, found });
        let mut update = exchange.update();
        update.commitment.height = found;
        let refused = host.refused(host.update_local(point, update)).await;
        assert_eq!(refused, Rejection::Height { expected, found });
    }
    host.rounds(&mut exchange, 1).await;
}

/// An equal pending commitment may be appended again; another one is refused.
/// Obligations: `commitment/one_pending`, `facet/repeated`.
pub(crate) async fn a_pending_commitment_is_not_overwritten(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    exchange.we_add(1_000_000);
    let append = exchange.append();
    host.sign(&mut exchange).await;
    let host = host.reopen().await;
    host.still(host.append_remote(point, append.clone())).await.unwrap();
    let mut other = append;
    other.pending.commitment.remote_balance.0 += 1;
    let refused = host.refused(host.append_remote(point, other)).await;
    assert_eq!(refused, Rejection::PendingCommitment { height: CommitmentHeight(1) });
    host.check(&exchange).await;
}

/// A commitment that was taken is not taken twice.
/// Obligations: `commitment/next_height`, `commitment/pending_first`, `commitment/right_secret`.
pub(crate) async fn a_stale_request_is_refused(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    let update = exchange.update();
    host.revoke(&mut exchange).await;
    let stale = host.refused(host.update_local(point, update)).await;
    let (expected, found) = (CommitmentHeight(2), CommitmentHeight(1));
    assert_eq!(stale, Rejection::Height { expected, found });

    host.sign(&mut exchange).await;
    let advance = exchange.advance();
    host.take_revocation(&mut exchange).await;
    let stale = host.refused(host.advance_tail(point, advance.clone())).await;
    assert_eq!(stale, Rejection::NoPendingCommitment);
    host.sign(&mut exchange).await;
    let stale = host.refused(host.advance_tail(point, advance)).await;
    assert_eq!(stale, Rejection::WrongSecret);
    host.check(&exchange).await;
}

/// Indexes and running totals do not go back.
/// Obligations: `commitment/forward_only`.
pub(crate) async fn indexes_and_totals_do_not_go_back(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    exchange.we_add(1_000_000);
    exchange.they_add(1_000_000);
    host.rounds(&mut exchange, 2).await;
    exchange.we_end(HtlcId(0), End::Settle);
    exchange.they_end(HtlcId(0), End::Settle);
    host.rounds(&mut exchange, 2).await;
    let totals = host.channel(point).await.unwrap();
    let paid = (totals.total_sent, totals.total_received);
    assert_eq!(paid, (MilliSatoshi(1_000_000), MilliSatoshi(1_000_000)));

    let mut back = exchange.update();
    back.total_sent.0 -= 1;
    let refused = host.refused(host.update_local(point, back)).await;
    assert!(matches!(refused, Rejection::TotalWentBack { what: "total sent", .. }));
    let mut back = exchange.update();
    back.total_received.0 -= 1;
    let refused = host.refused(host.update_local(point, back)).await;
    assert!(matches!(refused, Rejection::TotalWentBack { what: "total received", .. }));
    let mut back = exchange.update();
    back.commitment.local_log_index.0 -= 1;
    let refused = host.refused(host.update_local(point, back)).await;
    assert!(matches!(refused, Rejection::IndexWentBack { what: "local log index", .. }));
    let mut back = exchange.append();
    back.pending.commitment.remote_htlc_index.0 -= 1;
    let refused = host.refused(host.append_remote(point, back)).await;
    assert!(matches!(refused, Rejection::IndexWentBack { what: "remote HTLC index", .. }));
}

/// Advancing needs a pending commitment and the peer's next point.
/// Obligations: `commitment/pending_first`.
pub(crate) async fn advancing_needs_a_pending_commitment(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut new = values::new_channel(1, peer(1));
    new.remote_next_point = None;
    let point = host.open_as(new, 1).await;
    let mut exchange = Exchange::new(1, 0.into());
    let append = exchange.append();
    exchange.stored_append(&append);
    let advance = exchange.advance();
    let refused = host.refused(host.advance_tail(point, advance.clone())).await;
    assert_eq!(refused, Rejection::NoPendingCommitment);
    host.append_remote(point, append).await.unwrap();
    let refused = host.refused(host.advance_tail(point, advance.clone())).await;
    assert_eq!(refused, Rejection::NoNextPoint);
    host.insert_next_revocation(point, values::peer_point(1, 1)).await.unwrap();
    host.advance_tail(point, advance).await.unwrap();
}

/// The next point is set once; the same one again writes nothing.
/// Obligations: `commitment/next_point`, `facet/repeated`.
pub(crate) async fn the_next_point_is_set_once(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut new = values::new_channel(1, peer(1));
    new.remote_next_point = None;
    let point = host.open_as(new, 1).await;
    let next = values::peer_point(1, 1);
    host.insert_next_revocation(point, next).await.unwrap();
    let host = host.reopen().await;
    assert_eq!(host.remote_revocation(point).await.unwrap().next_point, Some(next));
    host.still(host.insert_next_revocation(point, next)).await.unwrap();
    let other = host.insert_next_revocation(point, values::peer_point(1, 2));
    assert_eq!(host.refused(other).await, Rejection::NextPointSet);
}

/// A secret that is not the one of the revoked commitment, or contradicts earlier ones, is refused.
/// Obligations: `commitment/right_secret`, `facet/nothing_on_error`.
pub(crate) async fn a_wrong_secret_is_refused(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    host.sign(&mut exchange).await;
    let mut advance = exchange.advance();
    for wrong in [[0; 32], [0xff; 32], values::bytes32("wrong", 1)] {
        advance.secret = wrong;
        let refused = host.refused(host.advance_tail(point, advance.clone())).await;
        assert_eq!(refused, Rejection::WrongSecret);
    }
    // A peer that makes its second secret up: it fits the point, and not the first secret.
    let made_up = values::bytes32("made up", 1);
    advance.secret = exchange.advance().secret;
    advance.next_point = values::peer_point(1, 2);
    host.take_revocation(&mut exchange).await;
    let host = host.reopen().await;
    let revocation = host.remote_revocation(point).await.unwrap();
    assert_eq!(revocation.current_point, values::peer_point(1, 1));
    assert_eq!(revocation.next_point, Some(values::peer_point(1, 2)));
    assert_eq!(revocation.secrets.lookup(0), Some(advance.secret));
    assert_eq!(revocation.secrets.lookup(1), None);

    let mut liar = values::new_channel(2, peer(1));
    liar.remote_next_point = Some(values::point_of(made_up));
    let liar_point = host.open_as(liar, 1).await;
    host.mark_scid(liar_point, 2).await;
    let mut lying = Exchange::new(2, 2.into());
    host.sign(&mut lying).await;
    host.take_revocation(&mut lying).await;
    host.sign(&mut lying).await;
    let mut advance = lying.advance();
    advance.secret = made_up;
    let refused = host.refused(host.advance_tail(liar_point, advance)).await;
    assert!(matches!(refused, Rejection::Secret(_)), "{refused:?}");
}

/// A package must be of the channel, of the new height, and covered by its filters.
/// Obligations: `commitment/fitting_package`, `lifecycle/two_scids`.
pub(crate) async fn a_package_must_fit_its_commitment(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    exchange.they_add(1_000_000);
    host.revoke(&mut exchange).await;
    host.sign(&mut exchange).await;
    let good = exchange.advance();
    assert_eq!(good.package.adds.len(), 1);

    let mut bad = good.clone();
    bad.package.height = CommitmentHeight(2);
    let (expected, found) = (CommitmentHeight(1), CommitmentHeight(2));
    let refused = host.refused(host.advance_tail(point, bad)).await;
    assert_eq!(refused, Rejection::Height { expected, found });
    let mut bad = good.clone();
    bad.package.source = 1.into();
    let refused = host.refused(host.advance_tail(point, bad)).await;
    assert_eq!(refused, Rejection::PackageSource { found: 1.into() });
    let mut bad = good.clone();
    bad.package.ack_filter = chanstate::Filter::empty(2);
    let refused = host.refused(host.advance_tail(point, bad)).await;
    assert_eq!(refused, Rejection::PackageFilter { expected: 1, found: 2 });
    let mut bad = good.clone();
    bad.our_output_index = Some(65_535);
    let refused = host.refused(host.advance_tail(point, bad)).await;
    assert_eq!(refused, Rejection::OutputIndex(65_535));

    // The confirmed scid of a zero-conf channel is as good as its alias.
    let confirmed = 700_000 << 40 | 1;
    host.set_confirmed(point, confirmed).await;
    let mut advance = good;
    advance.package.source = confirmed.into();
    host.advance_tail(point, advance).await.unwrap();
    let packages = host.packages(point).await;
    assert_eq!(packages.len(), 1);
    assert_eq!(
        (packages[0].source, packages[0].state()),
        (confirmed.into(), PackageState::LockedIn)
    );
}

/// A list that is empty is not one that was never stored, and the list of our updates that the
/// peer has not signed is stored from the first revocation on.
/// Obligations: `commitment/lists`.
pub(crate) async fn lists_are_absent_until_they_are_stored(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    assert_eq!(host.unsigned_acked_updates(point).await.unwrap(), None);
    assert_eq!(host.remote_unsigned_local_updates(point).await.unwrap(), None);
    exchange.we_add(1_000_000);
    host.sign(&mut exchange).await;
    host.take_revocation(&mut exchange).await;
    let host = host.reopen().await;
    assert_eq!(host.unsigned_acked_updates(point).await.unwrap(), None);
    let unsigned = host.remote_unsigned_local_updates(point).await.unwrap();
    assert_eq!(unsigned.map(|updates| updates.len()), Some(1));
    host.revoke(&mut exchange).await;
    let host = host.reopen().await;
    assert_eq!(host.unsigned_acked_updates(point).await.unwrap(), Some(vec![]));
    assert_eq!(host.remote_unsigned_local_updates(point).await.unwrap(), Some(vec![]));
}

/// What the peer's HTLCs end with is returned when it is locked in, once.
/// Obligations: `commitment/ends`.
pub(crate) async fn ends_are_returned_when_they_are_locked_in(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    for _ in 0..3 {
        exchange.they_add(1_000_000);
    }
    host.rounds(&mut exchange, 2).await;
    let ends = [End::Settle, End::Fail, End::Malformed];
    for (id, end) in exchange.ours_to_end().into_iter().zip(ends) {
        exchange.we_end(id, end);
    }
    host.sign(&mut exchange).await;
    assert!(host.revoke(&mut exchange).await.is_empty(), "the peer has not revoked yet");
    host.take_revocation(&mut exchange).await;
    let host = host.reopen().await;
    let finals = host.revoke(&mut exchange).await;
    let expected = [(HtlcId(0), true), (HtlcId(1), false), (HtlcId(2), false)];
    assert_eq!(finals, expected.into());
    assert!(host.revoke(&mut exchange).await.is_empty());
    host.check(&exchange).await;
}

/// Unusable HTLCs and messages are refused.
/// Obligations: `commitment/storable`, `facet/nothing_on_error`.
pub(crate) async fn what_cannot_be_stored_is_refused(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    let id = exchange.we_add(1_000_000);
    let good = exchange.append();

    for len in [0, 1365, 1367] {
        let mut bad = good.clone();
        bad.pending.commitment.htlcs[0].terms.onion = values::bytes("onion", 1, len);
        let refused = host.refused(host.append_remote(point, bad)).await;
        assert_eq!(refused, Rejection::OnionLength { id, len });
    }
    let mut bad = good.clone();
    let twice = bad.pending.commitment.htlcs[0].clone();
    bad.pending.commitment.htlcs.push(twice);
    let refused = host.refused(host.append_remote(point, bad)).await;
    assert_eq!(refused, Rejection::DuplicateHtlc { id });
    let mut bad = good.clone();
    bad.pending.commitment.htlcs[0].id = HtlcId(1 << 63);
    let refused = host.refused(host.append_remote(point, bad)).await;
    assert_eq!(refused, Rejection::TooLarge { what: "HTLC id", found: 1 << 63 });
    let mut bad = good.clone();
    bad.pending.updates[0].message = good.pending.commit_sig.clone();
    let refused = host.refused(host.append_remote(point, bad)).await;
    assert_eq!(refused, Rejection::Message { ty: 132 });
    let mut bad = exchange.update();
    bad.unsigned_acked = vec![values::fulfill(exchange.id, u64::MAX, 0)];
    let refused = host.refused(host.update_local(point, bad)).await;
    assert_eq!(refused, Rejection::TooLarge { what: "HTLC id", found: u64::MAX });
    host.append_remote(point, good).await.unwrap();
}

/// A shell has no commitments, and takes none.
/// Obligations: `commitment/usable`.
pub(crate) async fn a_shell_takes_no_commitments(place: &dyn Place) {
    use channelcoord::PeerChannelStore;
    let host = Host::new(place).await;
    let shells = vec![(values::shell(1, peer(1)), values::link_node(1))];
    host.restore_shells(shells).await.unwrap();
    let point = outpoint(1);
    let mut exchange = Exchange::new(1, 0.into());
    let (append, update) = (exchange.append(), exchange.update());
    exchange.stored_append(&append);
    let advance = exchange.advance();
    assert_eq!(host.refused(host.append_remote(point, append)).await, Rejection::Restored);
    assert_eq!(host.refused(host.update_local(point, update)).await, Rejection::Restored);
    assert_eq!(host.refused(host.advance_tail(point, advance)).await, Rejection::Restored);
    let next = host.insert_next_revocation(point, values::peer_point(1, 1));
    assert_eq!(host.refused(next).await, Rejection::Restored);
    assert_eq!(host.refused(host.heights(point)).await, Rejection::NoCommitments);
    assert_eq!(host.refused(host.latest_commitments(point)).await, Rejection::NoCommitments);
    assert_eq!(host.remote_tip(point).await.unwrap(), None);
    let current = host.remote_revocation(point).await.unwrap().current_point;
    assert_eq!(current, values::shell(1, peer(1)).remote_current_point);
}

/// Unknown channels are told from closed ones, and neither is changed.
/// Obligations: `facet/unknown_channel`, `facet/closed_channel`.
pub(crate) async fn unknown_and_closed_channels_are_refused(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    host.sign(&mut exchange).await;
    let closed = exchange.point;
    host.close_and_reclaim(1, closed).await;
    let unknown = outpoint(2);
    let refusals =
        [(unknown, Rejection::UnknownChannel(unknown)), (closed, Rejection::AlreadyClosed(closed))];
    for (point, refusal) in refusals {
        assert_eq!(host.refused(host.append_remote(point, exchange.append())).await, refusal);
        assert_eq!(host.refused(host.update_local(point, exchange.update())).await, refusal);
        assert_eq!(host.refused(host.advance_tail(point, exchange.advance())).await, refusal);
        let next = host.insert_next_revocation(point, values::peer_point(1, 1));
        assert_eq!(host.refused(next).await, refusal);
        assert_eq!(host.refused(host.remote_tip(point)).await, refusal);
        assert_eq!(host.refused(host.unsigned_acked_updates(point)).await, refusal);
        assert_eq!(host.refused(host.remote_unsigned_local_updates(point)).await, refusal);
        assert_eq!(host.refused(host.heights(point)).await, refusal);
        assert_eq!(host.refused(host.latest_commitments(point)).await, refusal);
        assert_eq!(host.refused(host.remote_revocation(point)).await, refusal);
    }
}
