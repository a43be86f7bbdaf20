//! The last bytes of an archive: what it holds in all.

use std::collections::BTreeMap;
use std::io::Read;

use bitcoin::hashes::{Hash, sha256};
use bytes::Buf;
use chanstate::key::Kind;

use super::error::{ArchiveError, Fault, Place};
use super::input::{Input, checked, seal};
use super::run::Contents;

/// What the footer begins with.
pub(super) const MARK: [u8; 4] = *b"FOOT";

/// What an archive ends with.
const END: [u8; 8] = *b"\x89CHANEN\n";

/// Bytes before the counts by kind.
const FIXED: usize = 65;

/// Bytes of a count: the kind and the number.
const COUNT: usize = 9;

/// Bytes after the counts: checksum, length of the footer, [`END`].
const TAIL: usize = 16;

/// Bytes at the end that tell how long the footer is.
pub(super) const POINTER: usize = 12;

/// What the footer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    /// Number of blocks.
    pub(super) blocks: u32,
    /// Offset of the index.
    pub(super) index_at: u64,
    /// Length of the archive in bytes, footer included.
    pub(super) len: u64,
    /// What the blocks hold.
    pub(super) contents: Contents,
}

impl Footer {
    /// The bytes of the footer of an archive that is `at` bytes long so far.
    pub(super) fn encode(blocks: u32, index_at: u64, at: u64, contents: &Contents) -> Vec<u8> {
        let footer_len = FIXED + COUNT * contents.counts.len() + TAIL;
        let mut out = MARK.to_vec();
        out.extend_from_slice(&blocks.to_be_bytes());
        out.extend_from_slice(&index_at.to_be_bytes());
        out.extend_from_slice(&(at + footer_len as u64).to_be_bytes());
        out.extend_from_slice(&contents.records.to_be_bytes());
        out.extend_from_slice(contents.sha256.as_byte_array());
        out.push(contents.counts.len() as u8);
        for (kind, count) in &contents.counts {
            out.push(*kind as u8);
            out.extend_from_slice(&count.to_be_bytes());
        }
        seal(&mut out, 0);
        out.extend_from_slice(&(footer_len as u32).to_be_bytes());
        out.extend_from_slice(&END);
        out
    }

    /// Reads a footer whose mark was read.
    pub(super) fn read(input: &mut Input<impl Read>) -> Result<Footer, ArchiveError> {
        let rest: [u8; FIXED - MARK.len()] = input.array(Place::Footer)?;
        let kinds = rest[rest.len() - 1];
        let more = input.bytes((COUNT * usize::from(kinds) + TAIL) as u64, Place::Footer)?;
        Footer::decode(&[&MARK[..], &rest, &more].concat())
            .map_err(|fault| ArchiveError::new(Place::Footer, fault))
    }

    /// How long the footer is, by the last bytes of the archive.
    pub(super) fn length(pointer: [u8; POINTER]) -> Option<u32> {
        let mut pointer = &pointer[..];
        let len = pointer.get_u32();
        (pointer == END).then_some(len)
    }

    fn decode(bytes: &[u8]) -> Result<Footer, Fault> {
        let (sealed, mut pointer) =
            bytes.split_at_checked(bytes.len().saturating_sub(POINTER)).ok_or(Fault::Cut)?;
        let mut fields = checked(sealed)?;
        let (len, end) = (pointer.try_get_u32().map_err(|_| Fault::Cut)?, pointer);
        if end != END {
            return Err(Fault::NoFooter);
        }
        require("length", bytes.len() as u64, len.into())?;
        fields.try_get_u32().map_err(|_| Fault::Cut)?;
        let blocks = fields.try_get_u32().map_err(|_| Fault::Cut)?;
        let index_at = fields.try_get_u64().map_err(|_| Fault::Cut)?;
        let len = fields.try_get_u64().map_err(|_| Fault::Cut)?;
        let records = fields.try_get_u64().map_err(|_| Fault::Cut)?;
        let (sha256, mut fields) = fields.split_first_chunk::<32>().ok_or(Fault::Cut)?;
        let sha256 = sha256::Hash::from_byte_array(*sha256);
        let kinds = fields.try_get_u8().map_err(|_| Fault::Cut)?;
        let mut counts = BTreeMap::new();
        for _ in 0..kinds {
            let kind = fields.try_get_u8().map_err(|_| Fault::Cut)?;
            let kind = Kind::from_u8(kind).ok_or(Fault::Kind(kind))?;
            let count = fields.try_get_u64().map_err(|_| Fault::Cut)?;
            if count == 0 || counts.last_key_value().is_some_and(|(last, _)| *last >= kind) {
                return Err(Fault::Counts);
            }
            counts.insert(kind, count);
        }
        if !fields.is_empty() {
            return Err(Fault::Trailing);
        }
        Ok(Footer { blocks, index_at, len, contents: Contents { records, counts, sha256 } })
    }
}

/// Requires that what is stated is what is there.
pub(super) fn require(what: &'static str, found: u64, stated: u64) -> Result<(), Fault> {
    if found == stated { Ok(()) } else { Err(Fault::Stated { what, found, stated }) }
}
