//! Bytes from front to back.

use std::io::{self, Read};

use super::error::{ArchiveError, Fault, Place};

/// Reserved at once for bytes that are announced, before they have come.
const TRUSTED: u64 = 1 << 20;

/// Reads, and knows the offset. An end that comes too early is damage of the place that is read.
#[derive(Debug)]
pub(super) struct Input<R> {
    inner: R,
    at: u64,
}

impl<R: Read> Input<R> {
    /// Starts at `at`, where `inner` is.
    pub(super) fn new(inner: R, at: u64) -> Input<R> {
        Input { inner, at }
    }

    /// Offset of the next byte.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The next bytes.
    pub(super) fn array<const N: usize>(&mut self, place: Place) -> Result<[u8; N], ArchiveError> {
        let mut bytes = [0; N];
        match self.inner.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(ArchiveError::new(place, Fault::Cut));
            }
            Err(error) => return Err(error.into()),
        }
        self.at += N as u64;
        Ok(bytes)
    }

    /// The next `len` bytes. Memory grows with the bytes that come, not with `len`.
    pub(super) fn bytes(&mut self, len: u64, place: Place) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = Vec::with_capacity(len.min(TRUSTED) as usize);
        let read = (&mut self.inner).take(len).read_to_end(&mut bytes)? as u64;
        self.at += read;
        if read < len { Err(ArchiveError::new(place, Fault::Cut)) } else { Ok(bytes) }
    }

    /// Whether nothing is left.
    pub(super) fn is_over(&mut self) -> Result<bool, ArchiveError> {
        let mut byte = [0];
        loop {
            match self.inner.read(&mut byte) {
                Ok(read) => return Ok(read == 0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Splits off a checksum that stands at the end, and compares it.
pub(super) fn checked(bytes: &[u8]) -> Result<&[u8], Fault> {
    let (content, found) = bytes.split_last_chunk::<4>().ok_or(Fault::Cut)?;
    let (expected, found) = (crc32fast::hash(content), u32::from_be_bytes(*found));
    if expected == found { Ok(content) } else { Err(Fault::Checksum { expected, found }) }
}

/// Appends the checksum of what `out` holds from `start` on.
pub(super) fn seal(out: &mut Vec<u8>, start: usize) {
    let checksum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&checksum.to_be_bytes());
}
