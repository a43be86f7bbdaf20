//! Writes an archive.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use channelcoord::{Record, RecordRef};
use chanstate::Cause;
use chanstate::key::RecordKey;
use thiserror::Error;

use super::block::{self, MAX_CONTENT, RECORD_OVERHEAD};
use super::error::ArchiveError;
use super::footer::Footer;
use super::header::Header;
use super::index;
use super::reader::ArchiveReader;
use super::run::{Contents, Run};
use crate::store::unversioned;

/// A block is written before its content gets longer than this. A longer record has one to itself.
const CONTENT: usize = 64 << 10;

/// Why an archive cannot be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The bytes cannot be written, or what was written cannot be read.
    #[error("cannot be written")]
    Write(#[from] io::Error),
    /// The record is longer than an archive allows.
    #[error("record {record} takes {len} bytes, an archive holds {MAX_CONTENT} at most")]
    TooLong {
        /// The record.
        record: RecordKey,
        /// Its length in the archive.
        len: usize,
    },
    /// A record does not come after the one before it.
    #[error("record {0} does not come after the one before it")]
    Order(RecordKey),
    /// What there is to go on with is not an archive.
    #[error("there is no archive to go on with")]
    Foreign(#[source] ArchiveError),
    /// What there is to go on with was written by another release, so its end would be unlike its
    /// beginning.
    #[error("the unfinished archive was written by {0:?}")]
    OtherWriter(String),
}

/// Takes records in key order. Needs memory for one block, and for the first key of each.
///
/// Versions of channels and link nodes are left out: equal content gives equal bytes.
#[derive(Debug)]
pub struct ArchiveWriter<W> {
    out: W,
    /// Bytes written.
    at: u64,
    run: Run,
    /// The block that is being filled.
    content: Vec<u8>,
    records: u32,
    first: Bytes,
    /// Key of the last record.
    last: Option<Bytes>,
    value: Vec<u8>,
}

impl<W: Write> ArchiveWriter<W> {
    /// Begins an archive.
    ///
    /// # Errors
    /// `Write`.
    pub fn new(mut out: W) -> Result<ArchiveWriter<W>, WriteError> {
        let header = Header::ours().encode();
        out.write_all(&header)?;
        Ok(ArchiveWriter::go_on(out, Run::default(), header.len() as u64))
    }

    fn go_on(out: W, run: Run, at: u64) -> ArchiveWriter<W> {
        let last = run.last.clone();
        let (content, value) = (Vec::new(), Vec::new());
        ArchiveWriter { out, at, run, content, records: 0, first: Bytes::new(), last, value }
    }

    /// The same archive, written through something else.
    pub fn through<V: Write>(self, wrap: impl FnOnce(W) -> V) -> ArchiveWriter<V> {
        let ArchiveWriter { out, at, run, content, records, first, last, value } = self;
        ArchiveWriter { out: wrap(out), at, run, content, records, first, last, value }
    }

    /// Records so far; after [`resume`](ArchiveWriter::resume), those that are kept.
    pub fn records(&self) -> u64 {
        self.run.records()
    }

    /// Key of the last record that was added; after [`resume`](ArchiveWriter::resume), of the last
    /// one that is kept.
    pub fn after(&self) -> Option<RecordKey> {
        self.last.as_deref().and_then(kvstore::kv::parse_key)
    }

    /// Adds a record.
    ///
    /// # Errors
    /// `Order`, `TooLong`, and nothing is added; `Write`, and the archive must not be gone on with.
    pub fn add(&mut self, record: Record) -> Result<(), WriteError> {
        let record = unversioned(record);
        let name = record.key();
        let key = Bytes::from(name.to_bytes());
        if self.last.as_ref().is_some_and(|last| *last >= key) {
            return Err(WriteError::Order(name));
        }
        self.value.clear();
        record.as_ref().encode_to(&mut self.value);
        let len = require_fitting(&name, key.len(), self.value.len())?;
        if self.content.len() + len > CONTENT {
            self.close_block()?;
        }
        if self.records == 0 {
            self.first = key.clone();
        }
        block::push_record(&mut self.content, &key, &self.value);
        self.run.count(name.kind);
        self.records += 1;
        self.last = Some(key);
        Ok(())
    }

    /// Writes index and footer. Returns where they went, not synced, and what the archive holds.
    ///
    /// # Errors
    /// `Write`.
    pub fn finish(mut self) -> Result<(W, Contents), WriteError> {
        self.close_block()?;
        let index_at = self.at;
        self.write(&index::encode(&self.run.index))?;
        let contents = self.run.contents();
        self.write(&Footer::encode(self.run.blocks(), index_at, self.at, &contents))?;
        self.out.flush()?;
        Ok((self.out, contents))
    }

    fn close_block(&mut self) -> Result<(), WriteError> {
        let Some(last) = self.last.clone().filter(|_| self.records > 0) else { return Ok(()) };
        let block = block::encode(self.run.blocks(), self.records, &self.content)?;
        self.run.add(self.at, std::mem::take(&mut self.first), last, &self.content);
        self.write(&block)?;
        self.content.clear();
        self.records = 0;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), WriteError> {
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

impl ArchiveWriter<File> {
    /// Begins an archive in a new file that its owner alone can read.
    ///
    /// # Errors
    /// `Write`, also if something is there.
    pub fn create(path: &Path) -> Result<ArchiveWriter<File>, WriteError> {
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path)?;
        ArchiveWriter::new(file)
    }

    /// Goes on with an archive that was left unfinished, behind its last sound block. What follows
    /// there is cut off. [`after`](ArchiveWriter::after) says which record was the last. With the
    /// same records the archive becomes what it would have been without the interruption.
    ///
    /// # Errors
    /// `Write`; `Foreign` and `OtherWriter`, and the file stays as it is.
    pub fn resume(path: &Path) -> Result<ArchiveWriter<File>, WriteError> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        if is_cut_header(&file)? {
            file.set_len(0)?;
            file.rewind()?;
            return ArchiveWriter::new(file);
        }
        let (run, sound) = {
            file.rewind()?;
            let reader = ArchiveReader::new(BufReader::new(&file)).map_err(foreign)?;
            sound_blocks(reader)?
        };
        file.set_len(sound)?;
        file.seek(SeekFrom::Start(sound))?;
        Ok(ArchiveWriter::go_on(file, run, sound))
    }
}

/// Whether an interruption left a part of our header, or nothing.
fn is_cut_header(file: &File) -> io::Result<bool> {
    let header = Header::ours().encode();
    let mut found = Vec::new();
    file.take(header.len() as u64).read_to_end(&mut found)?;
    Ok(found.len() < header.len() && header.starts_with(&found))
}

/// Reads up to the first thing that is not sound.
fn sound_blocks(mut reader: ArchiveReader<impl Read>) -> Result<(Run, u64), WriteError> {
    loop {
        match reader.next_block() {
            Ok(Some(_)) => {}
            Ok(None) | Err(ArchiveError::Damage { .. }) => break,
            Err(ArchiveError::Read(error)) => return Err(error.into()),
        }
    }
    let (header, run, sound) = reader.into_run();
    if header == Header::ours() {
        Ok((run, sound))
    } else {
        Err(WriteError::OtherWriter(header.writer))
    }
}

fn foreign(error: ArchiveError) -> WriteError {
    match error {
        ArchiveError::Read(error) => error.into(),
        damage => WriteError::Foreign(damage),
    }
}

/// Whether an archive holds a record.
///
/// # Errors
/// `TooLong`.
pub fn fits(record: RecordRef<'_>) -> Result<(), Cause> {
    let record = unversioned(record.to_owned());
    let name = record.key();
    let (key, value) = (name.to_bytes().len(), record.as_ref().encode().len());
    require_fitting(&name, key, value).map(drop).map_err(|error| Arc::new(error) as Cause)
}

/// Length of a record in an archive.
fn require_fitting(name: &RecordKey, key: usize, value: usize) -> Result<usize, WriteError> {
    let len = RECORD_OVERHEAD + key + value;
    match len > MAX_CONTENT {
        true => Err(WriteError::TooLong { record: name.clone(), len }),
        false => Ok(len),
    }
}
