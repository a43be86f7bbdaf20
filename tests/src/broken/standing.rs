//! Wrong about claims, sequence numbers and unknown outcomes.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use channelcoord::{Batch, ChangeSet, ClaimError, CommitError, Epoch, Head, Seq, Settled, Verdict};

use super::flaw::Flaw;
use super::sets;

/// A claim does not raise the epoch.
pub(crate) fn does_not_raise_the_epoch() -> Flaw {
    counting_epochs(|_| 1, || ())
}

/// Epochs are counted in memory, from 1 at each opening.
pub(crate) fn does_not_keep_the_epoch() -> Flaw {
    let claims = Arc::new(AtomicU64::new(0));
    let opened = Arc::clone(&claims);
    counting_epochs(move |_| claims.fetch_add(1, SeqCst) + 1, move || opened.store(0, SeqCst))
}

/// Claims show an epoch of another count; only the newest one commits.
pub(super) fn counting_epochs(
    shown: impl Fn(Epoch) -> u64 + Send + Sync + 'static,
    opened: impl Fn() + Send + Sync + 'static,
) -> Flaw {
    let newest = Arc::new(AtomicU64::new(0));
    let claimed = Arc::clone(&newest);
    let claiming = Mutex::new(());
    Flaw {
        opened: Box::new(opened),
        claim: Box::new(move |inner, at_least| {
            let _claiming = claiming.lock().unwrap_or_else(PoisonError::into_inner);
            let head = inner.claim(at_least)?;
            claimed.store(shown(head.epoch), SeqCst);
            Ok(Head { epoch: Epoch(claimed.load(SeqCst)), ..head })
        }),
        commit: Box::new(move |inner, batch| {
            let found = Epoch(newest.load(SeqCst));
            let epoch = if batch.epoch == found { inner.head().epoch } else { Epoch(0) };
            inner.commit(Batch { epoch, ..batch }).map_err(|error| match error {
                CommitError::Fenced { .. } => CommitError::Fenced { ours: batch.epoch, found },
                other => other,
            })
        }),
        ..Flaw::default()
    }
}

/// Any claim may commit.
pub(crate) fn does_not_fence() -> Flaw {
    Flaw::commits(|inner, batch| inner.commit(Batch { epoch: inner.head().epoch, ..batch }))
}

/// A fenced caller is told so, and its batch is stored.
pub(crate) fn stores_the_batch_of_a_fenced_claim() -> Flaw {
    Flaw::commits(|inner, batch| match inner.commit(batch) {
        Err(CommitError::Fenced { ours, found }) => {
            inner.commit(Batch { epoch: found, ..batch })?;
            Err(CommitError::Fenced { ours, found })
        }
        other => other,
    })
}

/// A fenced caller is told that its batch is not stored, and may go on trying.
pub(crate) fn calls_fencing_not_stored() -> Flaw {
    Flaw::commits(|inner, batch| match inner.commit(batch) {
        Err(CommitError::Fenced { .. }) => Err(super::not_stored("fenced")),
        other => other,
    })
}

/// `at_least` is not looked at.
pub(crate) fn ignores_at_least() -> Flaw {
    Flaw::claims(|inner, _| inner.claim(None))
}

/// A store one commit older than known passes.
pub(crate) fn takes_a_store_one_commit_too_old() -> Flaw {
    Flaw::claims(|inner, at_least| inner.claim(at_least.map(|seq| Seq(seq.0.saturating_sub(1)))))
}

/// A store exactly as old as known is refused.
pub(crate) fn refuses_a_store_as_old_as_known() -> Flaw {
    Flaw::claims(|inner, at_least| inner.claim(at_least.map(|seq| Seq(seq.0 + 1))))
}

/// A claim that is refused for the store's age fences the one before it.
pub(crate) fn raises_the_epoch_of_a_store_too_old() -> Flaw {
    Flaw::claims(|inner, at_least| {
        let claimed = inner.claim(at_least);
        if let Err(ClaimError::TooOld { .. }) = claimed {
            inner.claim(None)?;
        }
        claimed
    })
}

/// Claims, commits and outcomes with a sequence number that is `behind` the inner one.
pub(super) fn counting(behind: Arc<AtomicU64>, count: fn(&[Verdict]) -> u64) -> Flaw {
    let (claimed, settled) = (Arc::clone(&behind), Arc::clone(&behind));
    let show = |head: Head, behind: u64| Head { seq: Seq(head.seq.0 - behind), ..head };
    Flaw {
        claim: Box::new(move |inner, at_least| {
            let behind = claimed.load(SeqCst);
            Ok(show(inner.claim(at_least.map(|seq| Seq(seq.0 + behind)))?, behind))
        }),
        commit: Box::new(move |inner, batch| {
            let before = Seq(batch.before.0 + behind.load(SeqCst));
            let verdicts = inner.commit(Batch { before, ..batch })?;
            behind.fetch_add(count(&verdicts), SeqCst);
            Ok(verdicts)
        }),
        settle: Box::new(move |inner, batch| {
            let behind = settled.load(SeqCst);
            let before = Seq(batch.before.0.saturating_add(behind));
            Ok(match inner.settle(Batch { before, ..batch })? {
                Settled::Stored(verdicts, head) => Settled::Stored(verdicts, show(head, behind)),
                Settled::NotStored(head) => Settled::NotStored(show(head, behind)),
            })
        }),
        ..Flaw::default()
    }
}

/// Only sets that are applied are counted.
pub(crate) fn counts_applied_sets_alone() -> Flaw {
    counting(Arc::default(), |verdicts| {
        verdicts.iter().filter(|verdict| !matches!(verdict, Verdict::Applied)).count() as u64
    })
}

/// A commit is counted as one, however many sets it has.
pub(crate) fn counts_batches() -> Flaw {
    counting(Arc::default(), |verdicts| verdicts.len().saturating_sub(1) as u64)
}

/// The sequence number starts at zero at each opening.
pub(crate) fn does_not_keep_the_sequence_number() -> Flaw {
    let behind = Arc::new(AtomicU64::new(0));
    let opened = Arc::clone(&behind);
    Flaw {
        claim: Box::new(move |inner, at_least| {
            let base = &opened;
            let found = Seq(inner.head().seq.0 - base.load(SeqCst).min(inner.head().seq.0));
            if let Some(at_least) = at_least.filter(|at_least| *at_least > found) {
                return Err(ClaimError::TooOld { at_least, found });
            }
            let head = inner.claim(None)?;
            base.store(head.seq.0, SeqCst);
            Ok(Head { seq: Seq(0), ..head })
        }),
        ..counting(behind, |_| 0)
    }
}

/// A batch is stored wherever the store stands.
pub(crate) fn takes_a_batch_out_of_step() -> Flaw {
    Flaw::commits(|inner, batch| match inner.commit(batch) {
        Err(CommitError::NotStored(_)) => inner.commit(Batch { before: inner.head().seq, ..batch }),
        other => other,
    })
}

/// A batch that starts before the end of the last one is stored.
pub(crate) fn takes_a_batch_from_the_past() -> Flaw {
    Flaw::commits(|inner, batch| {
        inner.commit(Batch { before: batch.before.max(inner.head().seq), ..batch })
    })
}

/// The first half of a batch that is not stored is stored.
pub(crate) fn keeps_half_of_a_batch_not_stored() -> Flaw {
    Flaw::commits(|inner, batch| {
        let result = inner.commit(batch);
        if let Err(CommitError::NotStored(_)) = result {
            let sets: Vec<_> = batch.sets.iter().map(sets::first_half).collect();
            inner.commit(Batch { before: inner.head().seq, sets: &sets, ..batch })?;
        }
        result
    })
}

/// Every unknown outcome is called stored.
pub(crate) fn settles_everything_as_stored() -> Flaw {
    Flaw::settles(|inner, batch| {
        let applied = batch.sets.iter().map(|_| Verdict::Applied).collect();
        Ok(match inner.settle(batch)? {
            Settled::NotStored(head) if batch.sets.is_empty() => Settled::NotStored(head),
            Settled::NotStored(head) => Settled::Stored(applied, head),
            stored => stored,
        })
    })
}

/// Every unknown outcome is called not stored.
pub(crate) fn settles_everything_as_not_stored() -> Flaw {
    Flaw::settles(|inner, batch| Ok(Settled::NotStored(head_of(inner.settle(batch)?))))
}

/// Stale sets of a batch whose outcome was unknown are called applied.
pub(crate) fn settles_every_set_as_applied() -> Flaw {
    Flaw::settles(|inner, batch| {
        let applied = batch.sets.iter().map(|_| Verdict::Applied).collect();
        Ok(match inner.settle(batch)? {
            Settled::Stored(_, head) => Settled::Stored(applied, head),
            other => other,
        })
    })
}

/// An outcome comes with where the store stood before the batch.
pub(crate) fn settles_with_an_old_head() -> Flaw {
    Flaw::settles(|inner, batch| {
        let old = Head { epoch: batch.epoch, seq: batch.before };
        Ok(match inner.settle(batch)? {
            Settled::Stored(verdicts, _) => Settled::Stored(verdicts, old),
            other => other,
        })
    })
}

/// A batch that was called not stored is still on its way, and stored with the next one.
pub(crate) fn stores_a_batch_after_settling_it() -> Flaw {
    let late = Arc::new(Mutex::new(Vec::<ChangeSet>::new()));
    let settled = Arc::clone(&late);
    Flaw {
        settle: Box::new(move |inner, batch| {
            let answer = inner.settle(batch)?;
            if let Settled::NotStored(_) = answer {
                let sets = batch.sets.iter().map(sets::unguarded);
                settled.lock().unwrap_or_else(PoisonError::into_inner).extend(sets);
            }
            Ok(answer)
        }),
        commit: Box::new(move |inner, batch| {
            let late = std::mem::take(&mut *late.lock().unwrap_or_else(PoisonError::into_inner));
            let mut sets = batch.sets.to_vec();
            if let Some(first) = sets.first_mut() {
                for set in late {
                    first.puts.extend(set.puts);
                    first.removes.extend(set.removes);
                }
            }
            inner.commit(Batch { sets: &sets, ..batch })
        }),
        ..Flaw::default()
    }
}

fn head_of(settled: Settled) -> Head {
    match settled {
        Settled::Stored(_, head) | Settled::NotStored(head) => head,
    }
}
