//! Activations, and taking them back, that are stopped at every step.
#![allow(dead_code, reason = "no file of tests needs all of it")]

use std::sync::Arc;

use channelcoord::{OpenError, Record, Stage, Store, StoreOptions};
use migrate::command::{ActivateOptions, activate_at, unseal_at};
use migrate::lnd::source::{LndEntry, Refused};
use migrate::lnd::tombstone::Home;
use migrate::opened::{self, Failure, Opened};
use migrate::url::StoreUrl;
use pollster::block_on;

use crate::stopping::{Stop, Stopper, StoppingSite, content, transfer};

/// Whether a node can open a store, lnd its own.
pub(crate) fn is_usable(url: &StoreUrl) -> bool {
    if !is_ours(url) {
        return match opened::open(url, false) {
            Ok(_) => true,
            Err(Failure::Content(why)) if why.contains("migrated away") => false,
            Err(error) => panic!("{error:?}"),
        };
    }
    let store = opened::open_to_write(url).unwrap();
    match block_on(Store::open_shared(store.into(), StoreOptions::default())) {
        Ok(store) => {
            block_on(store.close()).unwrap();
            true
        }
        Err(OpenError::NotReady(_)) => false,
        Err(error) => panic!("{error:?}"),
    }
}

fn is_ours(url: &StoreUrl) -> bool {
    matches!(url.format(), "redb" | "sqlite" | "postgres")
}

/// A source and its copy, to be handed over.
pub(crate) struct Handover<'a> {
    pub(crate) from: &'a StoreUrl,
    pub(crate) to: &'a StoreUrl,
    /// Whether lnd's database is sealed too.
    pub(crate) seal: bool,
}

impl Handover<'_> {
    fn run(&self, stopper: &Arc<Stopper>, activate: bool) -> Result<(), Failure> {
        let site = |url| StoppingSite { url, stopper: Arc::clone(stopper) };
        let (from, to) = (site(self.from), site(self.to));
        let options = ActivateOptions { seal_source: self.seal };
        match activate {
            true => activate_at(&from, &to, options).map(drop),
            false => unseal_at(&from, &to).map(drop),
        }
    }

    fn is_sealed(&self) -> bool {
        is_ours(self.from) || self.seal && Home::of(self.from).is_some()
    }
}

/// Which of the two can be opened, source and copy.
fn usable(from: &StoreUrl, to: &StoreUrl) -> (bool, bool) {
    (is_usable(from), is_usable(to))
}

/// Everything in a source.
fn everything(url: &StoreUrl) -> (Vec<Record>, Vec<LndEntry>) {
    match opened::open(url, true).unwrap() {
        Opened::Store(_) => (content(url), Vec::new()),
        Opened::Lnd(source) => {
            let entries = source.walk(&Refused::default()).collect::<Result<_, _>>();
            (Vec::new(), entries.unwrap())
        }
    }
}

/// Takes a complete copy through an activation and back, stopped before and after each commit, and
/// then through both without a stop.
pub(crate) fn survives_every_stop_of_a_handover(handover: &Handover<'_>) {
    let Handover { from, to, .. } = handover;
    let before = (everything(from), content(to));
    for commit in 0..3 {
        for stop in [Stop::Before, Stop::After] {
            for activating in [true, false] {
                let stopper = Stopper::at(commit, stop);
                let stopped = handover.run(&stopper, activating);
                assert_eq!(stopped.is_err(), stopper.has_stopped(), "{stopped:?}");
                let (source, copy) = usable(from, to);
                let place = format!("activating {activating}, {stop:?} commit {commit}");
                // Activating may leave both in use until it is run again; taking back never does.
                let never_both = handover.is_sealed() && !activating;
                assert!(!(never_both && source && copy), "{place}: both in use");
                // Once more changes nothing.
                for _ in 0..2 {
                    handover.run(&Stopper::never(), activating).unwrap();
                    let expected = (!handover.is_sealed() || !activating, activating);
                    assert_eq!(usable(from, to), expected, "{place}");
                    knows_of_each_other(handover, activating);
                }
            }
        }
    }
    let after = (everything(from), content(to));
    assert!(before == after, "content changed");
}

fn knows_of_each_other(handover: &Handover<'_>, active: bool) {
    let Handover { from, to, seal } = handover;
    let copy = transfer(to).unwrap();
    assert_eq!(copy.other, from.to_string());
    assert_eq!(matches!(copy.stage, Stage::Active { .. }), active);
    if is_ours(from) && active {
        let source = transfer(from).unwrap();
        assert_eq!((source.stage, source.id), (Stage::Moved, copy.id));
        assert_eq!(source.other, to.to_string());
    }
    if let Opened::Lnd(source) = opened::open(from, true).unwrap() {
        let told = source.tombstone().map(str::to_owned);
        let expected = format!("moved to {to} by chanstore (transfer {})", copy.id);
        assert_eq!(told, (active && *seal).then_some(expected));
    }
}
