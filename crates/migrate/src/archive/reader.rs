//! Reads an archive from the first byte to the last.

use std::io::Read;

use bytes::Bytes;

use super::block::{self, Block, StoredBlock};
use super::error::{ArchiveError, Fault, Place};
use super::footer::{self, Footer, require};
use super::header::Header;
use super::index::{self, IndexEntry};
use super::input::Input;
use super::run::{Contents, Run};

/// Reads an archive block by block, out of a file or a pipe, and checks everything on the way but
/// the values of records. Needs memory for one block, and for the first key of each.
#[derive(Debug)]
pub struct ArchiveReader<R> {
    input: Input<R>,
    header: Header,
    run: Run,
    /// Number of the next block.
    due: u32,
    /// Offset behind the last sound block, or the header.
    sound: u64,
    /// Every block so far was sound.
    whole: bool,
    over: bool,
}

impl<R: Read> ArchiveReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// `Read`; `Damage` also for an archive of a newer format.
    pub fn new(input: R) -> Result<ArchiveReader<R>, ArchiveError> {
        let mut input = Input::new(input, 0);
        let header = Header::read(&mut input)?;
        let (run, sound) = (Run::default(), input.at());
        Ok(ArchiveReader { input, header, run, due: 0, sound, whole: true, over: false })
    }

    /// Name and version of what wrote the archive.
    pub fn writer(&self) -> &str {
        &self.header.writer
    }

    /// What the archive holds, once [`next_block`](ArchiveReader::next_block) answered `None`.
    pub fn contents(&self) -> Contents {
        self.run.contents()
    }

    /// The next block; `None` once everything was read and index and footer agree with it.
    ///
    /// # Errors
    /// `Read`; `Damage` with its place. Where it is known where the next block begins, the next call
    /// goes on there; if not, the next call answers `None`.
    pub fn next_block(&mut self) -> Result<Option<Block>, ArchiveError> {
        if self.over {
            return Ok(None);
        }
        self.over = true;
        let offset = self.input.at();
        let due = self.due;
        match self.input.array(Place::Block(due))? {
            block::MARK => {}
            index::MARK => return self.finish(offset).map(|()| None),
            other => return Err(ArchiveError::new(Place::Block(due), Fault::Mark(other))),
        }
        let stored = StoredBlock::read(&mut self.input, due)?;
        self.over = false;
        self.due = stored.number().wrapping_add(1);
        match stored.unpack(due, self.run.last.as_deref()) {
            Ok(block) => {
                self.add(offset, &block)?;
                Ok(Some(block))
            }
            Err(error) => {
                self.whole = false;
                Err(error)
            }
        }
    }

    fn add(&mut self, offset: u64, block: &Block) -> Result<(), ArchiveError> {
        let fail = |fault| ArchiveError::new(Place::Block(self.due), fault);
        let (mut first, mut last) = (None, None);
        for key in block.keys() {
            self.run.count(block::kind_of(key).map_err(fail)?);
            first = first.or(Some(key));
            last = Some(key);
        }
        if let (Some(first), Some(last)) = (first, last) {
            let (first, last) = (Bytes::copy_from_slice(first), Bytes::copy_from_slice(last));
            self.run.add(offset, first, last, block.content());
        }
        self.sound = self.input.at();
        Ok(())
    }

    /// Checks what follows after the blocks.
    fn finish(&mut self, index_at: u64) -> Result<(), ArchiveError> {
        let entries = index::read(&mut self.input, None)?;
        if self.whole {
            require_same(&self.run.index, &entries)?;
        }
        let mark = self.input.array(Place::Footer)?;
        if mark != footer::MARK {
            return Err(ArchiveError::new(Place::Footer, Fault::Mark(mark)));
        }
        let footer = Footer::read(&mut self.input)?;
        if !self.input.is_over()? {
            return Err(ArchiveError::new(Place::Footer, Fault::Trailing));
        }
        let found = Footer {
            blocks: self.run.blocks(),
            index_at,
            len: self.input.at(),
            contents: self.contents(),
        };
        // A damaged block was reported; what it held is not known.
        let sound = if self.whole { require_equal(&found, &footer) } else { Ok(()) };
        sound.map_err(|fault| ArchiveError::new(Place::Footer, fault))
    }

    /// Takes the reader apart: what its sound blocks hold, and the offset behind them.
    pub(super) fn into_run(self) -> (Header, Run, u64) {
        (self.header, self.run, self.sound)
    }
}

fn require_same(found: &[IndexEntry], stated: &[IndexEntry]) -> Result<(), ArchiveError> {
    require("number of blocks", found.len() as u64, stated.len() as u64)
        .map_err(|fault| ArchiveError::new(Place::Index, fault))?;
    for (number, (found, stated)) in (0..).zip(found.iter().zip(stated)) {
        let fail = |fault| ArchiveError::new(Place::IndexEntry(number), fault);
        require("offset of the block", found.offset, stated.offset).map_err(fail)?;
        if found.first != stated.first {
            return Err(fail(Fault::FirstKey));
        }
    }
    Ok(())
}

fn require_equal(found: &Footer, stated: &Footer) -> Result<(), Fault> {
    require("number of blocks", found.blocks.into(), stated.blocks.into())?;
    require("offset of the index", found.index_at, stated.index_at)?;
    require("length of the archive", found.len, stated.len)?;
    let (found, stated) = (&found.contents, &stated.contents);
    require("number of records", found.records, stated.records)?;
    for kind in chanstate::key::Kind::ALL {
        let count = |contents: &Contents| contents.counts.get(&kind).copied().unwrap_or(0);
        require("number of records of a kind", count(found), count(stated))?;
    }
    if found.sha256 == stated.sha256 { Ok(()) } else { Err(Fault::Sha256) }
}
