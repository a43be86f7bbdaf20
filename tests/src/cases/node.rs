//! Nodes that keep everything in a store, stopped in the middle of their work.

use crate::size::{self, asked};
use crate::sweep::{Report, each_commit, one_commit_lives, random_stops, two_commit_lives};
use crate::{InMemory, Place, note};

/// Commits of the long run, unless `CONFORMANCE_OPERATIONS` asks for more.
const COMMITS: u64 = 5_000;

/// Commits of both nodes for each stop, about.
const COMMITS_PER_STOP: u64 = 10;

/// Stops of each run with lives of one or two commits, unless `CONFORMANCE_OPERATIONS` asks for
/// more commits.
const STOPS: u64 = 250;

/// What long runs start from, unless `CONFORMANCE_SEED` says otherwise.
const SEED: u64 = 1;

/// Seeds of short runs that are repeated for each commit of a node, and the node. In the first, two
/// payments are settled; in the second, one fails. Both have HTLCs that are forwarded.
const SHORT_RUNS: [(u64, usize); 2] = [(22, 0), (29, 1)];

/// Steps of a short run, before it comes to rest.
const STEPS: usize = 16;

/// Two nodes that live for a few commits at a time lose no payment and agree on every balance.
/// Obligations: `facet/durable`, `facet/nothing_on_error`, `facet/reopened`,
/// `commitment/whole_step`, `commitment/acks`, `commitment/lists`, `commitment/last_sent`.
pub(crate) async fn nothing_is_lost_in_many_short_lives(place: &dyn Place) {
    let stops = asked(size::OPERATIONS).unwrap_or(COMMITS).div_ceil(COMMITS_PER_STOP);
    let peer = InMemory::default();
    let report = random_stops([place, &peer], asked(size::SEED).unwrap_or(SEED), stops).await;
    assert_eq!(report.stops, stops, "{:?}", report.divergences);
    conclude(&report);
}

/// A node that stops at any one of its commits, stored or not, loses no payment.
/// Obligations: `facet/durable`, `facet/nothing_on_error`, `facet/reopened`,
/// `commitment/whole_step`, `commitment/acks`, `commitment/lists`, `commitment/last_sent`.
pub(crate) async fn nothing_is_lost_by_a_stop_at_any_commit(place: &dyn Place) {
    let peer = InMemory::default();
    let mut report = Report::default();
    for (seed, who) in SHORT_RUNS {
        report += each_commit([place, &peer], seed, who, STEPS).await;
    }
    conclude(&report);
}

/// A node that stops after every one of its commits, in a long run, loses no payment; neither does
/// one that gets to its second commit at most, stored or not.
/// Obligations: `facet/durable`, `facet/nothing_on_error`, `facet/reopened`,
/// `commitment/whole_step`, `commitment/acks`, `commitment/lists`, `commitment/last_sent`.
pub(crate) async fn nothing_is_lost_by_a_stop_at_every_commit(place: &dyn Place) {
    // Both nodes together make two commits for each stop, about.
    let stops = asked(size::OPERATIONS).map_or(STOPS, |commits| commits.div_ceil(2));
    let seed = asked(size::SEED).unwrap_or(SEED);
    let (peer, mut report) = (InMemory::default(), Report::default());
    for who in [0, 1] {
        report += one_commit_lives([place, &peer], seed, who, stops).await;
        report += two_commit_lives([place, &peer], seed, who, stops).await;
    }
    assert_eq!(report.stops, 4 * stops, "{:?}", report.divergences);
    // A node that does the same commit in each of its lives gets nowhere.
    assert!(4 * report.revoked > report.stops, "too little was done: {report}");
    conclude(&report);
}

fn conclude(report: &Report) {
    let Report { commits, stops, settled, failed, forwarded, revoked, .. } = *report;
    note("commits", commits);
    note("stops", stops);
    note("divergences", report.divergences.len() as u64);
    note("payments settled", settled);
    note("payments failed", failed);
    note("HTLCs forwarded", forwarded);
    note("revoked states found", revoked);
    assert_eq!(report.divergences, [""; 0]);
    let least = [stops, settled, failed, forwarded, revoked].into_iter().min();
    assert!(least > Some(0), "the run did too little: {report}");
}
