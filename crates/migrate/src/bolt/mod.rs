//! A reader of bbolt files, the form in which lnd keeps its channel state, and one change to them.
//!
//! bbolt puts no checksum on its data pages, so nothing read from one is taken on trust: every page is
//! checked against the file and against the pages that lead to it before anything in it is used.
//! Three rules shape the errors:
//!
//! * what makes the file as a whole unusable is an [`OpenError`] or a [`FileError`],
//! * a fault in a bucket's pages is a [`TreeDamage`] that names this bucket, and everything outside of
//!   it stays readable,
//! * what one bucket alone cannot show, such as a page used by two buckets, is found by
//!   [`BoltFile::survey`].
//!
//! So a careful caller opens the file, surveys it once, decides what to do about the damage, and then
//! reads the buckets the survey did not name.
//!
//! | Module | Content |
//! |---|---|
//! | `meta` | meta pages, page size, which state of the file counts |
//! | `page` | one checked page |
//! | `cursor` | from page to page through the tree of one bucket |
//! | `bucket` | entries and look-ups for callers |
//! | `survey` | the check of the whole file |
//! | `fingerprint` | what tells one state of a file from another |
//! | `edit` | puts or removes one top-level bucket |

mod bucket;
mod cursor;
mod edit;
mod error;
mod fingerprint;
mod meta;
mod page;
mod path;
mod survey;

use std::fs::{self, File, TryLockError};
use std::path::Path;

pub use self::bucket::{Bucket, Entries, Entry};
pub use self::edit::{BoltWriter, Change, EditError, Step};
pub use self::error::{FileError, MetaFault, OpenError, PageFault, ReadError, TreeDamage};
pub use self::meta::{FileInfo, MetaInfo};
pub(crate) use self::path::BucketPath;
pub use self::path::display_path;
pub use self::survey::Survey;

/// A bbolt file opened for reading, under a shared lock until it is dropped.
///
/// The lock is the one bbolt itself uses, so a starting lnd waits for this value to be dropped and
/// fails if that takes too long. It is advisory: a file copied while lnd ran can be torn all the same.
#[derive(Debug)]
pub struct BoltFile {
    file: File,
    info: FileInfo,
}

impl BoltFile {
    /// Opens the file at `path`, locks it and chooses the state to read.
    ///
    /// Nothing below the meta pages is read yet, see [`BoltFile::survey`].
    ///
    /// # Errors
    ///
    /// * [`OpenError::Open`], [`OpenError::NotAFile`], [`OpenError::Lock`] and [`OpenError::Read`] if
    ///   the operating system does not hand out the file, or it is no regular file
    /// * [`OpenError::Locked`] while a bbolt writer has the file open
    /// * [`OpenError::Empty`], [`OpenError::BigEndian`] and [`OpenError::NoValidMeta`] if it is no
    ///   database this reader knows
    /// * [`OpenError::Truncated`], [`OpenError::RootOutOfRange`] and
    ///   [`OpenError::FreelistOutOfRange`] if it is one, but nothing in it can be trusted
    pub fn open(path: &Path) -> Result<BoltFile, OpenError> {
        BoltFile::require_regular(path)?;
        let file = File::open(path).map_err(|source| OpenError::Open { source })?;
        file.try_lock_shared().map_err(|refused| match refused {
            TryLockError::WouldBlock => OpenError::Locked,
            TryLockError::Error(source) => OpenError::Lock { source },
        })?;
        BoltFile::locked(file)
    }

    /// Opening a named pipe would block until somebody writes to it.
    fn require_regular(path: &Path) -> Result<(), OpenError> {
        let kind = fs::metadata(path).map_err(|source| OpenError::Open { source })?;
        if kind.is_file() { Ok(()) } else { Err(OpenError::NotAFile) }
    }

    /// Reads the meta pages of a file that is locked.
    fn locked(file: File) -> Result<BoltFile, OpenError> {
        // The size is taken under the lock: a writer may have been growing the file before.
        let size = file.metadata().map_err(|source| OpenError::Open { source })?.len();
        let info = meta::choose(&file, size)?;
        Ok(BoltFile { file, info })
    }

    /// Says what the meta pages told about the file.
    pub fn info(&self) -> &FileInfo {
        &self.info
    }

    /// Returns the root bucket, whose entries are the top-level buckets.
    pub fn root(&self) -> Bucket<'_> {
        Bucket::root(self)
    }

    /// Walks every page of every bucket once and lists the damaged buckets.
    ///
    /// Only the structure is checked, values are not copied. Memory stays flat: one bit per page of the
    /// file (two if the free list is stored), the pages from the root to the place of the walk, and the
    /// damage found.
    ///
    /// The walk goes on after damage: with the other pages of the damaged bucket, then with all others.
    /// Everything below a damaged bucket is to be counted as lost with it.
    ///
    /// # Errors
    ///
    /// * [`FileError::Truncated`] if a page of the tree lies beyond the end of the file
    /// * [`FileError::Io`] if the operating system cannot read a page
    /// * [`FileError::OutOfMemory`] if a page run or the set of seen pages does not fit in memory
    /// * [`FileError::TooMuchDamage`] if the list of damaged buckets grows out of bounds
    pub fn survey(&self) -> Result<Survey, FileError> {
        survey::run(self).map(|(survey, _)| survey)
    }
}
