//! Files of a new store.

use std::io;
use std::path::Path;

/// Makes the directory entry of a new file or directory durable; syncing the file does not.
///
/// # Errors
/// The file system's.
#[cfg(unix)]
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    std::fs::File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

/// Directories cannot be synced here; the file system journals their entries.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn sync_parent(_path: &Path) -> io::Result<()> {
    Ok(())
}
