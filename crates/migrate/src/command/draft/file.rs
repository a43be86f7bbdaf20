//! Drafts of files.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use channelcoord::Backend;
use tempfile::TempDir;

use crate::opened::{self, Failure};
use crate::url::{Engine, StoreUrl};

/// A file in a directory of its own.
pub(in crate::command) struct FileDraft {
    url: StoreUrl,
    path: PathBuf,
    dir: TempDir,
    to: StoreUrl,
    target: PathBuf,
}

/// Where an archive is written.
pub(in crate::command) struct ArchivePlace {
    /// The archive.
    pub(in crate::command) archive: PathBuf,
    /// Room for a store that is needed on the way, and goes with the draft.
    pub(in crate::command) staging: PathBuf,
}

/// What an engine keeps beside a store: content that an older store at the place left behind would
/// become part of the new one.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

impl FileDraft {
    pub(super) fn new(to: &StoreUrl, engine: Engine, target: &Path) -> Result<FileDraft, Failure> {
        let dir = tempfile::Builder::new().prefix(".migrate-").tempdir_in(parent(target));
        let dir = dir.map_err(|error| Failure::access(to, &error))?;
        let path = dir.path().join("store");
        let url = StoreUrl::File { engine, path: path.clone() };
        Ok(FileDraft { url, path, dir, to: to.clone(), target: target.to_owned() })
    }

    pub(super) fn url(&self) -> &StoreUrl {
        &self.url
    }

    pub(super) fn archive(&self) -> Option<ArchivePlace> {
        let archive = self.url.archive()?.to_owned();
        Some(ArchivePlace { archive, staging: self.dir.path().join("import") })
    }

    pub(super) fn create(&self) -> Result<Box<dyn Backend>, Failure> {
        let store = opened::create(&self.url, &self.to)?;
        let private = fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600));
        private.map_err(|error| Failure::access(&self.to, &error))?;
        Ok(store)
    }

    pub(super) fn publish(self) -> Result<(), Failure> {
        let FileDraft { path, dir, to, target, .. } = self;
        let failed = |error: std::io::Error| Failure::access(&to, &error);
        require_place(&target)?;
        fs::hard_link(path, &target).map_err(failed)?;
        dir.close().map_err(failed)?;
        File::open(parent(&target)).and_then(|dir| dir.sync_all()).map_err(failed)
    }
}

/// Refuses a path that is no file's, or where something is.
pub(super) fn require_place(path: &Path) -> Result<(), Failure> {
    if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(Failure::Usage(format!("{} is not a file name", path.display())));
    }
    if !parent(path).is_dir() {
        return Err(Failure::Access(format!("{} is not a directory", parent(path).display())));
    }
    let companions = COMPANIONS.iter().map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    });
    // A link to nothing is something too.
    let found = [path.to_owned()].into_iter().chain(companions);
    match found.into_iter().find(|path| path.symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(path) => {
            Err(Failure::Usage(format!("{} exists; copy into a new file", path.display())))
        }
    }
}

fn parent(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}
