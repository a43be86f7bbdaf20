//! What can be wrong with an archive, and where.

use std::fmt;
use std::io;
use std::sync::Arc;

use channelcoord::BackendError;
use chanstate::codec::DecodeError;
use thiserror::Error;

/// Why an archive cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The bytes cannot be read.
    #[error("cannot be read")]
    Read(#[from] io::Error),
    /// The bytes are not those of an archive, or of a newer one.
    #[error("{place}")]
    Damage {
        /// Where.
        place: Place,
        /// What is wrong there.
        #[source]
        fault: Fault,
    },
}

impl ArchiveError {
    pub(super) fn new(place: Place, fault: Fault) -> ArchiveError {
        ArchiveError::Damage { place, fault }
    }
}

impl From<ArchiveError> for BackendError {
    fn from(error: ArchiveError) -> BackendError {
        match error {
            ArchiveError::Read(_) => BackendError::Unavailable(Arc::new(error)),
            // By its name a reader knows where to go on.
            ArchiveError::Damage { place: Place::Record { key: Some(ref key), .. }, .. } => {
                BackendError::Corrupt { record: key.clone(), cause: Arc::new(error) }
            }
            ArchiveError::Damage { place, fault } => {
                BackendError::Corrupt { record: place.to_string(), cause: Arc::new(fault) }
            }
        }
    }
}

/// A part of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The first bytes.
    Header,
    /// A block, counted from 0.
    Block(u32),
    /// A record.
    Record {
        /// Its block, counted from 0.
        block: u32,
        /// Its place in the block, counted from 0.
        record: u32,
        /// Its name, or its key in hex, as far as the key can be told.
        key: Option<String>,
    },
    /// The index of blocks.
    Index,
    /// An entry of the index, counted from 0.
    IndexEntry(u32),
    /// The last bytes.
    Footer,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Header => f.write_str("header"),
            Place::Block(block) => write!(f, "block {block}"),
            Place::Record { block, record, key: None } => {
                write!(f, "block {block}, record {record}")
            }
            Place::Record { block, record, key: Some(key) } => {
                write!(f, "block {block}, record {record} ({key})")
            }
            Place::Index => f.write_str("index"),
            Place::IndexEntry(entry) => write!(f, "index entry {entry}"),
            Place::Footer => f.write_str("footer"),
        }
    }
}

/// What is wrong with a part of an archive.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The first bytes are others than those of an archive.
    #[error("this is not an archive")]
    NotAnArchive,
    /// A newer release wrote the archive.
    #[error("format {found}, newest known is {newest}")]
    Version {
        /// Format of the archive.
        found: u16,
        /// Newest format that can be read.
        newest: u16,
    },
    /// Flags without a meaning in this format.
    #[error("unknown flags {0:#06x}")]
    Flags(u16),
    /// A compression without a meaning in this format.
    #[error("unknown compression {0}")]
    Compression(u8),
    /// A text is not UTF-8.
    #[error("the writer's name is no text")]
    Name,
    /// The bytes end inside of the part, or before it.
    #[error("the archive is cut here")]
    Cut,
    /// Lengths lead out of the part that they are in.
    #[error("its lengths lead beyond the end")]
    Beyond,
    /// The last bytes are not those of a footer.
    #[error("the archive does not end with a footer: it is cut, or something follows it")]
    NoFooter,
    /// Bytes follow after the footer.
    #[error("bytes follow after the end")]
    Trailing,
    /// The bytes were changed.
    #[error("checksum {found:08x} instead of {expected:08x}")]
    Checksum {
        /// Checksum of the bytes as they are.
        expected: u32,
        /// Checksum stored with them.
        found: u32,
    },
    /// What begins here has another mark than what may begin here.
    #[error("begins with {0:02x?}, which begins nothing that belongs here")]
    Mark([u8; 4]),
    /// A block has another number than its place says: blocks are missing, repeated or swapped.
    #[error("has number {found} where {due} is due")]
    Number {
        /// Number in the block.
        found: u32,
        /// Number that is due.
        due: u32,
    },
    /// A length beyond what the format allows.
    #[error("length {len} is over {limit}")]
    TooLong {
        /// The length.
        len: u64,
        /// The longest that is allowed.
        limit: u64,
    },
    /// What is compressed cannot be unpacked.
    #[error("cannot be unpacked: {0}")]
    Compressed(String),
    /// A length or count contradicts what is there.
    #[error("{what} is {found}, stated is {stated}")]
    Stated {
        /// What was counted or measured.
        what: &'static str,
        /// What is there.
        found: u64,
        /// What is stated.
        stated: u64,
    },
    /// A block without records.
    #[error("holds no records")]
    Empty,
    /// A key is not above the one before: records are repeated or out of order.
    #[error("does not come after the record before it")]
    Order,
    /// A kind of record that this release does not know.
    #[error("unknown kind of record {0}")]
    Kind(u8),
    /// The key is none of its kind.
    #[error("the key is none of its kind")]
    Key,
    /// The value is no record of this release.
    #[error("not a record")]
    Value(#[source] DecodeError),
    /// The value is that of another record.
    #[error("holds the value of {0}")]
    OtherKey(String),
    /// The value is not written as an archive writes it: a version is not 0, or a number is longer
    /// than it needs to be.
    #[error("the value is not in its one form")]
    Form,
    /// An entry of the index names another first key than its block has.
    #[error("names another first key than its block has")]
    FirstKey,
    /// Counts of kinds are out of order, or there is one of nothing.
    #[error("the counts of kinds are not in their one form")]
    Counts,
    /// The SHA-256 is not that of the records.
    #[error("the SHA-256 is not that of the records")]
    Sha256,
}
