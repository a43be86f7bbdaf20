//! From a store into an archive.

use std::io::Write;

use channelcoord::{Backend, BackendError};
use thiserror::Error;

use super::writer::{ArchiveWriter, WriteError};
use crate::progress::Progress;
use crate::records::Records;
use crate::store::ranges_after;

/// Why a store could not be written into an archive.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The store cannot be read.
    #[error("cannot be read")]
    Read(#[from] BackendError),
    /// The archive cannot be written.
    #[error("cannot be written")]
    Write(#[from] WriteError),
}

/// Adds every record of a store's content that comes after the last one of the archive.
///
/// # Errors
/// `Read`, `Write`.
pub fn export<W: Write>(
    source: &dyn Backend,
    writer: &mut ArchiveWriter<W>,
    progress: &Progress,
) -> Result<(), ExportError> {
    let ranges = ranges_after(writer.after());
    for record in ranges.flat_map(|range| Records::new(source, range)) {
        writer.add(record?)?;
        progress.add(1);
    }
    Ok(())
}
