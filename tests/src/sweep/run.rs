//! Two nodes at work, step by step, and what happens when one of them stops.

use std::collections::{BTreeMap, VecDeque};

use bitcoin::secp256k1::rand::{Rng, SeedableRng, rngs::StdRng};
use chanstate::message::Message;
use chanstate::{Commitment, ShortChannelId};
use node_core::{Channel, Error};

use super::Report;
use super::ledger::Ledger;
use super::party::{Party, scid};
use super::stopper::Stop;
use super::verify;
use crate::place::Place;

/// Rounds after which everything must have come to rest.
const STEPS_TO_REST: usize = 1_000;

/// Payments in flight at a time, at most.
const PAYMENTS_AT_ONCE: usize = 12;

/// What both nodes have shown to be their own commitments, by node, channel and height.
pub(crate) type History = BTreeMap<(usize, ShortChannelId, u64), Commitment>;

/// Something that must not happen.
pub(crate) type Divergence = String;

/// Two nodes with channels between them.
pub(crate) struct Run<'a> {
    pub(crate) parties: [Party<'a>; 2],
    pub(crate) ledger: Ledger,
    pub(crate) history: History,
    pub(crate) report: Report,
    /// Channel numbers.
    pub(crate) numbers: Vec<u64>,
    scids: Vec<ShortChannelId>,
    rng: StdRng,
    /// Messages on their way to each node.
    pipes: [VecDeque<Message>; 2],
    /// Payments to be made, or made again.
    waiting: VecDeque<u64>,
    /// Payments on their way.
    sent: Vec<u64>,
}

impl<'a> Run<'a> {
    /// Opens the channels `numbers` between two places.
    pub(crate) async fn new(places: [&'a dyn Place; 2], numbers: Vec<u64>, seed: u64) -> Run<'a> {
        let ledger = Ledger::new(seed << 32);
        let [a, b] = places;
        let [wallet_a, wallet_b] = ledger.wallets.clone();
        let parties = [
            Party::new(0, a, wallet_a, &numbers).await,
            Party::new(1, b, wallet_b, &numbers).await,
        ];
        Run {
            parties,
            ledger,
            history: History::new(),
            report: Report::default(),
            scids: numbers.iter().copied().map(scid).collect(),
            numbers,
            rng: StdRng::seed_from_u64(seed),
            pipes: Default::default(),
            waiting: VecDeque::new(),
            sent: Vec::new(),
        }
    }

    /// A number below `bound`, from the run's seed.
    pub(crate) fn random(&mut self, bound: u64) -> u64 {
        self.rng.gen_range(0..bound)
    }

    /// Stops a node at its `n`th commit from now.
    pub(crate) fn stop(&mut self, who: usize, n: u64, stop: Stop) {
        self.parties[who].life().stopper.stop_at(Some((n, stop)));
    }

    /// Starts on a new connection: both nodes are loaded again, messages under way are lost.
    pub(crate) async fn connect(&mut self) -> Result<(), Divergence> {
        self.pipes = Default::default();
        for who in 0..2 {
            let done = self.parties[who].reload().await;
            self.expect(who, done)?;
            let done = self.parties[who].node().connect().await;
            self.expect(who, done)?;
            self.note(who)?;
            self.post(who);
        }
        self.find_forgotten();
        Ok(())
    }

    /// One step of one of the nodes.
    pub(crate) async fn step(&mut self) -> Result<(), Divergence> {
        let who = self.rng.gen_range(0..2);
        match self.rng.gen_range(0..200) {
            0..100 => self.deliver(who).await,
            100..150 => self.sign(who).await,
            150..165 => self.work(who).await,
            165..190 => self.pay().await,
            190..193 => self.set_fee(who).await,
            193..199 => self.tidy(who).await,
            _ => self.connect().await,
        }
    }

    /// Steps without new payments until nothing is left to do.
    pub(crate) async fn rest(&mut self) -> Result<(), Divergence> {
        for _ in 0..STEPS_TO_REST {
            for who in 0..2 {
                while !self.pipes[who].is_empty() {
                    self.deliver(who).await?;
                }
                self.work(who).await?;
                for _ in 0..self.scids.len() {
                    self.sign(who).await?;
                }
                self.tidy(who).await?;
            }
            while self.resend().await? {}
            if self.is_at_rest().await {
                return Ok(());
            }
        }
        Err(format!("no rest after {STEPS_TO_REST} rounds: {:?} are on their way", self.sent))
    }

    async fn is_at_rest(&mut self) -> bool {
        self.forget_ended();
        let mut left = self.waiting.len() + self.sent.len();
        left += self.pipes.iter().map(VecDeque::len).sum::<usize>();
        for party in &mut self.parties {
            left += party.node().channels().filter(|channel| !is_settled(channel)).count();
        }
        left == 0
    }

    async fn deliver(&mut self, who: usize) -> Result<(), Divergence> {
        let Some(message) = self.pipes[who].pop_front() else { return Ok(()) };
        let done = self.parties[who].node().receive(message).await;
        self.done(who, done).await
    }

    async fn sign(&mut self, who: usize) -> Result<(), Divergence> {
        let scid = self.any_scid();
        let done = self.parties[who].node().sign(scid).await;
        self.done(who, done.map(drop)).await
    }

    async fn work(&mut self, who: usize) -> Result<(), Divergence> {
        let done = self.parties[who].node().work().await;
        self.done(who, done).await
    }

    async fn tidy(&mut self, who: usize) -> Result<(), Divergence> {
        verify::check_packages(&mut self.parties[who]).await?;
        let done = self.parties[who].node().tidy().await;
        self.done(who, done).await
    }

    async fn set_fee(&mut self, who: usize) -> Result<(), Divergence> {
        let (scid, rate) = (self.any_scid(), self.rng.gen_range(253..3_000));
        let done = self.parties[who].node().set_fee(scid, rate);
        self.done(who, done).await
    }

    /// Makes a payment that waits, or a new one.
    async fn pay(&mut self) -> Result<(), Divergence> {
        self.forget_ended();
        if self.sent.len() < PAYMENTS_AT_ONCE && self.waiting.is_empty() {
            let number = self.ledger.draw(&mut self.rng, &self.scids);
            self.waiting.push_back(number);
        }
        self.resend().await.map(drop)
    }

    /// Makes a payment that waits; false if none could be made.
    async fn resend(&mut self) -> Result<bool, Divergence> {
        let Some(number) = self.waiting.pop_front() else { return Ok(false) };
        let payment = self.ledger.payment(number);
        let (who, (scid, offer)) = (payment.payer, payment.first_offer());
        let paid = self.parties[who].node().pay(scid, number, offer);
        let made = paid.is_ok();
        if made {
            self.sent.push(number);
        } else {
            self.waiting.push_back(number);
        }
        self.done(who, paid).await?;
        Ok(made)
    }

    /// After a step: its messages go out, or the node has stopped.
    async fn done(&mut self, who: usize, done: Result<(), Error>) -> Result<(), Divergence> {
        self.report.commits += self.parties[who].new_commits();
        match done {
            Ok(()) | Err(Error::Refused(_)) => {
                self.post(who);
                self.note(who)
            }
            Err(_) if self.parties[who].life().stopper.has_stopped() => {
                // What it wanted to send before it stopped may have gone out.
                self.post(who);
                self.recover(who).await
            }
            Err(error) => self.expect(who, Err(error)),
        }
    }

    /// A node has stopped. The other one still gets some of what was under way to it; then the
    /// node is opened again, and both connect.
    async fn recover(&mut self, who: usize) -> Result<(), Divergence> {
        self.report.stops += 1;
        let other = 1 - who;
        let arrive = self.rng.gen_range(0..=self.pipes[other].len());
        for message in self.pipes[other].drain(..arrive).collect::<Vec<_>>() {
            let done = self.parties[other].node().receive(message).await;
            self.expect(other, done)?;
            self.report.commits += self.parties[other].new_commits();
            self.note(other)?;
        }
        let done = self.parties[who].restart().await;
        self.expect(who, done)?;
        self.connect().await
    }

    fn expect(&self, who: usize, done: Result<(), Error>) -> Result<(), Divergence> {
        done.map_err(|error| format!("node {who} after {} stops: {error:?}", self.report.stops))
    }

    /// Moves what a node wants to send into the pipe.
    fn post(&mut self, who: usize) {
        let messages = self.parties[who].node().take_messages();
        self.pipes[1 - who].extend(messages);
    }

    /// Notes the node's own commitments. One that was seen before must not be another now.
    fn note(&mut self, who: usize) -> Result<(), Divergence> {
        for channel in self.parties[who].node().channels() {
            let local = channel.local();
            let key = (who, channel.scid(), local.height.0);
            match self.history.get(&key) {
                Some(known) if known == local => {}
                Some(_) => return Err(format!("node {who} replaced its commitment {key:?}")),
                None => drop(self.history.insert(key, local.clone())),
            }
        }
        Ok(())
    }

    fn forget_ended(&mut self) {
        let Run { sent, ledger, .. } = self;
        sent.retain(|number| ledger.endings(ledger.payment(*number)).is_empty());
    }

    /// Payments whose HTLC was not covered by a signature have to be made again.
    fn find_forgotten(&mut self) {
        self.forget_ended();
        for number in std::mem::take(&mut self.sent) {
            let payer = self.ledger.payment(number).payer;
            if self.parties[payer].node().is_paying(number) {
                self.sent.push(number);
            } else {
                self.waiting.push_back(number);
            }
        }
    }

    fn any_scid(&mut self) -> ShortChannelId {
        self.scids[self.rng.gen_range(0..self.scids.len())]
    }
}

/// Nothing is in flight, and both commitments have everything.
fn is_settled(channel: &Channel) -> bool {
    let (local, tip) = (channel.local(), channel.tip());
    let same = local.local_log_index == tip.local_log_index
        && local.remote_log_index == tip.remote_log_index
        && channel.remote().height == tip.height;
    same && local.htlcs.is_empty() && tip.htlcs.is_empty()
}
