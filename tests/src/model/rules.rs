//! What each call does to a store, by the docs of the facets.
//!
//! A call is refused, or it changes something, or it asks for what is so already and writes
//! nothing. Where a call breaks several rules, the first that is looked at here counts.

use bitcoin::OutPoint;
use chanstate::{Channel, ChannelStatus, FinalHtlc, Rejection};

use super::call::{Answer, Call, Failure};
use super::channel::ModelChannel;
use super::state::Model;

/// Every reason to refuse a call that the model knows.
pub(super) const REFUSALS: [&str; 32] = [
    "AckOutOfRange",
    "AlreadyClosed",
    "AlreadyExists",
    "DuplicateHtlc",
    "Height",
    "IdAlreadyExists",
    "IndexWentBack",
    "Message",
    "NextPointSet",
    "NoNextPoint",
    "NoPendingCommitment",
    "NotActive",
    "NotClosed",
    "OnionLength",
    "OutputIndex",
    "PackageFilter",
    "PackageSource",
    "PendingCommitment",
    "Restored",
    "RestoredBit",
    "Secret",
    "SummaryOfOther",
    "TooLarge",
    "TotalWentBack",
    "UnknownChannel",
    "UnknownPackage",
    "Unstorable",
    "WrongSecret",
    "link node Address",
    "link node AlreadyExists",
    "link node HasChannels",
    "link node Unknown",
];

/// What a call returns, and whether it writes.
pub(super) type Taken = Result<(Answer, bool), Failure>;

impl From<Rejection> for Failure {
    fn from(rejection: Rejection) -> Failure {
        Failure::Channel(rejection)
    }
}

impl Model {
    /// Takes a call as a store must.
    pub(super) fn take(&mut self, call: &Call) -> Taken {
        match call.clone() {
            Call::SetConfirmationHeight(point, height) => {
                self.edit(point, |view| view.confirmation_height = Some(height))
            }
            Call::SetCloseConfirmationHeight(point, height) => {
                self.edit(point, |view| view.close_confirmation_height = height)
            }
            Call::MarkOpen(point, scid) => {
                let taken = self.edit(point, |view| (view.pending, view.scid) = (false, scid));
                self.open(point)?.exchange.scid = scid;
                taken
            }
            Call::SetConfirmedScid(point, scid) => {
                self.edit(point, |view| view.confirmed_scid = Some(scid))
            }
            Call::SetScidAliasNegotiated(point) => self.edit(point, |view| {
                view.channel_type |= chanstate::ChannelType::SCID_ALIAS_FEATURE;
            }),
            Call::ApplyStatus(point, bits) => self.set_status(point, bits),
            Call::ClearStatus(point, bits) => self.clear_status(point, bits),
            Call::MarkBorked(point) => {
                let (_, writes) = self.set_status(point, ChannelStatus::BORKED)?;
                changed(writes)
            }
            Call::StoreShutdownInfo(point, info) => {
                changed(self.open(point)?.shutdown.replace(info.clone()) != Some(info))
            }
            Call::MarkDataLoss(point, lost) => {
                self.mark(point, ChannelStatus::LOCAL_DATA_LOSS, |channel| {
                    channel.data_loss.replace(lost) != Some(lost)
                })
            }
            Call::MarkCommitmentBroadcasted(point, tx, closer) => {
                let bits = ChannelStatus::COMMITMENT_BROADCASTED | initiator(closer);
                self.mark(point, bits, |channel| {
                    channel.commitment_tx.replace(tx.clone()) != Some(tx)
                })
            }
            Call::MarkCoopBroadcasted(point, tx, closer) => {
                let bits = ChannelStatus::COOP_BROADCASTED | initiator(closer);
                self.mark(point, bits, |channel| {
                    channel.cooperative_tx.replace(tx.clone()) != Some(tx)
                })
            }
            call => self.take_of_commitments(call),
        }
    }

    fn take_of_commitments(&mut self, call: Call) -> Taken {
        match call {
            Call::UpdateLocal(point, update) => self.update_local(point, &update),
            Call::AppendRemote(point, append) => self.append_remote(point, &append),
            Call::AdvanceTail(point, advance) => self.advance_tail(point, &advance),
            Call::InsertNextRevocation(point, next) => self.insert_next_revocation(point, next),
            Call::AckAdds(point, adds) => self.ack_adds(point, &adds),
            Call::AckSettleFails(ends) => self.ack_settle_fails(&ends),
            Call::SetForwardFilter(point, height, filter) => {
                self.set_forward_filter(point, height, filter)
            }
            Call::RemoveForwardingPackages(point, heights) => {
                let packages = &mut self.open(point)?.exchange.packages;
                let before = packages.len();
                packages.retain(|height, _| !heights.contains(height));
                changed(packages.len() < before)
            }
            call => self.take_of_peers(call),
        }
    }

    fn take_of_peers(&mut self, call: Call) -> Taken {
        match call {
            Call::OpenChannel(channel, peer) => self.open_channel(*channel, peer),
            Call::RestoreShells(shells) => self.restore_shells(shells),
            Call::CloseChannel(point, summary, statuses) => {
                self.close_channel(point, *summary, statuses)
            }
            Call::MarkFullyClosed(point) => self.mark_fully_closed(point),
            Call::AbandonChannel(point, height) => self.abandon_channel(point, height),
            Call::PruneLinkNodes() => self.prune_link_nodes(),
            Call::RepairLinkNodes(network, now) => self.repair_link_nodes(network, now),
            Call::CreateLinkNode(node) => self.create_link_node(node),
            Call::AddLinkNodeAddress(node, address) => {
                check(std::slice::from_ref(&address))?;
                self.edit_link_node(&node, |node| {
                    if !node.addresses.contains(&address) {
                        node.addresses.push(address);
                    }
                })
            }
            Call::SetLinkNodeAddresses(node, addresses) => {
                check(&addresses)?;
                self.edit_link_node(&node, |node| node.addresses = addresses)
            }
            Call::SetLinkNodeLastSeen(node, seen) => {
                self.edit_link_node(&node, |node| node.last_seen = seen)
            }
            Call::DeleteLinkNode(node) => self.delete_link_node(&node),
            call => self.take_of_no_channel(call),
        }
    }

    /// Records without a channel are written blindly.
    fn take_of_no_channel(&mut self, call: Call) -> Taken {
        match call {
            Call::PutOnchainOutcome(..) if !self.options.store_final_htlcs => {
                return changed(false);
            }
            Call::PutOnchainOutcome(scid, id, settled) => {
                require_htlc_id(id)?;
                self.finals.insert((scid, id), FinalHtlc { settled, offchain: false });
            }
            Call::SaveOpeningState(key, value) => drop(self.opening_states.insert(key, value)),
            Call::DeleteOpeningState(key) => drop(self.opening_states.remove(&key)),
            Call::SaveInitialPolicy(id, policy) => drop(self.policies.insert(id, policy)),
            Call::DeleteInitialPolicy(id) => drop(self.policies.remove(&id)),
            call => panic!("no rule for {call:?}"),
        }
        changed(true)
    }

    /// Edits what readers see of a channel, whatever its status.
    fn edit(&mut self, point: OutPoint, edit: impl FnOnce(&mut Channel)) -> Taken {
        let view = &mut self.open(point)?.view;
        let before = view.clone();
        edit(view);
        changed(before != *view)
    }

    /// The restored bit cannot be set.
    fn set_status(&mut self, point: OutPoint, bits: ChannelStatus) -> Taken {
        let view = &mut self.open(point)?.view;
        let before = view.status;
        if (bits - before).contains(ChannelStatus::RESTORED) {
            return Err(Rejection::RestoredBit.into());
        }
        view.status |= bits;
        Ok((Answer::Status(view.status), view.status != before))
    }

    /// The restored bit cannot be cleared.
    fn clear_status(&mut self, point: OutPoint, bits: ChannelStatus) -> Taken {
        let view = &mut self.open(point)?.view;
        let before = view.status;
        if (bits & before).contains(ChannelStatus::RESTORED) {
            return Err(Rejection::RestoredBit.into());
        }
        view.status -= bits;
        Ok((Answer::Status(view.status), view.status != before))
    }

    /// Sets bits together with something that is kept beside the channel.
    fn mark(
        &mut self,
        point: OutPoint,
        bits: ChannelStatus,
        put: impl FnOnce(&mut ModelChannel) -> bool,
    ) -> Taken {
        let (_, set) = self.set_status(point, bits)?;
        let put = put(self.open(point)?);
        changed(set || put)
    }
}

/// A call that returns nothing.
pub(super) fn changed(writes: bool) -> Taken {
    Ok((Answer::Done, writes))
}

/// Addresses must fit.
pub(super) fn check(addresses: &[linknode::Address]) -> Result<(), Failure> {
    let fault = addresses.iter().find_map(|address| address.check().err());
    fault.map_or(Ok(()), |fault| Err(Failure::LinkNode(linknode::Rejection::Address(fault))))
}

/// Ids must fit the keys of every engine.
pub(super) fn require_htlc_id(id: chanstate::HtlcId) -> Result<(), Rejection> {
    let found = id.0;
    if found < 1 << 63 { Ok(()) } else { Err(Rejection::TooLarge { what: "HTLC id", found }) }
}

fn initiator(closer: chanstate::Closer) -> ChannelStatus {
    match closer {
        chanstate::Closer::Local => ChannelStatus::LOCAL_CLOSE_INITIATOR,
        chanstate::Closer::Remote => ChannelStatus::REMOTE_CLOSE_INITIATOR,
    }
}
