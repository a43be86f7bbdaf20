//! Reads a whole store, through damage.

use channelcoord::{Backend, BackendError, Record};
use chanstate::key::{KeyRange, Kind, RecordKey};

use crate::finding::chain;

/// Records read at a time.
const PAGE: usize = 512;

/// A record's place in a store and what is there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    /// Its kind.
    pub(super) kind: Kind,
    /// Its key. Where damage hides it, no record of the kind follows.
    pub(super) key: Option<RecordKey>,
    /// The record, or what is wrong with it.
    pub(super) content: Result<Record, String>,
}

impl Item {
    /// How it is named.
    pub(super) fn name(&self) -> String {
        match &self.key {
            Some(key) => key.to_string(),
            None => format!("{:?}", self.kind),
        }
    }
}

/// Every record of a kind in key order, damaged ones in their place, page by page.
pub(super) struct Through<'a> {
    backend: &'a dyn Backend,
    range: Option<KeyRange>,
    limit: usize,
}

impl<'a> Through<'a> {
    pub(super) fn new(backend: &'a dyn Backend, kind: Kind) -> Through<'a> {
        Through { backend, range: Some(KeyRange::all(kind)), limit: PAGE }
    }

    /// What is wrong with the first record of a range, and the way on.
    fn step_over(&mut self, range: KeyRange, name: &str, error: &BackendError) -> Item {
        let kind = range.kind;
        let is_ahead = |key: &RecordKey| {
            key.kind == kind && range.after.as_ref().is_none_or(|after| key.parts > *after)
        };
        let key = RecordKey::parse(name).filter(is_ahead);
        let mut what = chain(error);
        match &key {
            Some(key) => self.range = Some(range.after(key.clone())),
            None => what.push_str("; records of this kind from here on cannot be read"),
        }
        Item { kind, key, content: Err(what) }
    }
}

impl Iterator for Through<'_> {
    type Item = Result<Vec<Item>, BackendError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let range = self.range.take()?;
            let error = match pollster::block_on(self.backend.scan(&range, self.limit)) {
                Ok(page) => {
                    let kind = range.kind;
                    let items: Vec<_> = page
                        .into_iter()
                        .map(|record| Item { kind, key: Some(record.key()), content: Ok(record) })
                        .collect();
                    if items.len() == self.limit {
                        let last = items.last().and_then(|item| item.key.clone());
                        self.range = last.map(|last| range.after(last));
                    }
                    self.limit = PAGE.min(self.limit * 2);
                    return (!items.is_empty()).then_some(Ok(items));
                }
                Err(error) => error,
            };
            let BackendError::Corrupt { record, .. } = &error else { return Some(Err(error)) };
            if self.limit == 1 {
                return Some(Ok(vec![self.step_over(range, record, &error)]));
            }
            // A smaller page ends before the damage, and the smallest has nothing else.
            self.limit /= 4;
            self.limit = self.limit.max(1);
            self.range = Some(range);
        }
    }
}
