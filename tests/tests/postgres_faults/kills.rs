//! A server that is killed.

use std::time::Duration;

use crate::cluster::{Cluster, signal};
use crate::lease::LOCKED;
use crate::server::wait_until;
use crate::trial::{CALLS, Trial, Watch, open, patient};

/// Kills the server in the middle of the load, and starts it again.
fn kill_all(cluster: &Cluster, watch: &Watch<'_>) -> u64 {
    const KILLS: u64 = 3;
    for n in 0..KILLS {
        watch.await_calls((n + 1) * CALLS / (KILLS + 1));
        cluster.kill();
        cluster.await_restarted();
    }
    KILLS
}

/// Kills the process that commits; the server then ends all others by itself, and recovers.
fn kill_one(cluster: &Cluster, schema: &str, watch: &Watch<'_>) -> u64 {
    const KILLS: u64 = 2;
    for n in 0..KILLS {
        watch.await_calls((n + 1) * CALLS / (KILLS + 1));
        let mut shell = cluster.server.shell(schema);
        let mut pids = Vec::new();
        // It may not have noticed yet that the server is back.
        wait_until("somebody commits", || {
            pids = shell.commits_waiting("true").iter().map(i64::to_string).collect();
            !pids.is_empty()
        });
        signal("KILL", &pids);
        // It takes no connections while it recovers, and takes them before it noticed.
        wait_until("the server ends its sessions", || shell.is_lost());
        cluster.await_ready();
    }
    KILLS
}

#[test]
fn nothing_is_lost_when_the_server_is_killed() {
    let cluster = Cluster::new();
    let place = cluster.server.place().with(patient);
    let host = open(&place);
    let mut trial = Trial::new("server killed", &host);
    let host = trial.round(host, |watch| kill_all(&cluster, watch));
    let host = trial.round(host, |watch| kill_one(&cluster, place.schema(), watch));
    drop(host);
    // It was away for less than the store is patient.
    assert_eq!((trial.tally.unknown, trial.tally.fenced), (0, 0));
    trial.end(5);
}

#[test]
fn nothing_is_lost_when_the_server_is_killed_and_stays_away() {
    let cluster = Cluster::new();
    let patience = Duration::from_millis(100);
    let place = cluster.server.place().with(|options| options.patience(patience));
    let mut host = open(&place);
    let mut trial = Trial::new("server killed and away", &host);
    while trial.wants_unknown(3) {
        host = trial.round(host, |watch| {
            watch.await_calls(CALLS / 3);
            // Holds a commit back until the server is gone, so that nobody knows what became of it.
            let mut shell = cluster.server.shell(place.schema());
            shell.run("begin; select from channel for update");
            let mut other = cluster.server.shell(place.schema());
            wait_until("a commit waits", || !other.commits_waiting(LOCKED).is_empty());
            cluster.kill();
            wait_until("a commit is given up", || watch.given_up());
            watch.await_calls(CALLS * 2 / 3);
            cluster.await_restarted();
            1
        });
    }
    drop(host);
    assert!(trial.tally.unknown > 0, "every outcome is known");
    trial.end(3);
}
