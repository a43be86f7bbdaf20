//! Groups the change sets of concurrent callers into one durable commit.
//!
//! One thread for each store. While a commit is on its way to disk, callers queue; the next commit
//! takes all of them. A caller alone waits for nobody: there is no timer.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, ThreadId};

use chanstate::key::RecordKey;
use chanstate::{Cause, Version};
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use crate::backend::{Backend, BackendError, Batch, CommitError, Epoch, Head, Settled, Verdict};
use crate::change_set::{ChangeSet, Subject};
use crate::footprint::Footprint;
use crate::locks::Guard;
use crate::reclaim;

/// Most change sets in one commit.
const MAX_BATCH: usize = 1024;

/// Why a change set was not committed.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    Conflict,
    Refused { record: RecordKey, cause: Cause },
    Unavailable(Cause),
    Unconfirmed(Cause),
    Fenced,
    Diverged(Subject),
    Read(BackendError),
}

/// The store was shut or has failed.
#[derive(Clone, Debug, Error)]
pub(crate) enum Halt {
    #[error("store is closed")]
    Closed,
    #[error("an earlier commit has an unknown outcome")]
    Suspended,
    #[error("committer stopped")]
    Stopped,
}

/// What the committer tells of a committed change set, before its caller hears of it.
pub(crate) trait Memory: Send + Sync + 'static {
    /// The change set is durable.
    fn applied(&self, set: &ChangeSet) -> Result<(), Failure>;
    /// A subject is not what memory says.
    fn conflict(&self, subject: Subject);
    /// Next piece of background work, asked for when nobody waits; `None` if there is none.
    fn idle_work(&self) -> Result<Option<ChangeSet>, Failure>;
}

/// Hands change sets to the thread that commits them.
pub(crate) struct Committer {
    queue: Arc<Queue>,
    commits: watch::Receiver<Commits>,
    thread: Mutex<Option<JoinHandle<()>>>,
    thread_id: ThreadId,
}

/// How many commits were begun, and how many are over: stored and followed by memory, or not
/// stored.
#[derive(Clone, Copy, Debug, Default)]
struct Commits {
    begun: u64,
    over: u64,
}

struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Entry>,
    halt: Option<Stop>,
    head: Head,
    // There may be background work.
    nudge: bool,
    // Callers who wait for the end of it; with them it takes turns with batches.
    watchers: Vec<oneshot::Sender<Result<(), Failure>>>,
    idle_turn: bool,
    // The first damage that the work met since everybody was answered.
    damage: Option<Failure>,
}

/// Why no new change set is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Finish what waits, then end.
    Drain,
    /// End after the commit in flight.
    Drop,
    Suspended,
    /// The thread panicked.
    Stopped,
    Fenced,
}

struct Entry {
    set: ChangeSet,
    // Held until memory is up to date, so that the next call on the subject sees this one.
    guards: Vec<Guard>,
    reply: oneshot::Sender<Result<(), Failure>>,
}

impl Committer {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread to spare.
    pub(crate) fn start(
        backend: Arc<dyn Backend>,
        memory: Arc<dyn Memory>,
        head: Head,
    ) -> std::io::Result<Committer> {
        let state = Mutex::new(State { head, nudge: true, ..State::default() });
        let queue = Arc::new(Queue { state, wake: Condvar::new() });
        let (progress, commits) = watch::channel(Commits::default());
        let worker = Worker { queue: Arc::clone(&queue), backend, memory, progress };
        let thread = std::thread::Builder::new()
            .name("chanstore-commit".into())
            .spawn(move || worker.run())?;
        let thread_id = thread.thread().id();
        Ok(Committer { queue, commits, thread: Mutex::new(Some(thread)), thread_id })
    }

    /// Queues a change set; the receiver hears of its fate. The order of calls is the order of
    /// commits for change sets that touch the same record.
    pub(crate) fn enqueue(
        &self,
        set: ChangeSet,
        guards: Vec<Guard>,
    ) -> oneshot::Receiver<Result<(), Failure>> {
        let (reply, receiver) = oneshot::channel();
        let mut state = self.queue.lock();
        match state.failure() {
            // The receiver may be gone already, which is its own affair.
            Some(failure) => drop(reply.send(Err(failure))),
            None => {
                state.waiting.push_back(Entry { set, guards, reply });
                self.queue.wake.notify_one();
            }
        }
        receiver
    }

    /// Why the store takes no calls any more.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.queue.lock().failure()
    }

    /// Where the store stands.
    pub(crate) fn head(&self) -> Head {
        self.queue.lock().head
    }

    /// Waits until memory shows every commit that a read of the backend may have seen by now.
    pub(crate) async fn caught_up(&self) {
        let mut commits = self.commits.clone();
        let begun = commits.borrow().begun;
        // An error says that the thread ended: the store has failed or is closed.
        drop(commits.wait_for(|commits| commits.over >= begun).await);
    }

    /// Asks for all background work to be done; the receiver hears when it is, or why not.
    pub(crate) fn finish_idle_work(&self) -> oneshot::Receiver<Result<(), Failure>> {
        let (reply, receiver) = oneshot::channel();
        let mut state = self.queue.lock();
        match state.failure() {
            Some(failure) => drop(reply.send(Err(failure))),
            None => {
                state.watchers.push(reply);
                state.nudge = true;
                self.queue.wake.notify_one();
            }
        }
        receiver
    }

    /// Commits what waits, refuses what comes, and waits for the end of the thread. Every caller
    /// waits, also one that comes second.
    pub(crate) fn drain(&self) {
        self.stop(Stop::Drain);
    }

    fn stop(&self, stop: Stop) {
        self.queue.lock().halt.get_or_insert(stop);
        self.queue.wake.notify_one();
        // The thread itself may drop the last clone of the store, and cannot wait for its own end.
        if self.thread_id == std::thread::current().id() {
            return;
        }
        // Held while waiting, so that whoever stops the thread too waits here.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the commit thread panicked");
        }
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.stop(Stop::Drop);
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn failure(&self) -> Option<Failure> {
        match self.halt? {
            Stop::Drain | Stop::Drop => Some(Failure::Unavailable(Arc::new(Halt::Closed))),
            Stop::Suspended | Stop::Stopped | Stop::Fenced => self.broken(),
        }
    }

    /// Why nothing may be committed any more, not even what waits.
    fn broken(&self) -> Option<Failure> {
        match self.halt? {
            Stop::Drain | Stop::Drop => None,
            Stop::Suspended => Some(Failure::Unavailable(Arc::new(Halt::Suspended))),
            Stop::Stopped => Some(Failure::Unavailable(Arc::new(Halt::Stopped))),
            Stop::Fenced => Some(Failure::Fenced),
        }
    }

    /// Takes change sets in order as long as they touch different records. One that collides with
    /// something taken or passed over waits, so the order on each record stays.
    fn take_batch(&mut self) -> Vec<Entry> {
        let mut footprint = Footprint::default();
        let mut batch = Vec::new();
        let mut passed = VecDeque::new();
        while let Some(entry) = self.waiting.pop_front() {
            let free = footprint.add(&entry.set);
            // The first one is taken in any case: there is nothing that it could wait for.
            if (free || batch.is_empty()) && batch.len() < MAX_BATCH {
                batch.push(entry);
            } else {
                passed.push_back(entry);
            }
            if batch.len() == MAX_BATCH {
                break;
            }
        }
        passed.append(&mut self.waiting);
        self.waiting = passed;
        batch
    }
}

struct Worker {
    queue: Arc<Queue>,
    backend: Arc<dyn Backend>,
    memory: Arc<dyn Memory>,
    progress: watch::Sender<Commits>,
}

impl Worker {
    fn run(&self) {
        let _last_words = LastWords(&self.queue);
        while let Some(work) = self.next() {
            match work {
                Work::Batch(batch) => self.commit(batch),
                Work::Idle => self.commit_idle_work(),
            }
        }
    }

    /// Waits for work; `None` when there will be none.
    fn next(&self) -> Option<Work> {
        let mut state = self.queue.lock();
        loop {
            match state.halt {
                Some(Stop::Drain) if state.waiting.is_empty() => return None,
                Some(Stop::Drop | Stop::Suspended | Stop::Stopped | Stop::Fenced) => return None,
                Some(Stop::Drain) | None => {}
            }
            let idle_first = state.idle_turn && state.nudge && !state.watchers.is_empty();
            if !state.waiting.is_empty() && !idle_first {
                state.idle_turn = true;
                return Some(Work::Batch(state.take_batch()));
            }
            if state.nudge {
                (state.nudge, state.idle_turn) = (false, false);
                return Some(Work::Idle);
            }
            state = self.queue.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Does one piece of background work. After a failure there is no next one until somebody
    /// asks, so that a full disk does not keep the thread busy.
    fn commit_idle_work(&self) {
        let done = match self.memory.idle_work() {
            Ok(None) => Ok(()),
            // The damaged piece does not come again, and must not hold up the others.
            Err(failure @ Failure::Read(BackendError::Corrupt { .. })) => {
                let mut state = self.queue.lock();
                state.damage.get_or_insert(failure);
                state.nudge = true;
                return;
            }
            Err(failure) => Err(failure),
            Ok(Some(set)) => {
                let (reply, mut receiver) = oneshot::channel();
                self.commit(vec![Entry { set, guards: Vec::new(), reply }]);
                match receiver.try_recv() {
                    Ok(Ok(())) => {
                        self.queue.lock().nudge = true;
                        return;
                    }
                    Ok(Err(failure)) => Err(failure),
                    Err(lost) => Err(Failure::Unconfirmed(Arc::new(lost))),
                }
            }
        };
        let mut state = self.queue.lock();
        let watchers = std::mem::take(&mut state.watchers);
        // Damage that was found while nobody asked is kept for the next one who does.
        let damage = match (&done, watchers.is_empty()) {
            (Ok(()), false) => state.damage.take(),
            _ => None,
        };
        drop(state);
        let done = done.and_then(|()| damage.map_or(Ok(()), Err));
        // A caller that went away is no error.
        watchers.into_iter().for_each(|watcher| drop(watcher.send(done.clone())));
    }

    fn commit(&self, mut entries: Vec<Entry>) {
        let head = self.queue.lock().head;
        let mut version = head.seq.0;
        let mut sets = Vec::with_capacity(entries.len());
        for entry in &mut entries {
            version += 1;
            let mut set = std::mem::take(&mut entry.set);
            set.stamp(Version(version));
            sets.push(set);
        }
        let batch = Batch { epoch: head.epoch, before: head.seq, sets: &sets };
        self.progress.send_modify(|commits| commits.begun += 1);
        match pollster::block_on(self.backend.commit(batch)) {
            Ok(verdicts) => {
                let head = Head { epoch: batch.epoch, seq: batch.last() };
                self.stored(batch, entries, verdicts, head);
            }
            Err(CommitError::NotStored(cause)) if entries.len() == 1 => {
                refuse(entries, &Failure::Unavailable(cause));
            }
            Err(CommitError::NotStored(_)) => {
                // One member may be the reason; the others must not suffer for it.
                for (mut entry, set) in entries.into_iter().zip(sets) {
                    // Not within the condition, where the queue would be locked until the answer.
                    let broken = self.queue.lock().broken();
                    if let Some(failure) = broken {
                        refuse(vec![entry], &failure);
                        continue;
                    }
                    entry.set = set;
                    self.commit(vec![entry]);
                }
            }
            Err(CommitError::Unknown(cause)) => self.settle(batch, entries, cause),
            Err(CommitError::Fenced { ours, found }) => {
                self.fenced(ours, found);
                refuse(entries, &Failure::Fenced);
            }
        }
        self.progress.send_if_modified(Commits::end);
    }

    fn settle(&self, batch: Batch<'_>, entries: Vec<Entry>, cause: Cause) {
        match pollster::block_on(self.backend.settle(batch)) {
            Ok(Settled::Stored(verdicts, head)) => self.stored(batch, entries, verdicts, head),
            Ok(Settled::NotStored(head)) if head.epoch > batch.epoch => {
                self.fenced(batch.epoch, head.epoch);
                refuse(entries, &Failure::Fenced);
            }
            Ok(Settled::NotStored(head))
                if head.epoch == batch.epoch && head.seq >= batch.before =>
            {
                self.queue.lock().head = head;
                refuse(entries, &Failure::Unavailable(cause));
            }
            Ok(Settled::NotStored(head)) => {
                // What was acknowledged is gone, so memory is ahead of the store.
                tracing::error!(before = batch.before.0, found = head.seq.0, "store went back");
                self.suspend(entries, cause);
            }
            Err(error) => {
                tracing::error!(%error, "outcome of a commit is unknown");
                self.suspend(entries, cause);
            }
        }
    }

    fn suspend(&self, entries: Vec<Entry>, cause: Cause) {
        self.queue.lock().halt = Some(Stop::Suspended);
        refuse(entries, &Failure::Unconfirmed(cause));
    }

    fn fenced(&self, ours: Epoch, found: Epoch) {
        tracing::error!(ours = ours.0, found = found.0, "store was taken over");
        self.queue.lock().halt = Some(Stop::Fenced);
    }

    fn stored(&self, batch: Batch<'_>, entries: Vec<Entry>, verdicts: Vec<Verdict>, head: Head) {
        if head.epoch != batch.epoch {
            self.fenced(batch.epoch, head.epoch);
        }
        {
            let mut state = self.queue.lock();
            // The epoch stays the one of our claim.
            state.head.seq = head.seq;
            state.nudge |= batch.sets.iter().any(reclaim::starts_job);
        }
        let mut verdicts = verdicts.into_iter();
        for (entry, set) in entries.into_iter().zip(batch.sets) {
            let result = match verdicts.next() {
                Some(Verdict::Applied) => self.memory.applied(set),
                Some(Verdict::Conflict(subject)) => {
                    self.memory.conflict(subject);
                    Err(Failure::Conflict)
                }
                Some(Verdict::Refused { record, cause }) => Err(Failure::Refused { record, cause }),
                Some(Verdict::Damaged { record, cause }) => {
                    let record = record.to_string();
                    Err(Failure::Read(BackendError::Corrupt { record, cause }))
                }
                // A backend that gives too few verdicts breaks its contract.
                None => {
                    self.queue.lock().halt = Some(Stop::Suspended);
                    Err(Failure::Unconfirmed(Arc::new(Halt::Suspended)))
                }
            };
            entry.answer(result);
        }
    }
}

impl Commits {
    /// Notes that every commit is over; false if that was known.
    fn end(&mut self) -> bool {
        let behind = self.over < self.begun;
        self.over = self.begun;
        behind
    }
}

enum Work {
    Batch(Vec<Entry>),
    Idle,
}

/// Answers everybody who still waits when the thread ends, also if a backend made it panic.
struct LastWords<'a>(&'a Queue);

impl Drop for LastWords<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if std::thread::panicking() {
            state.halt = Some(Stop::Stopped);
        }
        let failure = state.failure().unwrap_or(Failure::Unavailable(Arc::new(Halt::Stopped)));
        let (left, watchers) = (state.waiting.split_off(0), std::mem::take(&mut state.watchers));
        drop(state);
        refuse(left.into(), &failure);
        watchers.into_iter().for_each(|watcher| drop(watcher.send(Err(failure.clone()))));
    }
}

impl Entry {
    /// Releases the locks, then replies. A caller that went away is no error.
    fn answer(self, result: Result<(), Failure>) {
        drop(self.guards);
        drop(self.reply.send(result));
    }
}

fn refuse(entries: Vec<Entry>, failure: &Failure) {
    entries.into_iter().for_each(|entry| entry.answer(Err(failure.clone())));
}
