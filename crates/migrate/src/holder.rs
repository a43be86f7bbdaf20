//! Who has a file locked.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The process that holds a lock on a file, such as `process 4711 (lnd)`; `None` if nobody does, or
/// if the system does not tell.
///
/// Linux lists locks in `/proc/locks`, by process, device and inode (proc_locks(5)). Processes of
/// another namespace are not listed.
pub fn of(path: &Path) -> Option<String> {
    let inode = fs::metadata(path).ok()?.ino();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let process = process_of(&locks, inode)?;
    let name = fs::read_to_string(format!("/proc/{process}/comm")).unwrap_or_default();
    match name.trim() {
        "" => Some(format!("process {process}")),
        name => Some(format!("process {process} ({name})")),
    }
}

/// The first process with a lock on the inode. Devices are left out: some file systems show another
/// one here than a file has.
fn process_of(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        // Those who wait for a lock have an arrow behind the number.
        let mut fields = line.split_whitespace().skip(1).filter(|field| *field != "->");
        let (process, place) = (fields.nth(3)?, fields.next()?);
        let found: u64 = place.rsplit(':').next()?.parse().ok()?;
        (found == inode && !line.contains("->")).then(|| process.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKS: &str = "1: POSIX  ADVISORY  WRITE 3568 fd:00:2531452 0 EOF\n\
                         1: -> POSIX  ADVISORY  WRITE 12 fd:00:77 0 EOF\n\
                         2: FLOCK  ADVISORY  READ  4711 fd:00:77 0 EOF\n\
                         3: OFDLCK ADVISORY  READ  -1 00:06:1028 0 EOF\n";

    #[test]
    fn the_holder_is_found_by_inode() {
        assert_eq!(process_of(LOCKS, 2_531_452), Some(3568));
        assert_eq!(process_of(LOCKS, 77), Some(4711));
        assert_eq!(process_of(LOCKS, 78), None);
        // A lock that belongs to an open file has no process.
        assert_eq!(process_of(LOCKS, 1028), None);
    }
}
