//! Status bits.

use chanstate::facet::{
    CloseTxStore, ClosedChannelStore, CommitmentStore, OpenChannelStore, ShutdownStore, StatusStore,
};
use chanstate::{ChannelStatus, Closer, Rejection, ShutdownInfo};

use crate::values::{self, key, outpoint, peer};
use crate::{Host, Place, rejection};

/// Bits are set and cleared on what is stored; the others stay, named or not.
/// Obligations: `status/combined`, `status/every_bit`.
pub(crate) async fn bits_are_combined_with_what_is_stored(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let unnamed = ChannelStatus::from_bits_retain(1 << 63 | 1 << 40);
    let (coop, data_loss) = (ChannelStatus::COOP_BROADCASTED, ChannelStatus::LOCAL_DATA_LOSS);
    assert_eq!(host.apply_status(point, unnamed | coop).await.unwrap(), unnamed | coop);
    let both = host.apply_status(point, data_loss).await.unwrap();
    assert_eq!(both, unnamed | coop | data_loss);
    let host = host.reopen().await;
    assert_eq!(host.clear_status(point, coop).await.unwrap(), unnamed | data_loss);
    let host = host.reopen().await;
    assert_eq!(host.channel(point).await.unwrap().status, unnamed | data_loss);
    let rest = host.clear_status(point, ChannelStatus::from_bits_retain(1 << 40)).await.unwrap();
    assert_eq!(rest, ChannelStatus::from_bits_retain(1 << 63) | data_loss);
}

/// Setting what is set and clearing what is clear answers with the status and writes nothing.
/// Obligations: `facet/repeated`.
pub(crate) async fn repeated_calls_write_nothing(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let borked = ChannelStatus::BORKED;
    host.mark_borked(point).await.unwrap();
    host.still(host.mark_borked(point)).await.unwrap();
    assert_eq!(host.still(host.apply_status(point, borked)).await.unwrap(), borked);
    let clear = host.still(host.clear_status(point, ChannelStatus::COOP_BROADCASTED)).await;
    assert_eq!(clear.unwrap(), borked);
    host.mark_data_loss(point, key("lost", 1)).await.unwrap();
    host.still(host.mark_data_loss(point, key("lost", 1))).await.unwrap();
}

/// The restored bit cannot be set on a channel, nor cleared on a shell.
/// Obligations: `status/restored`, `facet/nothing_on_error`.
pub(crate) async fn the_restored_bit_cannot_be_changed(place: &dyn Place) {
    use channelcoord::PeerChannelStore;
    let host = Host::new(place).await;
    let (channel, shell) = (host.open(1).await, outpoint(2));
    let restored = ChannelStatus::RESTORED;
    let shells = vec![(values::shell(2, peer(2)), values::link_node(2))];
    host.restore_shells(shells).await.unwrap();
    let set = host.apply_status(channel, restored | ChannelStatus::BORKED);
    assert_eq!(host.refused(set).await, Rejection::RestoredBit);
    let clear = host.clear_status(shell, restored | ChannelStatus::LOCAL_DATA_LOSS);
    assert_eq!(host.refused(clear).await, Rejection::RestoredBit);
    // What is so already may be asked for.
    let still = host.still(host.apply_status(shell, restored)).await.unwrap();
    assert_eq!(still, restored | ChannelStatus::LOCAL_DATA_LOSS);
    let clear = host.still(host.clear_status(channel, restored)).await.unwrap();
    assert_eq!(clear, ChannelStatus::empty());
}

/// A status bit keeps commitments away, not reads and not the close.
/// Obligations: `status/borked`, `commitment/usable`, `closed/any_status`.
pub(crate) async fn a_borked_channel_refuses_commitments_alone(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    exchange.we_add(1_000_000);
    host.sign(&mut exchange).await;
    let point = exchange.point;
    let (append, update, advance) = (exchange.append(), exchange.update(), exchange.advance());
    for bit in [ChannelStatus::BORKED, ChannelStatus::from_bits_retain(1 << 63)] {
        let status = host.apply_status(point, bit).await.unwrap();
        let refusal = Rejection::NotActive { status };
        assert_eq!(host.refused(host.append_remote(point, append.clone())).await, refusal);
        assert_eq!(host.refused(host.update_local(point, update.clone())).await, refusal);
        assert_eq!(host.refused(host.advance_tail(point, advance.clone())).await, refusal);
        let next = host.insert_next_revocation(point, values::peer_point(1, 1));
        assert_eq!(host.refused(next).await, refusal);
        assert_eq!(host.remote_tip(point).await.unwrap(), exchange.pending);
        assert_eq!(host.waiting_close_channels().await.unwrap().len(), 1);
        host.clear_status(point, bit).await.unwrap();
    }
    host.mark_borked(point).await.unwrap();
    let summary = values::summary(1, point, peer(1));
    host.close_channel(point, summary, ChannelStatus::empty()).await.unwrap();
}

/// The data-loss bit and the commitment point are stored together; another point replaces it.
/// Obligations: `status/data_loss`, `status/absent`.
pub(crate) async fn a_data_loss_keeps_bit_and_point(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    assert_eq!(host.data_loss_point(point).await.unwrap(), None);
    for n in [1, 2] {
        host.mark_data_loss(point, key("lost", n)).await.unwrap();
        assert_eq!(host.data_loss_point(point).await.unwrap(), Some(key("lost", n)));
    }
    let host = host.reopen().await;
    assert_eq!(host.data_loss_point(point).await.unwrap(), Some(key("lost", 2)));
    let status = host.channel(point).await.unwrap().status;
    assert_eq!(status, ChannelStatus::LOCAL_DATA_LOSS);
    // The point is evidence: it outlives the bit.
    host.clear_status(point, ChannelStatus::LOCAL_DATA_LOSS).await.unwrap();
    assert_eq!(host.data_loss_point(point).await.unwrap(), Some(key("lost", 2)));
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
        let bits = ChannelStatus::BORKED;
        assert_eq!(host.refused(host.apply_status(point, bits)).await, refusal);
        assert_eq!(host.refused(host.clear_status(point, bits)).await, refusal);
        assert_eq!(host.refused(host.mark_borked(point)).await, refusal);
        assert_eq!(host.refused(host.mark_data_loss(point, key("lost", 1))).await, refusal);
        assert_eq!(host.refused(host.data_loss_point(point)).await, refusal);
    }
}

/// Each bit can be set and cleared alone, and all of them at once; the restored one cannot.
/// Obligations: `status/every_bit`, `status/restored`, `open/listed`.
pub(crate) async fn each_bit_is_set_and_cleared_alone(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let none = ChannelStatus::empty();
    assert_eq!(host.still(host.apply_status(point, none)).await.unwrap(), none);
    for bit in (0..64).map(|bit| ChannelStatus::from_bits_retain(1 << bit)) {
        if bit == ChannelStatus::RESTORED {
            assert_eq!(rejection(host.apply_status(point, bit).await), Rejection::RestoredBit);
            continue;
        }
        assert_eq!(host.apply_status(point, bit).await.unwrap(), bit);
        assert_eq!(host.waiting_close_channels().await.unwrap()[0].status, bit);
        assert_eq!(host.clear_status(point, bit).await.unwrap(), none);
        assert_eq!(host.waiting_close_channels().await.unwrap(), []);
    }
    let all = ChannelStatus::all() - ChannelStatus::RESTORED;
    assert_eq!(host.apply_status(point, all).await.unwrap(), all);
    let host = host.reopen().await;
    assert_eq!(host.channel(point).await.unwrap().status, all);
    assert_eq!(host.clear_status(point, all).await.unwrap(), none);
}

/// What other calls set is combined with what was set before.
/// Obligations: `status/combined`, `status/data_loss`, `close_tx/bits`.
pub(crate) async fn each_call_adds_its_bits(place: &dyn Place) {
    let host = Host::new(place).await;
    let point = host.open(1).await;
    let tx = std::sync::Arc::new(values::tx(point, 1, 2));
    let mut expected = ChannelStatus::from_bits_retain(1 << 33);
    host.apply_status(point, expected).await.unwrap();
    host.mark_data_loss(point, key("lost", 1)).await.unwrap();
    expected |= ChannelStatus::LOCAL_DATA_LOSS;
    assert_eq!(host.channel(point).await.unwrap().status, expected);
    host.mark_coop_broadcasted(point, tx.clone(), Closer::Remote).await.unwrap();
    expected |= ChannelStatus::COOP_BROADCASTED | ChannelStatus::REMOTE_CLOSE_INITIATOR;
    assert_eq!(host.channel(point).await.unwrap().status, expected);
    host.mark_borked(point).await.unwrap();
    expected |= ChannelStatus::BORKED;
    assert_eq!(host.channel(point).await.unwrap().status, expected);
    host.mark_commitment_broadcasted(point, tx, Closer::Local).await.unwrap();
    expected |= ChannelStatus::COMMITMENT_BROADCASTED | ChannelStatus::LOCAL_CLOSE_INITIATOR;
    assert_eq!(host.channel(point).await.unwrap().status, expected);
}

/// A shell takes bits and marks, and never loses its own bit.
/// Obligations: `status/restored`, `status/data_loss`, `close_tx/any_status`, `shutdown/any_status`.
pub(crate) async fn a_shell_takes_bits_and_marks(place: &dyn Place) {
    use channelcoord::PeerChannelStore;
    let host = Host::new(place).await;
    let point = outpoint(1);
    let shells = vec![(values::shell(1, peer(1)), values::link_node(1))];
    host.restore_shells(shells).await.unwrap();
    let (info, tx) = (
        ShutdownInfo { script: values::script(1), local_initiator: false },
        std::sync::Arc::new(values::tx(point, 1, 2)),
    );
    host.mark_borked(point).await.unwrap();
    host.mark_data_loss(point, key("lost", 1)).await.unwrap();
    host.store_shutdown_info(point, info.clone()).await.unwrap();
    host.mark_commitment_broadcasted(point, tx.clone(), Closer::Remote).await.unwrap();
    host.clear_status(point, ChannelStatus::BORKED).await.unwrap();
    let host = host.reopen().await;
    let expected = ChannelStatus::RESTORED
        | ChannelStatus::LOCAL_DATA_LOSS
        | ChannelStatus::COMMITMENT_BROADCASTED
        | ChannelStatus::REMOTE_CLOSE_INITIATOR;
    assert_eq!(host.channel(point).await.unwrap().status, expected);
    assert_eq!(host.data_loss_point(point).await.unwrap(), Some(key("lost", 1)));
    assert_eq!(host.shutdown_info(point).await.unwrap(), Some(info));
    assert_eq!(host.broadcasted_commitment(point).await.unwrap(), Some(tx));
}

/// A channel whose last bit was cleared goes on where it was.
/// Obligations: `commitment/usable`, `open/listed`.
pub(crate) async fn a_channel_without_bits_goes_on(place: &dyn Place) {
    let host = Host::new(place).await;
    let mut exchange = host.exchange(1).await;
    exchange.we_add(1_000_000);
    host.sign(&mut exchange).await;
    let point = exchange.point;
    host.mark_borked(point).await.unwrap();
    let unnamed = ChannelStatus::from_bits_retain(1 << 20);
    host.apply_status(point, unnamed).await.unwrap();
    host.clear_status(point, ChannelStatus::BORKED).await.unwrap();
    let refused = host.refused(host.advance_tail(point, exchange.advance())).await;
    assert_eq!(refused, Rejection::NotActive { status: unnamed });
    host.clear_status(point, unnamed).await.unwrap();
    assert_eq!(host.open_channels().await.unwrap().len(), 1);
    host.take_revocation(&mut exchange).await;
    host.revoke(&mut exchange).await;
    host.check(&exchange).await;
}
