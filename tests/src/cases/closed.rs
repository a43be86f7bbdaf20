//! Closed channels and how they were.

use std::sync::{Arc, Mutex, mpsc};

use bitcoin::hashes::Hash;
use bitcoin::{Amount, Txid};
use channelcoord::PeerChannelStore;
use chanstate::facet::{
    ClosedChannelStore, CommitmentStore, HistoricalStore, OpenChannelStore, RevocationLogStore,
    StatusStore,
};
use chanstate::key::{KeyPart, KeyRange, Kind};
use chanstate::{
    Channel, ChannelId, ChannelStatus, CloseKind, CloseResume, CloseSummary, CommitmentHeight,
    Rejection,
};

use crate::values::{self, outpoint, peer};
use crate::{End, Host, Place, Reads, inspect, poll_once};

/// A close takes the channel from the open ones and shows its summary and history, filled in from
/// the stored state.
/// Obligations: `closed/at_once`, `closed/as_it_was`, `closed/resume`, `closed/found`.
pub(crate) async fn a_closed_channel_shows_summary_and_history(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    exchange.we_add(1_000_000);
    host.rounds(&mut exchange, 2).await;
    host.sign(&mut exchange).await;
    let point = exchange.point;
    host.mark_borked(point).await.unwrap();
    let open = host.channel(point).await.unwrap();
    let summary = values::summary(1, point, peer(1));
    let added = ChannelStatus::COOP_BROADCASTED | ChannelStatus::from_bits_retain(1 << 50);
    host.close_channel(point, summary.clone(), added).await.unwrap();

    let expected = CloseSummary {
        resume: Some(CloseResume {
            remote_current_point: open.revocation.current_point,
            remote_next_point: open.revocation.next_point,
            local_config: open.terms.local_config.clone(),
            reestablish: None,
        }),
        ..summary
    };
    let status = ChannelStatus::BORKED | added;
    let host = host.reopen().await;
    assert_eq!(host.closed_channel(point).await.unwrap(), expected);
    assert_eq!(host.closed_channel_by_id(open.channel_id).await.unwrap(), expected);
    assert_eq!(host.historical_channel(point).await.unwrap(), Channel { status, ..open });
    assert_eq!(host.all_channels().await.unwrap(), []);
}

/// The caller's `channel_reestablish` stays in the summary.
/// Obligations: `closed/resume`.
pub(crate) async fn a_summary_keeps_the_last_reestablish(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let open = host.channel(point).await.unwrap();
    let reestablish = chanstate::message::ParsedMessage::ChannelReestablish {
        channel_id: open.channel_id.0,
        next_commitment_number: 1,
        next_revocation_number: 0,
        data_loss: None,
        extra: bytes::Bytes::new(),
    };
    let reestablish = Some(reestablish.encode().unwrap());
    let resume = CloseResume {
        // The store knows better.
        remote_current_point: values::key("stale", 1),
        remote_next_point: None,
        local_config: open.terms.remote_config.clone(),
        reestablish: reestablish.clone(),
    };
    let summary = CloseSummary { resume: Some(resume), ..values::summary(1, point, peer(1)) };
    host.close_channel(point, summary, ChannelStatus::empty()).await.unwrap();
    let resume = host.reopen().await.closed_channel(point).await.unwrap().resume.unwrap();
    assert_eq!(resume.reestablish, reestablish);
    assert_eq!(resume.remote_current_point, open.revocation.current_point);
    assert_eq!(resume.local_config, open.terms.local_config);
}

/// A second close is refused and changes nothing; so is a summary of another channel.
/// Obligations: `closed/once`, `closed/own_summary`, `facet/unknown_channel`.
pub(crate) async fn a_channel_closes_once(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let other = values::summary(2, outpoint(2), peer(1));
    let refused = host.close_channel(point, other, ChannelStatus::empty());
    let refused = host.refused(refused).await;
    assert_eq!(refused, Rejection::SummaryOfOther { found: outpoint(2) });
    host.close_and_reclaim(1, point).await;
    let mut again = values::summary(1, point, peer(1));
    again.kind = CloseKind::LocalForce;
    let second = host.close_channel(point, again.clone(), ChannelStatus::BORKED);
    assert_eq!(host.refused(second).await, Rejection::AlreadyClosed(point));
    again.channel_point = outpoint(3);
    let unknown = host.close_channel(outpoint(3), again, ChannelStatus::empty());
    assert_eq!(host.refused(unknown).await, Rejection::UnknownChannel(outpoint(3)));
}

/// An outpoint that was used is used up.
/// Obligations: `closed/used_up`.
pub(crate) async fn a_closed_outpoint_is_not_used_again(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    host.close_and_reclaim(1, point).await;
    host.mark_fully_closed(point).await.unwrap();
    let host = host.reopen().await;
    let again = host.open_channel(values::new_channel(1, peer(2)), values::link_node(2));
    assert_eq!(host.refused(again).await, Rejection::AlreadyExists(point));
}

/// Summaries come in the order of outpoints, pending ones alone on request; open channels have none.
/// Obligations: `closed/listed`, `closed/found`, `closed/not_closed`, `facet/unknown_channel`.
pub(crate) async fn summaries_are_listed_by_outpoint(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut points = Vec::new();
    for n in 1..=6 {
        let point = host.open_with(n, 1).await;
        host.close_and_reclaim(n, point).await;
        points.push(point);
    }
    let open = host.open(7).await;
    let resolved = points[2];
    host.mark_fully_closed(resolved).await.unwrap();
    host.still(host.mark_fully_closed(resolved)).await.unwrap();
    points.sort();
    let host = host.reopen().await;
    let of = |summaries: Vec<CloseSummary>| -> Vec<_> {
        summaries.into_iter().map(|summary| summary.channel_point).collect()
    };
    assert_eq!(of(host.closed_channels(false).await.unwrap()), points);
    points.retain(|point| *point != resolved);
    assert_eq!(of(host.closed_channels(true).await.unwrap()), points);
    assert!(!host.closed_channel(resolved).await.unwrap().pending);

    let id = ChannelId::from_outpoint;
    assert_eq!(host.refused(host.closed_channel(open)).await, Rejection::NoSummary(open));
    let by_id = host.refused(host.closed_channel_by_id(id(open))).await;
    assert_eq!(by_id, Rejection::NoSummary(open));
    assert_eq!(host.refused(host.historical_channel(open)).await, Rejection::NotClosed(open));
    assert_eq!(host.refused(host.mark_fully_closed(open)).await, Rejection::NotClosed(open));
    let unknown = outpoint(8);
    let refusal = Rejection::UnknownChannel(unknown);
    assert_eq!(host.refused(host.closed_channel(unknown)).await, refusal);
    assert_eq!(host.refused(host.historical_channel(unknown)).await, refusal);
    assert_eq!(host.refused(host.mark_fully_closed(unknown)).await, refusal);
    let by_id = host.refused(host.closed_channel_by_id(id(unknown))).await;
    assert_eq!(by_id, Rejection::UnknownChannelId(id(unknown)));
}

/// After the reclaim nothing is left but what the historical view and the summary need.
/// Obligations: `closed/reclaimed`, `closed/as_it_was`.
pub(crate) async fn a_reclaimed_channel_keeps_its_history(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    for _ in 0..3 {
        exchange.we_add(1_000_000);
        exchange.they_add(2_000_000);
        host.round(&mut exchange).await;
    }
    for id in exchange.ours_to_end() {
        exchange.we_end(id, End::Settle);
    }
    exchange.we_add(7_000_000);
    host.sign(&mut exchange).await;
    let shutdown = chanstate::ShutdownInfo { script: values::script(1), local_initiator: true };
    use chanstate::facet::ShutdownStore;
    host.store_shutdown_info(point, shutdown).await.unwrap();
    let open = host.channel(point).await.unwrap();
    host.close_and_reclaim(1, point).await;

    let host = host.reopen().await;
    assert_eq!(host.historical_channel(point).await.unwrap(), open);
    let backend = host.backend.as_ref();
    let gone = [
        Kind::RevokedState,
        Kind::Package,
        Kind::PackageUpdate,
        Kind::Diff,
        Kind::UpdateList,
        Kind::Mark,
        Kind::Reclaim,
    ];
    for kind in gone {
        assert_eq!(inspect::count(backend, kind).await, 0, "{kind:?}");
    }
    assert_eq!(inspect::count(backend, Kind::Commitment).await, 2);
    let shown = [open.local_commitment.unwrap(), open.remote_commitment.unwrap()];
    let shown = shown.iter().flat_map(|c| c.htlcs.iter().map(chanstate::Htlc::key)).collect();
    assert_eq!(inspect::stored_htlcs(backend).await, [(point, shown)].into());
}

/// A long log does not hold up the close, and goes in steps between which others are served; one
/// that is interrupted goes on when the store is opened again.
/// Obligations: `closed/reclaimed`.
pub(crate) async fn a_long_log_is_reclaimed_in_steps(place: &dyn Place) {
    const STATES: usize = 1100;
    let options = channelcoord::StoreOptions::default();
    let faulty = crate::Faulty::new(place.must_open());
    let host = Host::over(place, faulty.clone(), options).await;
    let mut exchange = host.exchange(1).await;
    let point = exchange.point;
    for _ in 0..STATES {
        host.sign(&mut exchange).await;
        host.take_revocation(&mut exchange).await;
    }
    let backend = host.backend.as_ref();
    assert_eq!(inspect::count(backend, Kind::RevokedState).await, STATES);
    let mut others = host.exchange(2).await;
    faulty.take_batches();
    let removed = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&removed);
    let (begin, begun) = mpsc::channel();
    let (go, may_go) = mpsc::channel();
    faulty.judge(move |sets| {
        let mut seen = seen.lock().unwrap();
        let first = seen.iter().all(|removes| *removes == 0);
        seen.extend(sets.iter().map(|set| set.removes.len()));
        if first && seen.iter().any(|removes| *removes > 0) {
            begin.send(()).unwrap();
            may_go.recv().unwrap();
        }
        None
    });
    let summary = values::summary(1, point, peer(1));
    host.close_channel(point, summary, ChannelStatus::empty()).await.unwrap();
    begun.recv().unwrap();
    let append = others.append();
    let other = poll_once(host.append_remote(others.point, append.clone()));
    go.send(()).unwrap();
    other.await.unwrap();
    others.stored_append(&append);
    host.take_revocation(&mut others).await;
    host.reclaim_closed().await.unwrap();
    let left = [Kind::RevokedState, Kind::Package];
    for kind in left {
        assert_eq!(inspect::count(backend, kind).await, 1, "of the other channel");
    }
    let mut removed = removed.lock().unwrap().clone();
    let step = removed.iter().position(|n| *n > 0).unwrap();
    assert_eq!(removed[step + 1], 0, "the other channel was not served after the first step");
    removed.retain(|n| *n > 0);
    // A package and a state for each, and the job.
    assert!(removed.iter().sum::<usize>() > 2 * STATES && removed.len() > 4, "{removed:?}");
    assert!(removed.iter().all(|step| *step <= 513), "{removed:?}");
    assert!(host.historical_channel(point).await.is_ok());
}

/// Damage of one closed channel is told, and the others are reclaimed all the same.
/// Obligations: `closed/reclaimed`, `facet/damage`.
pub(crate) async fn damage_does_not_hold_up_the_reclaim_of_others(place: &dyn Place) {
    let (host, faulty) = super::failures::faulty(place, 0).await;
    let mut points = Vec::new();
    for n in 1..=3 {
        let mut exchange = host.exchange(n).await;
        host.rounds(&mut exchange, 1).await;
        points.push(exchange.point);
    }
    // Before the closes: the background may begin with the first of them.
    let states = inspect::records(host.backend.as_ref(), Kind::RevokedState).await;
    let key = states[0].key();
    let [KeyPart::Int(first), _] = key.parts[..] else { panic!("{key}") };
    faulty.damage(KeyRange::under(Kind::RevokedState, [first]));
    for (n, point) in (1..).zip(points) {
        let summary = values::summary(n, point, peer(n));
        host.close_channel(point, summary, ChannelStatus::empty()).await.unwrap();
    }
    let failed = host.reclaim_closed().await.unwrap_err();
    assert!(matches!(failed, chanstate::StoreError::Corrupt { .. }), "{failed:?}");
    let left = inspect::records(host.backend.as_ref(), Kind::RevokedState).await;
    assert_eq!(left, states[..1]);
    host.reclaim_closed().await.unwrap();
}

/// A close whose reclaim was cut short is reclaimed when the store is opened again.
/// Obligations: `closed/reclaimed`, `revocation/may_go`.
pub(crate) async fn an_interrupted_reclaim_goes_on_at_the_next_opening(place: &dyn Place) {
    let faulty = crate::Faulty::new(place.must_open());
    let options = channelcoord::StoreOptions { check_memory: true, ..Default::default() };
    let host = Host::over(place, faulty.clone(), options).await;
    let mut exchange = host.exchange(1).await;
    host.rounds(&mut exchange, 3).await;
    let point = exchange.point;
    // Reclaiming writes no channel; everything else here does.
    faulty.judge(|sets| {
        sets.iter().all(|set| set.channels.is_empty()).then_some(crate::Fault::NotStored)
    });
    let summary = values::summary(1, point, peer(1));
    host.close_channel(point, summary, ChannelStatus::empty()).await.unwrap();
    let failed = host.reclaim_closed().await.unwrap_err();
    assert!(matches!(failed, chanstate::StoreError::Unavailable(_)), "{failed:?}");
    assert_eq!(inspect::count(host.backend.as_ref(), Kind::RevokedState).await, 3);
    // A closed channel's log may still be read until it is gone.
    host.previous_state(point, CommitmentHeight(2)).await.unwrap();
    let reads = Reads::of(&host, &[point]).await;
    host.close().await.unwrap();
    drop((host, faulty));

    let host = Host::new(place).await;
    host.reclaim_closed().await.unwrap();
    assert_eq!(inspect::count(host.backend.as_ref(), Kind::RevokedState).await, 0);
    let height = CommitmentHeight(2);
    let gone = host.refused(host.previous_state(point, height)).await;
    assert_eq!(gone, Rejection::UnknownState(height));
    let after = Reads::of(&host, &[point]).await;
    assert_eq!((&after.closed, &after.all), (&reads.closed, &reads.all));
    host.still(host.reclaim_closed()).await.unwrap();
}

/// Giving a channel up closes it with a summary of its own and prunes the peer; once.
/// Obligations: `closed/at_once`, `closed/as_it_was`.
pub(crate) async fn an_abandoned_channel_is_closed_at_once(place: &dyn Place) {
    use linknode::LinkNodeStore;
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    host.rounds(&mut exchange, 1).await;
    let point = exchange.point;
    let open = host.channel(point).await.unwrap();
    let unknown = host.refused(host.abandon_channel(outpoint(2), 5)).await;
    assert_eq!(unknown, Rejection::UnknownChannel(outpoint(2)));
    host.abandon_channel(point, 820_000).await.unwrap();
    host.reclaim_closed().await.unwrap();
    let host = host.reopen().await;
    let summary = host.closed_channel(point).await.unwrap();
    assert_eq!((summary.kind, summary.pending), (CloseKind::Abandoned, false));
    assert_eq!((summary.close_height, summary.closing_txid), (820_000, Txid::all_zeros()));
    let balance = open.local_commitment.as_ref().unwrap().local_balance.0 / 1000;
    assert_eq!(summary.settled_balance, Amount::from_sat(balance));
    assert_eq!((summary.scid, summary.capacity), (open.scid, open.terms.capacity));
    let status = host.historical_channel(point).await.unwrap().status;
    assert_eq!(status, ChannelStatus::LOCAL_CLOSE_INITIATOR);
    assert_eq!(host.link_nodes().await.unwrap(), []);
    host.still(host.abandon_channel(point, 9)).await.unwrap();
}

/// Abandoning a channel that is closed already leaves its summary as it is.
/// Obligations: `facet/repeated`, `closed/once`.
pub(crate) async fn abandoning_a_closed_channel_changes_nothing(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    host.close_and_reclaim(1, point).await;
    host.still(host.abandon_channel(point, 9)).await.unwrap();
    assert_eq!(host.closed_channel(point).await.unwrap().kind, CloseKind::Cooperative);
}

/// A restored shell can be closed, and shows no commitments in its history.
/// Obligations: `closed/any_status`, `closed/as_it_was`.
pub(crate) async fn a_shell_can_be_closed(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = outpoint(1);
    let shells = vec![(values::shell(1, peer(1)), values::link_node(1))];
    host.restore_shells(shells).await.unwrap();
    let shell = host.channel(point).await.unwrap();
    host.close_and_reclaim(1, point).await;
    assert_eq!(host.reopen().await.historical_channel(point).await.unwrap(), shell);
}

/// The revocation log of a closed channel is not asked for a tail.
/// Obligations: `facet/closed_channel`, `revocation/may_go`.
pub(crate) async fn a_closed_channel_has_no_log_tail(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    host.rounds(&mut exchange, 1).await;
    let point = exchange.point;
    host.close_and_reclaim(1, point).await;
    let refused = host.refused(host.revocation_log_tail(point)).await;
    assert_eq!(refused, Rejection::AlreadyClosed(point));
    let refused = host.refused(host.remote_tip(point)).await;
    assert_eq!(refused, Rejection::AlreadyClosed(point));
}
