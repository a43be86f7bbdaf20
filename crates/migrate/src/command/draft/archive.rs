//! Drafts of archives: a directory with a fixed name beside the archive, which a run that is stopped
//! leaves for the next one.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::Draft;
use super::file::{self, PREFIX, parent, same_file};
use crate::holder;
use crate::opened::Failure;
use crate::url::{Engine, StoreUrl};

/// What follows the name of an archive in that of its draft.
const SUFFIX: &str = ".draft";

/// The draft of an archive, locked for this process.
pub(in crate::command) struct ArchiveDraft {
    to: StoreUrl,
    target: PathBuf,
    dir: PathBuf,
    _lock: File,
}

/// The directory of the draft of an archive.
fn directory(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(SUFFIX);
    PathBuf::from(name)
}

/// The draft of the archive at `target`, as messages name it: this is what can be deleted.
pub(in crate::command) fn shown(target: &Path) -> StoreUrl {
    StoreUrl::File { engine: Engine::Archive, path: directory(target) }
}

/// The store in the draft that holds the journal, and what is imported on the way.
pub(in crate::command) fn journal(target: &Path) -> StoreUrl {
    StoreUrl::File { engine: Engine::Sqlite, path: directory(target).join("journal") }
}

impl ArchiveDraft {
    /// The draft that is there; `None` if none is.
    pub(in crate::command) fn find(
        to: &StoreUrl,
        target: &Path,
    ) -> Result<Option<ArchiveDraft>, Failure> {
        let dir = directory(target);
        let failed = |error: io::Error| Failure::access(dir.display(), &error);
        let found = loop {
            match dir.symlink_metadata() {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(foreign(&dir)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(failed(error)),
            }
            let lock = match File::open(&dir) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
            };
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(in_use(to, &dir)),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
            // Before it was locked, the run that had it may have removed it.
            if same_file(dir.metadata(), lock.metadata()) {
                break lock;
            }
        };
        if !is_draft(&dir).map_err(failed)? {
            return Err(foreign(&dir));
        }
        Ok(Some(ArchiveDraft { to: to.clone(), target: target.to_owned(), dir, _lock: found }))
    }

    /// Makes a draft where none is, for its owner alone since channel state holds secrets.
    pub(in crate::command) fn begin(to: &StoreUrl, target: &Path) -> Result<ArchiveDraft, Failure> {
        let dir = directory(target);
        let made = DirBuilder::new().mode(0o700).create(&dir);
        made.and_then(|()| File::open(parent(&dir))?.sync_all())
            .map_err(|error| Failure::access(dir.display(), &error))?;
        ArchiveDraft::find(to, target)?.ok_or_else(|| in_use(to, &dir))
    }

    /// The archive, as far as it is written.
    pub(in crate::command) fn archive(&self) -> PathBuf {
        self.dir.join("archive")
    }

    /// Whether the archive has its name already.
    pub(in crate::command) fn is_published(&self) -> bool {
        same_file(self.archive().metadata(), self.target.metadata())
    }

    /// Gives the archive its name, durably, and never in place of something else.
    pub(in crate::command) fn publish(&self) -> Result<(), Failure> {
        let kept = |failure: Failure| match failure {
            Failure::Usage(_) => failure.and(format!("what was written is {}", self.dir.display())),
            other => other,
        };
        Draft::require_free(&self.to)
            .and_then(|()| file::link(&self.archive(), &self.target, &self.to))
            .map_err(kept)
    }

    /// Removes the draft: the name at once, so that half of it is never taken for a draft. Returns what
    /// could not be removed.
    pub(in crate::command) fn remove(self) -> Option<String> {
        let name = format!("{PREFIX}{:016x}", fastrand::u64(..));
        let away = parent(&self.dir).join(name);
        match fs::rename(&self.dir, &away) {
            Err(_) => Some(self.dir),
            Ok(()) => fs::remove_dir_all(&away).is_err().then_some(away),
        }
        .map(|left| left.display().to_string())
    }

    /// The directory.
    pub(in crate::command) fn path(&self) -> &Path {
        &self.dir
    }
}

/// Whether a directory was made by [`ArchiveDraft::begin`]: a run may have been killed before it had a
/// journal.
fn is_draft(dir: &Path) -> io::Result<bool> {
    if dir.join("journal").symlink_metadata().is_ok() {
        return Ok(true);
    }
    for entry in fs::read_dir(dir)? {
        if !entry?.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn foreign(dir: &Path) -> Failure {
    Failure::Usage(format!(
        "{} is where the draft of the archive is to be, and is none; copy to a new place",
        dir.display()
    ))
}

fn in_use(to: &StoreUrl, dir: &Path) -> Failure {
    Failure::Access(match holder::of(dir) {
        Some(holder) => format!("{to} is being written by {holder}"),
        None => format!("{to} is being written by another copy"),
    })
}
