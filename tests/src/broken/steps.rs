//! Wrong about puts, removals and acknowledgements.

use channelcoord::{ChangeSet, PackageAck, Record};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::{PackageUpdateRecord, UpdateBody, UpdateRef};
use chanstate::{HtlcId, PackageList};

use super::flaw::{Flaw, Inner, MANY};

/// A put leaves a record that is there.
pub(crate) fn does_not_replace() -> Flaw {
    Flaw::stores(|inner, set| set.puts.retain(|record| inner.get(&record.key()).is_none()))
}

/// The last record of a set is not written.
pub(crate) fn misses_the_last_put() -> Flaw {
    Flaw::stores(|_, set| drop((set.puts.len() > 1).then(|| set.puts.pop())))
}

/// Removals are not carried out.
pub(crate) fn removes_nothing() -> Flaw {
    Flaw::stores(|_, set| set.removes.clear())
}

/// Of several removals the first is carried out.
pub(crate) fn removes_one_record_of_a_set() -> Flaw {
    Flaw::stores(|_, set| set.removes.truncate(1))
}

/// Removing a package takes those below it too.
pub(crate) fn removes_the_packages_below() -> Flaw {
    Flaw::stores(|inner, set| {
        let mut below = Vec::new();
        for key in set.removes.iter().filter(|key| key.kind == Kind::Package) {
            let range = KeyRange { prefix: key.parts[..1].to_vec(), ..KeyRange::all(key.kind) };
            below.extend(inner.all(&range).iter().map(Record::key).filter(|found| found < key));
        }
        set.removes.extend(below);
    })
}

/// Removing what is not there fails.
pub(crate) fn fails_to_remove_the_absent() -> Flaw {
    Flaw::commits(|inner, batch| {
        let mut removed = batch.sets.iter().flat_map(|set| set.ops()).filter_map(removed);
        match removed.any(|key| inner.get(&key).is_none()) {
            true => Err(super::not_stored("nothing to remove")),
            false => inner.commit(batch),
        }
    })
}

fn removed(op: channelcoord::Op<'_>) -> Option<RecordKey> {
    match op {
        channelcoord::Op::Remove(key) => Some(key.clone()),
        _ => None,
    }
}

/// HTLCs of a closed channel are not removed.
pub(crate) fn keeps_the_htlcs_of_a_closed_channel() -> Flaw {
    Flaw::stores(|_, set| {
        let reclaims = set.removes.iter().any(|key| key.kind == Kind::Reclaim);
        set.removes.retain(|key| !reclaims || key.kind != Kind::Htlc);
    })
}

/// A closed channel's log is not removed.
pub(crate) fn keeps_the_log_of_a_closed_channel() -> Flaw {
    Flaw::stores(|_, set| set.removes.retain(|key| key.kind != Kind::RevokedState))
}

/// Writing a package again removes its updates, as a cascade behind `replace` does.
pub(crate) fn drops_updates_of_a_package_written_again() -> Flaw {
    Flaw::stores(|inner, set| {
        let packages = set.puts.iter().map(Record::key).filter(|key| key.kind == Kind::Package);
        let updates = packages.flat_map(|key| updates_under(inner, key));
        let updates: Vec<_> = updates.map(|update| row(update).key()).collect();
        let written = |key: &RecordKey| set.puts.iter().any(|record| record.key() == *key);
        set.removes.extend(updates.into_iter().filter(|key| !written(key)));
    })
}

/// Writing a channel again removes its pending commitment.
pub(crate) fn drops_the_diff_of_a_channel_written_again() -> Flaw {
    Flaw::stores(|_, set| {
        let channels = set.puts.iter().filter(|record| record.key().kind == Kind::Channel);
        let diffs = channels.map(|row| RecordKey { kind: Kind::Diff, ..row.key() });
        let written = |key: &RecordKey| set.puts.iter().any(|record| record.key() == *key);
        let diffs: Vec<_> = diffs.filter(|key| !written(key)).collect();
        set.removes.extend(diffs);
    })
}

/// Two channels share an HTLC with the same id.
pub(crate) fn shares_htlcs_across_channels() -> Flaw {
    Flaw::stores(|inner, set| {
        let mut others = inner.all(&KeyRange::all(Kind::Htlc));
        for other in &mut others {
            let key = other.key();
            let same = set.puts.iter().find(|put| {
                let put = put.key();
                put.kind == Kind::Htlc && put.parts[1..] == key.parts[1..] && put != key
            });
            let Some(Record::Channel(chanstate::Record::Htlc(same))) = same else { continue };
            if let Record::Channel(chanstate::Record::Htlc(other)) = other {
                other.terms = same.terms.clone();
            }
        }
        others.retain(|other| !set.puts.iter().any(|put| put.key() == other.key()));
        set.puts.extend(others);
    })
}

/// Acknowledgements are not stored.
pub(crate) fn forgets_acks() -> Flaw {
    Flaw::stores(|_, set| set.acks.clear())
}

/// Of several acknowledgements in a set the first is stored.
pub(crate) fn stores_one_ack_of_a_set() -> Flaw {
    Flaw::stores(|_, set| set.acks.truncate(1))
}

/// Of several acknowledgements of a package in a batch the last is stored: each reads the filter,
/// changes it and writes it back.
pub(crate) fn stores_one_ack_of_a_package_in_a_batch() -> Flaw {
    Flaw::commits(|inner, batch| {
        let mut sets = batch.sets.to_vec();
        let mut seen = std::collections::HashSet::new();
        for set in sets.iter_mut().rev() {
            set.acks.retain(|ack| seen.insert((ack.source, ack.height, ack.list)));
        }
        inner.commit(channelcoord::Batch { sets: &sets, ..batch })
    })
}

/// An acknowledgement goes to the update behind.
pub(crate) fn acks_the_next_update() -> Flaw {
    Flaw::stores(|_, set| set.acks.iter_mut().for_each(|ack| ack.index = ack.index.wrapping_add(1)))
}

/// An acknowledgement goes to the other list of its package.
pub(crate) fn acks_the_other_list() -> Flaw {
    Flaw::stores(|_, set| {
        set.acks.iter_mut().for_each(|ack| {
            ack.list = match ack.list {
                PackageList::Adds => PackageList::SettleFails,
                PackageList::SettleFails => PackageList::Adds,
            }
        });
    })
}

/// An acknowledgement is of every update of its package.
pub(crate) fn acks_the_whole_package() -> Flaw {
    Flaw::stores(|inner, set| {
        let whole = set
            .acks
            .iter()
            .flat_map(|ack| updates_under(inner, RecordKey::package(ack.source, ack.height)));
        set.acks = whole
            .map(|update| PackageAck {
                source: update.source,
                height: update.height,
                list: update.list,
                index: update.index,
            })
            .collect();
    })
}

/// Acknowledging an update that is gone writes one.
pub(crate) fn creates_what_it_acks() -> Flaw {
    Flaw::stores(|inner, set| {
        let absent = set.acks.iter().filter(|ack| inner.get(&ack.key()).is_none());
        set.puts.extend(absent.map(|ack| {
            let body = UpdateBody::Add(HtlcId(ack.index.into()));
            row(PackageUpdateRecord {
                source: ack.source,
                height: ack.height,
                list: ack.list,
                index: ack.index,
                update: UpdateRef { log_index: 0.into(), body },
                acked: true,
            })
        }));
    })
}

/// Acknowledging an update that is gone fails.
pub(crate) fn fails_to_ack_the_absent() -> Flaw {
    Flaw::commits(|inner, batch| {
        let mut acks = batch.sets.iter().flat_map(|set| &set.acks);
        match acks.any(|ack| inner.get(&ack.key()).is_none()) {
            true => Err(super::not_stored("nothing to acknowledge")),
            false => inner.commit(batch),
        }
    })
}

/// An acknowledgement is taken back by the next one.
pub(crate) fn toggles_acks() -> Flaw {
    Flaw::stores(|inner, set| {
        for ack in std::mem::take(&mut set.acks) {
            match inner.get(&ack.key()) {
                Some(Record::Channel(chanstate::Record::PackageUpdate(mut update))) => {
                    update.acked = !update.acked;
                    set.puts.push(row(update));
                }
                _ => set.acks.push(ack),
            }
        }
    })
}

/// Of a batch, the first set is stored, and all are called applied.
pub(crate) fn stores_the_first_set_of_a_batch() -> Flaw {
    Flaw::commits(|inner, batch| {
        let mut sets = vec![ChangeSet::default(); batch.sets.len()];
        sets[..batch.sets.len().min(1)].clone_from_slice(&batch.sets[..batch.sets.len().min(1)]);
        inner.commit(channelcoord::Batch { sets: &sets, ..batch })
    })
}

/// A batch is stored, and its caller told that it is not.
pub(crate) fn says_not_stored_of_what_is() -> Flaw {
    Flaw::commits(|inner, batch| {
        inner.commit(batch)?;
        Err(super::not_stored("made up"))
    })
}

/// A set without steps fails.
pub(crate) fn fails_on_an_empty_set() -> Flaw {
    Flaw::commits(|inner, batch| match batch.sets.iter().any(ChangeSet::is_empty) {
        true => Err(super::not_stored("nothing to do")),
        false => inner.commit(batch),
    })
}

/// A batch of several sets makes the engine panic.
pub(crate) fn panics_on_a_batch_of_two() -> Flaw {
    Flaw::commits(|inner, batch| match batch.sets.len() {
        2.. => super::unwind("a batch of two"),
        _ => inner.commit(batch),
    })
}

fn row(update: PackageUpdateRecord) -> Record {
    Record::Channel(chanstate::Record::PackageUpdate(update))
}

/// Updates of a package.
fn updates_under(inner: &Inner<'_>, package: RecordKey) -> Vec<PackageUpdateRecord> {
    let range = KeyRange { kind: Kind::PackageUpdate, prefix: package.parts, after: None };
    let updates = inner.scan(&range, MANY).unwrap_or_default();
    let update = |record| match record {
        Record::Channel(chanstate::Record::PackageUpdate(update)) => Some(update),
        _ => None,
    };
    updates.into_iter().filter_map(update).collect()
}
