//! From page to page: loading checked pages and stepping through the tree of one bucket.

use std::ops::Range;
use std::os::unix::fs::FileExt;

use super::BoltFile;
use super::bucket::Root;
use super::error::{FileError, PageFault, ReadError, TreeDamage};
use super::page::{Bounds, Header, Node};
use super::path::BucketPath;
use super::survey::Seen;

/// Branch and leaf pages from a bucket's root to a leaf, at most.
///
/// bbolt's pages hold two elements or more, so a tree of this depth would not fit on any disk. The
/// bound is what ends a walk through a cycle when no set of seen pages is kept.
pub(super) const MAX_TREE_DEPTH: usize = 64;

/// bbolt addresses elements through an array of this many bytes.
const MAX_RUN: u64 = 0x7fff_ffff;

/// Why a page could not be loaded, before it is known to which bucket that happens.
#[derive(Debug)]
pub(super) enum LoadError {
    File(FileError),
    Page { page: u64, fault: PageFault },
}

impl LoadError {
    /// Blames the bucket at `path`.
    pub(super) fn blame(self, path: &BucketPath) -> ReadError {
        match self {
            LoadError::File(error) => ReadError::File(error),
            LoadError::Page { page, fault } => {
                ReadError::Damaged(TreeDamage { path: path.to_vec(), page, fault })
            }
        }
    }
}

impl From<FileError> for LoadError {
    fn from(error: FileError) -> LoadError {
        LoadError::File(error)
    }
}

impl BoltFile {
    /// Reads a branch or leaf page with its overflow pages and checks everything in it.
    ///
    /// With `seen`, additionally refuses pages that were loaded before.
    pub(super) fn load(
        &self,
        page: u64,
        bounds: Bounds<'_>,
        seen: Option<&mut Seen>,
    ) -> Result<Node, LoadError> {
        let Some(seen) = seen else {
            return self.load_unseen(page, bounds, None, &mut 0).map(|(node, _)| node);
        };
        let mut read = 0;
        match self.load_unseen(page, bounds, Some(seen), &mut read) {
            // Only now, so that a page some branch wrongly leads to is not taken from its owner.
            Ok((node, run)) => {
                seen.mark(run);
                Ok(node)
            }
            Err(error) => {
                seen.waste(read)?;
                Err(error)
            }
        }
    }

    /// As [`BoltFile::load`], but marks nothing; says in `read` how many bytes were read.
    fn load_unseen(
        &self,
        page: u64,
        bounds: Bounds<'_>,
        seen: Option<&Seen>,
        read: &mut u64,
    ) -> Result<(Node, Range<u64>), LoadError> {
        let bad = |fault| LoadError::Page { page, fault };
        let check = |run| seen.map_or(Ok(()), |seen| seen.check(run)).map_err(bad);
        check(page..page.saturating_add(1))?;
        let (header, mut bytes) = self.read_first(page)?;
        *read = bytes.len() as u64;
        if header.id != page {
            return Err(bad(PageFault::WrongId { found: header.id }));
        }
        if !header.is_tree() {
            return Err(bad(PageFault::WrongFlags { found: header.flags }));
        }
        let run = self.run(page, header)?;
        check(run.clone())?;
        self.read_rest(&run, &mut bytes)?;
        *read = bytes.len() as u64;
        let node =
            Node::check_run(page, bytes, header, self.info().page_size, bounds).map_err(bad)?;
        Ok((node, run))
    }

    /// Reads the first page of a run, whose number is checked for range.
    pub(super) fn read_first(&self, page: u64) -> Result<(Header, Vec<u8>), LoadError> {
        let high_water_mark = self.info().meta().high_water_mark;
        if !(2..high_water_mark).contains(&page) {
            return Err(LoadError::Page { page, fault: PageFault::OutOfRange { high_water_mark } });
        }
        let first = page..page.saturating_add(1);
        self.check_in_file(&first)?;
        let mut bytes = Vec::new();
        self.read_rest(&first, &mut bytes)?;
        // Pages are never smaller than a header, so this default is not reached; its id fits no page.
        let header =
            Header::parse(&bytes).unwrap_or(Header { id: 0, flags: 0, count: 0, overflow: 0 });
        Ok((header, bytes))
    }

    /// Returns the pages of the run that starts with `header`, which are all inside the file.
    pub(super) fn run(&self, page: u64, header: Header) -> Result<Range<u64>, LoadError> {
        let high_water_mark = self.info().meta().high_water_mark;
        let overflow = header.overflow;
        let end = page.saturating_add(u64::from(overflow)).saturating_add(1);
        if end > high_water_mark {
            let fault = PageFault::RunBeyondHighWaterMark { overflow, high_water_mark };
            return Err(LoadError::Page { page, fault });
        }
        self.check_in_file(&(page..end))?;
        Ok(page..end)
    }

    /// Refuses the file if it ends before the run does.
    fn check_in_file(&self, run: &Range<u64>) -> Result<(), FileError> {
        let size = self.info().size;
        match self.byte(run.end) {
            Some(end) if end <= size => Ok(()),
            end => {
                let needed = end.unwrap_or(u64::MAX);
                Err(FileError::Truncated { page: run.start, needed, size })
            }
        }
    }

    /// Reads what `bytes` lacks of the run, which must be inside the file.
    pub(super) fn read_rest(&self, run: &Range<u64>, bytes: &mut Vec<u8>) -> Result<(), LoadError> {
        let page = run.start;
        let start = self.byte(page).unwrap_or(u64::MAX);
        let length = self.byte(run.end).unwrap_or(u64::MAX).saturating_sub(start);
        if length > MAX_RUN {
            return Err(LoadError::Page { page, fault: PageFault::RunTooLong { bytes: length } });
        }
        let have = bytes.len();
        let no_memory = || FileError::OutOfMemory { bytes: length };
        let length = usize::try_from(length).map_err(|_| no_memory())?;
        bytes.try_reserve_exact(length.saturating_sub(have)).map_err(|_| no_memory())?;
        bytes.resize(length, 0);
        let rest = bytes.get_mut(have..).unwrap_or_default();
        self.file
            .read_exact_at(rest, start.saturating_add(have as u64))
            .map_err(|source| FileError::Io { page, source })?;
        Ok(())
    }

    /// The place of a page in the file; `None` beyond what a number can hold.
    fn byte(&self, page: u64) -> Option<u64> {
        page.checked_mul(u64::from(self.info().page_size))
    }
}

/// Steps through the leaf elements of one bucket in key order.
///
/// Holds the pages from the root to the present leaf and no others.
#[derive(Debug)]
pub(super) struct Cursor<'f> {
    file: &'f BoltFile,
    path: BucketPath,
    /// The bucket's root until it is loaded.
    root: Option<Root>,
    frames: Vec<Frame>,
    /// Bytes that may still be loaded; a tree has no more than the file.
    budget: u64,
}

#[derive(Debug)]
struct Frame {
    node: Node,
    next: usize,
    /// The first key that belongs to a page further right.
    upper: Option<Vec<u8>>,
}

impl<'f> Cursor<'f> {
    pub(super) fn new(file: &'f BoltFile, path: BucketPath, root: Root) -> Cursor<'f> {
        Cursor { file, path, root: Some(root), frames: Vec::new(), budget: file.info().size }
    }

    /// Moves to the next leaf element.
    ///
    /// After an error the next call goes on behind the page at fault.
    pub(super) fn next(
        &mut self,
        mut seen: Option<&mut Seen>,
    ) -> Option<Result<(Node, usize), ReadError>> {
        loop {
            match self.step(seen.as_deref_mut()) {
                Ok(Step::Leaf(node, element)) => return Some(Ok((node, element))),
                Ok(Step::Moved) => {}
                Ok(Step::End) => return None,
                Err(error) => return Some(Err(error.blame(&self.path))),
            }
        }
    }

    fn step(&mut self, seen: Option<&mut Seen>) -> Result<Step, LoadError> {
        if let Some(root) = self.root.take() {
            let node = root.load(self.file, seen)?;
            return self.enter(node, None);
        }
        let depth = self.frames.len();
        let Some(frame) = self.frames.last_mut() else {
            return Ok(Step::End);
        };
        let element = frame.next;
        if element >= frame.node.count() {
            self.frames.pop();
            return Ok(Step::Moved);
        }
        frame.next = element.saturating_add(1);
        if frame.node.is_leaf() {
            return Ok(Step::Leaf(frame.node.clone(), element));
        }
        let (child, upper) =
            descend(self.file, &frame.node, element, frame.upper.as_deref(), depth, seen)?;
        self.enter(child, upper)
    }

    fn enter(&mut self, node: Node, upper: Option<Vec<u8>>) -> Result<Step, LoadError> {
        let Some(budget) = self.budget.checked_sub(node.size()) else {
            let limit = self.file.info().size;
            return Err(LoadError::Page {
                page: node.page(),
                fault: PageFault::TreeTooLarge { limit },
            });
        };
        self.budget = budget;
        self.frames.push(Frame { node, next: 0, upper });
        Ok(Step::Moved)
    }
}

enum Step {
    Leaf(Node, usize),
    Moved,
    End,
}

/// Loads the child of a branch element and says which key ends its range.
///
/// `upper` is the end of the branch's own range, `depth` the number of pages down to the branch.
pub(super) fn descend(
    file: &BoltFile,
    branch: &Node,
    element: usize,
    upper: Option<&[u8]>,
    depth: usize,
    seen: Option<&mut Seen>,
) -> Result<(Node, Option<Vec<u8>>), LoadError> {
    let bad = |fault| LoadError::Page { page: branch.page(), fault };
    if depth >= MAX_TREE_DEPTH {
        return Err(bad(PageFault::TreeTooDeep { limit: MAX_TREE_DEPTH }));
    }
    let right = element.saturating_add(1);
    let upper = if right < branch.count() { Some(branch.key(right).map_err(bad)?) } else { upper };
    let bounds = Bounds { lower: Some(branch.key(element).map_err(bad)?), upper };
    let node = file.load(branch.child(element).map_err(bad)?, bounds, seen)?;
    Ok((node, upper.map(<[u8]>::to_vec)))
}
