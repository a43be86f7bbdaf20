//! From a store into an archive.

use std::io::Write;

use channelcoord::{Backend, BackendError};
use chanstate::key::{KeyRange, Kind};
use thiserror::Error;

use super::writer::{ArchiveWriter, WriteError};
use crate::progress::Progress;
use crate::records::Records;
use crate::store::is_content;

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
    let after = writer.after();
    for kind in Kind::ALL {
        let range = match &after {
            Some(after) if kind < after.kind => continue,
            Some(after) if kind == after.kind => KeyRange::all(kind).after(after.clone()),
            _ => KeyRange::all(kind),
        };
        for record in Records::new(source, range) {
            let record = record?;
            if is_content(&record) {
                writer.add(record)?;
            }
            progress.add(1);
        }
    }
    Ok(())
}
