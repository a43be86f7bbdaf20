//! Every read of every facet in one value, to compare a store with itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use bitcoin::constants::ChainHash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, Transaction};
use channelcoord::Store;
use chanstate::facet::{
    CloseTxStore, ClosedChannelStore, CommitmentHeights, CommitmentStore, ForwardingPackageStore,
    HistoricalStore, LatestCommitments, LifecycleStore, OpenChannelStore, PeerTally,
    RevocationLogStore, ShutdownStore, StatusStore,
};
use chanstate::{
    Channel, CloseSummary, CommitmentHeight, ForwardingPackage, LogUpdate, PendingCommitment,
    PreviousState, Rejection, RevocationState, ShutdownInfo, StoreError,
};
use linknode::{LinkNode, LinkNodeStore};

type Read<T> = Result<T, Rejection>;

/// What a store answers about some channels and about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Reads {
    /// Channels that are not closed.
    pub all: Vec<Channel>,
    open: Vec<Channel>,
    pending: Vec<Channel>,
    waiting_close: Vec<Channel>,
    tallies: BTreeMap<PublicKey, PeerTally>,
    /// Summaries of the others.
    pub closed: Vec<CloseSummary>,
    link_nodes: Vec<LinkNode>,
    channels: BTreeMap<OutPoint, ChannelReads>,
}

/// What a store answers about one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelReads {
    refreshed: Read<Channel>,
    historical: Read<Channel>,
    summary: Read<CloseSummary>,
    heights: Read<CommitmentHeights>,
    latest: Read<LatestCommitments>,
    tip: Read<Option<PendingCommitment>>,
    unsigned_acked: Read<Option<Vec<LogUpdate>>>,
    remote_unsigned_local: Read<Option<Vec<LogUpdate>>>,
    revocation: Read<RevocationState>,
    log_tail: Read<Option<CommitmentHeight>>,
    log: Vec<PreviousState>,
    packages: Read<Vec<ForwardingPackage>>,
    shutdown: Read<Option<ShutdownInfo>>,
    data_loss: Read<Option<PublicKey>>,
    commitment_tx: Read<Option<Arc<Transaction>>>,
    cooperative_tx: Read<Option<Arc<Transaction>>>,
}

impl Reads {
    /// Asks for everything that concerns `points`.
    pub async fn of(store: &Store, points: &[OutPoint]) -> Reads {
        let mut channels = BTreeMap::new();
        for point in points {
            channels.insert(*point, ChannelReads::of(store, *point).await);
        }
        Reads {
            all: ok(store.all_channels().await),
            open: ok(store.open_channels().await),
            pending: ok(store.pending_channels().await),
            waiting_close: ok(store.waiting_close_channels().await),
            tallies: ok(store.peer_tallies(ChainHash::REGTEST).await),
            closed: ok(store.closed_channels(false).await),
            link_nodes: store.link_nodes().await.expect("link nodes"),
            channels,
        }
    }
}

impl ChannelReads {
    /// Asks for everything that concerns a channel.
    pub async fn of(store: &Store, point: OutPoint) -> ChannelReads {
        let mut log = Vec::new();
        // No test goes on for longer than that.
        for height in 0..64 {
            if let Ok(state) = store.previous_state(point, CommitmentHeight(height)).await {
                log.push(state);
            }
        }
        ChannelReads {
            refreshed: read(store.refresh(point).await),
            historical: read(store.historical_channel(point).await),
            summary: read(store.closed_channel(point).await),
            heights: read(store.heights(point).await),
            latest: read(store.latest_commitments(point).await),
            tip: read(store.remote_tip(point).await),
            unsigned_acked: read(store.unsigned_acked_updates(point).await),
            remote_unsigned_local: read(store.remote_unsigned_local_updates(point).await),
            revocation: read(store.remote_revocation(point).await),
            log_tail: read(store.revocation_log_tail(point).await),
            log,
            packages: read(store.forwarding_packages(point).await),
            shutdown: read(store.shutdown_info(point).await),
            data_loss: read(store.data_loss_point(point).await),
            commitment_tx: read(store.broadcasted_commitment(point).await),
            cooperative_tx: read(store.broadcasted_cooperative(point).await),
        }
    }
}

fn read<T>(result: Result<T, StoreError>) -> Read<T> {
    match result {
        Ok(value) => Ok(value),
        Err(StoreError::Rejected(rejection)) => Err(rejection),
        Err(error) => panic!("a read failed: {error:?}"),
    }
}

fn ok<T>(result: Result<T, StoreError>) -> T {
    read(result).expect("lists are not refused")
}
