//! Writers that each take a channel through the commitment protocol, and know what must be stored.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin::OutPoint;
use channelcoord::Store;
use chanstate::facet::CommitmentStore;
use chanstate::{ShortChannelId, StoreError, Stored};
use conformance::{End, Exchange, Host, Tally};
use pollster::block_on;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The channel of the first writer; lower numbers belong to the load.
const FIRST: u64 = 9_000_000;

/// Steps that are wrong in the store, by what is wrong with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Acknowledged and not there.
    pub(crate) lost: u64,
    /// There, although they were not made, or once more than they were made.
    pub(crate) double: u64,
    /// There in parts.
    pub(crate) half: u64,
}

/// A writer.
#[derive(Clone, Debug)]
pub(crate) struct Writer {
    /// What may be stored: one state, or those before and after a call whose outcome is unknown.
    pub(crate) possible: Vec<Exchange>,
}

/// What came of a step.
#[derive(Debug)]
pub(crate) enum Came {
    /// It is stored.
    Stored,
    /// It is not.
    NotStored,
    /// One or the other.
    Unknown,
    /// It is not, as another instance has the store.
    Fenced,
}

impl Came {
    pub(crate) fn count(&self, tally: &mut Tally) {
        *match self {
            Came::Stored => &mut tally.answered,
            Came::NotStored => &mut tally.not_stored,
            Came::Unknown => &mut tally.unknown,
            Came::Fenced => &mut tally.fenced,
        } += 1;
    }
}

impl Writer {
    /// Opens the channel of writer `n`.
    pub(crate) async fn new(host: &Host<'_>, n: u64) -> Writer {
        Writer { possible: vec![host.exchange(FIRST + n).await] }
    }

    /// Writer `n` after so many steps.
    pub(crate) fn after(n: u64, scid: ShortChannelId, steps: u64) -> Writer {
        let mut exchange = Exchange::new(FIRST + n, scid);
        for _ in 0..steps {
            exchange = Step::next(&exchange).1;
        }
        Writer { possible: vec![exchange] }
    }

    /// Makes the next step; `None` if it is not known which one that is.
    pub(crate) async fn step(&mut self, store: &Store) -> Option<Came> {
        let [exchange] = &self.possible[..] else { return None };
        let (step, after) = Step::next(exchange);
        let came = match step.make(store, exchange.point).await {
            Ok(()) => Came::Stored,
            Err(StoreError::Fenced) => Came::Fenced,
            Err(error @ (StoreError::Rejected(_) | StoreError::Corrupt { .. })) => {
                panic!("the next step is right: {error:?}")
            }
            Err(error) => match error.stored() {
                Stored::No => Came::NotStored,
                Stored::Unknown => Came::Unknown,
            },
        };
        match came {
            Came::Stored => self.possible = vec![after],
            Came::Unknown => self.possible.push(after),
            Came::NotStored | Came::Fenced => {}
        }
        Some(came)
    }

    /// Compares the store, which was opened again, with what may be stored.
    pub(crate) fn check(&mut self, host: &Host<'_>) -> Wrong {
        let found = stored_steps(host, self.point());
        let steps: Vec<_> = self.possible.iter().map(steps).collect();
        let (least, most) = (steps[0], steps[steps.len() - 1]);
        let mut wrong = Wrong {
            lost: least.saturating_sub(found),
            double: found.saturating_sub(most),
            half: 0,
        };
        if let Some(at) = steps.iter().position(|steps| *steps == found) {
            self.possible = vec![self.possible.swap_remove(at)];
            let check = || block_on(host.check(&self.possible[0]));
            wrong.half += u64::from(catch_unwind(AssertUnwindSafe(check)).is_err());
        }
        wrong
    }

    pub(crate) fn point(&self) -> OutPoint {
        self.possible[0].point
    }
}

/// Steps of a channel that are stored.
fn stored_steps(host: &Host<'_>, point: OutPoint) -> u64 {
    let heights = block_on(host.heights(point)).unwrap();
    heights.local.0 + 2 * heights.remote.0 + u64::from(heights.pending.is_some())
}

/// Steps that a channel went.
pub(crate) fn steps(exchange: &Exchange) -> u64 {
    let pending = u64::from(exchange.pending.is_some());
    exchange.local.height.0 + 2 * exchange.remote.height.0 + pending
}

/// A step of the protocol.
enum Step {
    Update(Box<chanstate::transition::UpdateLocal>),
    Append(Box<chanstate::transition::AppendRemote>),
    Advance(Box<chanstate::transition::AdvanceTail>),
}

impl Step {
    /// The next one, and the channel after it.
    fn next(exchange: &Exchange) -> (Step, Exchange) {
        let mut after = exchange.clone();
        let step = if exchange.pending.is_some() {
            let advance = after.advance();
            after.stored_advance(&advance);
            Step::Advance(Box::new(advance))
        } else if exchange.local.height > exchange.remote.height {
            let append = after.append();
            after.stored_append(&append);
            Step::Append(Box::new(append))
        } else {
            after.we_add(1_000_000);
            after.they_add(2_000_000);
            after.ours_to_end().into_iter().for_each(|id| after.we_end(id, End::Settle));
            after.theirs_to_end().into_iter().for_each(|id| after.they_end(id, End::Fail));
            let update = after.update();
            after.stored_update(&update);
            Step::Update(Box::new(update))
        };
        (step, after)
    }

    async fn make(self, store: &Store, point: OutPoint) -> Result<(), StoreError> {
        match self {
            Step::Update(update) => store.update_local(point, *update).await.map(drop),
            Step::Append(append) => store.append_remote(point, *append).await.map(drop),
            Step::Advance(advance) => store.advance_tail(point, *advance).await.map(drop),
        }
    }
}

/// Several writers.
pub(crate) struct Writers(Vec<Writer>);

impl Writers {
    pub(crate) async fn new(host: &Host<'_>, count: u64) -> Writers {
        let mut writers = Vec::new();
        for n in 0..count {
            writers.push(Writer::new(host, n).await);
        }
        Writers(writers)
    }

    /// Lets all make some steps at once, and as many more as they can until `struck`, and one after
    /// that. Each is counted in `written` when it came back.
    pub(crate) async fn run(
        &mut self,
        store: &Store,
        steps: u64,
        struck: &Arc<AtomicBool>,
        written: &Arc<Mutex<Tally>>,
    ) {
        let mut tasks = JoinSet::new();
        for mut writer in self.0.drain(..) {
            let (store, struck) = (store.clone(), Arc::clone(struck));
            let written = Arc::clone(written);
            tasks.spawn(async move {
                for n in 1.. {
                    // Asked before the step: this one meets whatever the fault left behind.
                    let last = n >= steps && struck.load(SeqCst);
                    let came = writer.step(&store).await;
                    match &came {
                        Some(came) => came.count(&mut written.lock().unwrap()),
                        None => break,
                    }
                    match came {
                        _ if last => break,
                        Some(Came::Fenced) if n >= steps => break,
                        // What failed is not hammered.
                        Some(Came::NotStored) => sleep(Duration::from_millis(5)).await,
                        _ => {}
                    }
                }
                writer
            });
        }
        self.0 = tasks.join_all().await;
    }

    /// Compares the store, which was opened again, with what may be stored.
    pub(crate) fn check(&mut self, host: &Host<'_>) -> Wrong {
        self.0.iter_mut().fold(Wrong::default(), |wrong, writer| wrong + writer.check(host))
    }
}

impl std::ops::Add for Wrong {
    type Output = Wrong;

    fn add(self, more: Wrong) -> Wrong {
        Wrong {
            lost: self.lost + more.lost,
            double: self.double + more.double,
            half: self.half + more.half,
        }
    }
}

#[test]
fn what_is_wrong_is_counted() {
    let place = conformance::InMemory::default();
    let host = block_on(Host::new(&place));
    let mut writer = block_on(Writer::new(&host, 0));
    let start = writer.clone();
    for _ in 0..5 {
        assert!(matches!(block_on(writer.step(&host.store)), Some(Came::Stored)));
    }
    assert_eq!(writer.check(&host), Wrong::default());
    let mut ahead = Writer { possible: vec![Step::next(&writer.possible[0]).1] };
    assert_eq!(ahead.check(&host), Wrong { lost: 1, ..Wrong::default() });
    assert_eq!(start.clone().check(&host), Wrong { double: 5, ..Wrong::default() });
    let mut either = Writer { possible: [&writer.possible[..], &ahead.possible].concat() };
    assert_eq!(either.check(&host), Wrong::default());
    assert_eq!(either.possible.len(), 1);
    writer.possible[0].packages.clear();
    assert_eq!(writer.check(&host), Wrong { half: 1, ..Wrong::default() });
}
