//! An archive as a store that is only read.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use channelcoord::{
    Backend, BackendError, Batch, ClaimError, CommitError, Head, Record, Seq, Settled, Verdict,
};
use chanstate::key::{KeyRange, RecordKey};
use thiserror::Error;

use super::block::{self, Block, StoredBlock};
use super::error::{ArchiveError, Fault, Place};
use super::footer::{self, Footer, POINTER, require};
use super::header::Header;
use super::index::{self, IndexEntry};
use super::input::Input;
use super::run::Contents;

/// Unpacked content that is kept for the next reads, in bytes; one block is, however long.
const CACHE: usize = 4 << 20;

/// An archive is written once, whole, and then read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadOnly {
    /// It cannot be claimed, and nothing be committed to it.
    #[error("an archive is only read; copy it into a store")]
    Archive,
    /// It was released.
    #[error("archive was released")]
    Released,
}

/// An archive as a [`Backend`] whose claims and commits are refused.
///
/// Records are found by the index. What is read is checked: the block, the record, and that index
/// and blocks agree there. The SHA-256, which takes all blocks, is checked by
/// [`check`](super::check()) alone.
#[derive(Debug)]
pub struct ArchiveBackend {
    file: File,
    writer: String,
    contents: Contents,
    index: Vec<IndexEntry>,
    index_at: u64,
    /// Newest first.
    cache: Mutex<VecDeque<(usize, Arc<Block>)>>,
    released: AtomicBool,
}

impl ArchiveBackend {
    /// Opens an archive: reads header, footer and index.
    ///
    /// # Errors
    /// `Read`; `Damage` of one of the three.
    pub fn open(path: &Path) -> Result<ArchiveBackend, ArchiveError> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        let mut input = Input::new(At { file: &file, at: 0 }, 0);
        let header = Header::read(&mut input)?;
        let blocks_at = input.at();
        let (footer, footer_at) = read_footer(&file, len)?;
        let index_at = footer.index_at;
        let index = read_index(&file, index_at, footer_at)?;
        let (found, stated) = (index.len() as u64, u64::from(footer.blocks));
        require("number of blocks", found, stated)
            .map_err(|fault| ArchiveError::new(Place::Index, fault))?;
        require_ascending(&index, blocks_at, index_at)?;
        Ok(ArchiveBackend {
            file,
            writer: header.writer,
            contents: footer.contents,
            index,
            index_at,
            cache: Mutex::default(),
            released: AtomicBool::new(false),
        })
    }

    /// Name and version of what wrote the archive.
    pub fn writer(&self) -> &str {
        &self.writer
    }

    /// What the archive says that it holds.
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    fn require_open(&self) -> Result<(), ReadOnly> {
        if self.released.load(Ordering::Relaxed) { Err(ReadOnly::Released) } else { Ok(()) }
    }

    /// A block, from the cache if it was read lately.
    fn block(&self, number: usize) -> Result<Option<Arc<Block>>, ArchiveError> {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = cache.iter().position(|(cached, _)| *cached == number)
            && let Some(found) = cache.remove(place)
        {
            let block = Arc::clone(&found.1);
            cache.push_front(found);
            return Ok(Some(block));
        }
        let Some(entry) = self.index.get(number) else { return Ok(None) };
        let block = Arc::new(self.load(number, entry)?);
        cache.push_front((number, Arc::clone(&block)));
        let size = |cache: &VecDeque<(usize, Arc<Block>)>| {
            cache.iter().map(|(_, block)| block.content().len()).sum::<usize>()
        };
        while cache.len() > 1 && size(&cache) > CACHE {
            cache.pop_back();
        }
        Ok(Some(block))
    }

    fn load(&self, number: usize, entry: &IndexEntry) -> Result<Block, ArchiveError> {
        let due = number as u32;
        let fail = |fault| ArchiveError::new(Place::Block(due), fault);
        let next = self.index.get(number + 1);
        let end = next.map_or(self.index_at, |next| next.offset);
        let mut input = Input::new(At { file: &self.file, at: entry.offset }, entry.offset);
        match input.array(Place::Block(due))? {
            block::MARK => {}
            other => return Err(fail(Fault::Mark(other))),
        }
        let stored = StoredBlock::read(&mut input, due)?;
        require("end of the block", input.at(), end).map_err(fail)?;
        let block = stored.unpack(due, None)?;
        if block.key(0) != Some(&*entry.first) {
            return Err(ArchiveError::new(Place::IndexEntry(due), Fault::FirstKey));
        }
        match next {
            Some(next) if block.keys().next_back() >= Some(&*next.first) => {
                Err(ArchiveError::new(Place::Block(due + 1), Fault::Order))
            }
            _ => Ok(block),
        }
    }

    /// The first record whose key is not below `key`, as block and place in it. The place may be
    /// behind the last record of the block.
    fn seek(&self, key: &[u8]) -> Result<(usize, usize), ArchiveError> {
        let above = self.index.partition_point(|entry| *entry.first <= *key);
        let Some(number) = above.checked_sub(1) else { return Ok((0, 0)) };
        Ok((number, self.block(number)?.map_or(0, |block| block.seek(key))))
    }

    fn find(&self, key: &RecordKey) -> Result<Option<Record>, ArchiveError> {
        let key = key.to_bytes();
        let (number, place) = self.seek(&key)?;
        let Some(block) = self.block(number)? else { return Ok(None) };
        match block.key(place) {
            Some(found) if *found == *key => block.record(place),
            // Between two blocks: the next one must begin as the index says.
            None => self.block(number + 1).map(|_| None),
            Some(_) => Ok(None),
        }
    }

    fn collect(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, ArchiveError> {
        let prefix = range.prefix_bytes();
        let after = range.after_bytes().filter(|after| *after >= prefix);
        let (first, mut place) = self.seek(after.as_deref().unwrap_or(&prefix))?;
        let mut found = Vec::new();
        for number in first..self.index.len() {
            let Some(block) = self.block(number)? else { break };
            while let Some(key) = block.key(place) {
                if found.len() == limit || !key.starts_with(&prefix) {
                    // A key to go on after may stand behind the range, or be a longer one.
                    return Ok(found);
                }
                if after.as_deref() != Some(key) {
                    let Some(record) = block.record(place)? else { break };
                    // A component of bytes may only begin like that of the prefix.
                    if !record.key().parts.starts_with(&range.prefix) {
                        return Ok(found);
                    }
                    found.push(record);
                }
                place += 1;
            }
            place = 0;
        }
        Ok(found)
    }
}

/// Reads the footer by the last bytes, and says where it begins.
fn read_footer(file: &File, len: u64) -> Result<(Footer, u64), ArchiveError> {
    let fail = |fault| ArchiveError::new(Place::Footer, fault);
    let pointer_at = len.checked_sub(POINTER as u64).ok_or_else(|| fail(Fault::NoFooter))?;
    let pointer = Input::new(At { file, at: pointer_at }, pointer_at).array(Place::Footer)?;
    let footer_len = Footer::length(pointer).ok_or_else(|| fail(Fault::NoFooter))?;
    let at = len.checked_sub(footer_len.into()).ok_or_else(|| fail(Fault::NoFooter))?;
    let mut input = Input::new(At { file, at }, at);
    let mark = input.array(Place::Footer)?;
    if mark != footer::MARK {
        return Err(fail(Fault::Mark(mark)));
    }
    let footer = Footer::read(&mut input)?;
    require("end of the footer", input.at(), len).map_err(fail)?;
    require("length of the archive", len, footer.len).map_err(fail)?;
    Ok((footer, at))
}

fn read_index(file: &File, at: u64, end: u64) -> Result<Vec<IndexEntry>, ArchiveError> {
    let fail = |fault| ArchiveError::new(Place::Index, fault);
    let room = end.checked_sub(at).ok_or_else(|| fail(Fault::Cut))?;
    let mut input = Input::new(At { file, at }, at);
    match input.array(Place::Index)? {
        index::MARK => index::read(&mut input, Some(room)),
        other => Err(fail(Fault::Mark(other))),
    }
}

/// Requires that blocks follow one on the other, from the header to the index.
fn require_ascending(
    index: &[IndexEntry],
    blocks_at: u64,
    index_at: u64,
) -> Result<(), ArchiveError> {
    let first = index.first().map_or(index_at, |entry| entry.offset);
    require("offset of what follows the header", blocks_at, first)
        .map_err(|fault| ArchiveError::new(Place::Index, fault))?;
    let last = index.last().filter(|last| last.offset >= index_at).map(|_| index.len() - 1);
    let mut pairs = index.windows(2).enumerate();
    let unordered = pairs.find_map(|(number, pair)| match pair {
        [a, b] if a.offset >= b.offset || a.first >= b.first => Some(number + 1),
        _ => None,
    });
    match unordered.or(last) {
        Some(number) => Err(ArchiveError::new(Place::IndexEntry(number as u32), Fault::Order)),
        None => Ok(()),
    }
}

/// A file from an offset on.
struct At<'a> {
    file: &'a File,
    at: u64,
}

impl Read for At<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl From<ReadOnly> for BackendError {
    fn from(refused: ReadOnly) -> BackendError {
        BackendError::Unavailable(Arc::new(refused))
    }
}

#[async_trait]
impl Backend for ArchiveBackend {
    async fn claim(&self, _at_least: Option<Seq>) -> Result<Head, ClaimError> {
        self.require_open().map_err(BackendError::from)?;
        Err(BackendError::from(ReadOnly::Archive).into())
    }

    async fn release(&self) -> Result<(), BackendError> {
        self.released.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn commit(&self, _batch: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        let refused = self.require_open().err().unwrap_or(ReadOnly::Archive);
        Err(CommitError::NotStored(Arc::new(refused)))
    }

    async fn settle(&self, _batch: Batch<'_>) -> Result<Settled, BackendError> {
        self.require_open()?;
        Err(ReadOnly::Archive.into())
    }

    async fn read(&self, keys: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        self.require_open()?;
        keys.iter().map(|key| self.find(key).map_err(BackendError::from)).collect()
    }

    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        self.require_open()?;
        Ok(self.collect(range, limit)?)
    }
}
