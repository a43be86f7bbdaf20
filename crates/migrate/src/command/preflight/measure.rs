//! How large the target will be, and how long the copy takes: told from a sample of its records,
//! written to a scratch store at the target's place and read again.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use channelcoord::{Backend, Batch, ChangeSet, Head};
use chanstate::key::{KeyRange, Kind};
use serde::Serialize;
use tempfile::TempDir;

use super::super::draft::{SCRATCH, own_directory};
use super::rehearsal::Seen;
use crate::archive::{self, ArchiveWriter};
use crate::opened::{self, Failure};
use crate::progress::{Clock, Progress};
use crate::records::Records;
use crate::url::{Engine, ServerUrl, StoreUrl};

/// What a copy will take. Measured, but an estimate: later records may differ from the sample, and
/// the machine may be busier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// Size of the target in bytes.
    pub bytes: u64,
    /// Bytes that its place must have room for while it is copied.
    pub room: u64,
    /// Time in seconds.
    pub seconds: f64,
    /// Records of the sample.
    pub sampled: u64,
    /// Records in all.
    pub records: u64,
}

/// What the sample took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Measured {
    /// Size of an empty store, and with the sample.
    empty: u64,
    full: u64,
    /// Size of an archive of the sample, if that is the target.
    archive: Option<u64>,
    written: Duration,
    read: Duration,
}

/// Times that a copy goes through the source: to make the records, to find what they cannot say, and
/// to verify. The target is read by the last two.
const SOURCE_PASSES: u32 = 3;
const TARGET_PASSES: u32 = 2;

/// Measures with the sample of a rehearsal that took `rehearsed`.
pub(super) fn estimate(
    to: &StoreUrl,
    seen: &Seen,
    rehearsed: Duration,
    clock: &dyn Clock,
    progress: &Progress,
) -> Result<Estimate, Failure> {
    let scratch = Scratch::new(to)?;
    let measured = measure(&scratch, to, &seen.sample, clock, progress)?;
    Ok(scale(measured, seen, rehearsed))
}

fn scale(measured: Measured, seen: &Seen, rehearsed: Duration) -> Estimate {
    let (all, sampled) = (seen.tally.total(), seen.sampled.total());
    let share = match sampled.bytes {
        0 => 1.0,
        bytes => all.bytes as f64 / bytes as f64,
    };
    let Measured { empty, full, archive, written, read } = measured;
    let store = empty + (full.saturating_sub(empty) as f64 * share) as u64;
    let archive = archive.map(|bytes| (bytes as f64 * share) as u64);
    let target = (written + read * TARGET_PASSES).as_secs_f64() * share;
    Estimate {
        bytes: archive.unwrap_or(store),
        // An archive of lnd's state is made of a store beside it.
        room: store + archive.unwrap_or_default(),
        seconds: (rehearsed * SOURCE_PASSES).as_secs_f64() + target,
        sampled: sampled.records,
        records: all.records,
    }
}

fn measure(
    scratch: &Scratch,
    to: &StoreUrl,
    sample: &[(Head, Vec<ChangeSet>)],
    clock: &dyn Clock,
    progress: &Progress,
) -> Result<Measured, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::access(to, error);
    let store = opened::create(&scratch.url, to)?;
    let claimed = pollster::block_on(store.claim(None)).map_err(|error| failed(&error))?;
    let empty = scratch.size()?;
    let began = clock.now();
    for (before, sets) in sample {
        let batch = Batch { epoch: claimed.epoch, before: before.seq, sets };
        pollster::block_on(store.commit(batch)).map_err(|error| failed(&error))?;
        progress.add(sets.iter().map(|set| set.ops().count()).sum());
    }
    let written = clock.now().saturating_sub(began);
    let peak = scratch.size()?;
    let began = clock.now();
    read(store.as_ref()).map_err(|error| Failure::of_backend(to, &error))?;
    let archive = to.archive().is_some().then(|| archive_size(store.as_ref(), to)).transpose()?;
    let read = clock.now().saturating_sub(began);
    pollster::block_on(store.release()).map_err(|error| failed(&error))?;
    drop(store);
    Ok(Measured { empty, full: scratch.size()?.max(peak), archive, written, read })
}

/// Writes an archive that nobody keeps.
fn archive_size(store: &dyn Backend, to: &StoreUrl) -> Result<u64, Failure> {
    let mut size = Counted(0);
    let written = ArchiveWriter::new(&mut size).map_err(|error| Failure::access(to, &error));
    let mut writer = written?;
    archive::export(store, &mut writer, &Progress::silent())
        .map_err(|error| Failure::access(to, &error))?;
    writer.finish().map_err(|error| Failure::access(to, &error))?;
    Ok(size.0)
}

/// Counts what is written.
struct Counted(u64);

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read(store: &dyn Backend) -> Result<(), channelcoord::BackendError> {
    for kind in Kind::ALL {
        Records::new(store, KeyRange::all(kind)).try_for_each(|record| record.map(drop))?;
    }
    Ok(())
}

/// A store that is gone when it is dropped.
struct Scratch {
    url: StoreUrl,
    place: Place,
}

enum Place {
    /// Locked, so that another copy beside it does not remove it as a leftover.
    Dir {
        dir: TempDir,
        _lock: File,
    },
    Schema(ServerUrl),
}

impl Scratch {
    fn new(to: &StoreUrl) -> Result<Scratch, Failure> {
        let failed = |error: &dyn std::error::Error| Failure::access(to, error);
        Ok(match to {
            StoreUrl::File { engine, path } => {
                let (dir, lock) = own_directory(&parent(path)).map_err(|error| failed(&error))?;
                let path = dir.path().join("store");
                // An archive is made of a store.
                let engine = if to.archive().is_some() { Engine::Sqlite } else { *engine };
                Scratch {
                    url: StoreUrl::File { engine, path },
                    place: Place::Dir { dir, _lock: lock },
                }
            }
            StoreUrl::Server(server) => {
                let schema = format!("{SCRATCH}{:016x}", fastrand::u64(..));
                let server = server.beside(schema).map_err(|error| failed(&error))?;
                Scratch { url: StoreUrl::Server(server.clone()), place: Place::Schema(server) }
            }
            StoreUrl::LndServer(_) => {
                return Err(Failure::Usage("lnd's databases are only read".into()));
            }
        })
    }

    /// Bytes that the store takes now, with what its engine keeps beside it.
    fn size(&self) -> Result<u64, Failure> {
        match &self.place {
            Place::Schema(_) => opened::size(&self.url),
            Place::Dir { dir, .. } => {
                let files = std::fs::read_dir(dir.path());
                let sizes = files.and_then(|files| {
                    files.map(|file| Ok(file?.metadata()?.len())).sum::<std::io::Result<u64>>()
                });
                sizes.map_err(|error| Failure::access(&self.url, &error))
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Place::Schema(server) = &self.place {
            // Nothing was there, or nothing can be done about it now.
            let _ = server.options().drop_store();
        }
    }
}

/// The directory of a file that may not be there yet.
pub(super) fn parent(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use channelcoord::{MetaRecord, Record};

    use super::*;

    #[test]
    fn size_and_time_grow_with_what_is_not_in_the_sample() {
        let record =
            |name: &str| Record::Meta(MetaRecord { name: name.into(), value: vec![0; 100].into() });
        let mut seen = Seen::default();
        for name in ["a", "b", "c", "d"] {
            seen.tally.add(record(name).as_ref());
        }
        seen.sampled.add(record("a").as_ref());
        let seconds = Duration::from_secs;
        let (written, read) = (seconds(2), seconds(1));
        let measured = Measured { empty: 1000, full: 1500, archive: None, written, read };
        let expected =
            Estimate { bytes: 3000, room: 3000, seconds: 9.0 + 16.0, sampled: 1, records: 4 };
        assert_eq!(scale(measured, &seen, seconds(3)), expected);
        // Store and archive are there at once.
        let measured = Measured { archive: Some(50), ..measured };
        let expected = Estimate { bytes: 200, room: 3200, ..expected };
        assert_eq!(scale(measured, &seen, seconds(3)), expected);
    }

    #[test]
    fn an_empty_source_takes_an_empty_store() {
        let measured = Measured { empty: 1000, full: 1000, ..Measured::default() };
        let estimate = scale(measured, &Seen::default(), Duration::ZERO);
        assert_eq!((estimate.bytes, estimate.records), (1000, 0));
    }
}
