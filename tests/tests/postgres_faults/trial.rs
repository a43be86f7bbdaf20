//! A store under load, faults beside it, and the check afterwards.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use channelcoord::StoreOptions;
use conformance::{Host, Load, Place, Tally};
use pollster::block_on;
use sqlstore::PostgresOptions;
use tokio::runtime::Builder;

use crate::server::wait_until;
use crate::writers::{Writers, Wrong};

/// Calls of the load in a round.
pub(crate) const CALLS: u64 = 360;

/// Writers beside the load, and the steps of each in a round at least.
const WRITERS: u64 = 4;
const STEPS: u64 = 18;

/// What one kind of fault did to a store.
pub(crate) struct Trial {
    kind: &'static str,
    writers: Writers,
    rounds: u64,
    /// Faults that struck.
    pub(crate) faults: u64,
    /// What came back.
    pub(crate) tally: Tally,
    wrong: Wrong,
}

/// Is set when this is dropped.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// Longer than any server is away, and than this process may be kept waiting.
pub(crate) fn patient(options: PostgresOptions) -> PostgresOptions {
    let long = Duration::from_secs(600);
    options.patience(long).lease(long)
}

/// Opens a store on a place.
pub(crate) fn open(place: &dyn Place) -> Host<'_> {
    block_on(Host::over(place, place.must_open(), StoreOptions::default()))
}

/// The load of a round, seen from outside.
pub(crate) struct Watch<'a> {
    load: &'a Load,
    written: &'a Mutex<Tally>,
    over: &'a AtomicBool,
}

impl Watch<'_> {
    /// Waits until so many calls of the load came back.
    pub(crate) fn await_calls(&self, calls: u64) {
        wait_until("calls come back", || self.load.tally().calls() >= calls);
    }

    /// Waits until what came back is so.
    pub(crate) fn wait(&self, what: &str, mut so: impl FnMut(Tally) -> bool) {
        wait_until(what, || so(self.tally()));
    }

    /// Whether the store gave up a commit without knowing what became of it. Where it was one of the
    /// store's own, in the background, no caller hears of it but that every call fails from there on.
    pub(crate) fn given_up(&self) -> bool {
        const MANY: u64 = 50;
        let tally = self.tally();
        tally.unknown > 0 || tally.not_stored >= MANY
    }

    /// Waits until something is so, unless the load ends before; tells whether it was.
    pub(crate) fn met(&self, what: &str, mut so: impl FnMut() -> bool) -> bool {
        let mut met = false;
        wait_until(what, || {
            // Asked once more after the end.
            let over = self.over.load(SeqCst);
            met = so();
            met || over
        });
        met
    }

    /// What came back, to the load and to the writers, who go on when it has ended.
    pub(crate) fn tally(&self) -> Tally {
        let mut tally = self.load.tally();
        tally += *self.written.lock().unwrap();
        tally
    }
}

impl Trial {
    /// On a store that is empty.
    pub(crate) fn new(kind: &'static str, host: &Host<'_>) -> Trial {
        let writers = block_on(Writers::new(host, WRITERS));
        let (tally, wrong) = (Tally::default(), Wrong::default());
        Trial { kind, writers, rounds: 0, faults: 0, tally, wrong }
    }

    /// Faults strike while clients call the store; then it crashes, is opened again and checked.
    /// `strike` returns how many faults struck.
    pub(crate) fn round<'p>(
        &mut self,
        host: Host<'p>,
        strike: impl FnOnce(&Watch<'_>) -> u64 + Send,
    ) -> Host<'p> {
        let (load, faults) = self.under_load(&host, strike);
        self.faults += faults;
        let host = block_on(host.crash());
        self.judge(&load, &host);
        host
    }

    /// Clients call the store while something happens, and go on until it has happened.
    pub(crate) fn under_load<T: Send>(
        &mut self,
        host: &Host<'_>,
        happens: impl FnOnce(&Watch<'_>) -> T + Send,
    ) -> (Load, T) {
        let load = block_on(Load::new(host, self.rounds));
        self.rounds += 1;
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
        let (over, written) = (AtomicBool::new(false), Arc::new(Mutex::default()));
        let struck = Arc::new(AtomicBool::new(false));
        let result = thread::scope(|scope| {
            let happening = scope.spawn(|| {
                // Also if it panics: the writers wait for it.
                let _struck = OnDrop(&struck);
                happens(&Watch { load: &load, written: &written, over: &over })
            });
            let calling = load.run_calls(&host.store, self.rounds, CALLS);
            let writing = self.writers.run(&host.store, STEPS, &struck, &written);
            runtime.block_on(async { tokio::join!(calling, writing) });
            over.store(true, SeqCst);
            happening.join().unwrap()
        });
        self.tally += *written.lock().unwrap();
        load.ended();
        (load, result)
    }

    /// Whether rounds have to go on: there were not so many yet, or every outcome was known. Not so for
    /// ever.
    pub(crate) fn wants_unknown(&self, rounds: u64) -> bool {
        self.rounds < rounds || (self.tally.unknown == 0 && self.rounds < 20)
    }

    /// Checks a store that was opened again after a load.
    pub(crate) fn judge(&mut self, load: &Load, host: &Host<'_>) {
        self.tally += load.tally();
        block_on(load.read(&host.store));
        load.check();
        self.wrong = self.wrong + self.writers.check(host);
    }

    /// Says what came of it.
    ///
    /// # Panics
    /// If anything is wrong, or too few faults struck.
    pub(crate) fn end(self, least_faults: u64) {
        let Trial { kind, faults, tally, wrong, .. } = self;
        let Wrong { lost, double, half } = wrong;
        println!(
            "{kind}: {faults} faults, {} calls: {} answered, {} not stored, {} unknown, {} fenced; \
             {lost} lost, {double} double, {half} half",
            tally.calls(),
            tally.answered,
            tally.not_stored,
            tally.unknown,
            tally.fenced,
        );
        assert_eq!(wrong, Wrong::default());
        assert!(faults >= least_faults, "{faults} faults");
    }
}
