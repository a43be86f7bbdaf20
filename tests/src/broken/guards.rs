//! Wrong about which sets may be applied, and about what to say of them.

use channelcoord::{Batch, ChangeSet, Subject, Verdict};
use chanstate::Version;

use super::flaw::Flaw;
use super::sets;

/// Channels are changed whatever their version.
pub(crate) fn skips_the_versions_of_channels() -> Flaw {
    Flaw::guards(|_, of_channel, expected, found| of_channel || expected == found)
}

/// Link nodes are changed whatever their version.
pub(crate) fn skips_the_versions_of_link_nodes() -> Flaw {
    Flaw::guards(|_, of_channel, expected, found| !of_channel || expected == found)
}

/// What does not exist passes for any version.
pub(crate) fn takes_absent_for_any_version() -> Flaw {
    Flaw::guards(|_, _, expected, found| expected == found || found == Version::ABSENT)
}

/// What exists is created again.
pub(crate) fn creates_what_exists() -> Flaw {
    Flaw::guards(|_, _, expected, found| expected == found || expected == Version::ABSENT)
}

/// A version older than expected passes.
pub(crate) fn takes_older_versions() -> Flaw {
    Flaw::guards(|_, _, expected, found| found <= expected)
}

/// Only the first subject of a set is looked at.
pub(crate) fn checks_the_first_guard_alone() -> Flaw {
    Flaw::guards(|nth, _, expected, found| nth > 0 || expected == found)
}

/// Without channels, a set's guards are not looked at.
pub(crate) fn checks_guards_of_sets_with_channels_alone() -> Flaw {
    Flaw::commits(|inner, batch| {
        let change = |set: &ChangeSet| match set.channels.is_empty() {
            true => sets::unguarded(set),
            false => set.clone(),
        };
        let sets: Vec<_> = batch.sets.iter().map(change).collect();
        inner.commit(Batch { sets: &sets, ..batch })
    })
}

/// The half of a stale set that was written before the stale subject was met stays.
pub(crate) fn keeps_half_of_a_stale_set() -> Flaw {
    of_stale_sets(sets::first_half)
}

/// Acknowledgements of a stale set are stored all the same.
pub(crate) fn keeps_acks_of_a_stale_set() -> Flaw {
    of_stale_sets(|set| ChangeSet { acks: set.acks.clone(), ..ChangeSet::default() })
}

/// What is unguarded in a stale set is stored all the same.
pub(crate) fn keeps_the_unguarded_part_of_a_stale_set() -> Flaw {
    of_stale_sets(|set| ChangeSet { puts: set.puts.clone(), ..ChangeSet::default() })
}

/// Stores something of each stale set.
pub(super) fn of_stale_sets(stored: fn(&ChangeSet) -> ChangeSet) -> Flaw {
    Flaw::commits(move |inner, batch| {
        let conflicts: Vec<_> = batch.sets.iter().map(|set| inner.conflict(set)).collect();
        let change = |(set, conflict): (&ChangeSet, &Option<Subject>)| match conflict {
            Some(_) => stored(set),
            None => set.clone(),
        };
        let sets: Vec<_> = batch.sets.iter().zip(&conflicts).map(change).collect();
        let verdicts = inner.commit(Batch { sets: &sets, ..batch })?;
        let verdicts = verdicts.into_iter().zip(conflicts);
        Ok(verdicts.map(|(verdict, on)| on.map_or(verdict, Verdict::Conflict)).collect())
    })
}

/// Sets after a stale one are passed over, though they are called applied.
pub(crate) fn stops_at_a_stale_set() -> Flaw {
    Flaw::commits(|inner, batch| {
        let fresh = batch.sets.iter().take_while(|set| !inner.stale(set)).count();
        let mut sets = vec![ChangeSet::default(); batch.sets.len()];
        // The stale one brings its conflict.
        let kept = batch.sets.len().min(fresh + 1);
        sets[..kept].clone_from_slice(&batch.sets[..kept]);
        inner.commit(Batch { sets: &sets, ..batch })
    })
}

/// One stale set makes the whole batch fail, for good.
pub(crate) fn fails_a_batch_with_a_stale_set() -> Flaw {
    Flaw::commits(|inner, batch| match batch.sets.iter().any(|set| inner.stale(set)) {
        true => Err(super::not_stored("a set is stale")),
        false => inner.commit(batch),
    })
}

/// One stale set makes its whole batch stale.
pub(crate) fn lets_a_stale_set_poison_its_batch() -> Flaw {
    Flaw::commits(|inner, batch| {
        if !batch.sets.iter().any(|set| inner.stale(set)) {
            return inner.commit(batch);
        }
        let empty = vec![ChangeSet::default(); batch.sets.len()];
        let verdicts = inner.commit(Batch { sets: &empty, ..batch })?;
        let answer = |(verdict, set)| conflict(set).unwrap_or(verdict);
        Ok(verdicts.into_iter().zip(batch.sets).map(answer).collect())
    })
}

/// Verdicts come in the opposite order.
pub(crate) fn answers_backwards() -> Flaw {
    Flaw::answers(|_, verdicts| verdicts.into_iter().rev().collect())
}

/// Applied sets come first in the answer.
pub(crate) fn answers_with_conflicts_last() -> Flaw {
    Flaw::answers(|_, mut verdicts| {
        verdicts.sort_by_key(|verdict| !matches!(verdict, Verdict::Applied));
        verdicts
    })
}

/// Stale sets are left out, and called applied.
pub(crate) fn calls_a_stale_set_applied() -> Flaw {
    Flaw::answers(|_, verdicts| verdicts.into_iter().map(|_| Verdict::Applied).collect())
}

/// Stale sets get no verdict.
pub(crate) fn has_no_verdict_on_stale_sets() -> Flaw {
    Flaw::answers(|_, mut verdicts| {
        verdicts.retain(|verdict| matches!(verdict, Verdict::Applied));
        verdicts
    })
}

/// A conflict names the set's first subject, whichever was stale.
pub(crate) fn blames_the_first_subject() -> Flaw {
    Flaw::answers(|batch, verdicts| {
        let blame = |(verdict, set)| match verdict {
            Verdict::Conflict(_) => conflict(set).unwrap_or(verdict),
            other => other,
        };
        verdicts.into_iter().zip(batch.sets).map(blame).collect()
    })
}

/// A conflict on the first subject of a set.
fn conflict(set: &ChangeSet) -> Option<Verdict> {
    set.guards().next().map(|(subject, _)| Verdict::Conflict(subject))
}
