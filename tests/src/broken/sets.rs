//! Change sets taken apart.

use channelcoord::{ChangeSet, Op, Record};

/// The same steps without guards.
pub(super) fn unguarded(set: &ChangeSet) -> ChangeSet {
    let mut steps = ChangeSet::default();
    for op in set.ops() {
        match op {
            Op::Put(record) => steps.puts.push(record.to_owned()),
            Op::Remove(key) => steps.removes.push(key.clone()),
            Op::Ack(ack) => steps.acks.push(*ack),
        }
    }
    steps
}

/// The first half of a set's steps, without guards.
pub(super) fn first_half(set: &ChangeSet) -> ChangeSet {
    let mut steps = unguarded(set);
    let ChangeSet { acks, puts, removes, .. } = &mut steps;
    let half = (acks.len() + puts.len() + removes.len()).div_ceil(2);
    removes.truncate(half);
    puts.truncate(half - removes.len());
    acks.truncate(half - removes.len() - puts.len());
    steps
}

/// The channel's record inside, if it is one.
pub(super) fn of_channel(record: &mut Record) -> Option<&mut chanstate::Record> {
    match record {
        Record::Channel(record) => Some(record),
        _ => None,
    }
}
