//! The first bytes of an archive.

use std::io::Read;

use bytes::Buf;

use super::error::{ArchiveError, Fault, Place};
use super::input::{Input, checked, seal};

/// What every archive begins with. The first byte is no text, the last one suffers from a transfer as
/// text.
pub const MAGIC: [u8; 8] = *b"\x89CHANAR\n";

/// The format that is written.
pub const FORMAT: u16 = 1;

const ZSTD: u8 = 1;

/// Bytes before the writer's name.
const FIXED: usize = 14;

/// How the archive is written, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Name and version of the writer: at most 255 bytes.
    pub(super) writer: String,
}

impl Header {
    /// The header that this release writes.
    pub(super) fn ours() -> Header {
        Header { writer: concat!("migrate ", env!("CARGO_PKG_VERSION")).into() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&FORMAT.to_be_bytes());
        out.extend_from_slice(&0u16.to_be_bytes());
        out.push(ZSTD);
        let name = self.writer.as_bytes();
        let len = u8::try_from(name.len()).unwrap_or(u8::MAX);
        out.push(len);
        out.extend_from_slice(&name[..len.into()]);
        seal(&mut out, 0);
        out
    }

    pub(super) fn read(input: &mut Input<impl Read>) -> Result<Header, ArchiveError> {
        let fail = |fault| ArchiveError::new(Place::Header, fault);
        let magic: [u8; 8] = input.array(Place::Header)?;
        if magic != MAGIC {
            return Err(fail(Fault::NotAnArchive));
        }
        let fixed: [u8; FIXED - MAGIC.len()] = input.array(Place::Header)?;
        let mut fields = &fixed[..];
        let (format, flags) = (fields.get_u16(), fields.get_u16());
        let (compression, len) = (fields.get_u8(), fields.get_u8());
        // Of a newer format nothing is known but where its number stands.
        if format != FORMAT {
            return Err(fail(Fault::Version { found: format, newest: FORMAT }));
        }
        let rest = input.bytes(u64::from(len) + 4, Place::Header)?;
        let whole = [&magic[..], &fixed, &rest].concat();
        let name = checked(&whole).map_err(fail)?[FIXED..].to_vec();
        if flags != 0 {
            return Err(fail(Fault::Flags(flags)));
        }
        if compression != ZSTD {
            return Err(fail(Fault::Compression(compression)));
        }
        let writer = String::from_utf8(name).map_err(|_| fail(Fault::Name))?;
        Ok(Header { writer })
    }
}
