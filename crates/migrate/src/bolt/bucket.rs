//! Buckets as callers see them: entries in key order, and look-ups.

use std::fmt;

use super::BoltFile;
use super::cursor::{Cursor, LoadError, descend};
use super::error::{PageFault, ReadError};
use super::page::{Bounds, Node, u64_at};
use super::path::BucketPath;
use super::survey::Seen;

/// Bytes of a bucket value before the inline page.
const BUCKET_HEADER: usize = 16;

/// Buckets inside buckets, at most; lnd's deepest is at level 5.
///
/// Without a bound a hostile file could lead callers that recurse through buckets into a cycle.
pub(super) const MAX_NESTING: usize = 32;

/// A bucket of a bbolt file: a sorted map of keys to values and further buckets.
///
/// Getting hold of a bucket never fails. If the entry that describes it is damaged, everything read
/// from it is the error, so that the enclosing bucket and the neighbours stay readable.
#[derive(Clone)]
pub struct Bucket<'f> {
    file: &'f BoltFile,
    path: BucketPath,
    sequence: u64,
    root: Root,
}

/// What a key leads to.
#[derive(Debug, Clone)]
pub enum Entry<'f> {
    /// Plain bytes, possibly none.
    Value(Vec<u8>),
    /// A bucket of its own.
    Bucket(Bucket<'f>),
}

/// The entries of a bucket in key order, see [`Bucket::entries`].
#[derive(Debug)]
pub struct Entries<'f> {
    bucket: Bucket<'f>,
    cursor: Cursor<'f>,
    done: bool,
}

/// Where the tree of a bucket starts.
#[derive(Debug, Clone)]
pub(super) enum Root {
    /// At a page of its own.
    Page(u64),
    /// In the value that describes the bucket, already checked.
    Inline(Node),
    /// Nowhere: the value that describes the bucket is damaged.
    Broken { page: u64, fault: PageFault },
}

impl Root {
    pub(super) fn load(&self, file: &BoltFile, seen: Option<&mut Seen>) -> Result<Node, LoadError> {
        match self {
            Root::Page(page) => file.load(*page, Bounds::default(), seen),
            Root::Inline(node) => Ok(node.clone()),
            Root::Broken { page, fault } => Err(LoadError::Page { page: *page, fault: *fault }),
        }
    }
}

impl<'f> Bucket<'f> {
    pub(super) fn root(file: &'f BoltFile) -> Bucket<'f> {
        let meta = file.info().meta();
        Bucket {
            file,
            path: BucketPath::default(),
            sequence: meta.sequence,
            root: Root::Page(meta.root_page),
        }
    }

    /// Returns the names from the top level down to this bucket; none for the root bucket.
    pub fn path(&self) -> Vec<Vec<u8>> {
        self.path.to_vec()
    }

    /// Returns the key of this bucket in the enclosing one; empty for the root bucket.
    pub fn name(&self) -> &[u8] {
        self.path.name()
    }

    /// Returns the sequence counter; 0 if the entry that describes the bucket is too damaged to tell.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Says whether the bucket is stored inside the page of the enclosing one.
    pub fn is_inline(&self) -> bool {
        matches!(self.root, Root::Inline(_))
    }

    /// Iterates over the entries in key order and stops after the first error.
    ///
    /// At any time only the pages from the root to one leaf are held. Every page is checked before its
    /// entries are returned, and the walk ends even if the pages lead in a circle.
    ///
    /// What only the whole file can show is left to [`BoltFile::survey`]. A caller that descends into
    /// the buckets it meets must leave out those the survey names: two buckets of a damaged file can
    /// share their pages, and then the number of paths through them is not bounded by the file size.
    ///
    /// # Errors
    ///
    /// Each item can be [`ReadError::Damaged`] with the path of this bucket, or [`ReadError::File`].
    pub fn entries(&self) -> Entries<'f> {
        Entries { bucket: self.clone(), cursor: self.cursor(), done: false }
    }

    /// Looks up a key; `None` if there is no such entry.
    ///
    /// Reads and checks only the pages on the way to the key, so in a bucket that is damaged elsewhere
    /// `None` is no proof of absence.
    ///
    /// # Errors
    ///
    /// * [`ReadError::Damaged`] with the path of this bucket if a page on the way is damaged
    /// * [`ReadError::File`] if the file is truncated or cannot be read
    pub fn get(&self, key: &[u8]) -> Result<Option<Entry<'f>>, ReadError> {
        self.find(key).map_err(|error| error.blame(&self.path))
    }

    /// Looks up a nested bucket; `None` if there is no such entry, or it is a value.
    ///
    /// # Errors
    ///
    /// As [`Bucket::get`]. Damage of the nested bucket itself shows when it is read.
    pub fn bucket(&self, key: &[u8]) -> Result<Option<Bucket<'f>>, ReadError> {
        Ok(match self.get(key)? {
            Some(Entry::Bucket(bucket)) => Some(bucket),
            Some(Entry::Value(_)) | None => None,
        })
    }

    /// Looks up a value; `None` if there is no such entry, or it is a bucket.
    ///
    /// # Errors
    ///
    /// As [`Bucket::get`].
    pub fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(match self.get(key)? {
            Some(Entry::Value(value)) => Some(value),
            Some(Entry::Bucket(_)) | None => None,
        })
    }

    pub(super) fn bucket_path(&self) -> &BucketPath {
        &self.path
    }

    pub(super) fn file(&self) -> &'f BoltFile {
        self.file
    }

    pub(super) fn cursor(&self) -> Cursor<'f> {
        Cursor::new(self.file, self.path.clone(), self.root.clone())
    }

    fn find(&self, key: &[u8]) -> Result<Option<Entry<'f>>, LoadError> {
        let mut node = self.root.load(self.file, None)?;
        let mut upper = None;
        let mut depth = 1_usize;
        loop {
            let place =
                node.find(key).map_err(|fault| LoadError::Page { page: node.page(), fault })?;
            let element = match place {
                Ok(element) if node.is_leaf() => return self.entry(&node, element).map(Some),
                Err(_) if node.is_leaf() => return Ok(None),
                Ok(element) => element,
                // The child left of the place holds the key; left of the first child there is none.
                Err(place) => match place.checked_sub(1) {
                    Some(element) => element,
                    None => return Ok(None),
                },
            };
            (node, upper) = descend(self.file, &node, element, upper.as_deref(), depth, None)?;
            depth = depth.saturating_add(1);
        }
    }

    fn entry(&self, node: &Node, element: usize) -> Result<Entry<'f>, LoadError> {
        let bad = |fault| LoadError::Page { page: node.page(), fault };
        Ok(match self.child(node, element).map_err(bad)? {
            Some(bucket) => Entry::Bucket(bucket),
            None => Entry::Value(node.value(element).map_err(bad)?.to_vec()),
        })
    }

    /// The bucket a leaf element of this bucket describes; `None` for a value.
    pub(super) fn child(
        &self,
        node: &Node,
        element: usize,
    ) -> Result<Option<Bucket<'f>>, PageFault> {
        let is_bucket = node.is_bucket(element)?;
        let in_root = self.path.depth() == 0;
        if !is_bucket && !in_root {
            return Ok(None);
        }
        let value = node.value(element)?;
        let path = self.path.child(node.key(element)?);
        let root = if !is_bucket {
            Err(PageFault::NotABucket { element })
        } else if path.depth() > MAX_NESTING {
            Err(PageFault::NestedTooDeep { limit: MAX_NESTING })
        } else {
            child_root(node, element, value)
        };
        let root = root.unwrap_or_else(|fault| Root::Broken { page: node.page(), fault });
        let sequence = if is_bucket { u64_at(value, 8).unwrap_or(0) } else { 0 };
        Ok(Some(Bucket { file: self.file, path, sequence, root }))
    }
}

fn child_root(node: &Node, element: usize, value: &[u8]) -> Result<Root, PageFault> {
    let length = PageFault::BucketValueLength { element, found: value.len() };
    match u64_at(value, 0) {
        Some(0) => node.check_inline(element, BUCKET_HEADER).map(Root::Inline),
        Some(page) if value.len() == BUCKET_HEADER => Ok(Root::Page(page)),
        _ => Err(length),
    }
}

impl<'f> Iterator for Entries<'f> {
    type Item = Result<(Vec<u8>, Entry<'f>), ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.cursor.next(None).map(|found| {
            let (node, element) = found?;
            let entry = node
                .key(element)
                .map_err(|fault| LoadError::Page { page: node.page(), fault })
                .and_then(|key| Ok((key.to_vec(), self.bucket.entry(&node, element)?)));
            entry.map_err(|error| error.blame(&self.bucket.path))
        });
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}

impl std::iter::FusedIterator for Entries<'_> {}

impl fmt::Debug for Bucket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("path", &super::display_path(&self.path()).to_string())
            .field("sequence", &self.sequence)
            .field("inline", &self.is_inline())
            .finish_non_exhaustive()
    }
}
