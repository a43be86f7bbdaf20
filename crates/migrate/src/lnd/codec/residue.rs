//! What a stored value has beyond the canonical encoding of its content.
//!
//! A residue is kept beside the record that a value was decoded into. It turns the canonical
//! encoding of that record, and of no other, back into the bytes that were stored.
//!
//! | Bytes | Content |
//! |---|---|
//! | 1 | version, 1 |
//! | 4 | CRC-32 of the canonical encoding, big-endian |
//! | LEB128 | how many bytes at the start are equal |
//! | LEB128 | how many canonical bytes follow that differ |
//! | LEB128, bytes | what stands in their place |

use bytes::Bytes;
use chanstate::codec::{Codec, DecodeError, Reader};
use thiserror::Error;

/// Version of the form written here.
const VERSION: u8 = 1;

/// Why a residue does not apply.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ResidueError {
    /// It belongs to another encoding: the record changed since. The canonical encoding counts.
    #[error("residue of another content")]
    Stale,
    /// It was written in a form that this release does not know.
    #[error("residue version {found}, newest known is {newest}")]
    Version {
        /// Version of the residue.
        found: u8,
        /// Newest version that can be read.
        newest: u8,
    },
    /// It names variants of an encoding that this release does not know.
    #[error("unknown variants {found:#04x}")]
    Variants {
        /// The set of variants.
        found: u8,
    },
    /// It does not have the form of a residue.
    #[error("residue cannot be read")]
    Malformed(#[from] DecodeError),
    /// It replaces more than the encoding has.
    #[error("residue replaces bytes up to {end} of {len}")]
    OutOfRange {
        /// End of the part to replace.
        end: u64,
        /// Length of the encoding.
        len: usize,
    },
}

/// Returns what turns `canonical` into `actual`, or `None` if they are equal.
pub fn between(canonical: &[u8], actual: &[u8]) -> Option<Bytes> {
    if canonical == actual {
        return None;
    }
    let prefix = canonical.iter().zip(actual).take_while(|(a, b)| a == b).count();
    let (_, canonical_rest) = canonical.split_at(prefix);
    let (_, actual_rest) = actual.split_at(prefix);
    let from_end = canonical_rest.iter().rev().zip(actual_rest.iter().rev());
    let suffix = from_end.take_while(|(a, b)| a == b).count();
    let replaced = canonical_rest.len() - suffix;
    let (replacement, _) = actual_rest.split_at(actual_rest.len() - suffix);

    let mut out = vec![VERSION];
    checksum(canonical).encode_to(&mut out);
    (prefix as u64).encode_to(&mut out);
    (replaced as u64).encode_to(&mut out);
    Bytes::copy_from_slice(replacement).encode_to(&mut out);
    Some(out.into())
}

/// Returns the bytes that `residue` was made for.
///
/// # Errors
///
/// * [`ResidueError::Stale`]: `canonical` is not the encoding that the residue was made for.
/// * [`ResidueError::Version`], [`ResidueError::Malformed`], [`ResidueError::OutOfRange`]: the
///   residue is damaged or of a newer release.
pub fn apply(canonical: &[u8], residue: &[u8]) -> Result<Vec<u8>, ResidueError> {
    let mut reader = Reader::new(Bytes::copy_from_slice(residue));
    let found = u8::decode_from(&mut reader)?;
    if found != VERSION {
        return Err(ResidueError::Version { found, newest: VERSION });
    }
    let checked = <[u8; 4]>::decode_from(&mut reader)?;
    if checked != checksum(canonical) {
        return Err(ResidueError::Stale);
    }
    let prefix = u64::decode_from(&mut reader)?;
    let replaced = u64::decode_from(&mut reader)?;
    let replacement = Bytes::decode_from(&mut reader)?;
    reader.finish()?;

    let end = prefix.saturating_add(replaced);
    let out_of_range = || ResidueError::OutOfRange { end, len: canonical.len() };
    let split = |at: u64| usize::try_from(at).ok().and_then(|at| canonical.split_at_checked(at));
    let (head, _) = split(prefix).ok_or_else(out_of_range)?;
    let (_, tail) = split(end).ok_or_else(out_of_range)?;
    Ok([head, &replacement, tail].concat())
}

/// CRC-32 that binds a residue to the content it was made for.
pub fn checksum(canonical: &[u8]) -> [u8; 4] {
    crc32fast::hash(canonical).to_be_bytes()
}
