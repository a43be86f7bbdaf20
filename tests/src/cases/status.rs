//! Status bits.

use chanstate::facet::{ClosedChannelStore, CommitmentStore, OpenChannelStore, StatusStore};
use chanstate::{ChannelStatus, Rejection};

use crate::values::{self, key, outpoint, peer};
use crate::{Host, Place};

/// Bits are set and cleared on what is stored; the others stay, named or not.
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
