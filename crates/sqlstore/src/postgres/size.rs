//! What a statement can carry.
//!
//! PostgreSQL ends the connection over a message beyond 1 GiB, see `PQ_LARGE_MESSAGE_LIMIT` in its
//! `libpq.h`; and it keeps the message and a copy of what is in it in memory.

use std::sync::Arc;

use channelcoord::{ChangeSet, Op, RecordRef, Verdict};
use chanstate::key::RecordKey;
use thiserror::Error;

use super::array::weight;
use crate::row::RowWriter;
use crate::value::{Sink, Value};
use crate::{keys, table};

/// Most bytes of a commit's statement, unless options say another number.
pub(crate) const USUAL: usize = 512 << 20;

/// Most bytes that options may say, which leaves room for what is not counted.
pub(crate) const MOST: usize = 960 << 20;

/// Change sets do not fit into one statement.
#[derive(Clone, Debug, Error)]
#[error("{bytes} bytes or more in one commit, {largest} at most")]
pub(crate) struct TooLarge {
    pub(crate) bytes: usize,
    pub(crate) largest: usize,
}

/// The refusal of a set that does not fit even alone; its largest record is named.
pub(crate) fn refuse(set: &ChangeSet, largest: usize) -> Option<Verdict> {
    let of_op = |op| match op {
        Op::Put(record) => (of_record(record), record.key()),
        Op::Remove(key) => (of_key(key), key.clone()),
        Op::Ack(ack) => (of_key(&ack.key()), ack.key()),
    };
    let guards: usize = set.guards().map(|(subject, _)| of_key(&subject.key())).sum();
    let bytes = guards + set.ops().map(|op| of_op(op).0).sum::<usize>();
    if bytes <= largest {
        return None;
    }
    let (_, record) = set.ops().map(of_op).max_by_key(|(bytes, _)| *bytes)?;
    Some(Verdict::Refused { record, cause: Arc::new(TooLarge { bytes, largest }) })
}

/// Whether a record fits into a statement of its own.
pub(crate) fn require_fitting(record: RecordRef<'_>, largest: usize) -> Result<(), TooLarge> {
    let bytes = of_record(record);
    if bytes > largest { Err(TooLarge { bytes, largest }) } else { Ok(()) }
}

/// Bytes that a key takes, with the number of its set and a version.
fn of_key(key: &RecordKey) -> usize {
    let values = keys::values(table::of_kind(key.kind), key);
    values.into_iter().flatten().chain([Value::Null; 2]).map(weight).sum()
}

/// Bytes that a record takes.
fn of_record(record: RecordRef<'_>) -> usize {
    struct Bytes(usize);
    impl Sink for Bytes {
        fn push(&mut self, value: Value<'_>) {
            self.0 += weight(value);
        }
    }
    // The number of its set comes with it.
    let (mut bytes, mut scratch) = (Bytes(weight(Value::Null)), Vec::new());
    let mut row = RowWriter::new(table::of_kind(record.kind()), &mut bytes, &mut scratch);
    table::write(record, &mut row);
    row.finish();
    bytes.0
}
