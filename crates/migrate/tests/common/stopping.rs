//! Places whose stores stop working at a commit, as a process that is killed does.
#![allow(dead_code, reason = "no file of tests needs all of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use channelcoord::{
    Backend, BackendError, Batch, ClaimError, CommitError, Head, Record, Seq, Settled, Transfer,
    Verdict,
};
use chanstate::key::{KeyRange, Kind, RecordKey};
use migrate::command::{Site, UrlSite, Watch};
use migrate::finding::Finding;
use migrate::opened::{self, Failure, Opened};
use migrate::progress::Progress;
use migrate::records::Records;
use migrate::store::unversioned;
use migrate::url::StoreUrl;

/// Nobody watches.
pub(crate) struct Silent;

impl Watch for Silent {
    fn phase(&self, _name: &str, _total: Option<u64>) -> Progress {
        Progress::silent()
    }

    fn finding(&self, _finding: &Finding) {}
}

/// Which side of a commit the stop is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Nothing of it is stored.
    Before,
    /// It is stored, and nobody hears of it.
    After,
}

/// Stops everything at one commit.
#[derive(Debug, Default)]
pub(crate) struct Stopper {
    /// Commits that pass before the one that does not; all of them if none is to stop.
    left: AtomicU64,
    after: AtomicBool,
    stopped: AtomicBool,
}

impl Stopper {
    /// Stops at commit `number`, counted from 0.
    pub(crate) fn at(number: u64, stop: Stop) -> Arc<Stopper> {
        let stopper = Stopper { left: AtomicU64::new(number), ..Stopper::default() };
        stopper.after.store(stop == Stop::After, Ordering::Relaxed);
        Arc::new(stopper)
    }

    /// Never stops.
    pub(crate) fn never() -> Arc<Stopper> {
        Stopper::at(u64::MAX, Stop::Before)
    }

    pub(crate) fn has_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Counts a commit; how it is stopped, if it is.
    fn next(&self) -> Option<Stop> {
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        if left > 0 {
            return None;
        }
        self.stopped.store(true, Ordering::Relaxed);
        Some(if self.after.load(Ordering::Relaxed) { Stop::After } else { Stop::Before })
    }

    fn alive(&self) -> Result<(), BackendError> {
        match self.has_stopped() {
            true => Err(BackendError::Unavailable(dead())),
            false => Ok(()),
        }
    }
}

fn dead() -> Arc<std::io::Error> {
    Arc::new(std::io::Error::other("stopped"))
}

/// A place whose stores a stopper stops. Making a store counts as a commit.
pub(crate) struct StoppingSite<'a> {
    pub(crate) url: &'a StoreUrl,
    pub(crate) stopper: Arc<Stopper>,
}

impl Site for StoppingSite<'_> {
    fn url(&self) -> &StoreUrl {
        self.url
    }

    fn is_taken(&self) -> Result<bool, Failure> {
        UrlSite(self.url).is_taken()
    }

    fn remove_leftovers(&self) -> Result<Vec<String>, Failure> {
        UrlSite(self.url).remove_leftovers()
    }

    fn create(&self, transfer: &Transfer) -> Result<(), Failure> {
        let stopped = || Failure::Access("stopped".into());
        match self.stopper.next() {
            Some(Stop::Before) => Err(stopped()),
            Some(Stop::After) => UrlSite(self.url).create(transfer).and(Err(stopped())),
            None => UrlSite(self.url).create(transfer),
        }
    }

    fn open(&self) -> Result<Box<dyn Backend>, Failure> {
        self.stopper.alive().map_err(|error| Failure::of_backend(self.url, &error))?;
        let inner = UrlSite(self.url).open()?;
        Ok(Box::new(StoppingBackend { inner, stopper: Arc::clone(&self.stopper) }))
    }
}

struct StoppingBackend {
    inner: Box<dyn Backend>,
    stopper: Arc<Stopper>,
}

#[async_trait]
impl Backend for StoppingBackend {
    async fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError> {
        self.stopper.alive()?;
        self.inner.claim(at_least).await
    }

    async fn release(&self) -> Result<(), BackendError> {
        self.stopper.alive()?;
        self.inner.release().await
    }

    async fn commit(&self, batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        self.stopper.alive().map_err(|_| CommitError::NotStored(dead()))?;
        match self.stopper.next() {
            None => self.inner.commit(batch).await,
            Some(Stop::Before) => Err(CommitError::Unknown(dead())),
            Some(Stop::After) => {
                self.inner.commit(batch).await.unwrap();
                Err(CommitError::Unknown(dead()))
            }
        }
    }

    async fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        self.inner.settle(batch).await
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        self.inner.read(keys).await
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        self.inner.scan(range, limit).await
    }
}

pub(crate) fn url(name: &str) -> StoreUrl {
    StoreUrl::resolve(name).unwrap()
}

/// The part that a store has in a transfer.
pub(crate) fn transfer(url: &StoreUrl) -> Option<Transfer> {
    let Opened::Store(store) = opened::open(url, false).unwrap() else { panic!("{url} is lnd's") };
    pollster::block_on(Transfer::of(store.as_ref())).unwrap()
}

/// Every record of the content, but for versions, which are each store's own.
pub(crate) fn content(url: &StoreUrl) -> Vec<Record> {
    let Opened::Store(store) = opened::open(url, false).unwrap() else { panic!("{url} is lnd's") };
    let records =
        Kind::ALL.into_iter().flat_map(|kind| Records::new(store.as_ref(), KeyRange::all(kind)));
    let records: Vec<_> = records.collect::<Result<_, _>>().unwrap();
    records.into_iter().map(unversioned).collect()
}
