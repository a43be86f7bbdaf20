//! Random operations on a store and on a model of it.

use crate::model::{self, Settings};
use crate::{InMemory, Place, inspect, note};

/// Whatever is called in whatever order, with the store opened again in between: every call returns
/// and every read answers what the model says, and no record stays that nothing needs.
/// Obligations: `facet/nothing_on_error`, `facet/reopened`, `facet/read_back`, `facet/one_channel`,
/// `facet/unknown_channel`, `facet/closed_channel`, `facet/repeated`, `commitment/whole_step`,
/// `commitment/stored_once`, `coordinator/whole`, `backend/whole`, `backend/durable`.
pub(crate) async fn random_operations_match_the_model(place: &dyn Place) {
    let settings = Settings::from_env();
    let counts = model::play(place, settings);
    note("operations", counts.operations() as u64);
    note("operations per second", counts.rate() as u64);
    note("calls refused", counts.refusals() as u64);
    if settings == Settings::default() {
        assert_eq!(counts.missing(), [""; 0], "never happened");
    }
}

/// Equal operations leave equal records on every backend, versions included.
/// Obligations: `backend/sequence`, `backend/replace`, `backend/remove`, `backend/ack`.
pub(crate) async fn one_seed_gives_one_dump(place: &dyn Place) {
    let found = model::dump(place, 1).await;
    let expected = model::dump(&InMemory::default(), 1).await;
    let differ = inspect::differences(&found, &expected);
    assert!(differ.is_empty(), "{differ:?}");
}
