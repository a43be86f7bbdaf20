//! A call of a facet as a value, so that the store and the model can be given the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, Transaction};
use bytes::Bytes;
use channelcoord::{PeerChannelStore, RestoredShell, Store};
use chanstate::facet::{
    ChannelSetupStore, CloseTxStore, ClosedChannelStore, CommitmentStore, FinalHtlcStore,
    ForwardingPackageStore, LifecycleStore, ShutdownStore, StatusStore,
};
use chanstate::transition::{AdvanceTail, AppendRemote, UpdateLocal};
use chanstate::{
    AddRef, ChannelId, ChannelShell, ChannelStatus, CloseSummary, Closer, CommitmentHeight, Filter,
    ForwardingPolicy, HtlcId, NewChannel, SettleFailRef, ShortChannelId, ShutdownInfo, StoreError,
};
use linknode::{Address, LinkNode, LinkNodeStore, Network};

use crate::inspect::sorted;

/// Defines the calls with their names.
macro_rules! calls {
    ($( $name:ident($( $argument:ty ),*), )*) => {
        /// A call that changes a store.
        #[derive(Clone, Debug)]
        pub(super) enum Call {
            $( $name($( $argument ),*), )*
        }

        /// Names of all calls.
        pub(super) const NAMES: &[&str] = &[$( stringify!($name) ),*];

        impl Call {
            pub(super) fn name(&self) -> &'static str {
                match self {
                    $( Call::$name { .. } => stringify!($name), )*
                }
            }
        }
    };
}

calls! {
    OpenChannel(Box<NewChannel>, LinkNode),
    RestoreShells(Vec<(ChannelShell, LinkNode)>),
    MarkFullyClosed(OutPoint),
    AbandonChannel(OutPoint, u32),
    PruneLinkNodes(),
    RepairLinkNodes(Network, u64),
    SetConfirmationHeight(OutPoint, u32),
    SetCloseConfirmationHeight(OutPoint, Option<u32>),
    MarkOpen(OutPoint, ShortChannelId),
    SetConfirmedScid(OutPoint, ShortChannelId),
    SetScidAliasNegotiated(OutPoint),
    ApplyStatus(OutPoint, ChannelStatus),
    ClearStatus(OutPoint, ChannelStatus),
    MarkBorked(OutPoint),
    MarkDataLoss(OutPoint, PublicKey),
    StoreShutdownInfo(OutPoint, ShutdownInfo),
    MarkCommitmentBroadcasted(OutPoint, Arc<Transaction>, Closer),
    MarkCoopBroadcasted(OutPoint, Arc<Transaction>, Closer),
    CloseChannel(OutPoint, Box<CloseSummary>, ChannelStatus),
    UpdateLocal(OutPoint, Box<UpdateLocal>),
    AppendRemote(OutPoint, Box<AppendRemote>),
    AdvanceTail(OutPoint, Box<AdvanceTail>),
    InsertNextRevocation(OutPoint, PublicKey),
    AckAdds(OutPoint, Vec<AddRef>),
    AckSettleFails(Vec<SettleFailRef>),
    SetForwardFilter(OutPoint, CommitmentHeight, Filter),
    RemoveForwardingPackages(OutPoint, Vec<CommitmentHeight>),
    PutOnchainOutcome(ShortChannelId, HtlcId, bool),
    SaveOpeningState(Bytes, Bytes),
    DeleteOpeningState(Bytes),
    SaveInitialPolicy(ChannelId, ForwardingPolicy),
    DeleteInitialPolicy(ChannelId),
    CreateLinkNode(LinkNode),
    AddLinkNodeAddress(PublicKey, Address),
    SetLinkNodeAddresses(PublicKey, Vec<Address>),
    SetLinkNodeLastSeen(PublicKey, u64),
    DeleteLinkNode(PublicKey),
}

/// What a call may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// One channel, and its peer.
    Channel(OutPoint),
    /// Any channel.
    Channels,
    /// No channel.
    Others,
}

/// What a call that succeeds returns.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Done,
    Status(ChannelStatus),
    Finals(BTreeMap<HtlcId, bool>),
    Shells(Vec<RestoredShell>),
    LinkNodes(Vec<PublicKey>),
}

/// Why a call fails.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Failure {
    /// A rule for channels forbids it.
    Channel(chanstate::Rejection),
    /// A rule for link nodes forbids it.
    LinkNode(linknode::Rejection),
    /// A record does not fit.
    Unstorable,
    /// The store is at fault.
    Fault(String),
}

/// What a call returns.
pub(super) type Outcome = Result<Answer, Failure>;

impl Call {
    /// What it may change.
    pub(super) fn about(&self) -> About {
        match self {
            Call::AppendRemote(_, append) if !append.ack_settle_fails.is_empty() => About::Channels,
            Call::AckSettleFails(_) | Call::RestoreShells(_) => About::Channels,
            Call::OpenChannel(channel, _) => About::Channel(channel.funding_outpoint),
            Call::MarkFullyClosed(point, ..)
            | Call::AbandonChannel(point, ..)
            | Call::SetConfirmationHeight(point, ..)
            | Call::SetCloseConfirmationHeight(point, ..)
            | Call::MarkOpen(point, ..)
            | Call::SetConfirmedScid(point, ..)
            | Call::SetScidAliasNegotiated(point, ..)
            | Call::ApplyStatus(point, ..)
            | Call::ClearStatus(point, ..)
            | Call::MarkBorked(point, ..)
            | Call::MarkDataLoss(point, ..)
            | Call::StoreShutdownInfo(point, ..)
            | Call::MarkCommitmentBroadcasted(point, ..)
            | Call::MarkCoopBroadcasted(point, ..)
            | Call::CloseChannel(point, ..)
            | Call::UpdateLocal(point, ..)
            | Call::AppendRemote(point, ..)
            | Call::AdvanceTail(point, ..)
            | Call::InsertNextRevocation(point, ..)
            | Call::AckAdds(point, ..)
            | Call::SetForwardFilter(point, ..)
            | Call::RemoveForwardingPackages(point, ..) => About::Channel(*point),
            _ => About::Others,
        }
    }

    /// Makes the call.
    pub(super) async fn make(&self, store: &Store) -> Outcome {
        match self.clone() {
            Call::OpenChannel(channel, peer) => done(store.open_channel(*channel, peer).await),
            Call::RestoreShells(shells) => {
                store.restore_shells(shells).await.map(Answer::Shells).map_err(refused)
            }
            Call::MarkFullyClosed(point) => done(store.mark_fully_closed(point).await),
            Call::AbandonChannel(point, height) => done(store.abandon_channel(point, height).await),
            Call::PruneLinkNodes() => nodes(store.prune_link_nodes().await),
            Call::RepairLinkNodes(network, now) => {
                nodes(store.repair_link_nodes(network, now).await)
            }
            Call::CloseChannel(point, summary, statuses) => {
                done(store.close_channel(point, *summary, statuses).await)
            }
            Call::PutOnchainOutcome(scid, id, settled) => {
                done(store.put_onchain_outcome(scid, id, settled).await)
            }
            Call::SaveOpeningState(key, value) => done(store.save_opening_state(key, value).await),
            Call::DeleteOpeningState(key) => done(store.delete_opening_state(key).await),
            Call::SaveInitialPolicy(id, policy) => {
                done(store.save_initial_policy(id, policy).await)
            }
            Call::DeleteInitialPolicy(id) => done(store.delete_initial_policy(id).await),
            call => call.make_on_channel(store).await,
        }
    }

    async fn make_on_channel(self, store: &Store) -> Outcome {
        match self {
            Call::SetConfirmationHeight(point, height) => {
                done(store.set_confirmation_height(point, height).await)
            }
            Call::SetCloseConfirmationHeight(point, height) => {
                done(store.set_close_confirmation_height(point, height).await)
            }
            Call::MarkOpen(point, scid) => done(store.mark_open(point, scid).await),
            Call::SetConfirmedScid(point, scid) => {
                done(store.set_confirmed_scid(point, scid).await)
            }
            Call::SetScidAliasNegotiated(point) => {
                done(store.set_scid_alias_negotiated(point).await)
            }
            Call::ApplyStatus(point, bits) => {
                store.apply_status(point, bits).await.map(Answer::Status).map_err(refused)
            }
            Call::ClearStatus(point, bits) => {
                store.clear_status(point, bits).await.map(Answer::Status).map_err(refused)
            }
            Call::MarkBorked(point) => done(store.mark_borked(point).await),
            Call::MarkDataLoss(point, lost) => done(store.mark_data_loss(point, lost).await),
            Call::StoreShutdownInfo(point, info) => {
                done(store.store_shutdown_info(point, info).await)
            }
            Call::MarkCommitmentBroadcasted(point, tx, closer) => {
                done(store.mark_commitment_broadcasted(point, tx, closer).await)
            }
            Call::MarkCoopBroadcasted(point, tx, closer) => {
                done(store.mark_coop_broadcasted(point, tx, closer).await)
            }
            call => call.make_on_commitments(store).await,
        }
    }

    async fn make_on_commitments(self, store: &Store) -> Outcome {
        match self {
            Call::UpdateLocal(point, update) => {
                store.update_local(point, *update).await.map(Answer::Finals).map_err(refused)
            }
            Call::AppendRemote(point, append) => done(store.append_remote(point, *append).await),
            Call::AdvanceTail(point, advance) => done(store.advance_tail(point, *advance).await),
            Call::InsertNextRevocation(point, next) => {
                done(store.insert_next_revocation(point, next).await)
            }
            Call::AckAdds(point, adds) => done(store.ack_adds(point, &adds).await),
            Call::AckSettleFails(ends) => done(store.ack_settle_fails(&ends).await),
            Call::SetForwardFilter(point, height, filter) => {
                done(store.set_forward_filter(point, height, filter).await)
            }
            Call::RemoveForwardingPackages(point, heights) => {
                done(store.remove_forwarding_packages(point, &heights).await)
            }
            call => call.make_on_link_nodes(store).await,
        }
    }

    async fn make_on_link_nodes(self, store: &Store) -> Outcome {
        let result = match self {
            Call::CreateLinkNode(node) => store.create_link_node(node).await,
            Call::AddLinkNodeAddress(node, address) => {
                store.add_link_node_address(&node, address).await
            }
            Call::SetLinkNodeAddresses(node, addresses) => {
                store.set_link_node_addresses(&node, addresses).await
            }
            Call::SetLinkNodeLastSeen(node, seen) => {
                store.set_link_node_last_seen(&node, seen).await
            }
            Call::DeleteLinkNode(node) => store.delete_link_node(&node).await,
            call => panic!("nothing makes {call:?}"),
        };
        result.map(|()| Answer::Done).map_err(|error| match error {
            StoreError::Rejected(rejection) => Failure::LinkNode(rejection),
            other => Failure::Fault(format!("{other:?}")),
        })
    }
}

fn done(result: Result<(), StoreError>) -> Outcome {
    result.map(|()| Answer::Done).map_err(refused)
}

/// Nothing is said about the order of these nodes.
fn nodes(result: Result<Vec<PublicKey>, StoreError>) -> Outcome {
    result.map(|nodes| Answer::LinkNodes(sorted(nodes))).map_err(refused)
}

fn refused(error: StoreError) -> Failure {
    match error {
        StoreError::Rejected(rejection) => Failure::Channel(rejection),
        StoreError::Unstorable { .. } => Failure::Unstorable,
        other => Failure::Fault(format!("{other:?}")),
    }
}
