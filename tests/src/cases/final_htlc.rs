//! Final outcomes of HTLCs.

use chanstate::facet::{FinalHtlcStore, LifecycleStore};
use chanstate::key::Kind;
use chanstate::transition::Options;
use chanstate::{FinalHtlc, HtlcId, Rejection, ShortChannelId};

use crate::{End, Host, Place, inspect};

const STORED: Options = Options { no_revocation_log_amounts: false, store_final_htlcs: true };

/// With the option, outcomes in the channel are stored when they are locked in; they outlive it.
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
