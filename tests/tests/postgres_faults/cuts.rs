//! Connections that are cut at every point of a commit.

use std::time::Duration;

use conformance::{Host, InPostgres, Tally};
use fastrand::Rng;
use pollster::block_on;

use crate::proxy::{Cut, Proxy, Way};
use crate::server::{Server, wait_until};
use crate::trial::{CALLS, Trial, open};
use crate::writers::{Came, Writer, Wrong};

/// Kinds of steps that a channel goes in turn, each with a statement of its own.
const KINDS: usize = 3;

pub(crate) fn behind(proxy: &Proxy) -> InPostgres {
    InPostgres::on_server(&proxy.url("postgres")).unwrap()
}

/// Every point at which a connection can be cut that carries so many messages each way.
pub(crate) fn points(messages: [usize; 2], fresh: bool) -> Vec<Cut> {
    let ways = [Way::ToServer, Way::ToStore].into_iter();
    let points = ways.flat_map(|way| {
        (0..=messages[way as usize]).flat_map(move |after| {
            let cut = |inside| Cut { way, after, inside, fresh };
            [cut(false), cut(true)]
        })
    });
    // Behind the last message there is no next one.
    points.filter(|cut| !cut.inside || cut.after < messages[cut.way as usize]).collect()
}

/// A store behind a proxy, and a channel that goes step by step.
struct Sweep<'a> {
    proxy: &'a Proxy,
    host: Option<Host<'a>>,
    writer: Writer,
    tally: Tally,
    wrong: Wrong,
}

impl<'a> Sweep<'a> {
    fn new(proxy: &'a Proxy, place: &'a InPostgres) -> Sweep<'a> {
        let host = open(place);
        let writer = block_on(Writer::new(&host, 0));
        let (tally, wrong) = (Tally::default(), Wrong::default());
        Sweep { proxy, host: Some(host), writer, tally, wrong }
    }

    fn step(&mut self) -> Came {
        let store = &self.host.as_ref().unwrap().store;
        let came = block_on(self.writer.step(store)).unwrap();
        came.count(&mut self.tally);
        came
    }

    /// Makes a step of each kind on one connection, so that it knows their statements.
    fn warm_up(&mut self) {
        let mut stored = 0;
        while stored < KINDS {
            stored = if matches!(self.step(), Came::Stored) { stored + 1 } else { 0 };
        }
    }

    /// Messages of the next step.
    fn measure(&mut self, fresh: bool) -> [usize; 2] {
        let never = Cut { way: Way::ToServer, after: usize::MAX, inside: false, fresh };
        self.proxy.set(Some(never));
        if fresh {
            self.proxy.close();
        }
        assert!(matches!(self.step(), Came::Stored));
        self.proxy.passed()
    }

    /// Drops the store, opens it again and checks it.
    fn reopen(&mut self) {
        let host = self.host.take().unwrap();
        let host = self.host.insert(block_on(host.crash()));
        self.wrong = self.wrong + self.writer.check(host);
    }

    fn end(mut self, kind: &str, least_cuts: u64) {
        self.reopen();
        let (cuts, Tally { answered, not_stored, unknown, fenced }) =
            (self.proxy.cuts(), self.tally);
        let Wrong { lost, double, half } = self.wrong;
        println!(
            "{kind}: {cuts} faults, {} calls: {answered} answered, {not_stored} not stored, \
             {unknown} unknown, {fenced} fenced; {lost} lost, {double} double, {half} half",
            self.tally.calls()
        );
        assert_eq!(self.wrong, Wrong::default());
        assert!(cuts >= least_cuts, "{cuts} cuts");
    }
}

#[test]
fn a_commit_that_is_cut_anywhere_is_stored_once() {
    let proxy = Proxy::new(Server::shared().socket());
    let place = behind(&proxy);
    let mut sweep = Sweep::new(&proxy, &place);
    let mut cuts = 0;
    for _ in 0..KINDS {
        sweep.warm_up();
        let messages = sweep.measure(false);
        for cut in points(messages, false) {
            // One step more than kinds: the cut meets the next kind each time, and with the
            // repetitions each kind.
            sweep.warm_up();
            proxy.set(Some(cut));
            assert!(matches!(sweep.step(), Came::Stored), "{cut:?}");
            cuts += 1;
            wait_until("the cut", || proxy.cuts() == cuts);
        }
        sweep.reopen();
    }
    assert_eq!((sweep.tally.not_stored, sweep.tally.unknown), (0, 0));
    sweep.end("commit cut", 3 * 12);
}

#[test]
fn a_connection_that_is_cut_before_its_first_commit_ends_is_made_again() {
    let proxy = Proxy::new(Server::shared().socket());
    let place = behind(&proxy);
    let mut sweep = Sweep::new(&proxy, &place);
    let messages = sweep.measure(true);
    for (n, cut) in (1..).zip(points(messages, true)) {
        proxy.set(Some(cut));
        proxy.close();
        assert!(matches!(sweep.step(), Came::Stored), "{cut:?}");
        // A cut at the very end may come after the answer.
        wait_until("the cut", || proxy.cuts() == n);
    }
    assert_eq!((sweep.tally.not_stored, sweep.tally.unknown), (0, 0));
    sweep.end("new connection cut", 40);
}

#[test]
fn what_is_not_tried_again_is_settled() {
    let proxy = Proxy::new(Server::shared().socket());
    let place = behind(&proxy).with(|options| options.patience(Duration::ZERO));
    let mut sweep = Sweep::new(&proxy, &place);
    let mut cuts = 0;
    for _ in 0..KINDS {
        sweep.warm_up();
        let messages = sweep.measure(false);
        for cut in points(messages, false) {
            sweep.warm_up();
            proxy.set(Some(cut));
            let came = sweep.step();
            assert!(matches!(came, Came::Stored | Came::NotStored), "{cut:?}: {came:?}");
            cuts += 1;
            wait_until("the cut", || proxy.cuts() == cuts);
        }
        sweep.reopen();
    }
    assert!(sweep.tally.not_stored > 0);
    sweep.end("commit cut, no patience", 3 * 12);
}

#[test]
fn what_cannot_be_settled_is_unknown_until_the_store_is_opened_again() {
    let proxy = Proxy::new(Server::shared().socket());
    let place = behind(&proxy).with(|options| options.patience(Duration::ZERO));
    let mut sweep = Sweep::new(&proxy, &place);
    sweep.warm_up();
    let messages = sweep.measure(false);
    let mut stored = [0, 0];
    for cut in points(messages, false) {
        sweep.warm_up();
        proxy.refuse(true);
        proxy.set(Some(cut));
        let came = sweep.step();
        proxy.refuse(false);
        // What came whole to the store is known.
        let end = cut.way == Way::ToStore && cut.after == messages[1];
        assert!(matches!(came, Came::Unknown) != end, "{cut:?}: {came:?}");
        let before = crate::writers::steps(&sweep.writer.possible[0]);
        sweep.reopen();
        let after = crate::writers::steps(&sweep.writer.possible[0]);
        stored[usize::from(after > before)] += 1;
    }
    // Some were stored and some were not, so `unknown` says no more than is known.
    assert!(stored[0] > 0 && stored[1] > 0, "{stored:?}");
    sweep.end("commit cut, server away", 12);
}

#[test]
fn nothing_is_lost_when_connections_are_cut_under_load() {
    const CUTS: u64 = 12;
    let proxy = Proxy::new(Server::shared().socket());
    let place = behind(&proxy);
    let mut host = open(&place);
    let mut trial = Trial::new("commits cut under load", &host);
    let mut rng = Rng::with_seed(1);
    for _ in 0..3 {
        host = trial.round(host, |watch| {
            let first = proxy.cuts();
            for n in 0..CUTS {
                watch.await_calls((n + 1) * CALLS / (CUTS + 1));
                let way = [Way::ToServer, Way::ToStore][rng.usize(0..2)];
                let (after, inside, fresh) = (rng.usize(0..6), rng.bool(), rng.u8(0..3) == 0);
                let before = proxy.cuts();
                proxy.set(Some(Cut { way, after, inside, fresh }));
                if fresh {
                    proxy.close();
                }
                watch.met("the cut", || proxy.cuts() > before);
            }
            proxy.cuts() - first
        });
    }
    drop(host);
    assert_eq!((trial.tally.not_stored, trial.tally.unknown), (0, 0));
    trial.end(2 * CUTS);
}
