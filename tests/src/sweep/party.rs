//! One end of the channels: a place, the store on it, and the node on that.

use std::sync::Arc;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, OutPoint};
use channelcoord::{Backend, PeerChannelStore, Store, StoreOptions};
use chanstate::facet::LifecycleStore;
use chanstate::{ChannelConfig, ChannelTerms, MilliSatoshi, NewChannel, ShortChannelId, Side};
use node_core::{Error, Facets, Node, Payments, commitment_point, first_commitment};

use super::ledger::Wallet;
use super::stopper::Stopper;
use crate::place::Place;
use crate::values::{self, bytes32};

/// What each side has when a channel opens.
pub(crate) const INITIAL_BALANCE: MilliSatoshi = MilliSatoshi(5_000_000_000);

/// Fee rate of a new channel.
const FEE_PER_KW: Amount = Amount::from_sat(500);

/// HTLCs that node 0 and node 1 offer at most at a time.
pub(crate) const MOST_HTLCS: [u16; 2] = [4, 6];

/// What these HTLCs are worth at most. Each payment fits in when nothing else is in flight.
pub(crate) const MOST_IN_FLIGHT: [MilliSatoshi; 2] =
    [MilliSatoshi(130_000_000), MilliSatoshi(200_000_000)];

/// What each node must keep.
pub(crate) const RESERVES: [Amount; 2] = [Amount::from_sat(100_000), Amount::from_sat(150_000)];

/// The smallest HTLC that each node may offer.
pub(crate) const LEAST_HTLCS: [MilliSatoshi; 2] = [MilliSatoshi(10), MilliSatoshi(1)];

/// Below, what each node has gets no output in its commitments.
pub(crate) const DUST_LIMITS: [Amount; 2] = [Amount::from_sat(354), Amount::from_sat(573)];

/// One end.
pub(crate) struct Party<'a> {
    place: &'a dyn Place,
    wallet: Arc<Wallet>,
    points: Vec<OutPoint>,
    /// What is open of the place; `None` between two lives.
    life: Option<Life>,
    /// Commits of this life that were counted already.
    counted: u64,
}

/// From one opening of the place to the next.
pub(crate) struct Life {
    pub(crate) stopper: Arc<Stopper>,
    pub(crate) store: Store,
    pub(crate) node: Node,
}

impl<'a> Party<'a> {
    /// Opens a store and the channels `numbers` in it.
    pub(crate) async fn new(
        who: usize,
        place: &'a dyn Place,
        wallet: Arc<Wallet>,
        numbers: &[u64],
    ) -> Party<'a> {
        let (points, life) = (Vec::new(), None);
        let mut party = Party { place, wallet, points, life, counted: 0 };
        let (stopper, store) = party.open().await;
        for number in numbers {
            let (channel, peer) = (new_channel(*number, who), values::link_node(*number));
            party.points.push(channel.funding_outpoint);
            store.open_channel(channel, peer).await.expect("the channel opens");
            let point = values::outpoint(*number);
            store.mark_open(point, scid(*number)).await.expect("the channel gets its id");
        }
        let node = party.load(&store).await.expect("new channels load");
        party.counted = stopper.commits();
        party.life = Some(Life { stopper, store, node });
        party
    }

    /// The current life.
    pub(crate) fn life(&mut self) -> &mut Life {
        self.life.as_mut().expect("a life has begun")
    }

    /// The node of the current life.
    pub(crate) fn node(&mut self) -> &mut Node {
        &mut self.life().node
    }

    /// Commits since they were counted last.
    pub(crate) fn new_commits(&mut self) -> u64 {
        let commits = self.life().stopper.commits();
        commits - std::mem::replace(&mut self.counted, commits)
    }

    /// Loads the node anew from the store, which stays open.
    pub(crate) async fn reload(&mut self) -> Result<(), Error> {
        let store = self.life().store.clone();
        let node = self.load(&store).await?;
        self.life().node = node;
        Ok(())
    }

    /// Drops node and store as they are, and opens the place again.
    pub(crate) async fn restart(&mut self) -> Result<(), Error> {
        drop(self.life.take());
        self.counted = 0;
        let (stopper, store) = self.open().await;
        let node = self.load(&store).await?;
        self.life = Some(Life { stopper, store, node });
        Ok(())
    }

    /// Gives the channels up, so that the next run on the place finds it empty.
    pub(crate) async fn abandon(mut self) {
        let points = std::mem::take(&mut self.points);
        let Life { store, .. } = self.life.take().expect("a life has begun");
        for point in points {
            store.abandon_channel(point, 900_000).await.expect("the channel is given up");
        }
        store.reclaim_closed().await.expect("what is left of it is removed");
        store.close().await.expect("the store closes");
    }

    /// The channels' funding outpoints.
    pub(crate) fn points(&self) -> &[OutPoint] {
        &self.points
    }

    async fn open(&self) -> (Arc<Stopper>, Store) {
        let stopper = Stopper::new(self.place.must_open());
        let backend: Arc<dyn Backend> = Arc::clone(&stopper) as Arc<dyn Backend>;
        let options = StoreOptions { check_memory: true, ..StoreOptions::default() };
        let store = Store::open_shared(backend, options).await;
        (stopper, store.expect("the store opens"))
    }

    async fn load(&self, store: &Store) -> Result<Node, Error> {
        let facets: Arc<dyn Facets> = Arc::new(store.clone());
        let payments = Arc::clone(&self.wallet) as Arc<dyn Payments>;
        Node::load(facets, payments, &self.points).await
    }
}

/// Short channel id of channel `n`.
pub fn scid(n: u64) -> ShortChannelId {
    ShortChannelId(800_000 << 40 | n << 16)
}

/// Root of a node's revocation secrets in channel `n`.
pub(crate) fn root(n: u64, who: usize) -> [u8; 32] {
    bytes32("revocation root", n << 1 | who as u64)
}

/// Channel `n` as node `who`, 0 or 1, stores it. Node 0 opens those with even numbers.
pub fn new_channel(n: u64, who: usize) -> NewChannel {
    let (terms, point) = (terms(n, who), values::outpoint(n));
    let peer_point = |height| -> PublicKey {
        commitment_point(&root(n, 1 - who), height).expect("the height is in range")
    };
    let first = |side| {
        first_commitment(point, &terms, side, FEE_PER_KW).expect("the opener can pay the fee")
    };
    NewChannel {
        local_commitment: first(Side::Local),
        remote_commitment: first(Side::Remote),
        remote_current_point: peer_point(0),
        remote_next_point: Some(peer_point(1)),
        terms,
        ..values::new_channel(n, values::peer(n))
    }
}

fn terms(n: u64, who: usize) -> ChannelTerms {
    let mut terms = values::terms(n);
    terms.initiator = (n % 2) as usize == who;
    terms.capacity = Amount::from_sat(2 * INITIAL_BALANCE.0 / 1000);
    terms.revocation_root = root(n, who);
    terms.initial_local_balance = Some(INITIAL_BALANCE);
    terms.initial_remote_balance = Some(INITIAL_BALANCE);
    limit(&mut terms.local_config, who);
    limit(&mut terms.remote_config, 1 - who);
    terms
}

/// Limits differ between the nodes, so that it shows whose are taken.
fn limit(config: &mut ChannelConfig, who: usize) {
    config.max_accepted_htlcs = MOST_HTLCS[who];
    config.max_pending_amount = MOST_IN_FLIGHT[who];
    config.channel_reserve = RESERVES[who];
    config.min_htlc = LEAST_HTLCS[who];
    config.dust_limit = DUST_LIMITS[who];
}
