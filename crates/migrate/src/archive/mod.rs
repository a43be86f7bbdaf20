//! Archives: a store as one neutral file, to be kept, compared and restored anywhere.
//!
//! The format is described byte by byte in `docs/archive.md`. Equal content gives equal bytes, and an
//! equal [SHA-256](Contents::sha256) whatever compressed it.
//!
//! * [`ArchiveWriter`] takes records in key order, into a file or a pipe; [`export()`] feeds it.
//! * [`ArchiveReader`] reads from the first byte to the last and checks everything; [`check()`] reports
//!   what it finds.
//! * [`ArchiveBackend`] looks records up by the index, as a store that is only read.

mod backend;
mod block;
mod check;
mod error;
mod export;
mod footer;
mod header;
mod index;
mod input;
mod reader;
mod run;
mod writer;

pub use self::backend::{ArchiveBackend, ReadOnly};
pub use self::block::{Block, MAX_CONTENT};
pub use self::check::check;
pub use self::error::{ArchiveError, Fault, Place};
pub use self::export::{ExportError, export};
pub use self::header::{FORMAT, MAGIC};
pub use self::reader::ArchiveReader;
pub use self::run::Contents;
pub use self::writer::{ArchiveWriter, WriteError, fits};
