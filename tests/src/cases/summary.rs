//! Close summaries: every kind of close, of every kind of channel.

use bitcoin::constants::ChainHash;
use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use channelcoord::PeerChannelStore;
use chanstate::facet::{
    ClosedChannelStore, CommitmentStore, HistoricalStore, LifecycleStore, OpenChannelStore,
    StatusStore,
};
use chanstate::{
    Channel, ChannelId, ChannelStatus, CloseKind, CloseSummary, NewChannel, Rejection,
};

use crate::values::{self, outpoint, peer};
use crate::{ChannelReads, Host, Place};

const NO_BITS: ChannelStatus = ChannelStatus::empty();

/// Every kind of close is kept, those without a name too, resolved or not.
/// Obligations: `facet/read_back`, `closed/listed`.
pub(crate) async fn every_kind_of_close_is_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let kinds = [0, 1, 2, 3, 4, 5, 6, 127, 128, 255].map(CloseKind::from_u8);
    for (n, kind) in (0..).zip(kinds) {
        let point = host.open(n).await;
        let summary = values::summary(n, point, peer(n));
        let summary = CloseSummary { kind, pending: n % 2 == 0, ..summary };
        host.close_channel(point, summary, NO_BITS).await.unwrap();
    }
    let host = host.reopen().await;
    for (n, kind) in (0..).zip(kinds) {
        let summary = host.closed_channel(outpoint(n)).await.unwrap();
        assert_eq!((summary.kind, summary.pending), (kind, n % 2 == 0));
    }
    let all = host.closed_channels(false).await.unwrap();
    let pending: Vec<_> = all.iter().filter(|summary| summary.pending).cloned().collect();
    assert_eq!((all.len(), pending.len()), (10, 5));
    assert_eq!(host.closed_channels(true).await.unwrap(), pending);
}

/// A summary says what its caller says, also where the channel says something else; only the
/// outpoint must be the channel's.
/// Obligations: `closed/resume`, `closed/own_summary`.
pub(crate) async fn a_summary_is_kept_as_given(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let other = OutPoint { vout: point.vout + 1, ..point };
    let given = CloseSummary {
        chain: ChainHash::SIGNET,
        closing_txid: Txid::all_zeros(),
        scid: 3.into(),
        ..values::summary(1, other, peer(9))
    };
    let wrong = host.close_channel(point, given.clone(), NO_BITS);
    assert_eq!(host.refused(wrong).await, Rejection::SummaryOfOther { found: other });
    let given = CloseSummary { channel_point: point, ..given };
    host.close_channel(point, given.clone(), NO_BITS).await.unwrap();
    let host = host.reopen().await;
    let found = host.closed_channel(point).await.unwrap();
    assert_eq!(CloseSummary { resume: None, ..found }, given);
}

/// A channel can be closed whatever it goes through, and its history shows just that.
/// Obligations: `closed/any_status`, `closed/as_it_was`, `closed/resume`, `lifecycle/refreshed`.
pub(crate) async fn any_channel_can_be_closed(place: &dyn Place) {
    let host = Host::new(place).await;
    let pending = host.open(1).await;
    let mut exchange = host.exchange(2).await;
    exchange.we_add(1_000_000);
    exchange.they_add(2_000_000);
    host.rounds(&mut exchange, 2).await;
    host.sign(&mut exchange).await;
    let signed = exchange.point;
    let lost = host.open(3).await;
    host.mark_data_loss(lost, values::key("lost", 3)).await.unwrap();
    host.mark_borked(lost).await.unwrap();
    let confirmed = host.open(4).await;
    host.set_close_confirmation_height(confirmed, Some(9)).await.unwrap();
    let shells = vec![(values::shell(5, peer(5)), values::link_node(5))];
    host.restore_shells(shells).await.unwrap();

    let points = [pending, signed, lost, confirmed, outpoint(5)];
    let added = ChannelStatus::LOCAL_CLOSE_INITIATOR;
    let mut expected = Vec::new();
    for (n, point) in (1..).zip(points) {
        let open = host.channel(point).await.unwrap();
        let summary = values::summary(n, point, peer(n));
        host.close_channel(point, summary, added).await.unwrap();
        expected.push(Channel { status: open.status | added, ..open });
    }
    host.reclaim_closed().await.unwrap();
    let host = host.reopen().await;
    for channel in expected {
        let point = channel.funding_outpoint;
        let resume = host.closed_channel(point).await.unwrap().resume.unwrap();
        assert_eq!(resume.remote_current_point, channel.revocation.current_point);
        assert_eq!(resume.remote_next_point, channel.revocation.next_point);
        assert_eq!(resume.local_config, channel.terms.local_config);
        assert_eq!(host.refresh(point).await.unwrap(), channel);
        assert_eq!(host.historical_channel(point).await.unwrap(), channel);
    }
}

/// Channels that one transaction funded are told apart, open and closed, by outpoint and by id.
/// Obligations: `closed/found`, `closed/listed`, `open/found`.
pub(crate) async fn channels_of_one_transaction_are_told_apart(place: &dyn Place) {
    let host = Host::new(place).await;
    let txid = outpoint(1).txid;
    let at = |vout| OutPoint { txid, vout };
    // Ids differ in the low 16 bits of the output alone.
    let outputs = [0, 1, 9, 10, 99, 100, 255, 256, 257, 65_534, 65_535];
    for vout in outputs {
        let new = values::new_channel(vout.into(), peer(1));
        host.open_as(NewChannel { funding_outpoint: at(vout), ..new }, 1).await;
    }
    let id = |vout| ChannelId::from_outpoint(at(vout));
    for vout in outputs {
        let channel = host.channel_by_id(id(vout)).await.unwrap();
        assert_eq!(channel.funding_outpoint, at(vout));
        let summary = CloseSummary { close_height: vout, ..values::summary(1, at(vout), peer(1)) };
        host.close_channel(at(vout), summary, NO_BITS).await.unwrap();
    }
    host.reclaim_closed().await.unwrap();
    let host = host.reopen().await;
    for vout in outputs {
        let summary = host.closed_channel_by_id(id(vout)).await.unwrap();
        assert_eq!((summary.channel_point, summary.close_height), (at(vout), vout));
        assert_eq!(host.historical_channel(at(vout)).await.unwrap().funding_outpoint, at(vout));
    }
    let listed = host.closed_channels(false).await.unwrap();
    assert!(listed.iter().map(|summary| summary.channel_point.vout).eq(outputs));
    let unknown = host.refused(host.closed_channel_by_id(id(2))).await;
    assert_eq!(unknown, Rejection::UnknownChannelId(id(2)));
}

/// Closing one of a peer's channels leaves the other, and the peer is still one we share with.
/// Obligations: `facet/one_channel`, `open/tallies`, `closed/reclaimed`.
pub(crate) async fn a_close_leaves_the_peers_other_channel(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut points = Vec::new();
    for n in [1, 2] {
        let point = host.open_with(n, 1).await;
        host.mark_scid(point, n).await;
        let mut exchange = crate::Exchange::new(n, n.into());
        exchange.they_add(1_000_000);
        host.revoke(&mut exchange).await;
        host.rounds(&mut exchange, 2).await;
        points.push(point);
    }
    let [closed, kept] = points[..] else { panic!("two channels") };
    let before = ChannelReads::of(&host, kept).await;
    host.close_and_reclaim(1, closed).await;
    host.mark_fully_closed(closed).await.unwrap();
    let host = host.reopen().await;
    assert_eq!(ChannelReads::of(&host, kept).await, before);
    let listed = host.channels_of(&peer(1)).await.unwrap();
    assert_eq!(listed, [host.channel(kept).await.unwrap()]);
    let tallies = host.peer_tallies(ChainHash::REGTEST).await.unwrap();
    assert!(tallies[&peer(1)].has_channels);
}

/// A close that is refused leaves the channel as usable as it was.
/// Obligations: `closed/own_summary`, `facet/nothing_on_error`.
pub(crate) async fn a_refused_close_leaves_the_channel_open(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    exchange.we_add(1_000_000);
    let point = exchange.point;
    let summary = values::summary(2, outpoint(2), peer(1));
    let refused = host.close_channel(point, summary, ChannelStatus::BORKED);
    host.refused(refused).await;
    assert_eq!(host.refused(host.closed_channel(point)).await, Rejection::NoSummary(point));
    assert_eq!(host.open_channels().await.unwrap().len(), 1);
    host.round(&mut exchange).await;
    assert_eq!(host.heights(point).await.unwrap().local.0, 1);
}
