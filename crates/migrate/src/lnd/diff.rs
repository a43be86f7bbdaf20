//! Compares a source with a view of a store, entry by entry, both ways and in flat memory.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::iter::Peekable;

use bitcoin::OutPoint;
use channelcoord::Backend;
use thiserror::Error;

use super::codec::keys::{self, bucket as top};
use super::codec::residue;
use super::path::Path;
use super::place::{Place, field_at};
use super::residue::Residue;
use super::source::{Content, LndEntry, LndSource, Refused, Walk};
use super::tree::{Entry, ReadError};
use super::view::{self, ViewError};
use crate::bolt::display_path;
use crate::finding::chain;
use crate::progress::Progress;
use crate::writer::{WriteError, Writer};

/// Why a comparison stopped.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DiffError {
    /// The source cannot be read.
    #[error("source cannot be read")]
    Source(#[from] ReadError),
    /// The store cannot be shown as lnd's.
    #[error("store cannot be read as lnd's")]
    View(#[from] ViewError),
    /// The residue cannot be written.
    #[error("residue cannot be written")]
    Write(#[from] WriteError),
    /// The store does not hold what the source holds.
    #[error("store differs from the source: {0}")]
    Lost(Box<Difference>),
}

/// One place where source and view differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: Path,
    /// What the source has.
    pub source: Option<Content>,
    /// What the view has.
    pub view: Option<Content>,
    /// Why nothing at this path can be shown, if records do not say what it is.
    pub fault: Option<String>,
}

impl Difference {
    fn lost(entry: LndEntry) -> Difference {
        Difference { path: entry.path, source: Some(entry.content), view: None, fault: None }
    }

    /// Funding outpoint of the channel, where the path names it.
    pub fn channel(&self) -> Option<OutPoint> {
        let name = match self.path.first()?.as_slice() {
            top::OPEN_CHANNELS => self.path.get(3)?,
            top::HISTORICAL_CHANNELS | top::CLOSED_CHANNELS | top::OUTPOINTS => self.path.get(1)?,
            _ => return None,
        };
        keys::decode_outpoint(name).ok()
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", display_path(&self.path))?;
        if let Some(fault) = &self.fault {
            return write!(f, "cannot be shown: {fault}");
        }
        match (&self.source, &self.view) {
            (Some(source), None) => write!(f, "only in the source ({source})"),
            (None, Some(view)) => write!(f, "only in the store ({view})"),
            (Some(Content::Value(source)), Some(Content::Value(view))) => {
                let at = source.iter().zip(view).take_while(|(a, b)| a == b).count();
                let field = field_at(&self.path, source, at);
                write!(f, "{} and {} bytes, differ from byte {at}{field}", source.len(), view.len())
            }
            (Some(source), Some(view)) => write!(f, "{source} in the source, {view} in the store"),
            (None, None) => Ok(()),
        }
    }
}

impl std::fmt::Display for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Content::Bucket(0) => f.write_str("bucket"),
            Content::Bucket(sequence) => write!(f, "bucket, sequence {sequence}"),
            Content::Value(value) => write!(f, "{} bytes", value.len()),
        }
    }
}

/// Hands every difference between a source and the view of `backend` with its residue to `report`.
/// What records cannot show is a difference too. Returns the number of entries compared.
///
/// # Errors
/// `Source`; `View` if the store is unavailable.
pub fn compare(
    source: &LndSource,
    refused: &Refused,
    backend: &dyn Backend,
    progress: &Progress,
    mut report: impl FnMut(Difference),
) -> Result<u64, DiffError> {
    let differ = RefCell::new((Differ::new(source.walk(refused), progress), &mut report));
    let mut failed = None;
    let mut skip = |path: Path, error: ViewError| {
        let (differ, report) = &mut *differ.borrow_mut();
        let fault = Some(chain(&error));
        let skipped = differ.skip(&path, &mut |difference| {
            report(difference);
            Ok(())
        });
        failed = failed.take().or(skipped.err());
        report(Difference { path, source: None, view: None, fault });
    };
    view::walk_with_residue(backend, Some(&mut skip), &mut |entry| {
        let (differ, report) = &mut *differ.borrow_mut();
        differ.push(entry, &mut |difference| {
            report(difference);
            Ok(())
        })
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    let (mut differ, report) = differ.into_inner();
    differ.finish(&mut |difference| {
        report(difference);
        Ok(())
    })
}

/// Stores what the source holds beyond the view of the store, so that nothing is lost.
///
/// Only what our records cannot express may go there: another encoding of equal content, indexes
/// and buckets, keys without a meaning. Anything else means that a record was not taken over. Returns
/// how many residues there are by their [reason](Residue::reason).
///
/// # Errors
/// `Lost`, `Source`, `View`, `Write`.
pub fn store_residue(
    source: &LndSource,
    refused: &Refused,
    backend: &dyn Backend,
    writer: &mut Writer<'_>,
    progress: &Progress,
) -> Result<BTreeMap<&'static str, u64>, DiffError> {
    let open = open_copies(source, refused)?;
    let mut stored = BTreeMap::new();
    let mut differ = Differ::new(source.walk(refused), progress);
    let mut keep = |difference: Difference| {
        let residue = residue_of(&difference, &open);
        let residue = residue.ok_or_else(|| DiffError::Lost(Box::new(difference.clone())))?;
        writer.put(residue.to_record(&difference.path))?;
        *stored.entry(residue.reason()).or_default() += 1;
        Ok(())
    };
    view::walk(backend, &mut |entry| differ.push(entry, &mut keep))?;
    differ.finish(&mut keep)?;
    writer.flush()?;
    Ok(stored)
}

type Report<'a> = dyn FnMut(Difference) -> Result<(), DiffError> + 'a;

/// Walks two sequences in step.
struct Differ<'a> {
    source: Peekable<Walk<'a>>,
    progress: &'a Progress,
    entries: u64,
}

impl<'a> Differ<'a> {
    fn new(source: Walk<'a>, progress: &'a Progress) -> Differ<'a> {
        Differ { source: source.peekable(), progress, entries: 0 }
    }

    fn push(&mut self, entry: LndEntry, report: &mut Report<'_>) -> Result<(), DiffError> {
        let LndEntry { path, content } = entry;
        loop {
            let before = |next: &Result<LndEntry, ReadError>| {
                next.as_ref().map_or(true, |next| next.path <= path)
            };
            let Some(next) = self.source.next_if(before).transpose()? else {
                return report(Difference { path, source: None, view: Some(content), fault: None });
            };
            self.count();
            if next.path < path {
                report(Difference::lost(next))?;
            } else if next.content != content {
                let (source, view) = (Some(next.content), Some(content));
                return report(Difference { path, source, view, fault: None });
            } else {
                return Ok(());
            }
        }
    }

    fn finish(&mut self, report: &mut Report<'_>) -> Result<u64, DiffError> {
        while let Some(next) = self.source.next().transpose()? {
            self.count();
            report(Difference::lost(next))?;
        }
        Ok(self.entries)
    }

    /// Passes over what the source has at a path and in it.
    fn skip(&mut self, path: &Path, report: &mut Report<'_>) -> Result<(), DiffError> {
        let before = |next: &Result<LndEntry, ReadError>| {
            next.as_ref().map_or(true, |next| next.path < *path || next.path.starts_with(path))
        };
        while let Some(next) = self.source.next_if(before).transpose()? {
            self.count();
            if !next.path.starts_with(path) {
                report(Difference::lost(next))?;
            }
        }
        Ok(())
    }

    fn count(&mut self) {
        self.entries += 1;
        self.progress.add(1);
    }
}

/// What makes the view equal to the source at one place; `None` if that would hide a loss.
/// `open` are the channels that were taken over from their bucket among the open ones.
fn residue_of(difference: &Difference, open: &OpenCopies) -> Option<Residue> {
    let path = &difference.path;
    let place = Place::of(path);
    let has_open_copy = place.outpoint(path).is_some_and(|outpoint| open.contains(outpoint));
    match (&difference.source, &difference.view) {
        (Some(Content::Bucket(sequence)), None | Some(Content::Bucket(_))) => {
            Some(Residue::Bucket(*sequence))
        }
        (None, Some(Content::Bucket(_))) => Some(Residue::absent(None)),
        (None, Some(Content::Value(canonical))) => {
            place.may_be_absent(has_open_copy).then(|| Residue::absent(Some(canonical)))
        }
        (Some(Content::Value(value)), None) => {
            place.may_be_extra(has_open_copy).then(|| Residue::value(value.clone(), None))
        }
        (Some(Content::Value(value)), Some(Content::Value(canonical))) => {
            if place.encode_again(path, value).as_deref() == Some(canonical) {
                return residue::between(canonical, value).map(Residue::Patch);
            }
            let kept = place.may_differ(has_open_copy, value, canonical);
            kept.then(|| Residue::value(value.clone(), Some(canonical)))
        }
        _ => None,
    }
}

/// Outpoints of the channels among the open ones that are not refused.
type OpenCopies = HashSet<Vec<u8>>;

fn open_copies(source: &LndSource, refused: &Refused) -> Result<OpenCopies, ReadError> {
    let mut found = OpenCopies::new();
    let Some(peers) = source.bucket(&[top::OPEN_CHANNELS], refused)? else { return Ok(found) };
    let mut levels = vec![(peers, 0)];
    while let Some((bucket, level)) = levels.pop() {
        for entry in bucket.entries() {
            match entry? {
                (_, Entry::Bucket(child)) if refused.refuses(&child) => {}
                (name, Entry::Bucket(_)) if level == 2 => {
                    found.insert(name);
                }
                (_, Entry::Bucket(child)) => levels.push((child, level + 1)),
                (_, Entry::Value(_)) => {}
            }
        }
    }
    Ok(found)
}
