//! Plays sequences of operations on a store and on the model.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use channelcoord::{Batch, ChangeSet, StoreOptions};
use chanstate::transition::Options;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::call::{About, Answer, Call, Outcome};
use super::counts::Counts;
use super::operation::{self, Operation};
use super::state::Model;
use super::{request, universe};
use crate::inspect::{self, Contents};
use crate::reads::{Asked, Reads, difference};
use crate::size::{OPERATIONS, SEED, asked};
use crate::{Host, Place};

/// Longest sequence that is drawn.
const LONGEST: usize = 240;

/// Every so many operations everything is compared, otherwise what the call may change.
const EVERYTHING: usize = 10;

/// What to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Equal seeds give equal operations.
    pub seed: u64,
    /// Number of operations after which no further sequence is begun.
    pub operations: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { seed: 1, operations: 10_000 }
    }
}

impl Settings {
    /// The default, or what `CONFORMANCE_SEED` and `CONFORMANCE_OPERATIONS` say.
    ///
    /// # Panics
    /// If one of them is no number.
    pub fn from_env() -> Settings {
        let Settings { seed, operations } = Settings::default();
        Settings {
            seed: asked(SEED).unwrap_or(seed),
            operations: asked(OPERATIONS).map_or(operations, |operations| operations as usize),
        }
    }
}

/// Plays random sequences on stores over `place`, which is emptied before each, and compares every
/// read with the model.
///
/// # Panics
/// If they differ, with the shortest sequence that was found to show it.
pub fn play(place: &dyn Place, settings: Settings) -> Counts {
    let counts = RefCell::new(Counts::default());
    let begin = Instant::now();
    let mut runner = runner(settings.seed);
    while counts.borrow().operations() < settings.operations {
        let tree = operation::sequence(LONGEST).new_tree(&mut runner).expect("a sequence");
        let played = runner.run_one(tree, |sequence| {
            let counts = &mut counts.borrow_mut();
            play_anew(place, &sequence, counts).map_err(TestCaseError::fail)
        });
        counts.borrow_mut().sequences += 1;
        match played {
            Ok(_) => {}
            Err(TestError::Fail(_, sequence)) => {
                let sequences = counts.borrow().sequences;
                panic!("{}", report(place, sequence, settings.seed, sequences));
            }
            Err(error) => panic!("{error}"),
        }
    }
    let mut counts = counts.into_inner();
    counts.elapsed = begin.elapsed();
    counts
}

/// Plays one random sequence on an empty place, and returns what is stored then.
pub(crate) async fn dump(place: &dyn Place, seed: u64) -> Contents {
    let strategy = operation::sequence(LONGEST);
    let mut runner = runner(seed);
    let longest = (0..8).map(|_| strategy.new_tree(&mut runner).expect("a sequence").current());
    let sequence = longest.max_by_key(Vec::len).expect("there are some");
    play_one(place, &sequence, &mut Counts::default()).await.expect("the store does as the model");
    inspect::contents(place.must_open().as_ref()).await
}

fn runner(seed: u64) -> TestRunner {
    let config = Config { failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Removes everything that is stored.
async fn empty(place: &dyn Place) {
    let backend = place.must_open();
    let removes = inspect::contents(backend.as_ref()).await.into_keys().rev().collect();
    let head = backend.claim(None).await.expect("the backend is free");
    let sets = [ChangeSet { removes, ..ChangeSet::default() }];
    let batch = Batch { epoch: head.epoch, before: head.seq, sets: &sets };
    backend.commit(batch).await.expect("everything can be removed");
    assert_eq!(inspect::contents(backend.as_ref()).await.len(), 0, "not everything was removed");
    backend.release().await.expect("the backend is given up");
}

/// Plays a sequence on an empty store.
fn play_anew(place: &dyn Place, sequence: &[Operation], counts: &mut Counts) -> Result<(), String> {
    pollster::block_on(empty(place));
    pollster::block_on(play_one(place, sequence, counts))
}

async fn play_one(
    place: &dyn Place,
    sequence: &[Operation],
    counts: &mut Counts,
) -> Result<(), String> {
    let mut model = Model::default();
    let mut host = open(place, model.options).await;
    for (n, operation) in sequence.iter().enumerate() {
        let done = match request::call(&mut model, operation) {
            Some(call) => take(&host, &mut model, &call, n, counts).await,
            None => {
                host = reopen(place, host, &mut model, operation, counts).await;
                compare(&host, &model).await
            }
        };
        done.map_err(|error| format!("operation {}, {error}", n + 1))?;
    }
    compare(&host, &model).await.map_err(|error| format!("at the end, {error}"))?;
    host.store.close().await.map_err(|error| format!("closing failed: {error:?}"))
}

/// Gives a call to the store and to the model, and compares what they say.
async fn take(
    host: &Host<'_>,
    model: &mut Model,
    call: &Call,
    n: usize,
    counts: &mut Counts,
) -> Result<(), String> {
    let before = host.store.seq();
    let outcome = call.make(&host.store).await;
    let wrote = host.store.seq() > before;
    counts.count(call.name(), &outcome, wrote);
    let taken = model.take(call);
    let writes = matches!(taken, Ok((_, true)));
    agree(&outcome, &taken.map(|(answer, _)| answer), wrote, writes)?;
    if wrote && matches!(call, Call::CloseChannel(..) | Call::AbandonChannel(..)) {
        // Nobody can tell when the background does it.
        let reclaimed = host.store.reclaim_closed().await;
        reclaimed.map_err(|error| format!("the reclaim failed: {error:?}"))?;
    }
    let about = if n.is_multiple_of(EVERYTHING) { About::Channels } else { call.about() };
    let asked = universe::about(model, about);
    compare_reads(host, model, &asked).await
}

fn agree(outcome: &Outcome, expected: &Outcome, wrote: bool, writes: bool) -> Result<(), String> {
    if outcome != expected {
        let short =
            |outcome: &Outcome| format!("{outcome:?}").chars().take(200).collect::<String>();
        return Err(format!("returned: {} instead of {}", short(outcome), short(expected)));
    }
    match (wrote, writes) {
        (true, false) => Err("wrote something".to_owned()),
        (false, true) => Err("wrote nothing".to_owned()),
        _ => Ok(()),
    }
}

/// Operations that open the store again.
async fn reopen<'a>(
    place: &'a dyn Place,
    host: Host<'a>,
    model: &mut Model,
    operation: &Operation,
    counts: &mut Counts,
) -> Host<'a> {
    match operation {
        Operation::LoseLinkNode { peer } => {
            counts.count("LoseLinkNode", &Ok(Answer::Done), true);
            model.link_nodes.remove(&universe::peer(*peer));
            host.without_link_node((*peer).into()).await
        }
        Operation::Reopen { crash, amounts, finals } => {
            counts.count(if *crash { "Crash" } else { "Reopen" }, &Ok(Answer::Done), true);
            if !crash {
                host.store.close().await.expect("the store closes");
            }
            drop(host);
            model.options =
                Options { no_revocation_log_amounts: !amounts, store_final_htlcs: *finals };
            open(place, model.options).await
        }
        other => panic!("{other:?} is a call"),
    }
}

async fn open(place: &dyn Place, transitions: Options) -> Host<'_> {
    let options = StoreOptions { transitions, ..StoreOptions::default() };
    Host::over(place, place.must_open(), options).await
}

/// Compares every read, and which records there are: none may stay that no read shows.
async fn compare(host: &Host<'_>, model: &Model) -> Result<(), String> {
    compare_reads(host, model, &universe::everything(model)).await?;
    let backend = host.backend.as_ref();
    let mut counts = BTreeMap::new();
    for key in inspect::contents(backend).await.into_keys() {
        *counts.entry(key.kind).or_default() += 1;
    }
    let counts = difference(&counts, &model.counts());
    let htlcs = difference(&inspect::stored_htlcs(backend).await, &model.htlcs());
    counts.or(htlcs).map_or(Ok(()), |difference| Err(format!("stored: {difference}")))
}

async fn compare_reads(host: &Host<'_>, model: &Model, asked: &Asked) -> Result<(), String> {
    let found = Reads::asked(&host.store, asked).await;
    let difference = difference(&found, &model.reads(asked));
    difference.map_or(Ok(()), |difference| Err(format!("read: {difference}")))
}

/// What was found, with the shortest sequence that shows it.
fn report(place: &dyn Place, sequence: Vec<Operation>, seed: u64, sequences: usize) -> String {
    let (reason, sequence) = shortest(place, sequence);
    let mut text = format!("store and model differ in sequence {sequences} of seed {seed}.\n");
    for (n, operation) in sequence.iter().enumerate() {
        let _ = writeln!(text, "{:3}. {operation:?}", n + 1);
    }
    text + &format!("{reason}\nCONFORMANCE_SEED={seed} plays it again.")
}

/// Leaves out what is not needed: what was shrunk last may have made more of it superfluous.
fn shortest(place: &dyn Place, mut sequence: Vec<Operation>) -> (String, Vec<Operation>) {
    let fails = |sequence: &[Operation]| {
        let played = || play_anew(place, sequence, &mut Counts::default());
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(played));
        played.unwrap_or_else(|_| Err("panicked".to_owned())).err()
    };
    let mut reason = fails(&sequence).unwrap_or_else(|| "not shown a second time".to_owned());
    let mut at = 0;
    while at < sequence.len() {
        let mut shorter = sequence.clone();
        shorter.remove(at);
        match fails(&shorter) {
            // What stands before may have become superfluous.
            Some(found) => (reason, sequence, at) = (found, shorter, 0),
            None => at += 1,
        }
    }
    (reason, sequence)
}
