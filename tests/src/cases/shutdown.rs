//! Cooperative shutdown and closing transactions.

use std::sync::Arc;

use bitcoin::ScriptBuf;
use chanstate::facet::{CloseTxStore, OpenChannelStore, ShutdownStore};
use chanstate::{ChannelStatus, Closer, Rejection, ShutdownInfo};

use crate::values::{self, outpoint};
use crate::{Host, Place};

/// Script and initiator are kept, replaced, and an empty script is not an absent one.
pub(crate) async fn shutdown_info_is_kept_and_replaced(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    assert_eq!(host.shutdown_info(point).await.unwrap(), None);
    let first = ShutdownInfo { script: values::script(1), local_initiator: true };
    host.store_shutdown_info(point, first.clone()).await.unwrap();
    host.still(host.store_shutdown_info(point, first.clone())).await.unwrap();
    assert_eq!(host.shutdown_info(point).await.unwrap(), Some(first));
    let second = ShutdownInfo { script: ScriptBuf::new(), local_initiator: false };
    host.store_shutdown_info(point, second.clone()).await.unwrap();
    let host = host.reopen().await;
    assert_eq!(host.shutdown_info(point).await.unwrap(), Some(second));
    assert_eq!(host.channel(point).await.unwrap().status, ChannelStatus::empty());
}

/// Each closing transaction has a place of its own, and comes with its status bits.
pub(crate) async fn closing_transactions_are_kept_apart(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    assert_eq!(host.broadcasted_commitment(point).await.unwrap(), None);
    assert_eq!(host.broadcasted_cooperative(point).await.unwrap(), None);
    let [force, coop] = [1, 2].map(|n| Arc::new(values::tx(point, n, 2)));
    host.mark_commitment_broadcasted(point, Arc::clone(&force), Closer::Local).await.unwrap();
    let status = ChannelStatus::COMMITMENT_BROADCASTED | ChannelStatus::LOCAL_CLOSE_INITIATOR;
    assert_eq!(host.channel(point).await.unwrap().status, status);
    assert_eq!(host.broadcasted_cooperative(point).await.unwrap(), None);
    host.mark_coop_broadcasted(point, Arc::clone(&coop), Closer::Remote).await.unwrap();
    host.still(host.mark_coop_broadcasted(point, Arc::clone(&coop), Closer::Remote)).await.unwrap();

    let host = host.reopen().await;
    assert_eq!(host.broadcasted_commitment(point).await.unwrap(), Some(force));
    assert_eq!(host.broadcasted_cooperative(point).await.unwrap(), Some(coop));
    let all = status | ChannelStatus::COOP_BROADCASTED | ChannelStatus::REMOTE_CLOSE_INITIATOR;
    assert_eq!(host.channel(point).await.unwrap().status, all);
}

/// A later transaction replaces an earlier one; initiator bits add up.
pub(crate) async fn a_later_closing_transaction_replaces_an_earlier_one(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    for (n, closer) in [(1, Closer::Local), (2, Closer::Remote)] {
        let tx = Arc::new(values::tx(point, n, 3));
        host.mark_commitment_broadcasted(point, Arc::clone(&tx), closer).await.unwrap();
        assert_eq!(host.broadcasted_commitment(point).await.unwrap(), Some(tx));
    }
    let status = host.reopen().await.channel(point).await.unwrap().status;
    let both = ChannelStatus::LOCAL_CLOSE_INITIATOR | ChannelStatus::REMOTE_CLOSE_INITIATOR;
    assert_eq!(status, ChannelStatus::COMMITMENT_BROADCASTED | both);
}

/// Unknown channels are told from closed ones, and neither is changed.
pub(crate) async fn unknown_and_closed_channels_are_refused(place: &dyn Place) {
    let host = Host::new(place).await;
    let closed = host.open(1).await;
    host.close_and_reclaim(1, closed).await;
    let unknown = outpoint(2);
    let refusals =
        [(unknown, Rejection::UnknownChannel(unknown)), (closed, Rejection::AlreadyClosed(closed))];
    for (point, refusal) in refusals {
        let info = ShutdownInfo { script: values::script(1), local_initiator: true };
        let tx = Arc::new(values::tx(point, 1, 1));
        assert_eq!(host.refused(host.store_shutdown_info(point, info)).await, refusal);
        assert_eq!(host.refused(host.shutdown_info(point)).await, refusal);
        let force = host.mark_commitment_broadcasted(point, Arc::clone(&tx), Closer::Local);
        assert_eq!(host.refused(force).await, refusal);
        let coop = host.mark_coop_broadcasted(point, tx, Closer::Local);
        assert_eq!(host.refused(coop).await, refusal);
        assert_eq!(host.refused(host.broadcasted_commitment(point)).await, refusal);
        assert_eq!(host.refused(host.broadcasted_cooperative(point)).await, refusal);
    }
}
