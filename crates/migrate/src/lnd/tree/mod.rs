//! The tree of buckets that lnd keeps its state in, whatever holds it.
//!
//! | Module | Content |
//! |---|---|
//! | `bolt` | the tree in a bbolt file |
//! | [`sql`] | the tree as rows of a table, in SQLite or PostgreSQL |
//!
//! Callers read a tree once with [`Tree::survey`] for damage and leave out what it names.

mod bolt;
pub mod sql;

use thiserror::Error;

use self::sql::SqlTree;
use super::path::Path;
use crate::bolt::{BoltFile, FileError, display_path};

/// A tree opened for reading.
#[derive(Debug)]
pub enum Tree {
    /// In a bbolt file.
    Bolt(BoltFile),
    /// In a table.
    Sql(SqlTree),
}

/// A sorted map of keys to values and further buckets.
///
/// Getting hold of a bucket never fails. If what describes it is damaged, everything read from it is
/// the error, so that the enclosing bucket and the neighbours stay readable.
#[derive(Clone, Debug)]
pub enum Bucket<'t> {
    /// Of a bbolt file.
    Bolt(crate::bolt::Bucket<'t>),
    /// Of a table.
    Sql(sql::Bucket<'t>),
}

/// What a key leads to.
#[derive(Clone, Debug)]
pub enum Entry<'t> {
    /// Plain bytes, possibly none.
    Value(Vec<u8>),
    /// A bucket of its own, or something damaged: which of both was meant cannot be told then.
    Bucket(Bucket<'t>),
}

/// The entries of a bucket in byte order of their keys.
#[derive(Debug)]
pub enum Entries<'t> {
    /// Of a bbolt file.
    Bolt(crate::bolt::Entries<'t>),
    /// Of a table.
    Sql(sql::Entries<'t>),
}

/// Something that cannot be used, and everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is damaged: {what}", display_path(.path))]
pub struct Damage {
    /// Where it is; empty for the whole tree.
    pub path: Path,
    /// What is wrong.
    pub what: String,
}

/// Why reading stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// This part is damaged, others may be fine.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// Nothing in the bbolt file can be relied on any more.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database does not answer.
    #[error(transparent)]
    Sql(#[from] sql::EngineError),
}

/// What a look at the whole tree found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The damaged parts.
    pub damage: Vec<Damage>,
    /// What belongs to no bucket that can be reached, so that it is lost: place and fault.
    pub lost: Vec<(String, String)>,
    /// What is wrong beside the tree and takes nothing away: place and fault.
    pub notes: Vec<(String, String)>,
    /// Values in all buckets.
    pub keys: u64,
}

impl Tree {
    /// The bucket whose entries are the top-level buckets.
    pub fn root(&self) -> Bucket<'_> {
        match self {
            Tree::Bolt(file) => Bucket::Bolt(file.root()),
            Tree::Sql(tree) => Bucket::Sql(tree.root()),
        }
    }

    /// Looks at the whole tree.
    ///
    /// # Errors
    /// If it cannot be read at all.
    pub fn survey(&self) -> Result<Survey, ReadError> {
        match self {
            Tree::Bolt(file) => bolt::survey(file),
            Tree::Sql(tree) => Ok(tree.survey().clone()),
        }
    }

    /// Who else has the database open, as far as that can be told.
    ///
    /// # Errors
    /// If that cannot be found out.
    pub fn in_use(&self) -> Result<Option<String>, ReadError> {
        match self {
            // The reader holds the lock that a writer would need.
            Tree::Bolt(_) => Ok(None),
            Tree::Sql(tree) => Ok(tree.in_use()?),
        }
    }

    /// What tells that the database is not any more what is being read; `None` while it is.
    ///
    /// # Errors
    /// If that cannot be found out.
    pub fn moved(&self) -> Result<Option<String>, ReadError> {
        match self {
            Tree::Bolt(_) => Ok(None),
            Tree::Sql(tree) => Ok(tree.moved()?),
        }
    }
}

impl<'t> Bucket<'t> {
    /// Names from the top level down to this bucket; none for the root bucket.
    pub fn path(&self) -> Path {
        match self {
            Bucket::Bolt(bucket) => bucket.path(),
            Bucket::Sql(bucket) => bucket.path(),
        }
    }

    /// The key of this bucket in the enclosing one; empty for the root bucket.
    pub fn name(&self) -> &[u8] {
        match self {
            Bucket::Bolt(bucket) => bucket.name(),
            Bucket::Sql(bucket) => bucket.name(),
        }
    }

    /// The sequence counter; 0 if it is too damaged to tell.
    pub fn sequence(&self) -> u64 {
        match self {
            Bucket::Bolt(bucket) => bucket.sequence(),
            Bucket::Sql(bucket) => bucket.sequence(),
        }
    }

    /// Iterates over the entries in byte order and stops after the first error.
    ///
    /// # Errors
    /// Each item can be an error. A caller that descends into buckets must leave out what
    /// [`Tree::survey`] names: damaged buckets can share their content.
    pub fn entries(&self) -> Entries<'t> {
        match self {
            Bucket::Bolt(bucket) => Entries::Bolt(bucket.entries()),
            Bucket::Sql(bucket) => Entries::Sql(bucket.entries()),
        }
    }

    /// Looks up a key; `None` if there is no such entry.
    ///
    /// # Errors
    /// If the way to it cannot be read.
    pub fn get(&self, key: &[u8]) -> Result<Option<Entry<'t>>, ReadError> {
        match self {
            Bucket::Bolt(bucket) => Ok(bucket.get(key)?.map(Entry::from)),
            Bucket::Sql(bucket) => bucket.get(key),
        }
    }

    /// Looks up a nested bucket; `None` if there is no such entry, or it is a value.
    ///
    /// # Errors
    /// As [`Bucket::get`].
    pub fn bucket(&self, key: &[u8]) -> Result<Option<Bucket<'t>>, ReadError> {
        Ok(match self.get(key)? {
            Some(Entry::Bucket(bucket)) => Some(bucket),
            Some(Entry::Value(_)) | None => None,
        })
    }

    /// Looks up a value; `None` if there is no such entry, or it is a bucket.
    ///
    /// # Errors
    /// As [`Bucket::get`], and if the entry is damaged so that it could be either.
    pub fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        match self.get(key)? {
            Some(Entry::Value(value)) => Ok(Some(value)),
            Some(Entry::Bucket(Bucket::Sql(bucket))) => bucket.require_whole().map(|()| None),
            Some(Entry::Bucket(Bucket::Bolt(_))) | None => Ok(None),
        }
    }
}

impl<'t> Iterator for Entries<'t> {
    type Item = Result<(Vec<u8>, Entry<'t>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Entries::Bolt(entries) => entries.next().map(|item| {
                let (key, entry) = item?;
                Ok((key, entry.into()))
            }),
            Entries::Sql(entries) => entries.next(),
        }
    }
}

impl std::iter::FusedIterator for Entries<'_> {}
