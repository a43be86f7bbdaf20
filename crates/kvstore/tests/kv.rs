//! The backend over an engine in memory that fails on demand.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use channelcoord::{
    Backend, BackendError, Batch, ChangeSet, ClaimError, CommitError, Head, MetaRecord, Record,
    Settled, Verdict, meta_key,
};
use chanstate::Cause;
use kvstore::kv::{self, Bounds, Fault, KvBackend, ReadRows, Row, Table, WriteError, WriteRows};
use pollster::block_on;
use thiserror::Error;

/// What happens to a write transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Refused,
    LostCommit,
    PanicBefore,
    PanicAtCommit,
}

#[derive(Debug, Error)]
#[error("made to fail")]
struct MadeToFail;

#[derive(Clone, Default)]
struct Rows(BTreeMap<Vec<u8>, Vec<u8>>);

/// The content outlives the engine, as files do.
struct Memory {
    rows: Arc<Mutex<Rows>>,
    trouble: Arc<Mutex<Option<Trouble>>>,
}

/// A store, with a hand on its content and its fate.
struct Fixture {
    rows: Arc<Mutex<Rows>>,
    trouble: Arc<Mutex<Option<Trouble>>>,
    store: KvBackend<Memory>,
    head: Head,
}

impl ReadRows for Rows {
    fn get(&mut self, _: Table, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.0.get(key).cloned())
    }

    fn range(&mut self, _: Table, bounds: Bounds, max: usize) -> Result<Vec<Row>, BackendError> {
        let found = self.0.range(bounds).take(max);
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn fits(&self, key_len: usize, _: usize) -> Result<(), Cause> {
        if key_len <= 20 { Ok(()) } else { Err(Arc::new(MadeToFail)) }
    }
}

impl WriteRows for Rows {
    fn put(&mut self, _: Table, key: &[u8], value: &[u8]) -> Result<(), BackendError> {
        self.0.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn remove(&mut self, _: Table, key: &[u8]) -> Result<(), BackendError> {
        self.0.remove(key);
        Ok(())
    }
}

impl kv::Engine for Memory {
    fn read<T>(
        &self,
        work: impl FnOnce(&mut dyn ReadRows) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        work(&mut *self.rows.lock().unwrap())
    }

    fn write<T, E>(
        &self,
        work: impl FnOnce(&mut dyn WriteRows) -> Result<T, E>,
    ) -> Result<T, WriteError<E>> {
        let trouble = self.trouble.lock().unwrap().take();
        if trouble == Some(Trouble::Refused) {
            return Err(WriteError::NotStored(Arc::new(MadeToFail)));
        }
        assert!(trouble != Some(Trouble::PanicBefore), "made to panic");
        let mut changed = self.rows.lock().unwrap().clone();
        let done = work(&mut changed).map_err(WriteError::Work)?;
        assert!(trouble != Some(Trouble::PanicAtCommit), "made to panic");
        *self.rows.lock().unwrap() = changed;
        match trouble {
            Some(Trouble::LostCommit) => Err(WriteError::Unknown(Arc::new(MadeToFail))),
            _ => Ok(done),
        }
    }
}

impl Fixture {
    fn new() -> Fixture {
        let mut rows = Rows::default();
        kv::create(&mut rows).unwrap();
        Fixture::over(Arc::new(Mutex::new(rows)))
    }

    fn over(rows: Arc<Mutex<Rows>>) -> Fixture {
        let trouble = Arc::default();
        let store =
            KvBackend::new(Memory { rows: Arc::clone(&rows), trouble: Arc::clone(&trouble) });
        let head = block_on(store.claim(None)).unwrap();
        Fixture { rows, trouble, store, head }
    }

    fn commit(&self, sets: &[ChangeSet]) -> Result<Vec<Verdict>, CommitError> {
        block_on(self.store.commit(self.batch(sets)))
    }

    fn batch<'a>(&self, sets: &'a [ChangeSet]) -> Batch<'a> {
        Batch { epoch: self.head.epoch, before: self.head.seq, sets }
    }

    /// Commits under trouble.
    fn commit_in(&self, trouble: Trouble, sets: &[ChangeSet]) -> CommitError {
        *self.trouble.lock().unwrap() = Some(trouble);
        self.commit(sets).unwrap_err()
    }

    fn read(&self, name: &str) -> Result<Option<Record>, BackendError> {
        block_on(self.store.read(&[meta_key(name)])).map(|mut found| found.remove(0))
    }
}

fn meta(name: &str) -> Record {
    Record::Meta(MetaRecord { name: name.into(), value: "value".into() })
}

fn set(names: &[&str]) -> ChangeSet {
    ChangeSet { puts: names.iter().map(|name| meta(name)).collect(), ..ChangeSet::default() }
}

fn is_poisoned(read: Result<Option<Record>, BackendError>) -> bool {
    let Err(BackendError::Unavailable(cause)) = read else { return false };
    matches!(cause.downcast_ref(), Some(Fault::Poisoned(_)))
}

#[test]
fn a_refused_transaction_leaves_the_store_open() {
    let at = Fixture::new();
    let error = at.commit_in(Trouble::Refused, &[set(&["one"])]);
    assert!(matches!(error, CommitError::NotStored(cause) if cause.is::<MadeToFail>()));
    assert_eq!(at.read("one").unwrap(), None);
    at.commit(&[set(&["one"])]).unwrap();
    assert_eq!(at.read("one").unwrap(), Some(meta("one")));
}

#[test]
fn an_unknown_outcome_closes_the_store_and_is_settled_in_the_next() {
    let at = Fixture::new();
    let sets = [set(&["one"])];
    let error = at.commit_in(Trouble::LostCommit, &sets);
    assert!(matches!(error, CommitError::Unknown(cause) if cause.is::<MadeToFail>()));
    assert!(is_poisoned(at.read("one")));
    assert!(block_on(at.store.settle(at.batch(&sets))).is_err());
    assert!(matches!(at.commit(&sets), Err(CommitError::NotStored(_))));
    let next = Fixture::over(Arc::clone(&at.rows));
    let settled = block_on(next.store.settle(at.batch(&sets))).unwrap();
    assert!(matches!(settled, Settled::Stored(..)));
}

#[test]
fn a_panic_before_the_commit_stores_nothing_and_closes_the_store() {
    let at = Fixture::new();
    let error = at.commit_in(Trouble::PanicBefore, &[set(&["one"])]);
    assert!(matches!(error, CommitError::NotStored(_)));
    assert!(is_poisoned(at.read("one")));
    assert_eq!(Fixture::over(Arc::clone(&at.rows)).read("one").unwrap(), None);
}

#[test]
fn a_panic_at_the_commit_has_an_unknown_outcome() {
    let at = Fixture::new();
    let error = at.commit_in(Trouble::PanicAtCommit, &[set(&["one"])]);
    assert!(matches!(error, CommitError::Unknown(_)));
    assert!(is_poisoned(at.read("one")));
}

#[test]
fn a_record_that_does_not_fit_leaves_out_its_set_alone() {
    let at = Fixture::new();
    let long = "a name of more than twenty bytes";
    let verdicts = at.commit(&[set(&["beside", long]), set(&["free"])]).unwrap();
    let [Verdict::Refused { record, .. }, Verdict::Applied] = &verdicts[..] else {
        panic!("{verdicts:?}")
    };
    assert_eq!(*record, meta_key(long));
    assert_eq!(at.read("beside").unwrap(), None);
    assert_eq!(at.read("free").unwrap(), Some(meta("free")));
}

#[test]
fn a_lost_batch_is_settled_with_its_refusals() {
    let at = Fixture::new();
    let sets = [set(&["a name of more than twenty bytes"]), set(&["free"])];
    at.commit_in(Trouble::LostCommit, &sets);
    let next = Fixture::over(Arc::clone(&at.rows));
    let settled = block_on(next.store.settle(at.batch(&sets))).unwrap();
    let Settled::Stored(verdicts, _) = settled else { panic!("{settled:?}") };
    assert!(matches!(verdicts[..], [Verdict::Refused { .. }, Verdict::Applied]), "{verdicts:?}");
}

#[test]
fn a_released_store_lets_go_of_its_engine() {
    let at = Fixture::new();
    assert_eq!(Arc::strong_count(&at.rows), 2);
    block_on(at.store.release()).unwrap();
    assert_eq!(Arc::strong_count(&at.rows), 1);
    let claimed = block_on(at.store.claim(None)).unwrap_err();
    let ClaimError::Backend(BackendError::Unavailable(cause)) = claimed else {
        panic!("{claimed:?}")
    };
    assert!(matches!(cause.downcast_ref(), Some(Fault::Released)));
}

#[test]
fn rows_without_a_format_are_not_ours() {
    let mut rows = Rows::default();
    assert_eq!(kv::format(&mut rows).unwrap(), None);
    kv::create(&mut rows).unwrap();
    assert_eq!(kv::format(&mut rows).unwrap(), None);
    kv::set_format(&mut rows, 3).unwrap();
    assert_eq!(kv::format(&mut rows).unwrap(), Some(3));
    rows.0.insert(b"\0format".to_vec(), b"somebody else's".to_vec());
    assert_eq!(kv::format(&mut rows).unwrap(), None);
}
