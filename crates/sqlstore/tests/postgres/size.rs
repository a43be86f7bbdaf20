//! Batches that are too large for one statement.

use channelcoord::{Backend, Batch, ChangeSet, CommitError, MetaRecord, Record, Settled, Verdict};
use pollster::block_on;

use crate::server::{Store, note};
use crate::support::puts;

/// Room for one large set, but not for two.
const LARGEST: usize = 100_000;

fn store() -> Store {
    Store::with(|options| options.largest_commit(LARGEST))
}

fn sized(name: &str, bytes: usize) -> ChangeSet {
    let record = |part: &str, bytes| {
        let name = format!("{name}{part}");
        Record::Meta(MetaRecord { name, value: vec![7; bytes].into() })
    };
    puts([record("", bytes), record(" beside", 10)])
}

#[test]
fn sets_that_are_too_large_together_are_stored_one_by_one() {
    let mut store = store();
    let sets = ["a", "b", "c"].map(|name| sized(name, LARGEST * 2 / 3));
    let refused = store.try_commit(&sets).unwrap_err();
    let CommitError::NotStored(cause) = refused else { panic!("{refused:?}") };
    assert!(cause.to_string().ends_with("100000 at most"), "{cause}");
    assert!(!store.has("a"));
    for set in sets {
        store.commit(&[set]);
    }
    assert!(store.has("a") && store.has("b") && store.has("c"));
    // The statement goes back to what it was.
    store.commit(&[note("d"), note("e")]);
}

#[test]
fn a_set_that_is_too_large_alone_is_refused_by_its_largest_record() {
    let mut store = store();
    let sets = [note("a"), sized("large", LARGEST), note("b")];
    let (epoch, before) = (store.head.epoch, store.head.seq);
    let verdicts = store.try_commit(&sets).unwrap();
    let check = |verdicts: &[Verdict]| {
        let [Verdict::Applied, Verdict::Refused { record, cause }, Verdict::Applied] = verdicts
        else {
            panic!("{verdicts:?}")
        };
        assert_eq!(*record, channelcoord::meta_key("large"));
        assert!(cause.to_string().ends_with("100000 at most"), "{cause}");
    };
    check(&verdicts);
    assert!(store.has("a") && store.has("b") && !store.has("large") && !store.has("large beside"));
    let settled = block_on(store.backend.settle(Batch { epoch, before, sets: &sets })).unwrap();
    let Settled::Stored(verdicts, _) = settled else { panic!("{settled:?}") };
    check(&verdicts);
    store.commit(&[sized("large", LARGEST / 2)]);
}
