//! A standby that has to confirm commits, and is not there.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use conformance::Place;
use pollster::block_on;

use crate::cluster::Cluster;
use crate::server::{Shell, wait_until};
use crate::trial::{CALLS, Trial, open, patient};
use crate::writers::{Came, Writer};

const AWAITED: &str = "wait_event = 'SyncRep'";

/// While it exists, commits wait for a standby that nobody is.
struct Missing<'a>(&'a mut Shell);

impl Missing<'_> {
    fn new(shell: &mut Shell) -> Missing<'_> {
        set_standby(shell, "nobody");
        Missing(shell)
    }

    /// The sessions that wait for it.
    fn missed(&mut self) -> Vec<i64> {
        self.0.commits_waiting(AWAITED)
    }
}

impl Drop for Missing<'_> {
    fn drop(&mut self) {
        set_standby(self.0, "");
    }
}

fn set_standby(shell: &mut Shell, name: &str) {
    shell.run(&format!("alter system set synchronous_standby_names = '{name}'"));
    shell.run("select pg_reload_conf()");
}

#[test]
fn a_standby_that_comes_late_holds_commits_up() {
    let cluster = Cluster::new();
    let place = cluster.server.place().with(patient);
    let host = open(&place);
    let mut trial = Trial::new("standby late", &host);
    let host = trial.round(host, |watch| {
        let mut shell = cluster.server.shell(place.schema());
        let late = |n: &u64| {
            watch.await_calls(n * CALLS / 5);
            let mut standby = Missing::new(&mut shell);
            watch.met("a commit waits", || !standby.missed().is_empty())
        };
        (1..5).filter(late).count() as u64
    });
    drop(host);
    assert_eq!((trial.tally.not_stored, trial.tally.unknown), (0, 0));
    trial.end(4);
}

#[test]
fn a_standby_that_does_not_come_leaves_outcomes_unknown() {
    let cluster = Cluster::new();
    let place = cluster.server.place();
    // Made without limits.
    drop((&place as &dyn Place).must_open());
    let place = place.with(|options| {
        options.statement_timeout(Duration::from_secs(1)).patience(Duration::from_secs(1))
    });
    let mut host = open(&place);
    let mut trial = Trial::new("standby away", &host);
    while trial.wants_unknown(2) {
        host = trial.round(host, |watch| {
            let mut shell = cluster.server.shell(place.schema());
            watch.await_calls(CALLS / 2);
            let mut standby = Missing::new(&mut shell);
            // On a slow machine one may be given up before that.
            wait_until("a commit waits", || !standby.missed().is_empty() || watch.given_up());
            wait_until("a commit is given up", || watch.given_up());
            1
        });
    }
    drop(host);
    assert!(trial.tally.unknown > 0, "every outcome is known");
    trial.end(2);
}

/// The session that committed is gone and its commit can be seen, but the standby does not have it.
#[test]
fn what_the_standby_does_not_have_is_not_acknowledged() {
    let cluster = Cluster::new();
    let place = cluster.server.place();
    let host = open(&place as &dyn Place);
    let mut writer = block_on(Writer::new(&host, 0));
    let mut shell = cluster.server.shell(place.schema());
    for _ in 0..4 {
        let waits = AtomicBool::new(false);
        let mut standby = Missing::new(&mut shell);
        thread::scope(|scope| {
            // Commits until the server has taken its new setting in.
            let call = scope.spawn(|| {
                while !waits.load(SeqCst) {
                    let came = block_on(writer.step(&host.store));
                    assert!(matches!(came, Some(Came::Stored)), "{came:?}");
                }
            });
            wait_until("the commit waits", || !standby.missed().is_empty());
            waits.store(true, SeqCst);
            let first = standby.missed();
            standby.0.terminate("commit");
            wait_until("another session waits for the standby, or the call ends", || {
                let next = standby.missed();
                call.is_finished() || (!next.is_empty() && next != first)
            });
            let early = call.is_finished();
            drop(standby);
            assert!(!early, "acknowledged without the standby");
            call.join().unwrap();
        });
    }
    let host = block_on(host.crash());
    assert_eq!(writer.check(&host), crate::writers::Wrong::default());
    println!("sessions terminated before the standby had their commits: 4 faults, 4 calls");
}
