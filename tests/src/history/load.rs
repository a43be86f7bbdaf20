//! What many clients ask at once, at random.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use bitcoin::OutPoint;
use channelcoord::{PeerChannelStore, Store};
use chanstate::{ChannelStatus, ShortChannelId};
use fastrand::Rng;
use tokio::task::JoinSet;

use super::client::Asking;
use super::peer::{Answer, Channel, Commitment, Peer, Request};
use super::{Outcome, Recorder, Tally, explain};
use crate::cases::package::packed;
use crate::{Exchange, Host, values};

/// Clients of each peer.
const CLIENTS: usize = 4;

/// Calls of a round, which are also the most channels that it can open with a peer.
///
/// The states of a round are compared whole, so rounds are short.
pub(crate) const PER_ROUND: u64 = 1000;

/// Adds and ends in the packages that are acknowledged.
const UPDATES: u16 = 40;

/// Peers, their channels, and what many clients asked about them: each call with what came back.
pub struct Load {
    about: Arc<[About]>,
}

/// One peer.
struct About {
    /// Its first channel, and its number.
    n: u64,
    asking: Asking,
    /// What was stored before the first call.
    first: Peer,
    calls: Recorder<Request, Answer>,
    /// The channel that was opened last.
    newest: AtomicU64,
    marks: AtomicU64,
}

impl Load {
    /// One peer whose channels exchange commitments, and two whose channels come and go; others
    /// for each `round`.
    pub async fn new(host: &Host<'_>, round: u64) -> Load {
        let n = round * 3 * PER_ROUND;
        let about = [
            About::exchanging(host, n).await,
            About::opening(host, n + PER_ROUND).await,
            About::opening(host, n + 2 * PER_ROUND).await,
        ];
        Load { about: about.into() }
    }

    /// Lets all clients make the calls of a round together.
    pub(crate) async fn run(&self, store: &Store, seed: u64) {
        self.run_calls(store, seed, PER_ROUND).await;
    }

    /// Lets all clients make some of a round's calls together.
    pub async fn run_calls(&self, store: &Store, seed: u64, calls: u64) {
        let mut tasks = JoinSet::new();
        let clients = CLIENTS * self.about.len();
        for client in 0..clients {
            let (store, about) = (store.clone(), Arc::clone(&self.about));
            let mut rng = Rng::with_seed(seed ^ (client as u64) << 32);
            tasks.spawn(async move {
                let load = Load { about };
                for _ in 0..calls.div_ceil(clients as u64) {
                    load.step(&store, client, &mut rng).await;
                }
            });
        }
        tasks.join_all().await;
    }

    /// Reads everything, one call after the other.
    pub async fn read(&self, store: &Store) {
        for about in self.about.iter() {
            for request in about.reads() {
                about.ask(store, usize::MAX, request).await;
            }
        }
    }

    /// Funding outpoints of all channels that were ever opened.
    pub(crate) fn points(&self) -> Vec<OutPoint> {
        self.about.iter().flat_map(About::numbers).map(values::outpoint).collect()
    }

    /// The store is about to be opened again.
    pub fn ended(&self) {
        self.about.iter().for_each(|about| about.calls.ended());
    }

    /// Checks what was recorded; returns the number of calls that tell something.
    ///
    /// # Panics
    /// If no order of the calls explains their answers.
    pub fn check(&self) -> usize {
        let checked = self.about.iter().map(|about| {
            let calls = about.calls.calls();
            explain(about.first.clone(), &calls).unwrap_or_else(|found| panic!("{found}"));
            calls.iter().filter(|call| !call.outcome.tells_nothing()).count()
        });
        checked.sum()
    }

    /// What came back so far.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for about in self.about.iter() {
            about.calls.calls().iter().for_each(|call| tally.count(&call.outcome));
        }
        tally
    }

    async fn step(&self, store: &Store, client: usize, rng: &mut Rng) {
        let about = &self.about[client % self.about.len()];
        if about.asking.channels().is_empty() {
            match about.come_and_go(rng) {
                Request::PruneNodes => self.prune(store, client).await,
                request => drop(about.ask(store, client, request).await),
            }
        } else {
            about.exchange(store, client, rng).await;
        }
    }

    /// Prunes link nodes, which concerns every peer.
    async fn prune(&self, store: &Store, client: usize) {
        let starts: Vec<_> = self.about.iter().map(|about| about.calls.tick()).collect();
        let pruned = store.prune_link_nodes().await;
        for (about, start) in self.about.iter().zip(starts) {
            let outcome = about.asking.pruned(&pruned);
            about.calls.note(client, Request::PruneNodes, start, outcome);
        }
    }
}

impl About {
    /// A peer with two channels that exchange commitments, and one that does not.
    async fn exchanging(host: &Host<'_>, n: u64) -> About {
        let second = n + 1;
        let point = host.open_with(second, n).await;
        let scid = ShortChannelId(900_000 << 40 | n << 16);
        host.mark_scid(point, scid.0).await;
        host.open_with(n + 2, n).await;
        let first = packed(host, n, UPDATES.into()).await;
        let exchanges = BTreeMap::from([(n, first), (second, Exchange::new(second, scid))]);
        About::new(host, n, &exchanges, &[n, second, n + 2]).await
    }

    /// A peer whose channels are opened and closed.
    async fn opening(host: &Host<'_>, n: u64) -> About {
        host.open(n).await;
        About::new(host, n, &BTreeMap::new(), &[n]).await
    }

    async fn new(
        host: &Host<'_>,
        n: u64,
        exchanges: &BTreeMap<u64, Exchange>,
        open: &[u64],
    ) -> About {
        let asking = Asking::new(n, exchanges);
        let channel = |n| stored(&asking, host, n);
        let mut channels = BTreeMap::new();
        for n in open {
            channels.insert(*n, Arc::new(channel(*n).await));
        }
        let node = asking.ask(&host.store, &Request::ReadNode).await;
        let Outcome::Answered(Answer::Node(Some(node))) = node else { panic!("no link node") };
        let new_channel = channels.last_key_value().map(|(_, channel)| Channel::clone(channel));
        let first = Peer {
            new_node: node.clone(),
            new_channel: new_channel.expect("a channel is open"),
            first: n,
            node: Some(node),
            channels,
            opening_state: None,
        };
        let (newest, marks) = (AtomicU64::new(n), AtomicU64::new(1_000_000));
        About { n, asking, first, calls: Recorder::default(), newest, marks }
    }

    async fn ask(&self, store: &Store, client: usize, request: Request) -> Outcome<Answer> {
        let start = self.calls.tick();
        let outcome = self.asking.ask(store, &request).await;
        self.calls.note(client, request, start, outcome.clone());
        outcome
    }

    /// A number that nothing was written with before.
    fn mark(&self) -> u64 {
        self.marks.fetch_add(1, SeqCst)
    }

    /// Commitments, acknowledgements, status bits, and reads of them.
    async fn exchange(&self, store: &Store, client: usize, rng: &mut Rng) {
        let n = self.n + rng.u64(0..2);
        let request = match rng.u8(0..100) {
            0..35 => match self.next_step(store, client, n, rng).await {
                Some(step) => step,
                None => return,
            },
            35..38 => Request::SetBits(n, 1 << rng.u32(32..40)),
            38..44 => Request::ClearBits(n, ChannelStatus::all().bits()),
            44..52 => Request::SetBits(self.n + 2, 1 << rng.u32(32..64)),
            52..60 => Request::ClearBits(self.n + 2, 1 << rng.u32(32..64)),
            60..66 => Request::Confirm(self.n + rng.u64(0..3), self.mark() as u32),
            66..70 => Request::AckAdds(self.n, vec![rng.u16(0..UPDATES)]),
            70..74 => Request::AckEnds(vec![rng.u16(0..UPDATES), rng.u16(0..UPDATES)]),
            74..78 => Request::SaveOpeningState(self.mark()),
            78..79 => Request::DeleteOpeningState,
            79..83 => Request::ReadOpeningState,
            83..86 => Request::ReadPackages(n),
            86..91 => Request::ReadHeights(n),
            91..96 => Request::ReadChannel(self.n + rng.u64(0..3)),
            _ => Request::Refresh(self.n + rng.u64(0..3)),
        };
        let advanced = match &request {
            Request::Advance(n, height) => Some(Request::RemovePackage(*n, *height)),
            _ => None,
        };
        let outcome = self.ask(store, client, request).await;
        if let (Some(remove), Outcome::Answered(Answer::Done)) = (advanced, outcome) {
            self.ask(store, client, remove).await;
        }
    }

    /// A step that fits the heights which a read shows. Other clients may be faster.
    async fn next_step(
        &self,
        store: &Store,
        client: usize,
        n: u64,
        rng: &mut Rng,
    ) -> Option<Request> {
        let heights = self.ask(store, client, Request::ReadHeights(n)).await;
        let Outcome::Answered(Answer::Heights(local, remote, pending)) = heights else {
            return None;
        };
        let next = |height| Commitment { height: height + 1, mark: self.mark() };
        Some(match pending {
            _ if rng.u8(0..3) == 0 => Request::UpdateLocal(n, next(local)),
            Some(height) => Request::Advance(n, height),
            None => {
                let mut some =
                    |odds| if rng.u8(0..odds) == 0 { vec![rng.u16(0..UPDATES)] } else { vec![] };
                let adds = if n == self.n { some(2) } else { vec![] };
                Request::Append(n, next(remote), adds, some(2))
            }
        })
    }

    /// Channels that are opened and closed, their peer's link node, and reads of them.
    fn come_and_go(&self, rng: &mut Rng) -> Request {
        let newest = self.newest.load(SeqCst);
        let n = newest.saturating_sub(rng.u64(0..4)).max(self.n);
        match rng.u8(0..100) {
            0..16 => {
                let n = newest + rng.u64(0..2);
                self.newest.fetch_max(n, SeqCst);
                Request::Open(n)
            }
            16..27 => Request::Close(n),
            27..32 => Request::Abandon(n),
            32..43 => Request::FullyClose(n),
            43..46 => Request::SetBits(n, 1 << rng.u32(32..64)),
            46..49 => Request::Confirm(n, self.mark() as u32),
            49..52 => Request::PruneNodes,
            52..54 => Request::CreateNode,
            54..56 => Request::DeleteNode,
            56..59 => Request::SetLastSeen(self.mark()),
            59..62 => Request::AddAddress(self.mark() as u16),
            62..72 => Request::ReadChannel(n),
            72..78 => Request::Refresh(n),
            78..86 => Request::ReadSummary(n),
            86..94 => Request::ReadNode,
            _ => Request::ListChannels,
        }
    }

    fn numbers(&self) -> BTreeSet<u64> {
        let first = self.first.channels.keys().copied();
        first.chain(self.n..=self.newest.load(SeqCst)).collect()
    }

    /// Every read of every channel.
    fn reads(&self) -> Vec<Request> {
        let mut reads = vec![Request::ReadNode, Request::ListChannels, Request::ReadOpeningState];
        for n in self.numbers() {
            reads.extend([Request::Refresh(n), Request::ReadSummary(n)]);
        }
        for n in self.asking.channels() {
            reads.extend([Request::ReadHeights(n), Request::ReadPackages(n)]);
        }
        reads
    }
}

/// A channel as it is stored, without a pending commitment.
async fn stored(asking: &Asking, host: &Host<'_>, n: u64) -> Channel {
    let shown = asking.ask(&host.store, &Request::ReadChannel(n)).await;
    let Outcome::Answered(Answer::Channel(shown)) = shown else { panic!("not open: {shown:?}") };
    let packages = asking.ask(&host.store, &Request::ReadPackages(n)).await;
    let Outcome::Answered(Answer::Packages(packages)) = packages else { panic!("{packages:?}") };
    Channel { shown, pending: None, packages, closed: None }
}
