//! Wrong about what reads and scans return.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use channelcoord::{BackendError, MetaRecord, Record, Transfer};
use chanstate::key::{KeyPart, KeyRange, Kind, RecordKey};

use super::flaw::{Flaw, Inner, MANY};

/// Reads answer in the order of the keys' bytes, not of the question.
pub(crate) fn reads_in_key_order() -> Flaw {
    Flaw::reads(|inner, keys| {
        let mut keys = keys.to_vec();
        keys.sort();
        inner.read(&keys)
    })
}

/// A key that is asked for twice is answered once.
pub(crate) fn reads_duplicates_once() -> Flaw {
    Flaw::reads(|inner, keys| {
        let mut asked = Vec::new();
        keys.iter().for_each(|key| {
            if !asked.contains(key) {
                asked.push(key.clone());
            }
        });
        inner.read(&asked)
    })
}

/// There is no answer where there is no record.
pub(crate) fn leaves_out_absent_records() -> Flaw {
    Flaw::reads(|inner, keys| {
        let mut found = inner.read(keys)?;
        found.retain(Option::is_some);
        Ok(found)
    })
}

/// The part in a transfer is stored and reads as absent, so that half a store is opened.
pub(crate) fn forgets_the_transfer() -> Flaw {
    Flaw::reads(|inner, keys| {
        let found = inner.read(keys)?.into_iter().zip(keys);
        Ok(found.map(|(found, key)| found.filter(|_| *key != Transfer::key())).collect())
    })
}

/// An absent value of the store reads as an empty one.
pub(crate) fn reads_absent_values_as_empty() -> Flaw {
    Flaw::reads(|inner, keys| {
        let found = inner.read(keys)?.into_iter().zip(keys);
        Ok(found.map(|(found, key)| found.or_else(|| empty(key))).collect())
    })
}

fn empty(key: &RecordKey) -> Option<Record> {
    let (Kind::Meta, [KeyPart::Bytes(name)]) = (key.kind, key.parts.as_slice()) else {
        return None;
    };
    let name = String::from_utf8(name.to_vec()).ok()?;
    Some(Record::Meta(MetaRecord { name, value: Default::default() }))
}

/// One absent record makes a read of several empty.
pub(crate) fn reads_nothing_if_one_is_absent() -> Flaw {
    Flaw::reads(|inner, keys| {
        let mut found = inner.read(keys)?;
        if found.iter().any(Option::is_none) {
            found.fill(None);
        }
        Ok(found)
    })
}

/// Reading a record that is absent fails.
pub(crate) fn fails_to_read_the_absent() -> Flaw {
    Flaw::reads(|inner, keys| {
        let found = inner.read(keys)?;
        match found.iter().all(Option::is_some) {
            true => Ok(found),
            false => Err(BackendError::Unavailable(super::cause("no such record"))),
        }
    })
}

/// Reading no keys fails, as an empty list in a query does.
pub(crate) fn fails_to_read_no_keys() -> Flaw {
    Flaw::reads(|inner, keys| match keys {
        [] => Err(BackendError::Unavailable(super::cause("empty list"))),
        keys => inner.read(keys),
    })
}

/// Of many keys the first thousand are read.
pub(crate) fn reads_a_thousand_keys_at_most() -> Flaw {
    Flaw::reads(|inner, keys| {
        let mut found = inner.read(&keys[..keys.len().min(1000)])?;
        found.resize(keys.len(), None);
        Ok(found)
    })
}

/// A record once read is read from memory from then on.
pub(crate) fn reads_from_a_cache_for_ever() -> Flaw {
    caching(|_, _| ())
}

/// A cache of records notices puts and removals, and no acknowledgements.
pub(crate) fn reads_acks_from_an_old_cache() -> Flaw {
    caching(|cache, set| {
        let touched = set.ops().filter_map(|op| match op {
            channelcoord::Op::Put(record) => Some(record.key()),
            channelcoord::Op::Remove(key) => Some(key.clone()),
            channelcoord::Op::Ack(_) => None,
        });
        touched.for_each(|key| drop(cache.remove(&key)));
    })
}

/// A cache of records notices puts, and no removals.
pub(crate) fn reads_removed_records_from_a_cache() -> Flaw {
    caching(|cache, set| {
        set.ops().for_each(|op| match op {
            channelcoord::Op::Put(record) => drop(cache.remove(&record.key())),
            channelcoord::Op::Ack(ack) => drop(cache.remove(&ack.key())),
            channelcoord::Op::Remove(_) => {}
        });
    })
}

pub(super) type Cache = HashMap<RecordKey, Record>;

/// Reads go through a cache, which commits clean; it is gone when the place is opened again.
pub(super) fn caching(clean: fn(&mut Cache, &channelcoord::ChangeSet)) -> Flaw {
    let cache = Arc::new(Mutex::new(Cache::new()));
    let lock = |cache: &Arc<Mutex<Cache>>| {
        let cache = Arc::clone(cache);
        move |with: &mut dyn FnMut(&mut Cache)| {
            with(&mut cache.lock().unwrap_or_else(PoisonError::into_inner));
        }
    };
    let (opened, committed, read) = (lock(&cache), lock(&cache), lock(&cache));
    Flaw {
        opened: Box::new(move || opened(&mut Cache::clear)),
        commit: Box::new(move |inner, batch| {
            let verdicts = inner.commit(batch)?;
            committed(&mut |cache| batch.sets.iter().for_each(|set| clean(cache, set)));
            Ok(verdicts)
        }),
        read: Box::new(move |inner, keys| {
            let mut found = inner.read(keys)?;
            read(&mut |cache| {
                for (key, found) in keys.iter().zip(&mut found) {
                    match cache.get(key) {
                        Some(cached) => *found = Some(cached.clone()),
                        None => drop(found.clone().map(|found| cache.insert(key.clone(), found))),
                    }
                }
            });
            Ok(found)
        }),
        ..Flaw::default()
    }
}

/// Scans go backwards.
pub(crate) fn scans_backwards() -> Flaw {
    scanning(|found| found.reverse())
}

/// Numbers in keys sort as signed.
pub(crate) fn sorts_numbers_as_signed() -> Flaw {
    scanning(|found| found.sort_by_key(|record| numbers(record, |number| number as i64)))
}

/// Numbers in keys sort as text.
pub(crate) fn sorts_numbers_as_text() -> Flaw {
    scanning(|found| found.sort_by_key(|record| numbers(record, |number| number.to_string())))
}

/// Numbers in keys sort by their lowest byte.
pub(crate) fn sorts_numbers_as_little_endian() -> Flaw {
    scanning(|found| found.sort_by_key(|record| numbers(record, u64::to_le_bytes)))
}

/// Keys sort by length first.
pub(crate) fn sorts_short_names_first() -> Flaw {
    scanning(|found| {
        found.sort_by_key(|record| match record.key().parts.first() {
            Some(KeyPart::Bytes(bytes)) => bytes.len(),
            _ => 0,
        });
    })
}

/// The numbers of a record's key, in a form to sort by.
fn numbers<T>(record: &Record, form: fn(u64) -> T) -> Vec<T> {
    let number = |part| match part {
        KeyPart::Int(number) => Some(form(number)),
        KeyPart::Bytes(_) => None,
    };
    record.key().parts.into_iter().filter_map(number).collect()
}

/// A range in another order, as it was when it was first asked for since the last commit.
struct Ordered {
    range: KeyRange,
    records: Vec<Record>,
    positions: HashMap<Vec<KeyPart>, usize>,
}

impl Ordered {
    fn new(range: KeyRange, records: Vec<Record>) -> Ordered {
        let positions = records.iter().enumerate().map(|(nth, record)| (record.key().parts, nth));
        Ordered { positions: positions.collect(), range, records }
    }

    /// Up to `limit` records that come after a key.
    fn page(&self, after: Option<&Vec<KeyPart>>, limit: usize) -> Vec<Record> {
        let Some(after) = after else { return self.records.iter().take(limit).cloned().collect() };
        match self.positions.get(after) {
            Some(last) => self.records[last + 1..].iter().take(limit).cloned().collect(),
            None => {
                let rest = self.records.iter().filter(|record| record.key().parts > *after);
                rest.take(limit).cloned().collect()
            }
        }
    }
}

/// Ranges are in another order, and so is what comes after a key.
pub(super) fn scanning(order: fn(&mut Vec<Record>)) -> Flaw {
    // A page is cut out of the range that the page before was cut out of.
    let kept: Arc<Mutex<Option<Ordered>>> = Arc::default();
    let committed = Arc::clone(&kept);
    Flaw {
        commit: Box::new(move |inner, batch| {
            let mut kept = committed.lock().unwrap_or_else(PoisonError::into_inner);
            *kept = None;
            inner.commit(batch)
        }),
        scan: Box::new(move |inner, range, limit| {
            inner.alive()?;
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let whole = whole(range);
            let ordered = match kept.take().filter(|ordered| ordered.range == whole) {
                Some(ordered) => ordered,
                None => {
                    let mut records = inner.scan(&whole, MANY)?;
                    order(&mut records);
                    Ordered::new(whole, records)
                }
            };
            let page = ordered.page(range.after.as_ref(), limit);
            *kept = Some(ordered);
            Ok(page)
        }),
        ..Flaw::default()
    }
}

fn whole(range: &KeyRange) -> KeyRange {
    KeyRange { after: None, ..range.clone() }
}

/// A scan begins with the key that it is to go on after.
pub(crate) fn scans_from_the_key_before() -> Flaw {
    Flaw::scans(|inner, range, limit| {
        let mut found = inner.scan(range, limit)?;
        if let Some(after) = &range.after {
            let key = RecordKey { kind: range.kind, parts: after.clone() };
            found.splice(0..0, inner.get(&key));
            found.truncate(limit);
        }
        Ok(found)
    })
}

/// A scan starts anew for each page.
pub(crate) fn scans_from_the_start() -> Flaw {
    Flaw::scans(|inner, range, limit| inner.scan(&whole(range), limit))
}

/// A scan goes on after a key only if there is such a record.
pub(crate) fn needs_the_key_to_go_on_after() -> Flaw {
    Flaw::scans(|inner, range, limit| {
        let after = range.after.clone();
        let key = after.map(|parts| RecordKey { kind: range.kind, parts });
        match key.is_none_or(|key| inner.get(&key).is_some()) {
            true => inner.scan(range, limit),
            false => Ok(Vec::new()),
        }
    })
}

/// A page is as long as the range.
pub(crate) fn scans_without_a_limit() -> Flaw {
    Flaw::scans(|inner, range, _| inner.scan(range, MANY))
}

/// A page is one record short.
pub(crate) fn stops_one_record_short() -> Flaw {
    Flaw::scans(|inner, range, limit| inner.scan(range, limit.saturating_sub(1)))
}

/// A page has one record more.
pub(crate) fn scans_one_record_more() -> Flaw {
    Flaw::scans(|inner, range, limit| inner.scan(range, limit.saturating_add(1)))
}

/// A page has a hundred records at most, whatever is asked for.
pub(crate) fn scans_a_hundred_records_at_most() -> Flaw {
    Flaw::scans(|inner, range, limit| inner.scan(range, limit.min(100)))
}

/// A limit of zero is none.
pub(crate) fn takes_a_limit_of_zero_for_none() -> Flaw {
    Flaw::scans(|inner, range, limit| match limit {
        0 => inner.scan(range, MANY),
        limit => inner.scan(range, limit),
    })
}

/// A range holds the whole kind, whatever its prefix.
pub(crate) fn scans_the_whole_kind() -> Flaw {
    Flaw::scans(|inner, range, limit| {
        inner.scan(&KeyRange { prefix: Vec::new(), ..range.clone() }, limit)
    })
}

/// A range is as wide as the first component of its prefix.
pub(crate) fn scans_by_the_first_component() -> Flaw {
    Flaw::scans(|inner, range, limit| {
        let mut range = range.clone();
        range.prefix.truncate(1);
        inner.scan(&range, limit)
    })
}

/// A range holds keys that begin with the same bytes, half a component included.
pub(crate) fn takes_a_prefix_as_bytes() -> Flaw {
    Flaw::scans(|inner, range, limit| {
        let [KeyPart::Bytes(prefix)] = range.prefix.as_slice() else {
            return inner.scan(range, limit);
        };
        let kind = KeyRange { prefix: Vec::new(), ..range.clone() };
        let mut found = inner.scan(&kind, MANY)?;
        found.retain(|record| match record.key().parts.first() {
            Some(KeyPart::Bytes(bytes)) => bytes.starts_with(prefix),
            _ => false,
        });
        found.truncate(limit);
        Ok(found)
    })
}

/// A range ends before its last key.
pub(crate) fn misses_the_last_key_of_a_range() -> Flaw {
    Flaw::scans(|inner, range, limit| {
        let last = inner.all(&whole(range)).pop().map(|record| record.key());
        let mut found = inner.scan(range, limit)?;
        found.retain(|record| Some(record.key()) != last);
        Ok(found)
    })
}

/// Names of values differ in more than case.
pub(crate) fn folds_the_case_of_names() -> Flaw {
    let fold = |key: &RecordKey| match (key.kind, key.parts.as_slice()) {
        (Kind::Meta, [KeyPart::Bytes(name)]) => {
            RecordKey::of_bytes(Kind::Meta, name.to_ascii_lowercase())
        }
        _ => key.clone(),
    };
    let stored = Flaw::stores_records(|record| {
        if let Record::Meta(meta) = record {
            meta.name.make_ascii_lowercase();
        }
    });
    let read = move |inner: &Inner<'_>, keys: &[RecordKey]| {
        inner.read(&keys.iter().map(fold).collect::<Vec<_>>())
    };
    Flaw { read: Box::new(read), ..stored }
}
