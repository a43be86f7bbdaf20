//! An lnd database as a source: what may be read of it, and in which order.

use std::collections::BTreeSet;
use std::path::Path as FilePath;

use bytes::Bytes;
use thiserror::Error;

use super::codec::keys::bucket as top;
use super::codec::{keys, small};
use super::path::Path;
use super::tree::sql::{self, SqlTree};
use super::tree::{Bucket, Entries, Entry, ReadError, Survey, Tree};
use crate::bolt::{BoltFile, OpenError};

/// Versions of lnd's database whose channel state has the layout known here.
pub const VERSIONS: std::ops::RangeInclusive<u32> = 29..=35;

/// Version of a database that has metadata without a version, as lnd takes it.
const VERSION_IF_MISSING: u32 = 33;

/// Top-level buckets that hold channel state and link nodes, in walk order.
pub const BUCKETS: [&[u8]; 12] = [
    top::CHANNEL_IDS,
    top::OPENING_STATES,
    top::CLOSED_CHANNELS,
    top::TOMBSTONE,
    top::FINAL_HTLCS,
    top::PACKAGES,
    top::HISTORICAL_CHANNELS,
    top::FORWARDING_POLICIES,
    top::METADATA,
    top::LINK_NODES,
    top::OPEN_CHANNELS,
    top::OUTPOINTS,
];

/// Why nothing can be read from a file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file is not a database, or not one that can be used.
    #[error("cannot be opened")]
    Open(#[from] OpenError),
    /// The SQL database has no table that can be used.
    #[error("cannot be opened")]
    Sql(#[from] sql::OpenError),
    /// The database as a whole is damaged or cannot be read.
    #[error("cannot be read")]
    Read(#[from] ReadError),
    /// The database is older or newer than what is known.
    #[error(
        "database version {found}, known are {} to {}; start the matching lnd once to migrate it",
        VERSIONS.start(),
        VERSIONS.end()
    )]
    Version {
        /// Version in the file.
        found: u32,
    },
    /// The content was moved to another database; what is left here is outdated.
    #[error("database was migrated away and must not be used any more ({0})")]
    Tombstoned(String),
}

/// An lnd database, opened so that it does not change under the reader, and surveyed.
#[derive(Debug)]
pub struct LndSource {
    tree: Tree,
    survey: Survey,
    version: Option<u32>,
    tombstone: Option<String>,
}

/// Buckets and records that are not to be read, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused(BTreeSet<Path>);

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A bucket with its sequence counter.
    Bucket(u64),
    /// A value.
    Value(Bytes),
}

/// One bucket or value of the walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LndEntry {
    /// Where it is.
    pub path: Path,
    /// What is there.
    pub content: Content,
}

impl LndSource {
    /// Opens a bbolt file under a shared lock, looks at the whole tree, and checks version and
    /// tombstone.
    ///
    /// # Errors
    /// `Open`, `Read`, `Version`; `Tombstoned` unless `allow_tombstoned`.
    pub fn open(path: &FilePath, allow_tombstoned: bool) -> Result<LndSource, SourceError> {
        LndSource::of(Tree::Bolt(BoltFile::open(path)?), allow_tombstoned)
    }

    /// As [`LndSource::open`], with an SQLite file in a snapshot.
    ///
    /// # Errors
    /// `Sql`, `Read`, `Version`; `Tombstoned` unless `allow_tombstoned`.
    pub fn open_sqlite(path: &FilePath, allow_tombstoned: bool) -> Result<LndSource, SourceError> {
        LndSource::of(Tree::Sql(SqlTree::open_sqlite(path)?), allow_tombstoned)
    }

    /// As [`LndSource::open`], with a table in PostgreSQL in a snapshot.
    ///
    /// # Errors
    /// `Sql`, `Read`, `Version`; `Tombstoned` unless `allow_tombstoned`.
    pub fn open_postgres(
        place: &sql::Place,
        allow_tombstoned: bool,
    ) -> Result<LndSource, SourceError> {
        LndSource::of(Tree::Sql(SqlTree::open_postgres(place)?), allow_tombstoned)
    }

    fn of(tree: Tree, allow_tombstoned: bool) -> Result<LndSource, SourceError> {
        let survey = tree.survey()?;
        let version = read_version(&tree.root())?;
        if let Some(found) = version
            && !VERSIONS.contains(&found)
        {
            return Err(SourceError::Version { found });
        }
        let tombstone = read_tombstone(&tree.root())?;
        match tombstone {
            Some(text) if !allow_tombstoned => Err(SourceError::Tombstoned(text)),
            tombstone => Ok(LndSource { tree, survey, version, tombstone }),
        }
    }

    /// Its buckets.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What the look at the whole tree found.
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// Version of the database; `None` if its metadata is damaged or missing.
    pub fn version(&self) -> Option<u32> {
        self.version
    }

    /// Text left by the tool that moved the content away.
    pub fn tombstone(&self) -> Option<&str> {
        self.tombstone.as_deref()
    }

    /// Parts that the look at the whole tree found damaged.
    pub fn damaged(&self) -> Refused {
        Refused(self.survey.damage.iter().map(|damage| damage.path.clone()).collect())
    }

    /// A bucket; `None` if it is not there, or it or one around it is refused.
    ///
    /// # Errors
    /// If what is on the way cannot be read.
    pub fn bucket(
        &self,
        path: &[&[u8]],
        refused: &Refused,
    ) -> Result<Option<Bucket<'_>>, ReadError> {
        let mut bucket = self.tree.root();
        if refused.contains(&Path::new()) {
            return Ok(None);
        }
        for name in path {
            match bucket.bucket(name)? {
                Some(child) if !refused.refuses(&child) => bucket = child,
                _ => return Ok(None),
            }
        }
        Ok(Some(bucket))
    }

    /// Walks everything that belongs to channel state and link nodes and is not refused.
    pub fn walk<'a>(&'a self, refused: &'a Refused) -> Walk<'a> {
        let root = (!refused.contains(&Path::new())).then(|| self.tree.root().entries());
        Walk { refused, stack: root.into_iter().collect(), path: Path::new() }
    }

    /// Names of the top-level buckets that belong to others and are left untouched. None are known
    /// if the top level is damaged.
    ///
    /// # Errors
    /// If the top level cannot be read.
    pub fn other_tenants(&self) -> Result<Vec<Vec<u8>>, ReadError> {
        let mut names = Vec::new();
        if self.damaged().contains(&[]) {
            return Ok(names);
        }
        for entry in self.tree.root().entries() {
            let (name, _) = entry?;
            if !BUCKETS.contains(&name.as_slice()) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

impl Refused {
    /// Adds a path.
    pub fn add(&mut self, path: Path) {
        self.0.insert(path);
    }

    /// Whether exactly this path is refused.
    pub fn contains(&self, path: &[Vec<u8>]) -> bool {
        !self.0.is_empty() && self.0.contains(path)
    }

    /// Whether this bucket is refused.
    pub fn refuses(&self, bucket: &Bucket<'_>) -> bool {
        // Asking costs the bucket's path, which nobody needs as long as nothing is refused.
        !self.0.is_empty() && self.0.contains(&bucket.path())
    }

    /// Whether nothing is refused.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The refused paths in walk order.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.0.iter()
    }
}

/// An iterator over buckets and values in walk order. Holds one page path, or one page of rows, for
/// each level.
pub struct Walk<'a> {
    refused: &'a Refused,
    stack: Vec<Entries<'a>>,
    path: Path,
}

impl<'a> Walk<'a> {
    /// Walks everything below the top level that belongs to channel state and link nodes and is not
    /// refused.
    pub(crate) fn of(root: &Bucket<'a>, refused: &'a Refused) -> Walk<'a> {
        Walk { refused, stack: vec![root.entries()], path: Path::new() }
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<LndEntry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // The path names the buckets that are being walked, the root not included.
            self.path.truncate(self.stack.len().saturating_sub(1));
            let entry = match self.stack.last_mut()?.next() {
                None => {
                    self.stack.pop();
                    continue;
                }
                Some(Err(error)) => {
                    self.stack.clear();
                    return Some(Err(error));
                }
                Some(Ok(entry)) => entry,
            };
            let (name, content) = entry;
            let top_level = self.path.is_empty();
            if top_level && !BUCKETS.contains(&name.as_slice()) {
                continue;
            }
            self.path.push(name);
            if self.refused.contains(&self.path) {
                continue;
            }
            let path = self.path.clone();
            let content = match content {
                Entry::Value(value) => Content::Value(value.into()),
                Entry::Bucket(bucket) => {
                    let sequence = bucket.sequence();
                    self.stack.push(bucket.entries());
                    Content::Bucket(sequence)
                }
            };
            return Some(Ok(LndEntry { path, content }));
        }
    }
}

/// Reads the version. A damaged metadata bucket is the survey's business.
fn read_version(root: &Bucket<'_>) -> Result<Option<u32>, SourceError> {
    let metadata = match root.bucket(top::METADATA) {
        Ok(Some(metadata)) => metadata,
        Ok(None) | Err(ReadError::Damaged(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    match metadata.value(keys::metadata::DB_VERSION) {
        Ok(Some(value)) => Ok(small::decode_db_version(value.into()).ok()),
        Ok(None) => Ok(Some(VERSION_IF_MISSING)),
        Err(ReadError::Damaged(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Reads the tombstone. One that cannot be read counts: better refuse than use outdated state.
/// Damage of the top level is the survey's business, nothing is read then.
fn read_tombstone(root: &Bucket<'_>) -> Result<Option<String>, SourceError> {
    let text = match root.bucket(top::TOMBSTONE) {
        Ok(None) => return Ok(None),
        Ok(Some(bucket)) => bucket.value(top::TOMBSTONE),
        Err(error) => Err(error),
    };
    match text {
        Ok(value) => Ok(value.map(|text| String::from_utf8_lossy(&text).into_owned())),
        Err(ReadError::Damaged(damage)) if damage.path.is_empty() => Ok(None),
        Err(ReadError::Damaged(_)) => Ok(Some("damaged marker".into())),
        Err(error) => Err(error.into()),
    }
}
