//! Buckets of a table as callers see them.

use super::super::{Bucket as AnyBucket, Damage, Entry, ReadError};
use super::SqlTree;
use super::table::EntryRow;
use crate::bolt::BucketPath;
use crate::lnd::path::Path;

/// Entries of the first page of a bucket. Most buckets have fewer.
const FIRST_PAGE: i64 = 64;

/// Most entries of a page.
const LARGEST_PAGE: i64 = 4096;

/// Bytes of keys and values that a page should have, by the size of the entries before it.
const PAGE_BYTES: usize = 1 << 20;

/// A bucket of a table.
#[derive(Clone, Debug)]
pub struct Bucket<'t> {
    tree: &'t SqlTree,
    path: BucketPath,
    sequence: u64,
    place: Place,
}

/// Where the entries of a bucket are.
#[derive(Clone, Debug)]
enum Place {
    /// At the top level.
    Top,
    /// In the rows that have this one as their parent.
    Row(i64),
    /// Nowhere: the row is damaged.
    Damaged(String),
}

impl<'t> Bucket<'t> {
    pub(super) fn root(tree: &'t SqlTree) -> Bucket<'t> {
        Bucket { tree, path: BucketPath::default(), sequence: 0, place: Place::Top }
    }

    pub(in super::super) fn path(&self) -> Path {
        self.path.to_vec()
    }

    pub(in super::super) fn name(&self) -> &[u8] {
        self.path.name()
    }

    pub(in super::super) fn sequence(&self) -> u64 {
        self.sequence
    }

    pub(in super::super) fn entries(&self) -> Entries<'t> {
        Entries {
            bucket: self.clone(),
            page: Vec::new().into_iter(),
            last: None,
            limit: FIRST_PAGE,
            state: State::More,
        }
    }

    pub(in super::super) fn get(&self, key: &[u8]) -> Result<Option<Entry<'t>>, ReadError> {
        let parent = self.parent()?;
        Ok(self.tree.table.get(parent, key)?.map(|row| self.entry(row)))
    }

    /// Fails if the row is damaged.
    pub(in super::super) fn require_whole(&self) -> Result<(), ReadError> {
        self.parent().map(drop)
    }

    /// The number that rows of this bucket have as their parent; `None` at the top level.
    fn parent(&self) -> Result<Option<i64>, ReadError> {
        match &self.place {
            Place::Top => Ok(None),
            Place::Row(id) => Ok(Some(*id)),
            Place::Damaged(what) => Err(Damage { path: self.path(), what: what.clone() }.into()),
        }
    }

    fn entry(&self, row: EntryRow) -> Entry<'t> {
        let place = match (self.tree.damaged.get(&row.id), row.value) {
            (Some(what), _) => Place::Damaged(what.clone()),
            (None, None) => Place::Row(row.id),
            (None, Some(value)) => return Entry::Value(value),
        };
        let path = self.path.child(&row.key);
        let sequence = row.sequence.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
        Entry::Bucket(AnyBucket::Sql(Bucket { tree: self.tree, path, sequence, place }))
    }
}

/// The entries of a bucket of a table. Holds one page of them.
#[derive(Debug)]
pub struct Entries<'t> {
    bucket: Bucket<'t>,
    page: std::vec::IntoIter<EntryRow>,
    /// Key of the entry before.
    last: Option<Vec<u8>>,
    limit: i64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There may be another page.
    More,
    /// This page is the last one.
    Last,
    End,
}

impl Entries<'_> {
    /// Reads the next page.
    fn turn(&mut self) -> Result<(), ReadError> {
        let parent = self.bucket.parent()?;
        let page = self.bucket.tree.table.page(parent, self.last.as_deref(), self.limit)?;
        let is_full = i64::try_from(page.len()).is_ok_and(|length| length >= self.limit);
        self.state = if is_full { State::More } else { State::Last };
        let size = |row: &EntryRow| row.key.len() + row.value.as_ref().map_or(0, Vec::len) + 64;
        let bytes: usize = page.iter().map(size).sum();
        let fitting = PAGE_BYTES * page.len().max(1) / bytes.max(1);
        self.limit = i64::try_from(fitting).unwrap_or(LARGEST_PAGE).clamp(1, LARGEST_PAGE);
        self.page = page.into_iter();
        Ok(())
    }
}

impl<'t> Iterator for Entries<'t> {
    type Item = Result<(Vec<u8>, Entry<'t>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.page.next() {
                // All rows with one key are damaged; one of them stands for all.
                if self.last.as_ref() == Some(&row.key) {
                    continue;
                }
                let key = row.key.clone();
                self.last = Some(key.clone());
                return Some(Ok((key, self.bucket.entry(row))));
            }
            if self.state != State::More {
                self.state = State::End;
                return None;
            }
            if let Err(error) = self.turn() {
                self.state = State::End;
                return Some(Err(error));
            }
        }
    }
}
