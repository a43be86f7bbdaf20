//! Activations, and taking them back, that are stopped at every step.

use std::sync::Arc;

use channelcoord::{OpenError, Stage, Store, StoreOptions};
use migrate::command::{ActivateOptions, activate_at, unseal_at};
use migrate::opened::{self, Failure};
use migrate::url::StoreUrl;
use pollster::block_on;

use crate::stopping::{Stop, Stopper, StoppingSite, content, transfer};

/// Whether a node can open a store.
pub(crate) fn is_usable(url: &StoreUrl) -> bool {
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

pub(crate) fn run(
    from: &StoreUrl,
    to: &StoreUrl,
    stopper: &Arc<Stopper>,
    activate: bool,
) -> Result<(), Failure> {
    let site = |url| StoppingSite { url, stopper: Arc::clone(stopper) };
    match activate {
        true => activate_at(&site(from), &site(to), ActivateOptions::default()).map(drop),
        false => unseal_at(&site(from), &site(to)).map(drop),
    }
}

/// Which of the two can be opened, source and copy.
fn usable(from: &StoreUrl, to: &StoreUrl) -> (bool, bool) {
    (is_ours(from) && is_usable(from), is_usable(to))
}

/// Takes a complete copy through an activation and back, stopped before and after each commit, and
/// then through both without a stop.
pub(crate) fn survives_every_stop_of_a_handover(from: &StoreUrl, to: &StoreUrl) {
    let before = (is_ours(from).then(|| content(from)), content(to));
    for commit in 0..3 {
        for stop in [Stop::Before, Stop::After] {
            for activating in [true, false] {
                let stopper = Stopper::at(commit, stop);
                let stopped = run(from, to, &stopper, activating);
                assert_eq!(stopped.is_err(), stopper.has_stopped(), "{stopped:?}");
                let (source, copy) = usable(from, to);
                let place = format!("activating {activating}, {stop:?} commit {commit}");
                // Activating may leave both in use until it is run again; taking back never does.
                assert!(activating || !(source && copy), "{place}: both in use");
                run(from, to, &Stopper::never(), activating).unwrap();
                // Only a store of ours can be sealed.
                let expected = (is_ours(from) && !activating, activating);
                assert_eq!(usable(from, to), expected, "{place}");
                knows_of_each_other(from, to, activating);
            }
        }
    }
    let after = (is_ours(from).then(|| content(from)), content(to));
    assert!(before == after, "content changed");
}

fn knows_of_each_other(from: &StoreUrl, to: &StoreUrl, active: bool) {
    let copy = transfer(to).unwrap();
    assert_eq!(copy.other, from.to_string());
    assert_eq!(matches!(copy.stage, Stage::Active { .. }), active);
    if is_ours(from) && active {
        let source = transfer(from).unwrap();
        assert_eq!((source.stage, source.id), (Stage::Moved, copy.id));
        assert_eq!(source.other, to.to_string());
    }
}
