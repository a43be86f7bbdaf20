//! One walk over the whole file, to find every damaged bucket before anything is read from it.

use std::ops::Range;

use super::BoltFile;
use super::bucket::Bucket;
use super::cursor::{Cursor, LoadError};
use super::error::{FileError, PageFault, ReadError, TreeDamage};
use super::page::{FREELIST, HEADER, Header, u64_at};

/// Bytes of bucket names the list of damage may hold.
///
/// Enough for every bucket of a large node; a hostile file could have far more and longer ones.
const MAX_NAMES: usize = 64 << 20;

/// Bytes of damaged pages the walk may read, besides once the size of the file.
///
/// Real damage is read once for each pointer to it. In a hostile file any number of pages can claim the
/// same megabytes as their overflow.
const MIN_WASTE: u64 = 64 << 20;

/// What a walk over the whole file found, see [`BoltFile::survey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The damaged buckets in walk order, each once and with the first fault found in it.
    pub damage: Vec<TreeDamage>,
    /// What is wrong with the stored free list, which a reader does without.
    ///
    /// A damaged free list is not used to check pages.
    pub freelist_fault: Option<PageFault>,
    /// Pages in use, overflow pages included, meta pages and free list not.
    pub pages: u64,
    /// Buckets found, the root bucket not included.
    pub buckets: u64,
    /// Values found in all buckets.
    pub keys: u64,
}

impl Survey {
    /// Says whether no bucket is damaged.
    pub fn is_clean(&self) -> bool {
        self.damage.is_empty()
    }

    /// Returns the damage that takes away the bucket at `path`: its own or that of an enclosing bucket.
    pub fn damage_of(&self, path: &[Vec<u8>]) -> Option<&TreeDamage> {
        self.damage.iter().find(|damage| path.starts_with(&damage.path))
    }
}

/// Walks the whole file; also returns the pages in use.
pub(super) fn run(file: &BoltFile) -> Result<(Survey, PageSet), FileError> {
    let (free, freelist_fault) = match read_freelist(file) {
        Ok(free) => (free, None),
        Err(LoadError::Page { fault, .. }) => (None, Some(fault)),
        Err(LoadError::File(error)) => return Err(error),
    };
    let mut walk = Walk {
        seen: Seen {
            seen: PageSet::new(file)?,
            free,
            listed: None,
            waste: file.info().size.saturating_add(MIN_WASTE),
        },
        survey: Survey { damage: Vec::new(), freelist_fault, pages: 0, buckets: 0, keys: 0 },
        names: 0,
    };
    let mut levels = vec![Level::new(file.root())];
    while let Some(level) = levels.last_mut() {
        let found = level.cursor.next(Some(&mut walk.seen));
        if let Some((page, fault)) = walk.seen.listed.take() {
            walk.record(level, page, fault)?;
        }
        let Some(found) = found else {
            levels.pop();
            continue;
        };
        let child = found.and_then(|(node, element)| {
            let blame = |fault| {
                LoadError::Page { page: node.page(), fault }.blame(level.bucket.bucket_path())
            };
            level.bucket.child(&node, element).map_err(blame)
        });
        match child {
            Ok(None) => walk.survey.keys = walk.survey.keys.saturating_add(1),
            Ok(Some(bucket)) => {
                walk.survey.buckets = walk.survey.buckets.saturating_add(1);
                levels.push(Level::new(bucket));
            }
            Err(ReadError::File(error)) => return Err(error),
            Err(ReadError::Damaged(damage)) => walk.record(level, damage.page, damage.fault)?,
        }
    }
    walk.survey.pages = walk.seen.seen.marked;
    Ok((walk.survey, walk.seen.seen))
}

/// The pages of one bucket, without those of the buckets in it.
pub(super) fn pages_of(bucket: &Bucket<'_>) -> Result<PageSet, ReadError> {
    let file = bucket.file();
    let (free, listed) = (None, None);
    let mut seen = Seen { seen: PageSet::new(file)?, free, listed, waste: file.info().size };
    let mut cursor = bucket.cursor();
    while let Some(found) = cursor.next(Some(&mut seen)) {
        found?;
    }
    Ok(seen.seen)
}

struct Walk {
    seen: Seen,
    survey: Survey,
    /// Bytes of names in the damage recorded.
    names: usize,
}

impl Walk {
    /// Adds the first fault of a bucket to the list.
    fn record(
        &mut self,
        level: &mut Level<'_>,
        page: u64,
        fault: PageFault,
    ) -> Result<(), FileError> {
        if std::mem::replace(&mut level.damaged, true) {
            return Ok(());
        }
        let damage = TreeDamage { path: level.bucket.path(), page, fault };
        let own = size_of::<TreeDamage>();
        let names = damage.path.iter().map(|name| name.len().saturating_add(size_of::<Vec<u8>>()));
        self.names = names.fold(self.names.saturating_add(own), usize::saturating_add);
        if self.names > MAX_NAMES {
            return Err(FileError::TooMuchDamage);
        }
        self.survey.damage.push(damage);
        Ok(())
    }
}

/// A bucket on the way from the root bucket to the place of the walk.
struct Level<'f> {
    bucket: Bucket<'f>,
    cursor: Cursor<'f>,
    damaged: bool,
}

impl<'f> Level<'f> {
    fn new(bucket: Bucket<'f>) -> Level<'f> {
        Level { cursor: bucket.cursor(), bucket, damaged: false }
    }
}

/// What is known about pages while the file is walked.
#[derive(Debug)]
pub(super) struct Seen {
    seen: PageSet,
    free: Option<PageSet>,
    /// A page that is in use and listed as free, until the bucket it belongs to is blamed.
    ///
    /// The walk goes on below such a page: callers who read on regardless get that far, so a
    /// truncation there must not be missed.
    listed: Option<(u64, PageFault)>,
    /// Bytes of damaged pages that may still be read.
    waste: u64,
}

impl Seen {
    /// Refuses a run if one of its pages was seen before.
    pub(super) fn check(&self, mut run: Range<u64>) -> Result<(), PageFault> {
        match run.find(|&page| self.seen.contains(page)) {
            Some(page) => Err(PageFault::ReachedTwice { page }),
            None => Ok(()),
        }
    }

    /// Counts bytes read in vain.
    pub(super) fn waste(&mut self, read: u64) -> Result<(), FileError> {
        self.waste = self.waste.checked_sub(read).ok_or(FileError::TooMuchDamage)?;
        Ok(())
    }

    /// Adds a run of pages and notes if one of them is listed as free.
    pub(super) fn mark(&mut self, run: Range<u64>) {
        for page in run.clone() {
            self.seen.insert(page);
            if self.free.as_ref().is_some_and(|free| free.contains(page)) {
                self.listed.get_or_insert((run.start, PageFault::ListedFree { page }));
            }
        }
    }
}

/// A set of page numbers, one bit for each page of the file.
#[derive(Debug)]
pub(super) struct PageSet {
    words: Vec<u64>,
    marked: u64,
}

impl PageSet {
    /// An empty set with room for the pages that are both below the high-water mark and in the file.
    fn new(file: &BoltFile) -> Result<PageSet, FileError> {
        let info = file.info();
        let in_file = info.size.checked_div(u64::from(info.page_size)).unwrap_or(0);
        let bits = in_file.min(info.meta().high_water_mark);
        let length = bits.div_ceil(64);
        let no_memory = || FileError::OutOfMemory { bytes: length.saturating_mul(8) };
        let length = usize::try_from(length).map_err(|_| no_memory())?;
        let mut words = Vec::new();
        words.try_reserve_exact(length).map_err(|_| no_memory())?;
        words.resize(length, 0);
        Ok(PageSet { words, marked: 0 })
    }

    pub(super) fn contains(&self, page: u64) -> bool {
        let (word, bit) = PageSet::place(page);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    fn insert(&mut self, page: u64) {
        let (word, bit) = PageSet::place(page);
        if let Some(word) = self.words.get_mut(word).filter(|word| **word & bit == 0) {
            *word |= bit;
            self.marked = self.marked.saturating_add(1);
        }
    }

    pub(super) fn remove(&mut self, run: Range<u64>) {
        for page in run {
            let (word, bit) = PageSet::place(page);
            if let Some(word) = self.words.get_mut(word).filter(|word| **word & bit != 0) {
                *word &= !bit;
                self.marked = self.marked.saturating_sub(1);
            }
        }
    }

    pub(super) fn remove_all(&mut self, others: &PageSet) {
        for (word, other) in self.words.iter_mut().zip(&others.words) {
            self.marked = self.marked.saturating_sub(u64::from((*word & other).count_ones()));
            *word &= !other;
        }
    }

    fn place(page: u64) -> (usize, u64) {
        (usize::try_from(page / 64).unwrap_or(usize::MAX), 1 << (page % 64))
    }
}

/// Reads the stored free list; `None` if there is none.
fn read_freelist(file: &BoltFile) -> Result<Option<PageSet>, LoadError> {
    let Some(page) = file.info().meta().freelist_page else {
        return Ok(None);
    };
    let high_water_mark = file.info().meta().high_water_mark;
    let bad = |fault| LoadError::Page { page, fault };
    let (header, mut bytes) = file.read_first(page)?;
    if header.id != page {
        return Err(bad(PageFault::WrongId { found: header.id }));
    }
    if header.flags != FREELIST {
        return Err(bad(PageFault::WrongFlags { found: header.flags }));
    }
    let run = file.run(page, header)?;
    file.read_rest(&run, &mut bytes)?;
    let mut free = PageSet::new(file)?;
    for id in freelist_ids(header, &bytes).map_err(bad)? {
        if !(2..high_water_mark).contains(&id) {
            return Err(bad(PageFault::FreelistEntry { found: id, high_water_mark }));
        }
        free.insert(id);
    }
    Ok(Some(free))
}

/// The page numbers in a free-list page.
fn freelist_ids(header: Header, bytes: &[u8]) -> Result<impl Iterator<Item = u64> + '_, PageFault> {
    let room = bytes.len() as u64;
    // A count that does not fit in the header is stored in front of the list.
    let (count, from) = match header.count {
        0xFFFF => (u64_at(bytes, HEADER).unwrap_or(u64::MAX), HEADER + 8),
        count => (u64::from(count), HEADER),
    };
    let list = usize::try_from(count.saturating_mul(8))
        .ok()
        .and_then(|length| bytes.get(from..from.checked_add(length)?));
    let list = list.ok_or(PageFault::FreelistTooLong { count, room })?;
    Ok(list.chunks_exact(8).filter_map(|id| u64_at(id, 0)))
}
