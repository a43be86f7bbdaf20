//! A batch as one statement.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use channelcoord::{Batch, ChangeSet, Epoch, Op, RecordRef, Seq, Subject, Verdict};
use chanstate::Version;
use chanstate::key::RecordKey;

use super::array::Rows;
use super::part::{self, Part, Puts};
use super::row::Parameters;
use super::size::{self, TooLarge};
use crate::row::{RowWriter, checksum};
use crate::table::{self, FORMAT, StoreRow};
use crate::value::{Sink, Value};
use crate::{keys, verdict};

/// Most texts that are kept. A store needs a few dozen.
const TEXTS: usize = 512;

/// What a statement is made of.
type MadeOf = (Vec<Part>, Puts);

/// Texts of statements, by what they are made of.
#[derive(Debug, Default)]
pub(crate) struct Texts(Mutex<HashMap<MadeOf, Arc<str>>>);

impl Texts {
    /// The statement for a batch.
    pub(crate) fn of(&self, batch: &Prepared, puts: Puts) -> Arc<str> {
        let mut texts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let made_of = (batch.rows.keys().copied().collect(), puts);
        if texts.len() >= TEXTS && !texts.contains_key(&made_of) {
            texts.clear();
        }
        let text = texts.entry(made_of);
        Arc::clone(text.or_insert_with_key(|(parts, puts)| part::statement(parts, *puts).into()))
    }
}

/// A batch that is ready to be sent, as often as it takes.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Its claim.
    pub(crate) epoch: Epoch,
    /// The sequence number that it follows.
    pub(crate) before: Seq,
    /// The sequence number after it.
    pub(crate) last: Seq,
    leading: Parameters,
    rows: BTreeMap<Part, Rows>,
    /// For each guard part its rows: the position of the set, and the subject.
    pub(crate) guards: Vec<Vec<(usize, Subject)>>,
    /// Sets that do not fit, by their position.
    refused: HashMap<usize, Verdict>,
}

impl Prepared {
    /// Puts a batch into the form of a statement of `largest` bytes at most.
    ///
    /// A set that is larger alone does not fit. Several sets that are larger together may fit if they
    /// are sent one by one.
    ///
    /// # Errors
    /// If they are.
    pub(crate) fn new(
        batch: Batch<'_>,
        instance: &str,
        largest: usize,
    ) -> Result<Prepared, TooLarge> {
        let misfit = |(position, set)| Some((position, verdict::misfit(set)?));
        let mut refused: HashMap<_, _> = batch.sets.iter().enumerate().filter_map(misfit).collect();
        let mut collected = collect(batch, &refused, largest);
        if collected.is_err() {
            for (position, set) in batch.sets.iter().enumerate() {
                if let Some(verdict) = size::refuse(set, largest) {
                    refused.entry(position).or_insert(verdict);
                }
            }
            collected = collect(batch, &refused, largest);
        }
        let (rows, guards) = collected?;
        Ok(Prepared {
            epoch: batch.epoch,
            before: batch.before,
            last: batch.last(),
            leading: leading(batch, instance),
            rows: rows.of_parts,
            guards: guards.into_values().collect(),
            refused,
        })
    }

    /// Why the set at a position does not fit.
    pub(crate) fn refused(&self, position: usize) -> Option<Verdict> {
        self.refused.get(&position).cloned()
    }

    /// The parameters of its statement.
    pub(crate) fn parameters(&self) -> Parameters {
        self.rows.values().fold(self.leading.clone(), Parameters::rows)
    }

    /// Every subject that the batch expects something of.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = &Subject> {
        self.guards.iter().flatten().map(|(_, subject)| subject)
    }
}

/// For each guard part its rows.
type Guards = BTreeMap<Part, Vec<(usize, Subject)>>;

/// Collects the rows of a batch but for the sets that are refused.
fn collect(
    batch: Batch<'_>,
    refused: &HashMap<usize, Verdict>,
    largest: usize,
) -> Result<(Collected, Guards), TooLarge> {
    let (mut rows, mut guards) = (Collected::default(), Guards::new());
    for (position, set) in batch.sets.iter().enumerate() {
        for (subject, expected) in set.guards() {
            let part = Part::Guard(subject.key().kind);
            rows.add(part, position, &subject.key(), Some(Value::unsigned(expected.0)));
            guards.entry(part).or_default().push((position, subject));
        }
        // A set that does not fit is compared, so that its verdict is the right one, no more.
        if !refused.contains_key(&position) {
            rows.add_set(position, set);
        }
        let bytes = rows.of_parts.values().map(Rows::bytes).sum();
        if bytes > largest {
            return Err(TooLarge { bytes, largest });
        }
    }
    Ok((rows, guards))
}

/// The parameters before those of the parts.
fn leading(batch: Batch<'_>, instance: &str) -> Parameters {
    let Batch { epoch, before, sets } = batch;
    Parameters::new()
        .unsigned(epoch.0)
        .unsigned(before.0)
        .unsigned(batch.last().0)
        .int(store_checksum(epoch, before))
        .int(store_checksum(epoch, batch.last()))
        .unsigned(sets.len() as u64)
        .text(instance)
}

/// The checksum of the store's row.
pub(crate) fn store_checksum(epoch: Epoch, seq: Seq) -> i64 {
    let row = StoreRow { id: 1, format: FORMAT.to_owned(), epoch: epoch.0, seq: seq.0 };
    checksum(table::store(), &row)
}

/// Rows of each part.
#[derive(Default)]
struct Collected {
    of_parts: BTreeMap<Part, Rows>,
    scratch: Vec<u8>,
}

impl Collected {
    fn add_set(&mut self, position: usize, set: &ChangeSet) {
        let present = present(set);
        for op in set.ops() {
            match op {
                Op::Put(record) if exists(record, &present) => {
                    self.put(Part::Update(record.kind()), position, record);
                }
                Op::Put(record) => self.put(Part::Put(record.kind()), position, record),
                Op::Remove(key) => self.add(Part::Remove(key.kind), position, key, None),
                Op::Ack(ack) => self.add(Part::Ack, position, &ack.key(), None),
            }
        }
    }

    /// Adds a row that is a key, and a value beside it. No row has a key that does not fit.
    fn add(&mut self, part: Part, position: usize, key: &RecordKey, beside: Option<Value<'_>>) {
        let Some(values) = keys::values(table::of_kind(key.kind), key) else { return };
        let rows = self.rows(part, position);
        values.into_iter().chain(beside).for_each(|value| rows.push(value));
    }

    fn put(&mut self, part: Part, position: usize, record: RecordRef<'_>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        let rows = self.rows(part, position);
        let mut row = RowWriter::new(table::of_kind(record.kind()), rows, &mut scratch);
        table::write(record, &mut row);
        row.finish();
        self.scratch = scratch;
    }

    /// Begins a row.
    fn rows(&mut self, part: Part, position: usize) -> &mut Rows {
        let rows = self.of_parts.entry(part).or_insert_with(|| Rows::new(part.types()));
        rows.push(Value::unsigned(position as u64 + 1));
        rows
    }
}

/// The subjects that are there if the set applies, as its guards see to.
fn present(set: &ChangeSet) -> HashSet<Subject> {
    let present = set.guards().filter(|(_, expected)| *expected != Version::ABSENT);
    present.map(|(subject, _)| subject).collect()
}

/// Whether the record is one of them.
fn exists(record: RecordRef<'_>, present: &HashSet<Subject>) -> bool {
    match record {
        RecordRef::Channel(chanstate::Record::Channel(row)) => {
            present.contains(&Subject::Channel(row.no))
        }
        RecordRef::LinkNode(linknode::Record::LinkNode(row)) => {
            present.contains(&Subject::LinkNode(row.node_id))
        }
        _ => false,
    }
}
