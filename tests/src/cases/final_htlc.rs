//! Final outcomes of HTLCs.

use chanstate::facet::{FinalHtlcStore, LifecycleStore};
use chanstate::key::Kind;
use chanstate::transition::Options;
use chanstate::{FinalHtlc, HtlcId, Rejection, ShortChannelId};

use crate::{End, Host, Place, inspect};

const STORED: Options = Options { no_revocation_log_amounts: false, store_final_htlcs: true };

/// With the option, outcomes in the channel are stored when they are locked in; they outlive it.
/// Obligations: `final_htlc/locked_in`, `final_htlc/outlives`, `final_htlc/unknown`.
pub(crate) async fn outcomes_in_the_channel_are_stored_on_request(place: &dyn Place) {
    let host = Host::with(place, STORED).await;
    let mut exchange = host.exchange(1).await;
    for _ in 0..3 {
        exchange.they_add(1_000_000);
    }
    host.rounds(&mut exchange, 2).await;
    exchange.we_end(HtlcId(0), End::Settle);
    exchange.we_end(HtlcId(1), End::Fail);
    let scid = exchange.scid;
    let unknown = async |host: &Host<'_>, scid, id| {
        let refused = host.refused(host.final_htlc(scid, id)).await;
        assert_eq!(refused, Rejection::UnknownHtlc { scid, id });
    };
    host.sign(&mut exchange).await;
    host.take_revocation(&mut exchange).await;
    unknown(&host, scid, HtlcId(0)).await;
    host.revoke(&mut exchange).await;
    host.close_and_reclaim(1, exchange.point).await;
    let host = host.reopen().await;
    let outcome = |settled| FinalHtlc { settled, offchain: true };
    assert_eq!(host.final_htlc(scid, HtlcId(0)).await.unwrap(), outcome(true));
    assert_eq!(host.final_htlc(scid, HtlcId(1)).await.unwrap(), outcome(false));
    unknown(&host, scid, HtlcId(2)).await;
    unknown(&host, ShortChannelId(1), HtlcId(0)).await;
    unknown(&host, ShortChannelId(u64::MAX), HtlcId(u64::MAX)).await;
}

/// Without the option nothing is stored, and what was stored before is found.
/// Obligations: `final_htlc/on_request`.
pub(crate) async fn without_the_option_nothing_is_stored(place: &dyn Place) {
    let host = Host::with(place, STORED).await;
    let scid = ShortChannelId(u64::MAX);
    host.put_onchain_outcome(scid, HtlcId(7), true).await.unwrap();
    host.close().await.unwrap();
    drop(host);
    let host = Host::new(place).await;
    let onchain = FinalHtlc { settled: true, offchain: false };
    assert_eq!(host.final_htlc(scid, HtlcId(7)).await.unwrap(), onchain);
    host.still(host.put_onchain_outcome(scid, HtlcId(8), true)).await.unwrap();
    let mut exchange = host.exchange(1).await;
    exchange.they_add(1_000_000);
    host.rounds(&mut exchange, 2).await;
    exchange.we_end(HtlcId(0), End::Settle);
    host.rounds(&mut exchange, 2).await;
    assert_eq!(inspect::count(host.backend.as_ref(), Kind::FinalHtlc).await, 1);
}

/// An outcome on chain replaces another; an id that no engine can hold in a key is refused.
/// Obligations: `final_htlc/newest`, `final_htlc/largest_id`, `final_htlc/outlives`.
pub(crate) async fn an_outcome_on_chain_replaces_another(place: &dyn Place) {
    let host = Host::with(place, STORED).await;
    let (scid, id) = (ShortChannelId(1 << 63), HtlcId(i64::MAX as u64));
    for settled in [true, false] {
        host.put_onchain_outcome(scid, id, settled).await.unwrap();
        let outcome = FinalHtlc { settled, offchain: false };
        assert_eq!(host.final_htlc(scid, id).await.unwrap(), outcome);
    }
    let refused = host.put_onchain_outcome(scid, HtlcId(1 << 63), true);
    let refusal = Rejection::TooLarge { what: "HTLC id", found: 1 << 63 };
    assert_eq!(host.refused(refused).await, refusal);
    let point = host.open(1).await;
    host.mark_open(point, scid).await.unwrap();
    let host = host.reopen().await;
    assert!(!host.final_htlc(scid, id).await.unwrap().settled);
}

/// What happened on chain replaces what happened in the channel, and an outcome in the channel
/// what was stored before under its id.
/// Obligations: `final_htlc/newest`, `final_htlc/locked_in`.
pub(crate) async fn an_outcome_on_chain_replaces_one_in_the_channel(place: &dyn Place) {
    let host = Host::with(place, STORED).await;
    let mut exchange = host.exchange(1).await;
    let (scid, id) = (exchange.scid, exchange.they_add(1_000_000));
    host.put_onchain_outcome(scid, id, false).await.unwrap();
    host.rounds(&mut exchange, 2).await;
    exchange.we_end(id, End::Settle);
    host.rounds(&mut exchange, 2).await;
    let inside = FinalHtlc { settled: true, offchain: true };
    assert_eq!(host.final_htlc(scid, id).await.unwrap(), inside);
    host.put_onchain_outcome(scid, id, true).await.unwrap();
    let host = host.reopen().await;
    let onchain = FinalHtlc { settled: true, offchain: false };
    assert_eq!(host.final_htlc(scid, id).await.unwrap(), onchain);
}

/// Ids and short channel ids at both ends of their range have outcomes of their own.
/// Obligations: `final_htlc/largest_id`, `final_htlc/unknown`, `facet/read_back`.
pub(crate) async fn outcomes_are_kept_at_both_ends(place: &dyn Place) {
    let host = Host::with(place, STORED).await;
    let scids = [0, 1, i64::MAX as u64, 1 << 63, u64::MAX].map(ShortChannelId);
    let ids = [0, 1, 1 << 32, i64::MAX as u64].map(HtlcId);
    let settled = |s: usize, i: usize| (s + i).is_multiple_of(2);
    for (s, scid) in scids.into_iter().enumerate() {
        for (i, id) in ids.into_iter().enumerate() {
            host.put_onchain_outcome(scid, id, settled(s, i)).await.unwrap();
        }
    }
    let host = host.reopen().await;
    for (s, scid) in scids.into_iter().enumerate() {
        for (i, id) in ids.into_iter().enumerate() {
            assert_eq!(host.final_htlc(scid, id).await.unwrap().settled, settled(s, i));
        }
        let (id, next) = (HtlcId(1 << 63), HtlcId(2));
        let refused = host.refused(host.put_onchain_outcome(scid, id, true)).await;
        assert_eq!(refused, Rejection::TooLarge { what: "HTLC id", found: id.0 });
        for id in [id, next, HtlcId(u64::MAX)] {
            let unknown = host.refused(host.final_htlc(scid, id)).await;
            assert_eq!(unknown, Rejection::UnknownHtlc { scid, id });
        }
    }
}

/// Outcomes are filed under the short channel id that the channel has when they are locked in.
/// Obligations: `final_htlc/locked_in`, `facet/one_channel`.
pub(crate) async fn outcomes_are_filed_under_the_scid_of_the_time(place: &dyn Place) {
    let host = Host::with(place, STORED).await;
    let mut exchange = host.exchange(1).await;
    let (old, new) = (exchange.scid, ShortChannelId(3));
    for _ in 0..2 {
        exchange.they_add(1_000_000);
    }
    host.rounds(&mut exchange, 2).await;
    exchange.we_end(HtlcId(0), End::Settle);
    host.rounds(&mut exchange, 2).await;
    host.mark_open(exchange.point, new).await.unwrap();
    exchange.scid = new;
    exchange.we_end(HtlcId(1), End::Fail);
    host.rounds(&mut exchange, 2).await;
    let found = async |scid, id| host.final_htlc(scid, HtlcId(id)).await.ok().map(|o| o.settled);
    assert_eq!((found(old, 0).await, found(old, 1).await), (Some(true), None));
    assert_eq!((found(new, 0).await, found(new, 1).await), (None, Some(false)));
}
