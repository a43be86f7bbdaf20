//! Drafts of files.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use channelcoord::Backend;
use tempfile::TempDir;

use super::Draft;
use crate::opened::{self, Failure};
use crate::url::{Engine, StoreUrl};

/// A file in a directory of its own.
pub(in crate::command) struct FileDraft {
    url: StoreUrl,
    path: PathBuf,
    /// The directory, locked: that of a process that was killed is not.
    _lock: File,
    dir: TempDir,
    to: StoreUrl,
    target: PathBuf,
}

/// What an engine keeps beside a store: content that an older store at the place left behind would
/// become part of the new one.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What names of directories for drafts begin with.
pub(super) const PREFIX: &str = ".migrate-";

impl FileDraft {
    pub(super) fn new(to: &StoreUrl, engine: Engine, target: &Path) -> Result<FileDraft, Failure> {
        let (dir, lock) =
            own_directory(parent(target)).map_err(|error| Failure::access(to, &error))?;
        let path = dir.path().join("store");
        let url = StoreUrl::File { engine, path: path.clone() };
        Ok(FileDraft { url, path, _lock: lock, dir, to: to.clone(), target: target.to_owned() })
    }

    pub(super) fn to(&self) -> &StoreUrl {
        &self.to
    }

    pub(super) fn create(&self) -> Result<Box<dyn Backend>, Failure> {
        let store = opened::create(&self.url, &self.to)?;
        let private = fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600));
        private.map_err(|error| Failure::access(&self.to, &error))?;
        Ok(store)
    }

    pub(super) fn publish(self) -> Result<(), Failure> {
        let FileDraft { path, dir, to, target, .. } = self;
        if is_taken(&target)? {
            return Err(Draft::taken(&to));
        }
        link(&path, &target, &to)?;
        dir.close().map_err(|error| Failure::access(&to, &error))
    }
}

/// Gives a file its name, durably, and never in place of something else.
pub(super) fn link(path: &Path, target: &Path, to: &StoreUrl) -> Result<(), Failure> {
    fs::hard_link(path, target).and_then(|()| File::open(parent(target))?.sync_all()).map_err(
        |error| match error.kind() {
            io::ErrorKind::AlreadyExists => Draft::taken(to),
            _ => Failure::access(to, &error),
        },
    )
}

/// Whether both are there and are the same file.
pub(super) fn same_file(one: io::Result<fs::Metadata>, other: io::Result<fs::Metadata>) -> bool {
    let inode = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    matches!((one.map(inode), other.map(inode)), (Ok(one), Ok(other)) if one == other)
}

/// Makes a directory that nobody takes for a leftover as long as the file that comes with it is open:
/// it locks the directory.
pub(in crate::command) fn own_directory(parent: &Path) -> io::Result<(TempDir, File)> {
    loop {
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let lock = match File::open(dir.path()) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        lock.lock()?;
        // Before it was locked, somebody may have taken it for a leftover.
        if same_file(dir.path().metadata(), lock.metadata()) {
            return Ok((dir, lock));
        }
    }
}

/// Removes the drafts beside `target` whose processes are gone; names those that cannot be removed.
pub(super) fn remove_leftovers(target: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(parent(target)) else { return Vec::new() };
    let drafts = entries.flatten().map(|entry| entry.path());
    let left = drafts.filter(|path| is_leftover(path) && fs::remove_dir_all(path).is_err());
    left.map(|path| path.display().to_string()).collect()
}

/// Whether a directory is the draft of a process that is gone.
fn is_leftover(path: &Path) -> bool {
    let named =
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    named && path.is_dir() && File::open(path).is_ok_and(|dir| dir.try_lock().is_ok())
}

/// Whether something is at a path. Refuses one that is no file's.
pub(super) fn is_taken(path: &Path) -> Result<bool, Failure> {
    if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(Failure::Usage(format!("{} is not a file name", path.display())));
    }
    if !parent(path).is_dir() {
        return Err(Failure::Access(format!("{} is not a directory", parent(path).display())));
    }
    // A link to nothing is something too.
    if path.symlink_metadata().is_ok() {
        return Ok(true);
    }
    let companions = COMPANIONS.iter().map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    });
    match companions.into_iter().find(|path| path.symlink_metadata().is_ok()) {
        None => Ok(false),
        Some(path) => {
            Err(Failure::Usage(format!("{} exists; copy to a new place", path.display())))
        }
    }
}

/// The directory that a path is in.
pub(super) fn parent(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}
