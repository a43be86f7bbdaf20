//! The view with what the source holds beyond it.

use channelcoord::{Backend, BackendError, Record as AnyRecord};
use chanstate::key::{KeyRange, Kind, RecordKey};

use super::{Faults, Sink, ViewError, walk_through};
use crate::lnd::path::Path;
use crate::lnd::residue::Residue;
use crate::lnd::source::LndEntry;
use crate::records::Records;

/// Hands the view with the residue put in place to `sink`: the source, if nothing was lost.
///
/// # Errors
/// As [`walk_through`].
pub fn walk_with_residue<E: From<ViewError>>(
    backend: &dyn Backend,
    faults: Option<&mut Faults<'_>>,
    sink: &mut Sink<'_, E>,
) -> Result<(), E> {
    let is_strict = faults.is_none();
    let mut residues =
        Residues { records: Records::new(backend, KeyRange::all(Kind::Lnd)), is_strict };
    let mut waiting = residues.next()?;
    walk_through(backend, faults, &mut |entry: LndEntry| {
        while let Some((path, residue)) = waiting.take_if(|(path, _)| *path < entry.path) {
            residue.apply(path, None).into_iter().try_for_each(&mut *sink)?;
            waiting = residues.next()?;
        }
        match waiting.take_if(|(path, _)| *path == entry.path) {
            None => sink(entry),
            Some((path, residue)) => {
                waiting = residues.next()?;
                residue.apply(path, Some(entry.content)).into_iter().try_for_each(&mut *sink)
            }
        }
    })?;
    while let Some((path, residue)) = waiting {
        residue.apply(path, None).into_iter().try_for_each(&mut *sink)?;
        waiting = residues.next()?;
    }
    Ok(())
}

/// Stored residues in walk order.
struct Residues<'a> {
    records: Records<'a>,
    /// One that is damaged is an error. Otherwise it counts as none: a pass over the records names
    /// it.
    is_strict: bool,
}

impl Residues<'_> {
    fn next(&mut self) -> Result<Option<(Path, Residue)>, ViewError> {
        loop {
            let lnd = match self.records.next() {
                Some(Ok(AnyRecord::Lnd(lnd))) => lnd,
                Some(Err(BackendError::Corrupt { .. })) if !self.is_strict => return Ok(None),
                Some(Err(error)) => return Err(error.into()),
                Some(Ok(_)) | None => return Ok(None),
            };
            match Residue::from_record(&lnd) {
                Ok(found) => return Ok(Some(found)),
                Err(_) if !self.is_strict => {}
                Err(fault) => {
                    let record = RecordKey::of_bytes(Kind::Lnd, lnd.path.clone()).to_string();
                    let cause = std::sync::Arc::new(fault);
                    return Err(BackendError::Corrupt { record, cause }.into());
                }
            }
        }
    }
}
