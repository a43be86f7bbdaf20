//! The index: where each block begins, and with which key.

use std::io::Read;

use bytes::{Buf, Bytes};

use super::error::{ArchiveError, Fault, Place};
use super::input::{Input, checked, seal};

/// What the index begins with.
pub(super) const MARK: [u8; 4] = *b"INDX";

/// Bytes before the entries, checksum included.
const HEAD: usize = 20;

/// A block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexEntry {
    /// Offset of its first byte.
    pub(super) offset: u64,
    /// Key of its first record.
    pub(super) first: Bytes,
}

/// The bytes of the index.
pub(super) fn encode(entries: &[IndexEntry]) -> Vec<u8> {
    let mut body = Vec::new();
    for entry in entries {
        body.extend_from_slice(&entry.offset.to_be_bytes());
        body.extend_from_slice(&(entry.first.len() as u32).to_be_bytes());
        body.extend_from_slice(&entry.first);
    }
    let mut out = MARK.to_vec();
    out.extend_from_slice(&(entries.len() as u32).to_be_bytes());
    out.extend_from_slice(&(body.len() as u64).to_be_bytes());
    seal(&mut out, 0);
    let start = out.len();
    out.append(&mut body);
    seal(&mut out, start);
    out
}

/// Reads an index whose mark was read. It may take `room` bytes, mark included, if that is known.
pub(super) fn read(
    input: &mut Input<impl Read>,
    room: Option<u64>,
) -> Result<Vec<IndexEntry>, ArchiveError> {
    let fail = |fault| ArchiveError::new(Place::Index, fault);
    let rest: [u8; HEAD - MARK.len()] = input.array(Place::Index)?;
    let head = [&MARK[..], &rest].concat();
    let mut fields = &checked(&head).map_err(fail)?[MARK.len()..];
    let (count, len) = (fields.get_u32(), fields.get_u64());
    let whole = len.saturating_add(HEAD as u64 + 4);
    if let Some(found) = room.filter(|room| *room != whole) {
        return Err(fail(Fault::Stated { what: "length", found, stated: whole }));
    }
    let body = Bytes::from(input.bytes(len.saturating_add(4), Place::Index)?);
    let mut rest = body.slice_ref(checked(&body).map_err(fail)?);
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let place = Place::IndexEntry(entries.len() as u32);
        let Some(entry) = next_entry(&mut rest) else {
            return Err(ArchiveError::new(place, Fault::Beyond));
        };
        entries.push(entry);
    }
    match entries.len() as u64 {
        found if found != u64::from(count) => {
            Err(fail(Fault::Stated { what: "number of entries", found, stated: count.into() }))
        }
        _ => Ok(entries),
    }
}

fn next_entry(rest: &mut Bytes) -> Option<IndexEntry> {
    let offset = rest.try_get_u64().ok()?;
    let len = rest.try_get_u32().ok()? as usize;
    (len <= rest.len()).then(|| IndexEntry { offset, first: rest.split_to(len) })
}
