//! Whether recorded calls can be put in an order.
//!
//! Goes through the ticks once and keeps every state that the store may be in, each with the open
//! calls that took place in it already. When a call comes back it must have taken place, so open
//! calls are tried in every order up to it. Few calls are open at any time, so the states stay few.
//! (Wing and Gong, "Testing and verifying concurrent objects", tried call by call.)

use std::collections::{BTreeSet, HashSet};
use std::fmt::{self, Debug};
use std::hash::Hash;

use super::{Call, Outcome};

/// What a store answers that serves one call after the other.
pub(crate) trait Model: Clone + Eq + Hash + Debug {
    /// What can be asked.
    type Request: Debug;
    /// What comes back.
    type Answer: PartialEq + Debug;

    /// Serves one call.
    fn serve(&mut self, request: &Self::Request) -> Self::Answer;
}

/// A call that no order of the calls explains.
#[derive(Debug)]
pub(crate) struct Contradiction {
    /// The call, in the order in which calls came back.
    #[cfg_attr(not(test), allow(dead_code, reason = "the message says it"))]
    pub(crate) call: usize,
    message: String,
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// A state that the store may be in, and the open calls that led to it.
type Possible<M> = (M, BTreeSet<usize>);

type Calls<M> = [Call<<M as Model>::Request, <M as Model>::Answer>];

/// Finds an order of the calls that explains every answer; returns the states that the store may
/// be in at the end. No state is left out: there are several only where outcomes are unknown.
///
/// # Errors
/// The first call whose answer contradicts those before it and those at its time.
pub(crate) fn explain<M: Model>(first: M, calls: &Calls<M>) -> Result<HashSet<M>, Contradiction> {
    let mut possible = HashSet::from([(first, BTreeSet::new())]);
    let mut open = BTreeSet::new();
    for event in events::<M>(calls) {
        match event {
            Event::Starts(call) => {
                open.insert(call);
            }
            Event::Ends(call) => {
                let before = possible.clone();
                possible = taken_place(possible, call, &open, calls);
                if possible.is_empty() {
                    return Err(contradiction(call, &open, &before, calls));
                }
                open.remove(&call);
            }
        }
    }
    Ok(possible.into_iter().map(|(state, _)| state).collect())
}

enum Event {
    Starts(usize),
    Ends(usize),
}

/// Starts and ends of the calls that may have taken place, by tick.
fn events<M: Model>(calls: &Calls<M>) -> Vec<Event> {
    let mut events = Vec::with_capacity(2 * calls.len());
    for (n, call) in calls.iter().enumerate().filter(|(_, c)| !c.outcome.tells_nothing()) {
        events.push((call.start, Event::Starts(n)));
        events.push((call.end, Event::Ends(n)));
    }
    events.sort_by_key(|(tick, event)| (*tick, matches!(event, Event::Ends(_))));
    events.into_iter().map(|(_, event)| event).collect()
}

/// The states in which `call` took place, reached over open calls in any order; where its outcome
/// is unknown, also those in which it did not.
fn taken_place<M: Model>(
    possible: HashSet<Possible<M>>,
    call: usize,
    open: &BTreeSet<usize>,
    calls: &Calls<M>,
) -> HashSet<Possible<M>> {
    let may_not_have = calls[call].outcome == Outcome::Unknown;
    let mut met = possible.clone();
    let mut left: Vec<_> = possible.into_iter().collect();
    let mut found = HashSet::new();
    while let Some((state, mut done)) = left.pop() {
        if done.remove(&call) {
            found.insert((state, done));
            continue;
        }
        for next in open.difference(&done) {
            let mut after = state.clone();
            let answer = after.serve(&calls[*next].request);
            if matches!(&calls[*next].outcome, Outcome::Answered(given) if *given != answer) {
                continue;
            }
            let mut done = done.clone();
            done.insert(*next);
            if met.insert((after.clone(), done.clone())) {
                left.push((after, done));
            }
        }
        if may_not_have {
            found.insert((state, done));
        }
    }
    found
}

fn contradiction<M: Model>(
    call: usize,
    open: &BTreeSet<usize>,
    before: &HashSet<Possible<M>>,
    calls: &Calls<M>,
) -> Contradiction {
    let line = |n: &usize| {
        let Call { client, request, outcome, start, end } = &calls[*n];
        format!("  [{start}, {end}] client {client}: {request:?} -> {outcome:?}\n")
    };
    let others: String = open.iter().filter(|n| **n != call).map(line).collect();
    let states: String = before
        .iter()
        .take(4)
        .map(|(state, done)| format!("  {state:?} after {done:?}\n"))
        .collect();
    let message = format!(
        "no order of the calls explains number {call}\n{}open at its end:\n{others}{} possible \
         states before:\n{states}",
        line(&call),
        before.len(),
    );
    Contradiction { call, message }
}
