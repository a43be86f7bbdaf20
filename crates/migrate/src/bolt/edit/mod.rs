//! Changes one top-level bucket of a bbolt file, as bbolt itself would, so that a crash leaves the old
//! state or the new one.
//!
//! No page in use is overwritten. The pages from the root to the place of the change are written anew
//! behind all others, and synced; then the meta page that does not count gets a higher transaction
//! number and names them, in one write, and is synced. Until that write is whole its checksum is wrong,
//! and the other meta page counts.
//!
//! What bbolt does beyond that is optional, and not done: a page that grows gets overflow pages instead
//! of being split, and free pages are left for bbolt to use.

mod image;

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use thiserror::Error;

use self::image::Image;
use super::BoltFile;
use super::bucket::Bucket;
use super::cursor::{LoadError, descend};
use super::error::{FileError, OpenError, PageFault, ReadError, TreeDamage};
use super::page::{Bounds, Node};
use super::survey::{self, PageSet};

/// What becomes of a top-level bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// It holds one value, and whatever it held before is gone.
    Put {
        /// Its name.
        name: &'a [u8],
        /// Key of the value.
        key: &'a [u8],
        /// The value.
        value: &'a [u8],
    },
    /// It is gone with everything in it.
    Remove {
        /// Its name.
        name: &'a [u8],
    },
}

/// What is to be done to a file, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Bytes are written; the file grows if they reach beyond its end.
    Write {
        /// Place of the first byte.
        at: u64,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Everything written so far reaches the disk.
    Sync,
}

/// Why a file is not changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EditError {
    /// The file as a whole is damaged or cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A bucket is damaged: a change could take away what may still be saved.
    #[error(transparent)]
    Damaged(#[from] TreeDamage),
    /// The stored list of free pages is damaged.
    #[error("the free list is damaged")]
    Freelist(#[source] PageFault),
    /// The bucket does not fit where lnd would put it.
    #[error("{found} bytes are too many, {most} fit")]
    TooLong {
        /// Bytes of the bucket.
        found: usize,
        /// Most bytes that fit.
        most: usize,
    },
    /// A page or a number has no room for more.
    #[error("the file has no room for another bucket")]
    Full,
    /// Writing failed. Whether the change is in force shows when the file is opened again.
    #[error("cannot write the file")]
    Write(#[source] io::Error),
}

/// A bbolt file opened for a change, under an exclusive lock until it is dropped.
#[derive(Debug)]
pub struct BoltWriter {
    file: BoltFile,
}

impl BoltWriter {
    /// Opens the file at `path` and locks it, as lnd does.
    ///
    /// # Errors
    /// As [`BoltFile::open`]; `Locked` while anybody else has it open, to read or to write.
    pub fn open(path: &Path) -> Result<BoltWriter, OpenError> {
        BoltFile::require_regular(path)?;
        let opened = File::options().read(true).write(true).open(path);
        let file = opened.map_err(|source| OpenError::Open { source })?;
        file.try_lock().map_err(|refused| match refused {
            TryLockError::WouldBlock => OpenError::Locked,
            TryLockError::Error(source) => OpenError::Lock { source },
        })?;
        Ok(BoltWriter { file: BoltFile::locked(file)? })
    }

    /// The file, to be read.
    pub fn file(&self) -> &BoltFile {
        &self.file
    }

    /// Says what a change takes, and does nothing of it.
    ///
    /// # Errors
    /// Any [`EditError`] but `Write`.
    pub fn plan(&self, change: Change<'_>) -> Result<Vec<Step>, EditError> {
        Plan::new(&self.file)?.steps(change)
    }

    /// Carries a plan out. After an error the file may be in the old state or in the new one.
    ///
    /// # Errors
    /// `Write`.
    pub fn carry_out(self, steps: &[Step]) -> Result<(), EditError> {
        let carried = steps.iter().try_for_each(|step| match step {
            Step::Write { at, bytes } => self.file.file.write_all_at(bytes, *at),
            Step::Sync => self.file.file.sync_all(),
        });
        carried.map_err(EditError::Write)
    }
}

impl Change<'_> {
    fn name(&self) -> &[u8] {
        match self {
            Change::Put { name, .. } | Change::Remove { name } => name,
        }
    }
}

/// Pages from the root to a leaf, each with the place in it where something is, or where it belongs.
type Way = Vec<(Node, Result<usize, usize>)>;

/// What is known of a sound file, and what is written to it.
struct Plan<'f> {
    file: &'f BoltFile,
    /// Pages in use once the change is in force, of those that there are now.
    used: PageSet,
    image: Image,
}

impl<'f> Plan<'f> {
    /// Refuses a damaged file.
    fn new(file: &'f BoltFile) -> Result<Plan<'f>, EditError> {
        let (survey, used) = survey::run(file)?;
        if let Some(damage) = survey.damage.into_iter().next() {
            return Err(damage.into());
        }
        if let Some(fault) = survey.freelist_fault {
            return Err(EditError::Freelist(fault));
        }
        let info = file.info();
        Ok(Plan { file, used, image: Image::new(info.page_size, info.meta().high_water_mark) })
    }

    fn steps(mut self, change: Change<'_>) -> Result<Vec<Step>, EditError> {
        let root = self.root(change)?;
        let freelist = match self.file.info().meta().freelist_page {
            None => None,
            Some(_) => Some(self.freelist()?),
        };
        let Plan { file, image, .. } = self;
        let meta = image.meta(file.info(), root, freelist);
        let mut steps = image.into_steps();
        steps.extend([Step::Sync, meta, Step::Sync]);
        Ok(steps)
    }

    /// Writes the pages of the root bucket that change; returns its new root page.
    fn root(&mut self, change: Change<'_>) -> Result<u64, EditError> {
        let name = change.name();
        let mut way = self.way_to(name)?;
        let Some((leaf, place)) = way.pop() else { return Err(EditError::Full) };
        let mut elements = image::leaf_elements(&leaf).map_err(bad(&leaf))?;
        if place.is_ok() {
            self.free_bucket(name)?;
        }
        match (change, place) {
            (Change::Put { key, value, .. }, Ok(at)) => {
                let bucket = self.image.inline_bucket(key, value)?;
                elements.splice(at..=at, [(true, name.to_vec(), bucket)]);
            }
            (Change::Put { key, value, .. }, Err(at)) => {
                let bucket = self.image.inline_bucket(key, value)?;
                elements.insert(at, (true, name.to_vec(), bucket));
            }
            (Change::Remove { .. }, Ok(at)) => drop(elements.remove(at)),
            (Change::Remove { .. }, Err(_)) => {}
        }
        self.free(&leaf);
        // What takes the place of a page in the branch above it: nothing, if it became empty.
        let mut below = match elements.first().map(|(_, key, _)| key.clone()) {
            None if !way.is_empty() => None,
            first => Some((first.unwrap_or_default(), self.image.leaf(&elements)?)),
        };
        while let Some((branch, place)) = way.pop() {
            let mut children = image::branch_elements(&branch).map_err(bad(&branch))?;
            let at = place.unwrap_or_else(|at| at.saturating_sub(1));
            self.free(&branch);
            match (below.take(), children.get_mut(at)) {
                (Some((first, page)), Some(child)) => {
                    child.0 = std::mem::take(&mut child.0).min(first);
                    child.1 = page;
                }
                (None, Some(_)) => drop(children.remove(at)),
                (_, None) => return Err(EditError::Full),
            }
            below = match children.first().map(|(key, _)| key.clone()) {
                None => None,
                Some(first) => Some((first, self.image.branch(&children)?)),
            };
        }
        match below {
            Some((_, root)) => Ok(root),
            None => self.image.leaf(&[]),
        }
    }

    /// The pages from the root to the leaf where a name is or belongs, each with its place there.
    fn way_to(&self, name: &[u8]) -> Result<Way, EditError> {
        let load = |error: LoadError| blame(error);
        let root = self.file.info().meta().root_page;
        let mut node = self.file.load(root, Bounds::default(), None).map_err(load)?;
        let (mut way, mut upper) = (Vec::new(), None);
        loop {
            let place = node.find(name).map_err(bad(&node))?;
            if node.is_leaf() {
                way.push((node, place));
                return Ok(way);
            }
            let element = place.unwrap_or_else(|at| at.saturating_sub(1));
            let depth = way.len().saturating_add(1);
            let below = descend(self.file, &node, element, upper.as_deref(), depth, None);
            let (child, end) = below.map_err(load)?;
            way.push((node, place));
            (node, upper) = (child, end);
        }
    }

    /// Gives back the pages of a bucket and of those in it.
    fn free_bucket(&mut self, name: &[u8]) -> Result<(), EditError> {
        let found = self.file.root().bucket(name).map_err(from_read)?;
        let mut buckets: Vec<Bucket<'_>> = found.into_iter().collect();
        while let Some(bucket) = buckets.pop() {
            let own = survey::pages_of(&bucket).map_err(from_read)?;
            self.used.remove_all(&own);
            for entry in bucket.entries() {
                if let (_, super::Entry::Bucket(child)) = entry.map_err(from_read)? {
                    buckets.push(child);
                }
            }
        }
        Ok(())
    }

    /// Gives back a page with its overflow pages.
    fn free(&mut self, node: &Node) {
        let pages = node.size() / u64::from(self.file.info().page_size);
        self.used.remove(node.page()..node.page().saturating_add(pages));
    }

    /// Writes the list of free pages: all that nothing leads to any more.
    fn freelist(&mut self) -> Result<u64, EditError> {
        let there = 2..self.file.info().meta().high_water_mark;
        let free: Vec<u64> = there.filter(|page| !self.used.contains(*page)).collect();
        self.image.freelist(&free)
    }
}

fn blame(error: LoadError) -> EditError {
    from_read(error.blame(&super::path::BucketPath::default()))
}

fn bad(node: &Node) -> impl FnOnce(PageFault) -> EditError {
    let page = node.page();
    move |fault| blame(LoadError::Page { page, fault })
}

fn from_read(error: ReadError) -> EditError {
    match error {
        ReadError::File(error) => error.into(),
        ReadError::Damaged(damage) => damage.into(),
    }
}
