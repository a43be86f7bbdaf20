//! Blocks: runs of records, compressed together.

use std::io::Read;
use std::ops::Range;

use bytes::{Buf, Bytes};
use channelcoord::Record;
use chanstate::key::Kind;

use super::error::{ArchiveError, Fault, Place};
use super::input::{Input, checked, seal};

/// What a block begins with.
pub(super) const MARK: [u8; 4] = *b"BLCK";

/// The content of a block is at most this long, in bytes: the limit of a single record.
pub const MAX_CONTENT: usize = 64 << 20;

/// What is compressed is at most this long: nothing gets much longer by that.
const MAX_STORED: u32 = (MAX_CONTENT + (1 << 20)) as u32;

/// Bytes of a block before what is compressed, checksum included.
pub(super) const HEAD: usize = 28;

/// Bytes of a record beside key and value: two lengths and a checksum.
pub(super) const RECORD_OVERHEAD: usize = 12;

/// Balances time and size; more than that saves little, as most content is keys and hashes.
const LEVEL: i32 = 3;

/// The content of a block, with the records' places in it.
#[derive(Debug)]
pub struct Block {
    number: u32,
    content: Bytes,
    entries: Vec<Entry>,
}

/// Where key and value of a record are.
#[derive(Debug)]
struct Entry {
    key: Range<usize>,
    value: Range<usize>,
}

/// A block as it stands in the archive.
pub(super) struct StoredBlock {
    number: u32,
    records: u32,
    len: u32,
    checksum: u32,
    stored: Vec<u8>,
}

/// Appends a record to the content of a block.
pub(super) fn push_record(content: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let start = content.len();
    content.extend_from_slice(&(key.len() as u32).to_be_bytes());
    content.extend_from_slice(&(value.len() as u32).to_be_bytes());
    content.extend_from_slice(key);
    content.extend_from_slice(value);
    seal(content, start);
}

/// The bytes of a block.
pub(super) fn encode(number: u32, records: u32, content: &[u8]) -> std::io::Result<Vec<u8>> {
    let stored = zstd::bulk::compress(content, LEVEL)?;
    let mut out = Vec::with_capacity(HEAD + stored.len());
    out.extend_from_slice(&MARK);
    for field in [number, records, content.len() as u32, stored.len() as u32] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(&crc32fast::hash(&stored).to_be_bytes());
    seal(&mut out, 0);
    out.extend_from_slice(&stored);
    Ok(out)
}

impl StoredBlock {
    /// Reads a block whose mark was read, as far as to know where the next one begins.
    pub(super) fn read(
        input: &mut Input<impl Read>,
        due: u32,
    ) -> Result<StoredBlock, ArchiveError> {
        let place = || Place::Block(due);
        let fail = |fault| ArchiveError::new(place(), fault);
        let rest: [u8; HEAD - MARK.len()] = input.array(place())?;
        let head = [&MARK[..], &rest].concat();
        let mut fields = &checked(&head).map_err(fail)?[MARK.len()..];
        let (number, records) = (fields.get_u32(), fields.get_u32());
        let (len, stored_len, checksum) = (fields.get_u32(), fields.get_u32(), fields.get_u32());
        for (len, limit) in [(len, MAX_CONTENT as u32), (stored_len, MAX_STORED)] {
            if len > limit {
                let (len, limit) = (len.into(), limit.into());
                return Err(fail(Fault::TooLong { len, limit }));
            }
        }
        let stored = input.bytes(stored_len.into(), place())?;
        Ok(StoredBlock { number, records, len, checksum, stored })
    }

    /// Its number, which need not be the one that is due.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Unpacks the block that has number `due` and comes after the key `after`.
    pub(super) fn unpack(self, due: u32, after: Option<&[u8]>) -> Result<Block, ArchiveError> {
        let StoredBlock { number, records, len, checksum: found, stored } = self;
        let fail = |fault| Err(ArchiveError::new(Place::Block(due), fault));
        if number != due {
            return fail(Fault::Number { found: number, due });
        }
        let expected = crc32fast::hash(&stored);
        if found != expected {
            return fail(Fault::Checksum { expected, found });
        }
        if let Ok(frame) = zstd::zstd_safe::find_frame_compressed_size(&stored)
            && frame != stored.len()
        {
            let (found, stated) = (frame as u64, stored.len() as u64);
            return fail(Fault::Stated { what: "length of the frame", found, stated });
        }
        // Reserves what the frame announces, and never more than `len`.
        let content = match zstd::bulk::decompress(&stored, len as usize) {
            Ok(content) => content,
            Err(error) => return fail(Fault::Compressed(error.to_string())),
        };
        if content.len() != len as usize {
            let found = content.len() as u64;
            return fail(Fault::Stated { what: "length", found, stated: len.into() });
        }
        let block = Block::split(number, content.into(), after)?;
        match block.entries.len() as u64 {
            0 => fail(Fault::Empty),
            found if found != u64::from(records) => {
                fail(Fault::Stated { what: "number of records", found, stated: records.into() })
            }
            _ => Ok(block),
        }
    }
}

impl Block {
    /// Finds the records of a content, and checks all but their values.
    fn split(number: u32, content: Bytes, after: Option<&[u8]>) -> Result<Block, ArchiveError> {
        let mut block = Block { number, content, entries: Vec::new() };
        let mut at = 0;
        while at < block.content.len() {
            let entry = block.next_entry(at)?;
            let key = &block.content[entry.key.clone()];
            let before = block.entries.last().map(|last| &block.content[last.key.clone()]);
            let end = entry.value.end + 4;
            let sound =
                checked(&block.content[at..end]).and_then(|_| require_key(key, before.or(after)));
            if let Err(fault) = sound {
                return Err(ArchiveError::new(block.place(block.entries.len(), Some(key)), fault));
            }
            at = end;
            block.entries.push(entry);
        }
        Ok(block)
    }

    /// The record that begins at `at`, if its lengths stay inside of the content.
    fn next_entry(&self, at: usize) -> Result<Entry, ArchiveError> {
        let beyond = || ArchiveError::new(self.place(self.entries.len(), None), Fault::Beyond);
        let mut rest = &self.content[at..];
        let lens = (rest.try_get_u32(), rest.try_get_u32());
        let (Ok(key_len), Ok(value_len)) = lens else { return Err(beyond()) };
        let key_start = at + 8;
        let value_start = key_start.checked_add(key_len as usize).ok_or_else(beyond)?;
        let value_end = value_start.checked_add(value_len as usize).ok_or_else(beyond)?;
        match value_end.checked_add(4) {
            Some(end) if end <= self.content.len() => {
                Ok(Entry { key: key_start..value_start, value: value_start..value_end })
            }
            _ => Err(beyond()),
        }
    }

    fn place(&self, record: usize, key: Option<&[u8]>) -> Place {
        Place::Record { block: self.number, record: record as u32, key: key.map(key_name) }
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no records; there is no such block.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The records one behind the other, as they are compressed.
    pub fn content(&self) -> &Bytes {
        &self.content
    }

    /// Keys as bytes, in order.
    pub(super) fn keys(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.entries.iter().map(|entry| &self.content[entry.key.clone()])
    }

    /// Place of the first record whose key is not below `key`.
    pub(super) fn seek(&self, key: &[u8]) -> usize {
        self.entries.partition_point(|entry| &self.content[entry.key.clone()] < key)
    }

    /// Key of a record as bytes.
    pub(super) fn key(&self, record: usize) -> Option<&[u8]> {
        self.entries.get(record).map(|entry| &self.content[entry.key.clone()])
    }

    /// A record; `None` behind the last one.
    ///
    /// # Errors
    /// `Damage` if its value is no record, or not the one that the key names.
    pub fn record(&self, record: usize) -> Result<Option<Record>, ArchiveError> {
        let Some(entry) = self.entries.get(record) else { return Ok(None) };
        let key = &self.content[entry.key.clone()];
        let fail = |fault| ArchiveError::new(self.place(record, Some(key)), fault);
        let kind = kind_of(key).map_err(fail)?;
        let value = self.content.slice(entry.value.clone());
        let decoded = Record::decode(kind, value).map_err(|error| fail(Fault::Value(error)))?;
        match decoded.key() {
            named if named.to_bytes() == key => Ok(Some(decoded)),
            named => Err(fail(Fault::OtherKey(named.to_string()))),
        }
    }

    /// Checks the value of a record, and that it is in its one form.
    ///
    /// # Errors
    /// As [`record`](Block::record), and `Damage` with [`Fault::Form`].
    pub fn check_value(&self, record: usize) -> Result<(), ArchiveError> {
        let decoded = self.record(record)?;
        let (Some(decoded), Some(entry)) = (decoded, self.entries.get(record)) else {
            return Ok(());
        };
        let form = crate::store::unversioned(decoded).as_ref().encode();
        if form == self.content[entry.value.clone()] {
            return Ok(());
        }
        Err(ArchiveError::new(self.place(record, self.key(record)), Fault::Form))
    }
}

/// The kind that a key begins with.
pub(super) fn kind_of(key: &[u8]) -> Result<Kind, Fault> {
    let first = *key.first().ok_or(Fault::Key)?;
    Kind::from_u8(first).ok_or(Fault::Kind(first))
}

fn require_key(key: &[u8], before: Option<&[u8]>) -> Result<(), Fault> {
    kind_of(key)?;
    if kvstore::kv::parse_key(key).is_none() {
        return Err(Fault::Key);
    }
    if before.is_some_and(|before| before >= key) { Err(Fault::Order) } else { Ok(()) }
}

/// What a key names, or the key in hex.
pub(super) fn key_name(key: &[u8]) -> String {
    /// Bytes of a key that are shown if it names nothing.
    const SHOWN: usize = 64;
    let hex = || key.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    kvstore::kv::parse_key(key).map_or_else(hex, |key| key.to_string())
}
