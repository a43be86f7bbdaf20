//! Forwarding packages.

use bitcoin::OutPoint;
use channelcoord::{ChangeSet, Record};
use chanstate::facet::{ClosedChannelStore, CommitmentStore, ForwardingPackageStore, StatusStore};
use chanstate::key::{Kind, RecordKey};
use chanstate::{
    AddRef, ChannelStatus, CommitmentHeight, Filter, ForwardingPackage, PackageList, PackageState,
    Rejection, SettleFailRef, StoreError,
};

use super::failures::faulty;
use crate::values::{self, outpoint, peer};
use crate::{End, Exchange, Fault, Host, Place, finish, inspect, poll_once, rejection};

/// Channel `n` with a package of `adds` adds at height 1, and one of as many ends at height 2.
pub(crate) async fn packed(host: &Host<'_>, n: u64, adds: u64) -> Exchange {
    let mut exchange = host.exchange(n).await;
    for _ in 0..adds {
        exchange.we_add(1_000_000);
        exchange.they_add(1_000_000);
    }
    host.revoke(&mut exchange).await;
    host.round(&mut exchange).await;
    for id in exchange.theirs_to_end() {
        exchange.they_end(id, End::Settle);
    }
    host.revoke(&mut exchange).await;
    host.round(&mut exchange).await;
    let shapes: Vec<_> = exchange
        .packages
        .values()
        .map(|p| (p.adds.len() as u64, p.settle_fails.len() as u64))
        .collect();
    assert_eq!(shapes, [(adds, 0), (0, adds)]);
    exchange
}

fn add(index: u16) -> AddRef {
    AddRef { height: CommitmentHeight(1), index }
}

fn end(exchange: &Exchange, index: u16) -> SettleFailRef {
    SettleFailRef { source: exchange.scid, height: CommitmentHeight(2), index }
}

async fn at(host: &Host<'_>, point: OutPoint, height: u64) -> ForwardingPackage {
    let packages = host.packages(point).await;
    let mut found = packages.into_iter().filter(|package| package.height.0 == height);
    found.next().expect("a package at the height")
}

/// Packages read back by height as they were given.
/// Obligations: `package/by_height`, `facet/unknown_channel`.
pub(crate) async fn packages_read_back_by_height(place: &dyn Place) {
    let host = Host::new(place).await;
    let exchange = packed(&host, 1, 3).await;
    let other = packed(&host, 2, 1).await;
    let host = host.reopen().await;
    for exchange in [exchange, other] {
        let expected: Vec<_> = exchange.packages.into_values().collect();
        assert_eq!(host.packages(exchange.point).await, expected);
    }
    let unknown = host.refused(host.forwarding_packages(outpoint(3))).await;
    assert_eq!(unknown, Rejection::UnknownChannel(outpoint(3)));
}

/// A package passes through its states as filters fill, in any order and once only.
/// Obligations: `package/progress`, `package/any_order`.
pub(crate) async fn a_package_completes_when_everything_is_acknowledged(place: &dyn Place) {
    let host = Host::new(place).await;
    let exchange = packed(&host, 1, 2).await;
    let point = exchange.point;
    assert_eq!(at(&host, point, 1).await.state(), PackageState::LockedIn);
    host.ack_adds(point, &[add(1)]).await.unwrap();
    assert_eq!(at(&host, point, 1).await.state(), PackageState::LockedIn);
    let filter = Filter::empty(2).with(0).unwrap();
    host.set_forward_filter(point, CommitmentHeight(1), filter.clone()).await.unwrap();
    let host = host.reopen().await;
    let package = at(&host, point, 1).await;
    assert_eq!(package.state(), PackageState::Processed);
    assert_eq!(package.forward_filter, Some(filter));
    assert!(!package.ack_filter.contains(0) && package.ack_filter.contains(1));
    host.ack_adds(point, &[add(0), add(1), add(0)]).await.unwrap();
    let host = host.reopen().await;
    assert_eq!(at(&host, point, 1).await.state(), PackageState::Completed);

    host.set_forward_filter(point, CommitmentHeight(2), Filter::empty(0)).await.unwrap();
    host.ack_settle_fails(&[end(&exchange, 1)]).await.unwrap();
    assert_eq!(at(&host, point, 2).await.state(), PackageState::Processed);
    host.ack_settle_fails(&[end(&exchange, 0), end(&exchange, 1)]).await.unwrap();
    let host = host.reopen().await;
    assert_eq!(at(&host, point, 2).await.state(), PackageState::Completed);
}

/// A package keeps the first filter it gets, and every acknowledgement it had.
/// Obligations: `package/first_filter`.
pub(crate) async fn a_package_keeps_its_first_filter(place: &dyn Place) {
    let host = Host::new(place).await;
    let exchange = packed(&host, 1, 2).await;
    let (point, height) = (exchange.point, CommitmentHeight(1));
    host.ack_adds(point, &[add(0)]).await.unwrap();
    host.set_forward_filter(point, height, Filter::empty(2)).await.unwrap();
    let full = Filter::empty(2).with(0).unwrap().with(1).unwrap();
    host.still(host.set_forward_filter(point, height, full)).await.unwrap();
    let package = at(&host, point, 1).await;
    assert_eq!(package.forward_filter, Some(Filter::empty(2)));
    assert!(package.ack_filter.contains(0));
}

/// A filter that does not cover the adds, or has no package, is refused.
/// Obligations: `package/fitting_filter`.
pub(crate) async fn a_filter_must_cover_the_adds(place: &dyn Place) {
    let host = Host::new(place).await;
    let exchange = packed(&host, 1, 2).await;
    let point = exchange.point;
    for count in [0, 1, 3] {
        let set = host.set_forward_filter(point, CommitmentHeight(1), Filter::empty(count));
        let refusal = Rejection::PackageFilter { expected: 2, found: usize::from(count) };
        assert_eq!(host.refused(set).await, refusal);
    }
    for height in [0, 3, u64::MAX].map(CommitmentHeight) {
        let set = host.set_forward_filter(point, height, Filter::empty(2));
        assert_eq!(host.refused(set).await, Rejection::UnknownPackage { height });
    }
}

/// An index that the package does not have is refused, and with it the whole call.
/// Obligations: `package/ack_in_range`, `facet/nothing_on_error`.
pub(crate) async fn an_ack_out_of_range_is_refused_whole(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = packed(&host, 1, 2).await;
    let point = exchange.point;
    let (source_scid, count) = (exchange.scid, 2);
    let refusal = |height, index| Rejection::AckOutOfRange {
        source_scid,
        height: CommitmentHeight(height),
        index,
        count,
    };
    for index in [2, u16::MAX] {
        let refused = host.refused(host.ack_adds(point, &[add(0), add(index)])).await;
        assert_eq!(refused, refusal(1, index));
        let ends = [end(&exchange, 0), end(&exchange, index)];
        assert_eq!(host.refused(host.ack_settle_fails(&ends)).await, refusal(2, index));
        let mut append = exchange.append();
        append.ack_adds = vec![add(index)];
        assert_eq!(host.refused(host.append_remote(point, append)).await, refusal(1, index));
        let mut append = exchange.append();
        append.ack_settle_fails = ends.into();
        assert_eq!(host.refused(host.append_remote(point, append)).await, refusal(2, index));
    }
    // Lists are counted apart: the package at height 2 has ends and no adds.
    let add = AddRef { height: CommitmentHeight(2), index: 0 };
    let refusal = Rejection::AckOutOfRange { source_scid, height: add.height, index: 0, count: 0 };
    assert_eq!(host.refused(host.ack_adds(point, &[add])).await, refusal);
    host.sign(&mut exchange).await;
}

/// Acknowledging in a package that is gone, or never was, is no error and writes nothing.
/// Obligations: `package/gone`, `commitment/acks`.
pub(crate) async fn acks_of_absent_packages_pass(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = packed(&host, 1, 1).await;
    let point = exchange.point;
    host.remove_forwarding_packages(point, &[1, 2].map(CommitmentHeight)).await.unwrap();
    exchange.packages.clear();
    let far = AddRef { height: CommitmentHeight(u64::MAX), index: u16::MAX };
    host.still(host.ack_adds(point, &[add(0), far])).await.unwrap();
    let nowhere = SettleFailRef { source: u64::MAX.into(), height: 1.into(), index: 9 };
    host.still(host.ack_settle_fails(&[end(&exchange, 0), nowhere])).await.unwrap();
    host.still(host.ack_settle_fails(&[])).await.unwrap();
    let mut append = exchange.append();
    append.ack_adds = vec![add(0)];
    append.ack_settle_fails = vec![end(&exchange, 0), nowhere];
    host.append_remote(point, append).await.unwrap();
    assert_eq!(host.reopen().await.packages(point).await, []);
}

/// Acknowledgements that come with a signature are stored with it, in packages of two channels.
/// Obligations: `commitment/acks`, `package/any_channel`.
pub(crate) async fn a_signature_brings_acks_in_packages_of_any_channel(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut own = packed(&host, 1, 2).await;
    let other = packed(&host, 2, 2).await;
    let mut append = own.append();
    append.ack_adds = vec![add(1), add(1)];
    append.ack_settle_fails = vec![end(&other, 0), end(&own, 1)];
    host.append_remote(own.point, append.clone()).await.unwrap();
    // Sending it again changes nothing.
    let before = inspect::contents(host.backend.as_ref()).await;
    host.append_remote(own.point, append.clone()).await.unwrap();
    assert_eq!(inspect::contents(host.backend.as_ref()).await, before);
    own.stored_append(&append);
    let host = host.reopen().await;
    let acked = |filter: &Filter| (filter.contains(0), filter.contains(1));
    assert_eq!(acked(&at(&host, own.point, 1).await.ack_filter), (false, true));
    assert_eq!(acked(&at(&host, own.point, 2).await.settle_fail_filter), (false, true));
    assert_eq!(acked(&at(&host, other.point, 2).await.settle_fail_filter), (true, false));
    assert_eq!(acked(&at(&host, other.point, 1).await.ack_filter), (false, false));
    assert_eq!(host.remote_tip(own.point).await.unwrap(), own.pending);
}

/// Acknowledgements that come when the same signature is sent again are stored.
/// Obligations: `commitment/acks`, `package/ack_in_range`.
pub(crate) async fn a_signature_sent_again_brings_its_acks(place: &dyn Place) {
    let host = Host::new(place).await;
    let own = packed(&host, 1, 2).await;
    let other = packed(&host, 2, 2).await;
    let mut append = own.append();
    host.append_remote(own.point, append.clone()).await.unwrap();
    host.still(host.append_remote(own.point, append.clone())).await.unwrap();
    append.ack_adds = vec![add(2)];
    let refused = host.refused(host.append_remote(own.point, append.clone())).await;
    assert!(matches!(refused, Rejection::AckOutOfRange { index: 2, .. }), "{refused:?}");
    append.ack_adds = vec![add(1)];
    append.ack_settle_fails = vec![end(&other, 0)];
    host.append_remote(own.point, append).await.unwrap();
    let host = host.reopen().await;
    let acked = |filter: &Filter| (filter.contains(0), filter.contains(1));
    assert_eq!(acked(&at(&host, own.point, 1).await.ack_filter), (false, true));
    assert_eq!(acked(&at(&host, other.point, 2).await.settle_fail_filter), (true, false));
}

/// A refused signature brings no acknowledgements.
/// Obligations: `commitment/acks`, `facet/nothing_on_error`.
pub(crate) async fn a_refused_signature_brings_no_acks(place: &dyn Place) {
    let host = Host::new(place).await;
    let own = packed(&host, 1, 2).await;
    let other = packed(&host, 2, 2).await;
    let mut append = own.append();
    append.pending.commitment.height = 9.into();
    append.ack_adds = vec![add(0)];
    append.ack_settle_fails = vec![end(&other, 0)];
    let refused = host.refused(host.append_remote(own.point, append)).await;
    assert!(matches!(refused, Rejection::Height { .. }));
}

/// Removal takes the packages that are there, their updates, and passes over the others.
/// Obligations: `package/removal`.
pub(crate) async fn removal_passes_over_absent_heights(place: &dyn Place) {
    let host = Host::new(place).await;
    let exchange = packed(&host, 1, 2).await;
    let other = packed(&host, 2, 1).await;
    let point = exchange.point;
    let heights = [7, 1, 1, u64::MAX].map(CommitmentHeight);
    host.remove_forwarding_packages(point, &heights).await.unwrap();
    host.still(host.remove_forwarding_packages(point, &heights)).await.unwrap();
    host.still(host.remove_forwarding_packages(point, &[])).await.unwrap();
    let host = host.reopen().await;
    let left: Vec<_> = host.packages(point).await.into_iter().map(|p| p.height.0).collect();
    assert_eq!(left, [2]);
    assert_eq!(host.packages(other.point).await.len(), 2);
    assert_eq!(inspect::count(host.backend.as_ref(), Kind::PackageUpdate).await, 2 + 2);
}

/// Packages of a closed channel cannot be read or changed any more; acks of them pass.
/// Obligations: `package/with_channel`, `facet/closed_channel`.
pub(crate) async fn packages_end_with_their_channel(place: &dyn Place) {
    let host = Host::new(place).await;
    let exchange = packed(&host, 1, 1).await;
    let point = exchange.point;
    host.close_and_reclaim(1, point).await;
    let closed = Rejection::AlreadyClosed(point);
    assert_eq!(host.refused(host.forwarding_packages(point)).await, closed);
    assert_eq!(host.refused(host.ack_adds(point, &[add(0)])).await, closed);
    let height = CommitmentHeight(1);
    let set = host.set_forward_filter(point, height, Filter::empty(1));
    assert_eq!(host.refused(set).await, closed);
    let heights = [height];
    let removed = host.remove_forwarding_packages(point, &heights);
    assert_eq!(host.refused(removed).await, closed);
    host.still(host.ack_settle_fails(&[end(&exchange, 0)])).await.unwrap();
    let host = host.reopen().await;
    host.still(host.ack_settle_fails(&[end(&exchange, 0)])).await.unwrap();
}

/// Packages of a channel that runs under an alias over 2^63 are kept.
/// Obligations: `package/by_height`, `facet/read_back`.
pub(crate) async fn packages_under_an_alias_over_2_63_are_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open_as(values::new_channel(1, peer(1)), 1).await;
    host.mark_scid(point, u64::MAX - 1).await;
    let mut exchange = Exchange::new(1, (u64::MAX - 1).into());
    exchange.they_add(1_000_000);
    host.revoke(&mut exchange).await;
    host.round(&mut exchange).await;
    host.ack_adds(point, &[add(0)]).await.unwrap();
    let host = host.reopen().await;
    let package = at(&host, point, 1).await;
    assert_eq!((package.source, package.ack_filter.is_full()), (exchange.scid, true));
    host.remove_forwarding_packages(point, &[CommitmentHeight(1)]).await.unwrap();
    assert_eq!(host.reopen().await.packages(point).await, []);
}

/// A package under a short channel id under which another channel has packages is refused, until
/// nothing of those is left.
/// Obligations: `commitment/one_source`.
pub(crate) async fn channels_do_not_share_a_package_source(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let first = packed(&host, 1, 1).await;
    let second = host.open(2).await;
    host.mark_scid(second, first.scid.0).await;
    let mut twin = Exchange::new(2, first.scid);
    host.sign(&mut twin).await;
    let advance = twin.advance();
    let refusal = Rejection::PackageSource { found: first.scid };
    let refused = host.refused(host.advance_tail(second, advance.clone())).await;
    assert_eq!(refused, refusal);
    // Closed and not reclaimed: the old packages are still there.
    faulty.judge(|sets| sets.iter().all(|set| set.channels.is_empty()).then_some(Fault::NotStored));
    let summary = values::summary(1, first.point, peer(1));
    host.close_channel(first.point, summary, ChannelStatus::empty()).await.unwrap();
    host.reclaim_closed().await.unwrap_err();
    let refused = host.refused(host.advance_tail(second, advance.clone())).await;
    assert_eq!(refused, refusal);
    faulty.next([]);
    host.reclaim_closed().await.unwrap();
    host.take_revocation(&mut twin).await;
    host.reopen().await.check(&twin).await;
}

/// Of two channels that file their first packages under one short channel id at once, the second is
/// refused.
/// Obligations: `commitment/one_source`.
pub(crate) async fn channels_that_file_at_once_do_not_share_a_source(place: &dyn Place) {
    let (host, faulty) = faulty(place, 0).await;
    let mut first = host.exchange(1).await;
    let second = host.open(2).await;
    host.mark_scid(second, first.scid.0).await;
    let mut twin = Exchange::new(2, first.scid);
    host.sign(&mut first).await;
    host.sign(&mut twin).await;
    let advance = first.advance();
    faulty.hold();
    let filing = poll_once(host.advance_tail(first.point, advance.clone()));
    faulty.await_held();
    let late = poll_once(host.advance_tail(second, twin.advance()));
    faulty.go();
    filing.await.unwrap();
    first.stored_advance(&advance);
    let refused = rejection(late.await);
    assert_eq!(refused, Rejection::PackageSource { found: first.scid });
    let host = host.reopen().await;
    host.check(&first).await;
    assert_eq!(host.remote_tip(second).await.unwrap(), twin.pending);
    assert_eq!(host.packages(second).await, []);
}

/// Where no package of a channel is left, another channel may file its own, without opening the
/// store again.
/// Obligations: `commitment/one_source`.
pub(crate) async fn a_source_is_free_after_its_last_package(place: &dyn Place) {
    let host = Host::new(place).await;
    let first = packed(&host, 1, 1).await;
    let second = host.open(2).await;
    host.mark_scid(second, first.scid.0).await;
    let mut twin = Exchange::new(2, first.scid);
    host.sign(&mut twin).await;
    let refusal = Rejection::PackageSource { found: first.scid };
    let packages = first.packages.keys().copied();
    for height in packages {
        let refused = host.refused(host.advance_tail(second, twin.advance())).await;
        assert_eq!(refused, refusal);
        host.remove_forwarding_packages(first.point, &[height]).await.unwrap();
    }
    host.take_revocation(&mut twin).await;
    host.reopen().await.check(&twin).await;
}

/// A package under a short channel id under which packages of no channel are kept is refused.
/// Obligations: `commitment/one_source`.
pub(crate) async fn packages_of_no_channel_keep_their_source(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    host.sign(&mut exchange).await;
    let left = ForwardingPackage::new(exchange.scid, 9.into(), vec![], vec![]);
    let left = chanstate::transition::import_package(None, &left, true).unwrap();
    let puts = left.into_iter().map(Record::Channel).collect();
    let host = host.rewritten(ChangeSet { puts, ..ChangeSet::default() }).await;
    let refused = host.refused(host.advance_tail(exchange.point, exchange.advance())).await;
    assert_eq!(refused, Rejection::PackageSource { found: exchange.scid });
}

/// Acknowledgements in one package share a commit; its removal does not, and keeps its order.
/// Obligations: `package/gone`, `package/removal`.
pub(crate) async fn a_removal_does_not_meet_acks_in_a_commit(place: &dyn Place) {
    let (host, faulty) = faulty(place, 1).await;
    let exchange = packed(&host, 1, 3).await;
    let heights = [CommitmentHeight(2)];
    faulty.take_batches();
    faulty.hold();
    let first = poll_once(host.mark_borked(outpoint(0)));
    faulty.await_held();
    let ends = [0, 1, 2].map(|index| [end(&exchange, index)]);
    let mut calls: Vec<_> = ends.iter().map(|e| poll_once(host.ack_settle_fails(e))).collect();
    calls.push(poll_once(host.remove_forwarding_packages(exchange.point, &heights)));
    calls.push(poll_once(host.ack_settle_fails(&ends[0])));
    faulty.go();
    first.await.unwrap();
    finish(calls).await.into_iter().for_each(|result| result.unwrap());
    assert_eq!(faulty.take_batches(), [1, 3, 1, 1]);
    let left: Vec<_> = host.packages(exchange.point).await.iter().map(|p| p.height.0).collect();
    assert_eq!(left, [1]);
}

/// A package of which an update is missing is damage: the others do not take its position.
/// Obligations: `facet/damage`, `package/by_height`.
pub(crate) async fn a_package_with_a_gap_is_damage(place: &dyn Place) {
    let host = Host::new(place).await;
    let exchange = packed(&host, 1, 3).await;
    let second = [exchange.scid.0, 1, PackageList::Adds as u64, 1];
    let removes = vec![RecordKey::of(Kind::PackageUpdate, second)];
    let host = host.rewritten(ChangeSet { removes, ..ChangeSet::default() }).await;
    let read = host.forwarding_packages(exchange.point).await;
    assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
}
