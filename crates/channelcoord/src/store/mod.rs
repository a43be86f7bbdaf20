//! The store: every facet, once, over any backend.

mod closed;
mod commitment;
mod coordinator;
mod lifecycle;
mod link_node;
mod open;
mod package;
mod setup;

use std::sync::Arc;

use bitcoin::OutPoint;
use chanstate::key::{KeyRange, RecordKey};
use chanstate::transition::{self, Refusal};
use chanstate::{Cause, ChannelChange, ChannelId, ChannelState, Rejection, StateFault, StoreError};
use thiserror::Error;

use crate::backend::{Backend, BackendError, ClaimError, Seq};
use crate::change_set::{ChangeSet, Subject};
use crate::committer::{Committer, Failure, Memory};
use crate::directory::{Directory, Listing, Slot, read_slot};
use crate::locks::{Guard, Lockable, Locks};
use crate::scan::scan_all;
use crate::transfer::{NotReady, Transfer};

pub use coordinator::{PeerChannelStore, RestoredShell};

/// How often a change is computed anew after another writer was faster.
const ATTEMPTS: usize = 3;

/// What a store is opened with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreOptions {
    /// What transitions store.
    pub transitions: transition::Options,
    /// Refuse a store whose sequence number is lower: it is older than the caller knows it to be.
    /// See [`Store::seq`].
    pub at_least: Option<Seq>,
    /// After each commit, read the channel back and compare it with memory. Slow; for tests and
    /// for hunting faults of a backend.
    pub check_memory: bool,
}

/// Why a store could not be opened.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The backend refused the claim.
    #[error("store cannot be claimed")]
    Claim(#[from] ClaimError),
    /// The records could not be read.
    #[error("store cannot be read")]
    Read(#[from] BackendError),
    /// The store is not for a node to open: it is being filled, not activated, or was moved.
    #[error("store is not ready")]
    NotReady(#[from] NotReady),
    /// The commit thread could not be started.
    #[error("no thread for commits")]
    Thread(#[source] Cause),
}

/// A store over some backend. Clones share it.
///
/// It keeps open channels in memory, so reads of their state cost no I/O. Calls do not need a
/// runtime of their own to make progress; a future can be polled by any executor, and one that is
/// dropped leaves its change stored whole or not at all.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Arc<dyn Backend>,
    options: StoreOptions,
    locks: Locks,
    directory: Arc<Directory>,
    committer: Committer,
}

impl Store {
    /// Claims the backend and reads the open channels.
    ///
    /// # Errors
    /// `Claim` if the store is held by another process or older than `options.at_least`; `Read` if
    /// a record is damaged or the engine fails; `NotReady` for a side of a [`Transfer`] that is not
    /// in use, whose backend is released; `Thread`.
    pub async fn open(backend: impl Backend, options: StoreOptions) -> Result<Store, OpenError> {
        Store::open_shared(Arc::new(backend), options).await
    }

    /// As [`open`](Store::open), on a backend that is shared.
    ///
    /// # Errors
    /// As [`open`](Store::open).
    pub async fn open_shared(
        backend: Arc<dyn Backend>,
        options: StoreOptions,
    ) -> Result<Store, OpenError> {
        let head = backend.claim(options.at_least).await?;
        require_ready(backend.as_ref()).await?;
        let directory = Directory::load(Arc::clone(&backend), options.check_memory).await?;
        let directory = Arc::new(directory);
        let memory: Arc<dyn Memory> = Arc::clone(&directory) as Arc<dyn Memory>;
        let committer = Committer::start(Arc::clone(&backend), memory, head)
            .map_err(|error| OpenError::Thread(Arc::new(error)))?;
        let locks = Locks::default();
        Ok(Store { inner: Arc::new(Inner { backend, options, locks, directory, committer }) })
    }

    /// The sequence number of the last commit. Kept outside the store and given back as
    /// [`StoreOptions::at_least`], it shows an old copy that was put in the store's place.
    pub fn seq(&self) -> Seq {
        self.inner.committer.head().seq
    }

    /// Removes now what closed channels leave to be removed in the background: logs, packages and
    /// what else no read shows any more. Goes in small steps and takes turns with other calls.
    ///
    /// # Errors
    /// `Corrupt` if a record cannot be read; `Unavailable`, `Unconfirmed`, `Fenced`. What remains
    /// is removed at the next close or opening of the store.
    pub async fn reclaim_closed(&self) -> Result<(), StoreError> {
        let reply = self.inner.committer.finish_idle_work();
        let result = reply.await.unwrap_or_else(|lost| Err(Failure::Unconfirmed(Arc::new(lost))));
        result.map_err(store_error)
    }

    /// Commits what waits, refuses every further call, reads included, and releases the backend.
    ///
    /// Blocks the calling thread until everything that waits is committed, also if another call
    /// closes the store already. Dropping the last clone of the store blocks until the commit in
    /// flight has ended.
    ///
    /// # Errors
    /// `Unavailable` if the backend fails to release; everything that returned is durable anyway.
    pub async fn close(&self) -> Result<(), StoreError> {
        let inner = Arc::clone(&self.inner);
        inner.committer.drain();
        self.inner.backend.release().await.map_err(backend_error)
    }

    /// Refuses the call if the store is shut or fenced.
    fn alive<R: std::error::Error + 'static>(&self) -> Result<(), StoreError<R>> {
        self.inner.committer.failure().map_or(Ok(()), |failure| Err(store_error(failure)))
    }

    fn listing(&self, point: OutPoint) -> Result<Listing, StoreError> {
        self.alive()?;
        let index = self.inner.directory.read();
        index.listing(point).copied().ok_or(Rejection::UnknownChannel(point).into())
    }

    fn point_of(&self, id: ChannelId) -> Result<OutPoint, StoreError> {
        self.alive()?;
        let index = self.inner.directory.read();
        index.point_of(id).ok_or(Rejection::UnknownChannelId(id).into())
    }

    /// An open channel.
    fn slot(&self, point: OutPoint) -> Result<Slot, StoreError> {
        let listing = self.listing(point)?;
        let slot = self.inner.directory.read().slot(listing.no);
        slot.ok_or(Rejection::AlreadyClosed(point).into())
    }

    /// Reads an open channel's state.
    fn view<T>(
        &self,
        point: OutPoint,
        read: impl FnOnce(&ChannelState) -> Result<T, StateFault>,
    ) -> Result<T, StoreError> {
        let slot = self.slot(point)?;
        let state = read_slot(&slot);
        // It may have been closed since its slot was looked up.
        if state.row().closed {
            return Err(Rejection::AlreadyClosed(point).into());
        }
        read(&state).map_err(|fault| state_error(point, fault))
    }

    /// Reads records from the backend. When it returns, memory shows every commit that they show:
    /// whoever sees a commit here sees it everywhere from then on.
    async fn read_stored(
        &self,
        keys: &[RecordKey],
    ) -> Result<Vec<Option<crate::Record>>, StoreError> {
        let records = self.inner.backend.read(keys).await.map_err(backend_error)?;
        self.inner.committer.caught_up().await;
        self.alive()?;
        Ok(records)
    }

    /// Hands every record of a range to `visit`; the rest is as for
    /// [`read_stored`](Store::read_stored).
    async fn scan_stored(
        &self,
        range: KeyRange,
        visit: impl FnMut(crate::Record) + Send,
    ) -> Result<(), StoreError> {
        scan_all(self.inner.backend.as_ref(), range, visit).await.map_err(backend_error)?;
        self.inner.committer.caught_up().await;
        self.alive()
    }

    /// Changes one channel: locks it, decides on its state, commits. A state that is damaged is
    /// left as it is.
    async fn change<T: Send>(
        &self,
        point: OutPoint,
        decide: impl Fn(&ChannelState) -> Result<(Option<ChangeSet>, T), Refusal> + Send + Sync,
    ) -> Result<T, StoreError> {
        self.change_filing(point, None, decide).await
    }

    /// As [`change`](Store::change); packages are filed under `source`, which must not be taken.
    async fn change_filing<T: Send>(
        &self,
        point: OutPoint,
        source: Option<chanstate::ShortChannelId>,
        decide: impl Fn(&ChannelState) -> Result<(Option<ChangeSet>, T), Refusal> + Send + Sync,
    ) -> Result<T, StoreError> {
        for _ in 0..ATTEMPTS {
            let no = self.listing(point)?.no;
            let names = [Lockable::Channel(no)].into_iter().chain(source.map(Lockable::Source));
            let guards = self.inner.locks.lock(names).await;
            // Asked before the channel's state is, which is locked within the directory.
            if let Some(found) = source
                && self.inner.directory.read().is_source_of_other(found, no)
            {
                return Err(Rejection::PackageSource { found }.into());
            }
            let slot = self.slot(point)?;
            let (set, output) = decide(&read_slot(&slot)).map_err(|refusal| match refusal {
                Refusal::Rejected(rejection) => StoreError::Rejected(rejection),
                Refusal::Damaged(fault) => state_error(point, fault),
            })?;
            let Some(set) = set else { return Ok(output) };
            if self.applies(set, guards).await? {
                return Ok(output);
            }
        }
        Err(StoreError::Conflict)
    }

    /// As [`change`](Store::change), for a transition that changes the channel alone.
    async fn transit<E: Into<Refusal>>(
        &self,
        point: OutPoint,
        transition: impl Fn(&ChannelState) -> Result<Option<ChannelChange>, E> + Send + Sync,
    ) -> Result<(), StoreError> {
        self.change(point, |state| Ok((transition(state).map_err(E::into)?.map(of_channel), ())))
            .await
    }

    /// Commits a change set; false if another writer was faster, and it has to be computed anew.
    async fn applies<R: std::error::Error + 'static>(
        &self,
        set: ChangeSet,
        guards: Vec<Guard>,
    ) -> Result<bool, StoreError<R>> {
        match self.commit(set, guards).await {
            Ok(()) => Ok(true),
            Err(Failure::Conflict) => Ok(false),
            Err(failure) => Err(store_error(failure)),
        }
    }

    async fn commit(&self, set: ChangeSet, guards: Vec<Guard>) -> Result<(), Failure> {
        let reply = self.inner.committer.enqueue(set, guards);
        match reply.await {
            Ok(result) => result,
            // The thread died with the entry: whether it was committed cannot be known.
            Err(lost) => Err(Failure::Unconfirmed(Arc::new(lost))),
        }
    }
}

/// Refuses a store that is no node's to open. The claim is given back: what fills the store goes on.
async fn require_ready(backend: &dyn Backend) -> Result<(), OpenError> {
    let Some(transfer) = Transfer::of(backend).await? else { return Ok(()) };
    let Err(not_ready) = transfer.require_ready() else { return Ok(()) };
    // Why the store is refused says more than why it could not be given back.
    let _ = backend.release().await;
    Err(not_ready.into())
}

/// A change set of one channel.
fn of_channel(change: ChannelChange) -> ChangeSet {
    ChangeSet { channels: vec![change], ..ChangeSet::default() }
}

fn store_error<R: std::error::Error + 'static>(failure: Failure) -> StoreError<R> {
    match failure {
        Failure::Conflict => StoreError::Conflict,
        Failure::Refused { record, cause } => {
            StoreError::Unstorable { record: record.to_string(), cause }
        }
        Failure::Unavailable(cause) => StoreError::Unavailable(cause),
        Failure::Unconfirmed(cause) => StoreError::Unconfirmed(cause),
        Failure::Fenced => StoreError::Fenced,
        // It is stored, but what is stored is in doubt.
        Failure::Diverged(subject) => StoreError::Unconfirmed(Arc::new(Diverged(subject))),
        Failure::Read(error) => backend_error(error),
    }
}

fn backend_error<R: std::error::Error + 'static>(error: BackendError) -> StoreError<R> {
    match error {
        BackendError::Unavailable(cause) => StoreError::Unavailable(cause),
        BackendError::Corrupt { record, cause } => StoreError::Corrupt { record, cause },
    }
}

fn state_error(point: OutPoint, fault: StateFault) -> StoreError {
    StoreError::Corrupt { record: format!("channel {point}"), cause: Arc::new(fault) }
}

/// Found by [`StoreOptions::check_memory`].
#[derive(Debug, Error)]
#[error("memory and backend differ on {0:?} after a commit")]
struct Diverged(Subject);
