//! A place for an archive that stops working at a commit to its journal or a byte of its file.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use migrate::command::{
    ArchiveSite, CopyOptions, CopyReport, Site, UrlArchiveSite, copy, copy_to_archive,
};
use migrate::opened::{self, Failure};
use migrate::url::StoreUrl;

use crate::command::Desk;
use crate::stopping::{Silent, Stopper, StoppingPlace, url};

/// An archive to be, and what is beside it meanwhile.
pub(crate) struct Target {
    pub(crate) url: StoreUrl,
    pub(crate) path: PathBuf,
    /// The directory of its draft.
    pub(crate) draft: PathBuf,
}

impl Target {
    pub(crate) fn new(desk: &Desk, name: &str) -> Target {
        let path = desk.0.path().join(name);
        let draft = desk.0.path().join(format!("{name}.draft"));
        Target { url: url(&desk.url("archive", name)), path, draft }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }

    /// The unfinished archive.
    pub(crate) fn half(&self) -> PathBuf {
        self.draft.join("archive")
    }

    pub(crate) fn journal(&self) -> StoreUrl {
        url(&format!("sqlite:{}", self.draft.join("journal").display()))
    }
}

/// How a run is stopped.
pub(crate) enum Stops {
    /// At a commit to the journal.
    Commit(Arc<Stopper>),
    /// Where the file has so many bytes.
    Bytes(u64),
}

/// Copies until a stop; the failure that it led to, and whether it was the stop that was asked for.
pub(crate) fn copy_until(
    from: &StoreUrl,
    to: &Target,
    options: CopyOptions,
    stops: Stops,
) -> (Failure, bool) {
    let source = opened::open(from, false).unwrap();
    let place = UrlArchiveSite::new(&to.url, &to.path);
    let (stopper, limit) = match stops {
        Stops::Commit(stopper) => (stopper, 0),
        Stops::Bytes(limit) => (Stopper::never(), limit),
    };
    let journal = StoppingPlace { inner: place.journal(), stopper: stopper.clone() };
    let full = Arc::new(AtomicBool::new(false));
    let site = StoppingArchive { place: &place, journal, limit, full: full.clone() };
    let failure = copy_to_archive(from, &source, &site, options, &Silent).unwrap_err();
    assert!(stopper.has_stopped() || full.load(Ordering::Relaxed), "{failure}");
    (failure, stopper.has_stopped())
}

pub(crate) fn copy_as(
    from: &StoreUrl,
    to: &Target,
    options: CopyOptions,
) -> Result<CopyReport, Failure> {
    copy(from, &opened::open(from, false)?, &to.url, options, &Silent)
}

struct StoppingArchive<'a> {
    place: &'a UrlArchiveSite,
    journal: StoppingPlace<'a>,
    limit: u64,
    full: Arc<AtomicBool>,
}

impl ArchiveSite for StoppingArchive<'_> {
    fn url(&self) -> &StoreUrl {
        self.place.url()
    }

    fn path(&self) -> &Path {
        self.place.path()
    }

    fn journal(&self) -> &dyn Site {
        &self.journal
    }

    fn out(&self, mut file: File) -> Box<dyn Write> {
        let room = self.limit.saturating_sub(file.stream_position().unwrap());
        Box::new(Full { file, room, full: self.full.clone() })
    }
}

/// A file that takes so many bytes, and cannot be flushed when they are used up.
struct Full {
    file: File,
    room: u64,
    full: Arc<AtomicBool>,
}

impl Full {
    fn require_room(&self) -> io::Result<()> {
        if self.room > 0 {
            return Ok(());
        }
        self.full.store(true, Ordering::Relaxed);
        Err(io::Error::other("stopped"))
    }
}

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.require_room()?;
        let room = bytes.len().min(self.room.try_into().unwrap_or(usize::MAX));
        let written = self.file.write(&bytes[..room])?;
        self.room -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.require_room()
    }
}
