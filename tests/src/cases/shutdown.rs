//! Cooperative shutdown and closing transactions.

use std::sync::Arc;

use bitcoin::ScriptBuf;
use chanstate::facet::{CloseTxStore, OpenChannelStore, ShutdownStore, StatusStore};
use chanstate::{ChannelStatus, Closer, Rejection, ShutdownInfo};

use crate::values::{self, outpoint};
use crate::{Host, Place};

/// Script and initiator are kept, replaced, and an empty script is not an absent one.
/// Obligations: `shutdown/newest`, `shutdown/any_script`, `shutdown/absent`, `facet/repeated`.
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
/// Obligations: `close_tx/kept_apart`, `close_tx/bits`, `close_tx/absent`, `facet/repeated`.
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
/// Obligations: `close_tx/newest`, `close_tx/bits`.
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
/// Obligations: `facet/unknown_channel`, `facet/closed_channel`.
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

/// A script of any length is kept, and any bytes in it.
/// Obligations: `shutdown/any_script`.
pub(crate) async fn scripts_of_any_length_are_kept(place: &dyn Place) {
    let host = Host::new(place).await;
    let lengths = [0, 1, 22, 34, 75, 76, 255, 256, 10_000, 65_535];
    let script = |len| ScriptBuf::from_bytes(values::bytes("script", 1, len).to_vec());
    for (n, len) in (1..).zip(lengths) {
        let point = host.open(n).await;
        let info = ShutdownInfo { script: script(len), local_initiator: len % 2 == 0 };
        host.store_shutdown_info(point, info).await.unwrap();
    }
    let host = host.reopen().await;
    for (n, len) in (1..).zip(lengths) {
        let info = ShutdownInfo { script: script(len), local_initiator: len % 2 == 0 };
        assert_eq!(host.shutdown_info(outpoint(n)).await.unwrap(), Some(info));
    }
}

/// A transaction is kept with its witnesses, up to one that fills a block's standard size.
/// Obligations: `close_tx/witness`, `facet/read_back`.
pub(crate) async fn transactions_are_kept_with_their_witnesses(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let mut small = values::tx(point, 1, 1);
    small.input[0].witness.push([]);
    small.input[0].witness.push(values::der_signature(1));
    // 400,000 weight units, the most that nodes relay.
    let mut large = values::tx(point, 2, 2_500);
    large.input[0].witness.push(values::bytes("witness", 1, 80_000));
    large.input[0].script_sig = values::script(1);
    let (small, large) = (Arc::new(small), Arc::new(large));
    host.mark_commitment_broadcasted(point, Arc::clone(&large), Closer::Local).await.unwrap();
    host.mark_coop_broadcasted(point, Arc::clone(&small), Closer::Local).await.unwrap();
    let host = host.reopen().await;
    assert_eq!(host.broadcasted_commitment(point).await.unwrap(), Some(large));
    assert_eq!(host.broadcasted_cooperative(point).await.unwrap(), Some(small));
}

/// The same transaction, now for the other side, adds the other side's bit.
/// Obligations: `close_tx/bits`, `facet/repeated`.
pub(crate) async fn a_transaction_for_the_other_side_adds_a_bit(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let tx = Arc::new(values::tx(point, 1, 2));
    let mark = |closer| host.mark_coop_broadcasted(point, Arc::clone(&tx), closer);
    mark(Closer::Local).await.unwrap();
    let ours = ChannelStatus::COOP_BROADCASTED | ChannelStatus::LOCAL_CLOSE_INITIATOR;
    assert_eq!(host.channel(point).await.unwrap().status, ours);
    mark(Closer::Remote).await.unwrap();
    let both = ours | ChannelStatus::REMOTE_CLOSE_INITIATOR;
    assert_eq!(host.channel(point).await.unwrap().status, both);
    host.still(mark(Closer::Local)).await.unwrap();
    // A bit that was cleared comes back with the transaction.
    host.clear_status(point, both).await.unwrap();
    mark(Closer::Local).await.unwrap();
    assert_eq!(host.channel(point).await.unwrap().status, ours);
}

/// What a close needs is kept for pending, borked and lost channels too.
/// Obligations: `shutdown/any_status`, `close_tx/any_status`.
pub(crate) async fn a_close_is_prepared_whatever_the_status(place: &dyn Place) {
    let host = Host::new(place).await;
    let statuses = [ChannelStatus::empty(), ChannelStatus::BORKED, ChannelStatus::LOCAL_DATA_LOSS];
    for (n, status) in (1..).zip(statuses) {
        let point = host.open(n).await;
        host.apply_status(point, status).await.unwrap();
        let info = ShutdownInfo { script: values::script(n), local_initiator: true };
        host.store_shutdown_info(point, info.clone()).await.unwrap();
        assert_eq!(host.shutdown_info(point).await.unwrap(), Some(info));
        assert_eq!(host.channel(point).await.unwrap().status, status);
        let tx = Arc::new(values::tx(point, n, 2));
        host.mark_coop_broadcasted(point, Arc::clone(&tx), Closer::Local).await.unwrap();
        assert_eq!(host.broadcasted_cooperative(point).await.unwrap(), Some(tx));
    }
}
