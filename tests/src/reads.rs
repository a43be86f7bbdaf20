//! Every read of every facet in one value, to compare a store with itself or with a model.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use bitcoin::constants::ChainHash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, Transaction};
use bytes::Bytes;
use channelcoord::Store;
use chanstate::facet::{
    ChannelSetupStore, CloseTxStore, ClosedChannelStore, CommitmentHeights, CommitmentStore,
    FinalHtlcStore, ForwardingPackageStore, HistoricalStore, LatestCommitments, LifecycleStore,
    OpenChannelStore, PeerTally, RevocationLogStore, ShutdownStore, StatusStore,
};
use chanstate::{
    Channel, ChannelId, CloseSummary, CommitmentHeight, FinalHtlc, ForwardingPackage,
    ForwardingPolicy, HtlcId, LogUpdate, PendingCommitment, PreviousState, Rejection,
    RevocationState, ShortChannelId, ShutdownInfo, StoreError,
};
use linknode::{LinkNode, LinkNodeStore};

/// What a read answers.
pub type Read<T> = Result<T, Rejection>;

/// Chains that tallies are asked for.
pub(crate) const CHAINS: [ChainHash; 2] = [ChainHash::REGTEST, ChainHash::SIGNET];

/// Heights of revoked states to ask for. Few tests go on for longer than that.
const HEIGHTS: Range<u64> = 0..64;

/// What to ask a store about. Its lists are always asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Channels.
    pub points: Vec<OutPoint>,
    /// Heights at which their revoked states are asked for.
    pub heights: Range<u64>,
    /// Peers.
    pub peers: Vec<PublicKey>,
    /// HTLCs whose final outcome is asked for.
    pub htlcs: Vec<(ShortChannelId, HtlcId)>,
    /// Keys of opening states.
    pub opening_keys: Vec<Bytes>,
    /// Channels whose initial policy is asked for.
    pub policy_ids: Vec<ChannelId>,
}

/// What a store answers about some channels and about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Reads {
    /// Channels that are not closed.
    pub all: Vec<Channel>,
    pub(crate) open: Vec<Channel>,
    pub(crate) pending: Vec<Channel>,
    pub(crate) waiting_close: Vec<Channel>,
    pub(crate) tallies: Vec<BTreeMap<PublicKey, PeerTally>>,
    /// Summaries of the others.
    pub closed: Vec<CloseSummary>,
    pub(crate) unresolved: Vec<CloseSummary>,
    pub(crate) link_nodes: Vec<LinkNode>,
    pub(crate) peers: BTreeMap<PublicKey, PeerReads>,
    pub(crate) channels: BTreeMap<OutPoint, ChannelReads>,
    pub(crate) finals: Vec<Read<FinalHtlc>>,
    pub(crate) opening_states: Vec<Option<Bytes>>,
    pub(crate) policies: Vec<Option<ForwardingPolicy>>,
}

/// What a store answers about one peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerReads {
    pub(crate) link_node: Option<LinkNode>,
    pub(crate) channels: Vec<Channel>,
}

/// What a store answers about one channel.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelReads {
    pub(crate) found: Read<Channel>,
    pub(crate) found_by_id: Read<Channel>,
    pub(crate) refreshed: Read<Channel>,
    pub(crate) historical: Read<Channel>,
    pub(crate) summary: Read<CloseSummary>,
    pub(crate) summary_by_id: Read<CloseSummary>,
    pub(crate) heights: Read<CommitmentHeights>,
    pub(crate) latest: Read<LatestCommitments>,
    pub(crate) tip: Read<Option<PendingCommitment>>,
    pub(crate) unsigned_acked: Read<Option<Vec<LogUpdate>>>,
    pub(crate) remote_unsigned_local: Read<Option<Vec<LogUpdate>>>,
    pub(crate) revocation: Read<RevocationState>,
    pub(crate) log_tail: Read<Option<CommitmentHeight>>,
    pub(crate) log: Vec<Read<PreviousState>>,
    pub(crate) packages: Read<Vec<ForwardingPackage>>,
    pub(crate) shutdown: Read<Option<ShutdownInfo>>,
    pub(crate) data_loss: Read<Option<PublicKey>>,
    pub(crate) commitment_tx: Read<Option<Arc<Transaction>>>,
    pub(crate) cooperative_tx: Read<Option<Arc<Transaction>>>,
}

impl Asked {
    /// Asks for everything that concerns `points`.
    pub fn about(points: &[OutPoint]) -> Asked {
        Asked {
            points: points.to_vec(),
            heights: HEIGHTS,
            peers: Vec::new(),
            htlcs: Vec::new(),
            opening_keys: Vec::new(),
            policy_ids: Vec::new(),
        }
    }
}

impl Reads {
    /// Asks for everything that concerns `points`.
    pub async fn of(store: &Store, points: &[OutPoint]) -> Reads {
        Reads::asked(store, &Asked::about(points)).await
    }

    /// Asks for the lists and what `asked` says.
    pub async fn asked(store: &Store, asked: &Asked) -> Reads {
        let mut reads = Reads::lists(store).await;
        for peer in &asked.peers {
            reads.peers.insert(*peer, PeerReads::of(store, peer).await);
        }
        for point in &asked.points {
            let channel = ChannelReads::at(store, *point, asked.heights.clone()).await;
            reads.channels.insert(*point, channel);
        }
        for (scid, id) in &asked.htlcs {
            reads.finals.push(read(store.final_htlc(*scid, *id).await));
        }
        for key in &asked.opening_keys {
            reads.opening_states.push(ok(store.opening_state(key.clone()).await));
        }
        for id in &asked.policy_ids {
            reads.policies.push(ok(store.initial_policy(*id).await));
        }
        reads
    }

    async fn lists(store: &Store) -> Reads {
        let mut tallies = Vec::new();
        for chain in CHAINS {
            tallies.push(ok(store.peer_tallies(chain).await));
        }
        Reads {
            all: ok(store.all_channels().await),
            open: ok(store.open_channels().await),
            pending: ok(store.pending_channels().await),
            waiting_close: ok(store.waiting_close_channels().await),
            tallies,
            closed: ok(store.closed_channels(false).await),
            unresolved: ok(store.closed_channels(true).await),
            link_nodes: store.link_nodes().await.expect("link nodes"),
            peers: BTreeMap::new(),
            channels: BTreeMap::new(),
            finals: Vec::new(),
            opening_states: Vec::new(),
            policies: Vec::new(),
        }
    }
}

impl PeerReads {
    async fn of(store: &Store, peer: &PublicKey) -> PeerReads {
        PeerReads {
            link_node: store.link_node(peer).await.expect("a link node"),
            channels: ok(store.channels_of(peer).await),
        }
    }
}

impl ChannelReads {
    /// Asks for everything that concerns a channel.
    pub async fn of(store: &Store, point: OutPoint) -> ChannelReads {
        ChannelReads::at(store, point, HEIGHTS).await
    }

    /// Asks for everything that concerns a channel, and for its revoked states at `heights`.
    async fn at(store: &Store, point: OutPoint, heights: Range<u64>) -> ChannelReads {
        let id = ChannelId::from_outpoint(point);
        let mut log = Vec::new();
        for height in heights {
            log.push(read(store.previous_state(point, CommitmentHeight(height)).await));
        }
        ChannelReads {
            found: read(store.channel(point).await),
            found_by_id: read(store.channel_by_id(id).await),
            refreshed: read(store.refresh(point).await),
            historical: read(store.historical_channel(point).await),
            summary: read(store.closed_channel(point).await),
            summary_by_id: read(store.closed_channel_by_id(id).await),
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

/// Where two values differ first, with what leads there; `None` if they are equal.
pub(crate) fn difference<T: Debug + PartialEq>(found: &T, expected: &T) -> Option<String> {
    if found == expected {
        return None;
    }
    let (found, expected) = (format!("{found:#?}"), format!("{expected:#?}"));
    let (found, expected) = (found.lines().collect::<Vec<_>>(), expected.lines());
    let (at, expected) = expected
        .enumerate()
        .find(|(at, line)| found.get(*at) != Some(line))
        .unwrap_or((found.len() - 1, ""));
    let line = found.get(at).copied().unwrap_or_default();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let (mut path, mut depth) = (Vec::new(), indent(line));
    for line in found[..at].iter().rev().filter(|line| line.ends_with(['{', '(', '['])) {
        if indent(line) < depth {
            depth = indent(line);
            let name = line.trim().trim_start_matches("}: ").trim_end_matches([' ', '{', '(', '[']);
            path.push(name.trim_end_matches(':'));
        }
    }
    path.retain(|name| !name.is_empty());
    path.reverse();
    let short = |line: &str| line.trim().chars().take(120).collect::<String>();
    path.push("");
    Some(format!("{}{} instead of {}", path.join(" > "), short(line), short(expected)))
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
