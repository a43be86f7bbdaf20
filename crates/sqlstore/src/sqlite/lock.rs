//! One writer for each store.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Keeps other processes, and other backends of this one, from writing the same store.
///
/// It is a lock of the operating system on a file of its own beside the database, gone with the
/// process that holds it. SQLite's exclusive mode would also shut out operators who only look, and
/// our own reading connection; a second handle on the database file itself would drop SQLite's
/// locks when closed. The file stays: removing it would let two processes lock two files.
#[derive(Debug)]
pub(crate) struct StoreLock {
    // Closing the file gives the lock back.
    _file: File,
}

/// Why the lock could not be taken.
pub(crate) enum Unlocked {
    /// Somebody else has it.
    Held,
    /// The file cannot be used.
    Io(io::Error),
}

impl StoreLock {
    /// Takes the lock of the store at `path`.
    pub(crate) fn take(path: &Path) -> Result<StoreLock, Unlocked> {
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false).open(lock_path(path));
        let file = file.map_err(Unlocked::Io)?;
        match file.try_lock() {
            Ok(()) => Ok(StoreLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Unlocked::Held),
            Err(TryLockError::Error(error)) => Err(Unlocked::Io(error)),
        }
    }
}

/// The file that is locked for the store at `path`.
pub(crate) fn lock_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    name.into()
}
