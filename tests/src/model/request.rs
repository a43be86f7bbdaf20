//! The call that an operation means, given what the model holds.

use std::sync::Arc;

use bitcoin::OutPoint;
use bytes::Bytes;
use chanstate::{
    AddRef, ChannelId, ChannelStatus, Closer, Filter, NewChannel, SettleFailRef, ShortChannelId,
    ShutdownInfo,
};
use linknode::Network;

use super::call::Call;
use super::operation::{Ack, Opening, Operation};
use super::state::Model;
use super::universe::{self, package_height, point};
use crate::values;

/// The call; `None` for an operation that is none.
pub(super) fn call(model: &mut Model, operation: &Operation) -> Option<Call> {
    Some(match operation.clone() {
        Operation::LoseLinkNode { .. } | Operation::Reopen { .. } => return None,
        Operation::SetConfirmationHeight { channel, height } => {
            Call::SetConfirmationHeight(point(channel), height.into())
        }
        Operation::SetCloseConfirmationHeight { channel, height } => {
            Call::SetCloseConfirmationHeight(point(channel), height.map(u32::from))
        }
        Operation::MarkOpen { channel, scid } => {
            Call::MarkOpen(point(channel), universe::scid(channel, scid))
        }
        Operation::SetConfirmedScid { channel, scid } => {
            Call::SetConfirmedScid(point(channel), universe::scid(channel, scid))
        }
        Operation::SetScidAliasNegotiated { channel } => {
            Call::SetScidAliasNegotiated(point(channel))
        }
        Operation::ApplyStatus { channel, bits } => Call::ApplyStatus(point(channel), status(bits)),
        Operation::ClearStatus { channel, bits } => Call::ClearStatus(point(channel), status(bits)),
        Operation::MarkBorked { channel } => Call::MarkBorked(point(channel)),
        Operation::MarkDataLoss { channel, point: lost } => {
            Call::MarkDataLoss(point(channel), values::key("lost", lost.into()))
        }
        Operation::StoreShutdownInfo { channel, script } => {
            let (script, local_initiator) = (values::script(script.into()), script == 0);
            Call::StoreShutdownInfo(point(channel), ShutdownInfo { script, local_initiator })
        }
        Operation::MarkCommitmentBroadcasted { channel, tx } => {
            let (tx, closer) = closing_tx(channel, tx);
            Call::MarkCommitmentBroadcasted(point(channel), tx, closer)
        }
        Operation::MarkCoopBroadcasted { channel, tx } => {
            let (tx, closer) = closing_tx(channel, tx);
            Call::MarkCoopBroadcasted(point(channel), tx, closer)
        }
        other => return Some(on_commitments(model, other)),
    })
}

fn on_commitments(model: &mut Model, operation: Operation) -> Call {
    match operation {
        Operation::UpdateLocal { channel, news, fault } => {
            super::message::update_local(model, channel, &news, fault)
        }
        Operation::NextRemote { channel, news, adds, ends } => {
            let known = model.channels.get(&point(channel));
            let pending = known.is_some_and(|known| known.exchange.pending.is_some());
            on_commitments(
                model,
                match pending {
                    true => Operation::AdvanceTail { channel, fault: None },
                    false => Operation::AppendRemote { channel, news, adds, ends, fault: None },
                },
            )
        }
        Operation::AppendRemote { channel, news, adds, ends, fault } => {
            let adds = own_adds(model, channel, &adds);
            let ends = ends_of(model, &ends);
            super::message::append_remote(model, channel, &news, fault, adds, ends)
        }
        Operation::AppendRemoteAgain { channel, adds } => {
            let adds = own_adds(model, channel, &adds);
            super::message::append_remote_again(model, channel, adds)
        }
        Operation::AdvanceTail { channel, fault } => {
            super::message::advance_tail(model, channel, fault)
        }
        Operation::InsertNextRevocation { channel, foreign } => {
            super::message::insert_next_revocation(model, channel, foreign)
        }
        Operation::AckAdds { adds } => {
            let channel = adds[0].channel;
            Call::AckAdds(point(channel), own_adds(model, channel, &adds))
        }
        Operation::AckSettleFails { ends } => Call::AckSettleFails(ends_of(model, &ends)),
        Operation::SetForwardFilter { channel, package, forwarded, too_long } => {
            let height = package_height(model, channel, package);
            let channel_ = model.channels.get(&point(channel));
            let package = channel_.and_then(|channel| channel.exchange.packages.get(&height));
            let count = package.map_or(0, |package| package.adds.len()) + usize::from(too_long);
            let empty = Filter::empty(count as u16);
            let first = empty.with(0).filter(|_| forwarded);
            Call::SetForwardFilter(point(channel), height, first.unwrap_or(empty))
        }
        Operation::RemoveForwardingPackages { channel, packages } => {
            let heights = packages.iter().map(|pick| package_height(model, channel, *pick));
            Call::RemoveForwardingPackages(point(channel), heights.collect())
        }
        other => on_channels(model, other),
    }
}

fn on_channels(model: &Model, operation: Operation) -> Call {
    match operation {
        Operation::OpenChannel { channel, peer, opening } => {
            let link_node = universe::link_node(peer, opening == Opening::AddressTooLong);
            Call::OpenChannel(Box::new(new_channel(channel, peer, opening)), link_node)
        }
        Operation::RestoreShells { shells, address_too_long } => {
            let shells = shells.iter().map(|(channel, peer)| {
                let link_node = universe::link_node(*peer, address_too_long);
                (universe::shell(*channel, *peer), link_node)
            });
            Call::RestoreShells(shells.collect())
        }
        Operation::CloseChannel { channel, statuses, resolved, summary_of } => {
            let known = model.channels.get(&point(channel));
            let peer = known.map_or_else(|| universe::peer(0), |known| known.view.peer);
            let mut summary = universe::summary(summary_of.unwrap_or(channel), peer);
            summary.pending = !resolved;
            Call::CloseChannel(point(channel), Box::new(summary), status(statuses))
        }
        Operation::MarkFullyClosed { channel } => Call::MarkFullyClosed(point(channel)),
        Operation::AbandonChannel { channel, height } => {
            Call::AbandonChannel(point(channel), height.into())
        }
        other => on_the_rest(other),
    }
}

fn on_the_rest(operation: Operation) -> Call {
    let id = |channel| ChannelId::from_outpoint(point(channel));
    let addresses = |all: Vec<u8>| all.into_iter().map(universe::address).collect();
    match operation {
        Operation::PruneLinkNodes => Call::PruneLinkNodes(),
        Operation::RepairLinkNodes { now } => Call::RepairLinkNodes(Network::SIGNET, now.into()),
        Operation::CreateLinkNode { peer, address_too_long } => {
            Call::CreateLinkNode(universe::link_node(peer, address_too_long))
        }
        Operation::AddLinkNodeAddress { peer, address } => {
            Call::AddLinkNodeAddress(universe::peer(peer), universe::address(address))
        }
        Operation::SetLinkNodeAddresses { peer, addresses: all } => {
            Call::SetLinkNodeAddresses(universe::peer(peer), addresses(all))
        }
        Operation::SetLinkNodeLastSeen { peer, seen } => {
            Call::SetLinkNodeLastSeen(universe::peer(peer), seen.into())
        }
        Operation::DeleteLinkNode { peer } => Call::DeleteLinkNode(universe::peer(peer)),
        Operation::PutOnchainOutcome { scid, id, settled } => {
            Call::PutOnchainOutcome(universe::scid(0, scid), universe::onchain_id(id), settled)
        }
        Operation::SaveOpeningState { key, value } => {
            let value = Bytes::from(vec![value; usize::from(value)]);
            Call::SaveOpeningState(universe::opening_key(key), value)
        }
        Operation::DeleteOpeningState { key } => {
            Call::DeleteOpeningState(universe::opening_key(key))
        }
        Operation::SaveInitialPolicy { channel, policy } => {
            Call::SaveInitialPolicy(id(channel), universe::policy(policy))
        }
        Operation::DeleteInitialPolicy { channel } => Call::DeleteInitialPolicy(id(channel)),
        other => panic!("{other:?} means no call"),
    }
}

fn new_channel(channel: u8, peer: u8, opening: Opening) -> NewChannel {
    let mut new = universe::new_channel(channel, peer);
    match opening {
        Opening::Usual | Opening::AddressTooLong => {}
        Opening::Unconfirmed => new.scid = ShortChannelId(0),
        Opening::WithoutNextPoint => new.remote_next_point = None,
        Opening::OnOtherChain => new.chain = bitcoin::constants::ChainHash::SIGNET,
        Opening::HeightTooLarge => new.local_commitment.height.0 = 1 << 63,
        Opening::ShortOnion => {
            let mut htlc = values::htlcs_both_ways(1).remove(0);
            htlc.terms.onion.truncate(1);
            new.remote_commitment.htlcs.push(htlc);
        }
    }
    new
}

fn closing_tx(channel: u8, tx: u8) -> (Arc<bitcoin::Transaction>, Closer) {
    let closer = if tx.is_multiple_of(2) { Closer::Local } else { Closer::Remote };
    (Arc::new(values::tx(point(channel), (tx / 2).into(), 1)), closer)
}

/// Status bits; some without a name, and seldom the restored one.
fn status(bits: u8) -> ChannelStatus {
    ChannelStatus::from_bits_retain(bits.into())
}

/// Adds in packages of one channel.
fn own_adds(model: &Model, channel: u8, acks: &[Ack]) -> Vec<AddRef> {
    let adds = acks.iter().map(|ack| {
        let height = package_height(model, channel, ack.package);
        let package = package_of(model, point(channel), height);
        let (height, index) = place(ack, height, package.map(|package| package.adds.len()));
        AddRef { height, index }
    });
    adds.collect()
}

/// Settles and fails in packages of any channel.
fn ends_of(model: &Model, acks: &[Ack]) -> Vec<SettleFailRef> {
    let ends = acks.iter().map(|ack| {
        let height = package_height(model, ack.channel, ack.package);
        let package = package_of(model, point(ack.channel), height);
        let count = package.map(|package| package.settle_fails.len());
        let source = package.map_or(universe::scid(ack.channel, 0), |package| package.source);
        let (height, index) = place(ack, height, count);
        SettleFailRef { source, height, index }
    });
    ends.collect()
}

fn package_of(
    model: &Model,
    point: OutPoint,
    height: chanstate::CommitmentHeight,
) -> Option<&chanstate::ForwardingPackage> {
    model.channels.get(&point)?.exchange.packages.get(&height)
}

/// Where an acknowledgement goes in a list of `count` updates; nowhere if it is empty.
fn place(
    ack: &Ack,
    height: chanstate::CommitmentHeight,
    count: Option<usize>,
) -> (chanstate::CommitmentHeight, u16) {
    match (ack.index, count.unwrap_or(0) as u16) {
        (7, count) => (height, count),
        (_, 0) => (chanstate::CommitmentHeight(2000), 0),
        (index, count) => (height, u16::from(index) % count),
    }
}
