//! Reads a whole archive and reports what is damaged.

use std::io::{self, Read};

use super::error::{ArchiveError, Fault, Place};
use super::reader::ArchiveReader;
use super::run::Contents;
use crate::finding::{Finding, Severity, chain};
use crate::progress::Progress;

/// Reads an archive from the first byte to the last and reports what is not as it should be, records'
/// values included. `None` if something was reported. After a damaged block it goes on with the next
/// one, unless nothing tells where that begins.
///
/// # Errors
/// If the bytes cannot be read.
pub fn check(
    input: impl Read,
    progress: &Progress,
    report: &mut dyn FnMut(Finding),
) -> io::Result<Option<Contents>> {
    let mut sound = true;
    let mut take = |error| match error {
        ArchiveError::Read(error) => Err(error),
        ArchiveError::Damage { place, fault } => {
            sound = false;
            report(finding(&place, &fault));
            Ok(())
        }
    };
    let mut reader = match ArchiveReader::new(input) {
        Ok(reader) => reader,
        Err(error) => return take(error).map(|()| None),
    };
    loop {
        match reader.next_block() {
            Ok(None) => break,
            Ok(Some(block)) => {
                progress.add(block.len());
                let values = (0..block.len()).map(|record| block.check_value(record));
                values.filter_map(Result::err).try_for_each(&mut take)?;
            }
            Err(error) => take(error)?,
        }
    }
    Ok(sound.then(|| reader.contents()))
}

fn finding(place: &Place, fault: &Fault) -> Finding {
    Finding { severity: Severity::Damage, place: place.to_string(), what: chain(fault) }
}
