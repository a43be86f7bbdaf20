//! Packages of every shape, and the filters over their updates.

use bitcoin::OutPoint;
use chanstate::facet::{CommitmentStore, ForwardingPackageStore, StatusStore};
use chanstate::{
    AddRef, CommitmentHeight, Filter, ForwardingPackage, LogUpdate, PackageState, Rejection,
    SettleFailRef,
};

use crate::values::{self, outpoint, peer};
use crate::{Exchange, Host, Place};

/// The next package of a channel, with `adds` adds and `ends` settles. They name HTLCs again that
/// packages before named, which costs nothing.
async fn pack(host: &Host<'_>, exchange: &mut Exchange, adds: u16, ends: u16) -> CommitmentHeight {
    host.sign(exchange).await;
    let mut advance = exchange.advance();
    let channel = exchange.id;
    let list = |count, update: &dyn Fn(u64) -> LogUpdate| -> Vec<LogUpdate> {
        (0..count).map(u64::from).map(update).collect()
    };
    let add = |id| values::add(channel, id, &values::htlc_terms(id, 1_000_000 + id));
    let (adds, ends) = (list(adds, &add), list(ends, &|id| values::fulfill(channel, id, id)));
    let height = advance.package.height;
    advance.package = ForwardingPackage::new(exchange.scid, height, adds, ends);
    host.advance_tail(exchange.point, advance.clone()).await.expect("the package is stored");
    exchange.stored_advance(&advance);
    height
}

/// The numbers below `count`, in an order that looks random and is the same in every run.
fn shuffled(count: u16, seed: u64) -> Vec<u16> {
    let mut numbers: Vec<u16> = (0..count).collect();
    numbers.sort_by_key(|n| values::bytes32("shuffled", seed << 16 | u64::from(*n)));
    numbers
}

async fn at(host: &Host<'_>, point: OutPoint, height: CommitmentHeight) -> ForwardingPackage {
    let packages = host.packages(point).await;
    packages.into_iter().find(|package| package.height == height).expect("a package")
}

fn add_refs(height: CommitmentHeight, indexes: &[u16]) -> Vec<AddRef> {
    indexes.iter().map(|index| AddRef { height, index: *index }).collect()
}

fn end_refs(exchange: &Exchange, height: CommitmentHeight, indexes: &[u16]) -> Vec<SettleFailRef> {
    let source = exchange.scid;
    indexes.iter().map(|index| SettleFailRef { source, height, index: *index }).collect()
}

/// Filters of many sizes, up to 966 updates, fill in any order; each bit is its own.
/// Obligations: `package/any_order`, `package/progress`, `package/by_height`, `facet/read_back`.
pub(crate) async fn filters_of_any_size_fill_in_any_order(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    // Around the borders of bytes, and the most that BOLT 2 allows in one direction and in both.
    for size in [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 64, 483, 966] {
        let height = pack(&host, &mut exchange, size, size).await;
        let order = shuffled(size, size.into());
        let half = order.len() / 2;
        let set = |filter: Filter, index: &u16| filter.with(*index).unwrap();
        let first = order[..half].iter().fold(Filter::empty(size), set);
        let full = order[half..].iter().fold(first.clone(), set);
        host.set_forward_filter(point, height, first.clone()).await.unwrap();
        host.ack_adds(point, &add_refs(height, &order[..half])).await.unwrap();
        host.ack_settle_fails(&end_refs(&exchange, height, &order[half..])).await.unwrap();
        let package = at(&host, point, height).await;
        assert_eq!((&package.forward_filter, &package.ack_filter), (&Some(first.clone()), &first));
        assert!((0..size).all(|n| package.settle_fail_filter.contains(n) != first.contains(n)));
        host.ack_settle_fails(&end_refs(&exchange, height, &order[..half])).await.unwrap();
        let done = if size == 0 { PackageState::Completed } else { PackageState::Processed };
        assert_eq!(at(&host, point, height).await.state(), done);
        host.ack_adds(point, &add_refs(height, &order[half..])).await.unwrap();
        let package = at(&host, point, height).await;
        assert_eq!((&package.ack_filter, &package.settle_fail_filter), (&full, &full));
        assert_eq!(package.state(), PackageState::Completed);
    }
    let packages = host.packages(point).await;
    assert_eq!(host.reopen().await.packages(point).await, packages);
}

/// A forward filter keeps the bits after its last one.
/// Obligations: `facet/read_back`, `package/first_filter`.
pub(crate) async fn a_filter_keeps_its_padding(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let height = pack(&host, &mut exchange, 9, 0).await;
    let filter = Filter::from_bits(9, vec![0x55, 0x7f].into()).unwrap();
    host.set_forward_filter(exchange.point, height, filter.clone()).await.unwrap();
    let host = host.reopen().await;
    let package = at(&host, exchange.point, height).await;
    assert_eq!(package.forward_filter, Some(filter));
    assert!(!package.ack_filter.contains(1));
}

/// A package without updates is locked in until it has its filter, and then completed.
/// Obligations: `package/progress`.
pub(crate) async fn an_empty_package_completes_with_its_filter(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    let height = pack(&host, &mut exchange, 0, 0).await;
    let host = host.reopen().await;
    let package = at(&host, point, height).await;
    assert_eq!((package.state(), package.forward_filter), (PackageState::LockedIn, None));
    host.set_forward_filter(point, height, Filter::empty(0)).await.unwrap();
    let host = host.reopen().await;
    let package = at(&host, point, height).await;
    assert_eq!(package.forward_filter, Some(Filter::empty(0)));
    assert_eq!(package.state(), PackageState::Completed);
    host.remove_forwarding_packages(point, &[height]).await.unwrap();
    assert_eq!(host.packages(point).await, []);
}

/// A package with adds and ends completes when both are acknowledged, whichever comes first, and
/// whether they come before its filter or after it.
/// Obligations: `package/progress`, `package/any_order`.
pub(crate) async fn a_package_of_both_kinds_completes_in_any_order(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    for order in ["fae", "fea", "afe", "aef", "efa", "eaf"] {
        let height = pack(&host, &mut exchange, 1, 1).await;
        for (done, step) in order.chars().enumerate() {
            match step {
                'f' => host.set_forward_filter(point, height, Filter::empty(1)).await,
                'a' => host.ack_adds(point, &add_refs(height, &[0])).await,
                _ => host.ack_settle_fails(&end_refs(&exchange, height, &[0])).await,
            }
            .unwrap();
            let filtered = order.chars().take(done + 1).any(|step| step == 'f');
            let expected = match (done, filtered) {
                (2, _) => PackageState::Completed,
                (_, true) => PackageState::Processed,
                (_, false) => PackageState::LockedIn,
            };
            assert_eq!(at(&host, point, height).await.state(), expected, "{order}, step {done}");
        }
    }
}

/// Packages that a channel filed under its alias and under its confirmed short channel id are read
/// together, by height, and acknowledged each under its own.
/// Obligations: `package/by_height`, `lifecycle/two_scids`.
pub(crate) async fn packages_of_both_scids_are_read_together(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let (point, alias, confirmed) = (exchange.point, exchange.scid, 5.into());
    host.set_confirmed(point, 5).await;
    let mut sources = Vec::new();
    for source in [alias, confirmed, alias] {
        exchange.scid = source;
        let height = pack(&host, &mut exchange, 1, 1).await;
        host.ack_settle_fails(&end_refs(&exchange, height, &[0])).await.unwrap();
        sources.push((height, source));
    }
    let wrong = SettleFailRef { source: alias, height: sources[1].0, index: 0 };
    host.still(host.ack_settle_fails(&[wrong])).await.unwrap();
    host.ack_adds(point, &add_refs(sources[1].0, &[0])).await.unwrap();
    let host = host.reopen().await;
    let packages = host.packages(point).await;
    assert!(packages.iter().map(|p| (p.height, p.source)).eq(sources));
    assert!(packages.iter().all(|package| package.settle_fail_filter.is_full()));
    let acked: Vec<_> = packages.iter().map(|package| package.ack_filter.is_full()).collect();
    assert_eq!(acked, [false, true, false]);
}

/// A channel that is borked still works its packages off.
/// Obligations: `status/borked`, `package/removal`, `package/progress`.
pub(crate) async fn a_borked_channel_works_its_packages_off(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    let height = pack(&host, &mut exchange, 1, 1).await;
    host.mark_borked(point).await.unwrap();
    host.ack_adds(point, &add_refs(height, &[0])).await.unwrap();
    host.ack_settle_fails(&end_refs(&exchange, height, &[0])).await.unwrap();
    host.set_forward_filter(point, height, Filter::empty(1)).await.unwrap();
    assert_eq!(at(&host, point, height).await.state(), PackageState::Completed);
    host.remove_forwarding_packages(point, &[height]).await.unwrap();
    assert_eq!(host.reopen().await.packages(point).await, []);
}

/// A channel that does not exist has no packages, and a shell has none either.
/// Obligations: `facet/unknown_channel`, `package/gone`, `package/fitting_filter`.
pub(crate) async fn shells_and_unknown_channels_have_no_packages(place: &dyn Place) {
    use channelcoord::PeerChannelStore;
    let host = Host::new(place).await;
    let (height, unknown) = (CommitmentHeight(1), outpoint(2));
    let (adds, heights) = (add_refs(height, &[0]), [height]);
    let refusal = Rejection::UnknownChannel(unknown);
    assert_eq!(host.refused(host.ack_adds(unknown, &adds)).await, refusal);
    let filter = host.set_forward_filter(unknown, height, Filter::empty(1));
    assert_eq!(host.refused(filter).await, refusal);
    let removal = host.remove_forwarding_packages(unknown, &heights);
    assert_eq!(host.refused(removal).await, refusal);

    let shell = outpoint(1);
    let shells = vec![(values::shell(1, peer(1)), values::link_node(1))];
    host.restore_shells(shells).await.unwrap();
    assert_eq!(host.packages(shell).await, []);
    host.still(host.ack_adds(shell, &adds)).await.unwrap();
    host.still(host.remove_forwarding_packages(shell, &heights)).await.unwrap();
    let filter = host.set_forward_filter(shell, height, Filter::empty(0));
    assert_eq!(host.refused(filter).await, Rejection::UnknownPackage { height });
}

/// What happens to the packages of one channel leaves those of its neighbours, whose short channel
/// ids come right before and after.
/// Obligations: `facet/one_channel`, `package/with_channel`.
pub(crate) async fn packages_of_neighbours_are_left_alone(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchanges = Vec::new();
    for n in 1..=3 {
        let point = host.open_with(n, 1).await;
        host.mark_scid(point, 255 + n).await;
        let mut exchange = Exchange::new(n, (255 + n).into());
        pack(&host, &mut exchange, 2, 2).await;
        pack(&host, &mut exchange, 1, 0).await;
        exchanges.push(exchange);
    }
    let [before, middle, after] = &exchanges[..] else { panic!("three channels") };
    let heights = [1, 2].map(CommitmentHeight);
    host.ack_adds(middle.point, &add_refs(heights[0], &[0, 1])).await.unwrap();
    host.ack_settle_fails(&end_refs(middle, heights[0], &[0])).await.unwrap();
    host.set_forward_filter(middle.point, heights[1], Filter::empty(1)).await.unwrap();
    host.remove_forwarding_packages(middle.point, &heights[..1]).await.unwrap();
    host.close_and_reclaim(2, middle.point).await;
    let host = host.reopen().await;
    for exchange in [before, after] {
        host.check(exchange).await;
    }
}
