//! Wrong about what survives, and about when it is seen.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use channelcoord::{Backend, Batch, ChangeSet, CommitError, Head, MemoryBackend, Record, Seq};
use chanstate::key::{KeyRange, Kind, RecordKey};
use pollster::block_on;

use super::flaw::{Committed, Flaw, Inner};
use super::sets;

/// What a commit returned is stored when the store is released.
pub(crate) fn stores_at_the_release() -> Flaw {
    delayed(|journal, released| if released { journal } else { 0 })
}

/// The last commit before the place is opened again is lost, released or not.
pub(crate) fn loses_the_last_commit() -> Flaw {
    delayed(|journal, _| journal.saturating_sub(1))
}

/// The last commit is lost if the store is not released.
pub(crate) fn loses_the_last_commit_in_a_crash() -> Flaw {
    delayed(|journal, released| if released { journal } else { journal.saturating_sub(1) })
}

/// A commit that was not passed on to the inner backend yet.
struct Held {
    before: Seq,
    sets: Vec<ChangeSet>,
}

/// What a process has in memory: the content as it is meant to be, and what is not stored of it.
#[derive(Default)]
struct Process {
    content: Option<MemoryBackend>,
    journal: Vec<Held>,
    /// Where each claim of the inner backend began, those of other processes too.
    began: Vec<Head>,
}

/// Stores commits late. `due` says how many of those that are held go to the inner backend now.
pub(super) fn delayed(due: fn(usize, bool) -> usize) -> Flaw {
    let process = Arc::new(Mutex::new(Process::default()));
    let share = || Arc::clone(&process);
    let (opened, claimed, released) = (share(), share(), share());
    let (committed, settled, read, scanned) = (share(), share(), share(), share());
    Flaw {
        opened: Box::new(move || lock(&opened).forget()),
        claim: Box::new(move |inner, at_least| {
            inner.alive()?;
            let mut process = lock(&claimed);
            if let Some(content) = &process.content {
                let head = block_on(content.claim(at_least))?;
                let began = inner.claim(None)?;
                process.began.push(began);
                return Ok(head);
            }
            let head = inner.claim(at_least)?;
            process.began.push(head);
            process.content = Some(copy(inner, &process.began));
            Ok(head)
        }),
        release: Box::new(move |inner| {
            lock(&released).store(inner, |held| due(held, true));
            inner.release()
        }),
        commit: Box::new(move |inner, batch| {
            inner.alive().map_err(|error| CommitError::NotStored(Arc::new(error)))?;
            let mut process = lock(&committed);
            let verdicts = block_on(process.content().commit(batch))?;
            let sets = batch.sets.to_vec();
            process.journal.push(Held { before: batch.before, sets });
            process.store(inner, |held| due(held, false));
            Ok(verdicts)
        }),
        settle: Box::new(move |inner, batch| {
            inner.alive()?;
            block_on(lock(&settled).content().settle(batch))
        }),
        read: Box::new(move |inner, keys| {
            inner.alive()?;
            block_on(lock(&read).content().read(keys))
        }),
        scan: Box::new(move |inner, range, limit| {
            inner.alive()?;
            block_on(lock(&scanned).content().scan(range, limit))
        }),
    }
}

fn lock(process: &Mutex<Process>) -> MutexGuard<'_, Process> {
    process.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    /// The process ends, and another one begins.
    fn forget(&mut self) {
        (self.content, self.journal) = Default::default();
    }

    /// The content in memory; clones share it.
    fn content(&self) -> MemoryBackend {
        self.content.clone().unwrap_or_default()
    }

    /// Passes on as many commits as are due.
    fn store(&mut self, inner: &Inner<'_>, due: impl Fn(usize) -> usize) {
        for held in self.journal.drain(..due(self.journal.len())) {
            let batch = Batch { epoch: inner.head().epoch, before: held.before, sets: &held.sets };
            inner.commit(batch).expect("what was committed once is committed again");
        }
    }
}

/// A copy in memory of what the inner backend holds, with the same claims.
fn copy(inner: &Inner<'_>, began: &[Head]) -> MemoryBackend {
    let copy = MemoryBackend::new();
    let everything = Kind::ALL.iter().flat_map(|kind| inner.all(&KeyRange::all(*kind)));
    let mut puts: Vec<_> = everything.collect();
    let mut at = Head::default();
    for head in began {
        let mut sets = vec![ChangeSet::default(); (head.seq.0 - at.seq.0) as usize];
        if let Some(first) = sets.first_mut() {
            first.puts.append(&mut puts);
        }
        let batch = Batch { epoch: at.epoch, before: at.seq, sets: &sets };
        block_on(copy.commit(batch)).expect("a copy");
        at = block_on(copy.claim(None)).expect("a claim");
    }
    copy
}

/// What a failed commit was to write is seen until the place is opened again.
pub(crate) fn shows_what_was_not_stored() -> Flaw {
    overlaid(|inner, batch, overlay| {
        inner.commit(batch).inspect_err(|_| overlay.show(batch.sets.iter().map(sets::unguarded)))
    })
}

/// Reads show the store before its last commit.
pub(crate) fn reads_before_the_last_commit() -> Flaw {
    overlaid(|inner, batch, overlay| {
        let puts = batch.sets.iter().flat_map(|set| sets::unguarded(set).puts);
        let keys: Vec<_> = puts.map(|record| record.key()).collect();
        let found = inner.read(&keys).unwrap_or_default();
        let verdicts = inner.commit(batch)?;
        *overlay.lock() = keys.into_iter().zip(found).collect();
        Ok(verdicts)
    })
}

/// A set is seen by halves while it is stored.
pub(crate) fn shows_a_set_by_halves() -> Flaw {
    overlaid(|inner, batch, overlay| {
        let fresh = batch.sets.iter().filter(|set| !inner.stale(set));
        overlay.show(fresh.map(sets::first_half));
        // As long as a disk takes.
        std::thread::sleep(Duration::from_millis(1));
        let verdicts = inner.commit(batch);
        overlay.lock().clear();
        verdicts
    })
}

/// Records that reads show instead of those that are stored.
#[derive(Clone, Default)]
pub(super) struct Overlay(Arc<Mutex<HashMap<RecordKey, Option<Record>>>>);

impl Overlay {
    fn lock(&self) -> MutexGuard<'_, HashMap<RecordKey, Option<Record>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, sets: impl Iterator<Item = ChangeSet>) {
        let puts = sets.flat_map(|set| set.puts).map(|record| (record.key(), Some(record)));
        self.lock().extend(puts);
    }
}

/// Reads through an overlay, which is gone when the place is opened again.
pub(super) fn overlaid(
    commit: impl Fn(&Inner<'_>, Batch<'_>, &Overlay) -> Committed + Send + Sync + 'static,
) -> Flaw {
    let overlay = Overlay::default();
    let (opened, committed) = (overlay.clone(), overlay.clone());
    Flaw {
        opened: Box::new(move || opened.lock().clear()),
        commit: Box::new(move |inner, batch| commit(inner, batch, &committed)),
        read: Box::new(move |inner, keys| {
            let found = inner.read(keys)?.into_iter().zip(keys);
            let shown = overlay.lock();
            Ok(found.map(|(found, key)| shown.get(key).cloned().unwrap_or(found)).collect())
        }),
        ..Flaw::default()
    }
}
