//! Stops one of two nodes at commit after commit, and looks whether anything is lost.
//!
//! Two nodes of [`node_core`] have channels with each other and keep everything in a store on a
//! [`Place`]. One of them stops at a commit, stored or not, and is dropped as it is; its place is
//! opened again, both nodes reconnect from what is stored, and go on. When all payments have ended,
//! a ledger that neither node has seen says what each channel must hold.
//!
//! Both nodes run in one thread, message by message, from a seed: a run can be repeated.

mod ledger;
mod party;
mod run;
mod stopper;
mod verify;

use std::fmt;
use std::ops::AddAssign;

pub use party::{new_channel, scid};
pub use stopper::{Stop, Stopper};

use self::run::{Divergence, Run};
use crate::place::Place;

/// Commits of a node, at most, from one stop to the next.
const LONGEST_LIFE: u64 = 8;

/// Steps in which a node that works must come to a commit.
const PATIENCE: usize = 10_000;

/// What a sweep did, and what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Commits of both nodes.
    pub commits: u64,
    /// Stops.
    pub stops: u64,
    /// Payments that were settled.
    pub settled: u64,
    /// Payments that failed, those refused on their way included.
    pub failed: u64,
    /// Payments that failed because a channel on their way was full.
    pub refused: u64,
    /// HTLCs that were forwarded.
    pub forwarded: u64,
    /// Revoked states that were found in a log with their secrets.
    pub revoked: u64,
    /// What must not happen and did. A run ends with the first.
    pub divergences: Vec<String>,
}

impl AddAssign for Report {
    fn add_assign(&mut self, other: Report) {
        self.commits += other.commits;
        self.stops += other.stops;
        self.settled += other.settled;
        self.failed += other.failed;
        self.refused += other.refused;
        self.forwarded += other.forwarded;
        self.revoked += other.revoked;
        self.divergences.extend(other.divergences);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { commits, stops, settled, failed, refused, forwarded, revoked, divergences } =
            self;
        write!(f, "{commits} commits, {stops} stops, {} divergences; ", divergences.len())?;
        write!(
            f,
            "{settled} payments settled, {failed} failed ({refused} refused on their way), "
        )?;
        write!(f, "{forwarded} HTLCs forwarded, {revoked} revoked states found")
    }
}

/// One long run that is stopped `stops` times: each life of a node ends at one of its first
/// commits. The first node is stopped twice as often as the second; stops before and after take
/// turns.
pub async fn random_stops(places: [&dyn Place; 2], seed: u64, stops: u64) -> Report {
    let mut run = Run::new(places, channels(0), seed).await;
    let lived = live(&mut run, stops, |run| {
        let who = usize::from(run.report.stops % 3 == 2);
        (who, 1 + run.random(LONGEST_LIFE), in_turns(run))
    });
    let lived = lived.await;
    finish(run, lived).await
}

/// One long run in which node `who` stops after each of its commits, `stops` times: each of its
/// lives makes one.
pub async fn one_commit_lives(
    places: [&dyn Place; 2],
    seed: u64,
    who: usize,
    stops: u64,
) -> Report {
    let mut run = Run::new(places, channels(1 + who), seed).await;
    let lived = live(&mut run, stops, |_| (who, 1, Stop::After)).await;
    finish(run, lived).await
}

/// One long run in which each life of node `who` ends at its first or second commit, `stops`
/// times; stops before and after take turns.
pub async fn two_commit_lives(
    places: [&dyn Place; 2],
    seed: u64,
    who: usize,
    stops: u64,
) -> Report {
    let mut run = Run::new(places, channels(3 + who), seed).await;
    let lived = live(&mut run, stops, |run| (who, 1 + run.random(2), in_turns(run))).await;
    finish(run, lived).await
}

/// Numbers of the channels of a long run. A closed channel's number is not used again.
fn channels(run: usize) -> Vec<u64> {
    let first = 3 * run as u64;
    (first..first + 3).collect()
}

fn in_turns(run: &Run<'_>) -> Stop {
    if run.report.stops.is_multiple_of(2) { Stop::Before } else { Stop::After }
}

/// Works until there were `stops` stops, then comes to rest. `next` says which node stops next, at
/// which commit of its life, and on which side of it.
async fn live<'a>(
    run: &mut Run<'a>,
    stops: u64,
    mut next: impl FnMut(&mut Run<'a>) -> (usize, u64, Stop),
) -> Result<(), Divergence> {
    run.connect().await?;
    while run.report.stops < stops {
        let before = run.report.stops;
        let (who, commit, stop) = next(run);
        run.stop(who, commit, stop);
        for _ in 0..PATIENCE {
            run.step().await?;
            if run.report.stops > before {
                break;
            }
        }
        if run.report.stops == before {
            return Err(format!("node {who} comes to no commit after {before} stops"));
        }
    }
    run.rest().await?;
    verify::check(run).await
}

/// One run of `steps`, again and again: node `who` stops once at its first commit, once at its
/// second, and so on to its last, each time before the commit and after it.
pub async fn each_commit(places: [&dyn Place; 2], seed: u64, who: usize, steps: usize) -> Report {
    let first = 10_000 * (2 + 2 * (seed % 500) + who as u64);
    let (mut report, mut numbers) = (Report::default(), (first..).step_by(2));
    for stop in [Stop::Before, Stop::After] {
        for commit in 1.. {
            let number = numbers.next().unwrap_or_default();
            let mut run = Run::new(places, vec![number, number + 1], seed).await;
            run.stop(who, commit, stop);
            let lived = live_once(&mut run, steps).await;
            let one = finish(run, lived).await;
            let (over, failed) = (one.stops == 0, !one.divergences.is_empty());
            report += one;
            if over || failed {
                break;
            }
        }
    }
    report
}

async fn live_once(run: &mut Run<'_>, steps: usize) -> Result<(), Divergence> {
    run.connect().await?;
    for _ in 0..steps {
        run.step().await?;
    }
    run.rest().await?;
    verify::check(run).await
}

/// Puts what a run found into its report, and leaves the places empty.
async fn finish(run: Run<'_>, lived: Result<(), Divergence>) -> Report {
    let Run { parties, mut report, .. } = run;
    match lived {
        Ok(()) => {
            for party in parties {
                party.abandon().await;
            }
        }
        // The places stay as they are, to be looked at.
        Err(divergence) => report.divergences.push(divergence),
    }
    report
}
