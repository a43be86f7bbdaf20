//! Where stores are kept: something that can be opened, closed and opened again.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use channelcoord::{Backend, MemoryBackend};
use tempfile::TempDir;

/// Why a place cannot be made or opened.
pub type Unusable = Box<dyn Error + Send + Sync>;

/// What an error says, and the errors behind it.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// A place for one store, empty at first. Dropping it throws away what it holds.
pub trait Place: Send + Sync {
    /// Opens what is there. What was opened before has been dropped, released or not: dropping
    /// without a release stands for a crash.
    ///
    /// # Errors
    /// The engine's. The case that needs the place fails with it.
    fn open(&self) -> Result<Arc<dyn Backend>, Unusable>;

    /// Gives what is there, and is not open, the format number that a newer release would write,
    /// or takes it back. False if the engine has no format, as it keeps nothing beyond its process.
    ///
    /// # Errors
    /// The engine's. The case that needs it fails with it.
    fn set_newer(&self, newer: bool) -> Result<bool, Unusable>;

    /// Another place with what is stored now, as a process that is killed would leave it. What is
    /// here may be open, but no call is on its way. `None` if the engine keeps nothing beyond its
    /// process, or nothing that can be copied while it is open.
    ///
    /// # Errors
    /// The engine's. The case that needs the copy fails with it.
    fn copy(&self) -> Result<Option<Box<dyn Place>>, Unusable> {
        Ok(None)
    }
}

impl dyn Place + '_ {
    /// Opens what is there.
    ///
    /// # Panics
    /// If it does not open, which fails the case.
    #[track_caller]
    pub fn must_open(&self) -> Arc<dyn Backend> {
        match self.open() {
            Ok(backend) => backend,
            Err(error) => panic!("the place does not open: {}", chain(error.as_ref())),
        }
    }
}

/// A place in memory.
#[derive(Debug, Default)]
pub struct InMemory(MemoryBackend);

impl Place for InMemory {
    fn open(&self) -> Result<Arc<dyn Backend>, Unusable> {
        Ok(Arc::new(self.0.clone()))
    }

    fn set_newer(&self, _newer: bool) -> Result<bool, Unusable> {
        Ok(false)
    }
}

/// A directory in which a backend opens its store, deleted at the end.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// fn place() -> impl conformance::Place {
///     conformance::InDirectory::new(
///         |dir| sqlstore::SqliteBackend::open(dir.join("channels")),
///         |dir, newer| {
///             let db = rusqlite::Connection::open(dir.join("channels"))?;
///             let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
///             db.pragma_update(None, "user_version", if newer { version + 1 } else { version - 1 })
///         },
///     )
/// }
/// ```
pub struct InDirectory<B> {
    dir: TempDir,
    open: OpenIn<B>,
    set_newer: SetNewerIn,
}

type OpenIn<B> = Arc<dyn Fn(&Path) -> Result<B, Unusable> + Send + Sync>;
type SetNewerIn = Arc<dyn Fn(&Path, bool) -> Result<(), Unusable> + Send + Sync>;

impl<B: Backend> InDirectory<B> {
    /// A new directory. `open` opens the store in it, or creates it the first time; `set_newer`
    /// does what [`Place::set_newer`] says.
    ///
    /// # Panics
    /// If the system has no room for a directory.
    pub fn new<E: Into<Unusable>, F: Into<Unusable>>(
        open: impl Fn(&Path) -> Result<B, E> + Send + Sync + 'static,
        set_newer: impl Fn(&Path, bool) -> Result<(), F> + Send + Sync + 'static,
    ) -> InDirectory<B> {
        let place = InDirectory::within(&std::env::temp_dir(), open, set_newer);
        place.expect("the system has room for a directory")
    }

    /// As [`new`](InDirectory::new), with the directory made in `parent`: on the disk that matters.
    ///
    /// # Errors
    /// The file system's.
    pub fn within<E: Into<Unusable>, F: Into<Unusable>>(
        parent: &Path,
        open: impl Fn(&Path) -> Result<B, E> + Send + Sync + 'static,
        set_newer: impl Fn(&Path, bool) -> Result<(), F> + Send + Sync + 'static,
    ) -> Result<InDirectory<B>, Unusable> {
        Ok(InDirectory {
            dir: tempfile::tempdir_in(parent)?,
            open: Arc::new(move |path| open(path).map_err(Into::into)),
            set_newer: Arc::new(move |path, newer| set_newer(path, newer).map_err(Into::into)),
        })
    }
}

impl<B: Backend> Place for InDirectory<B> {
    fn open(&self) -> Result<Arc<dyn Backend>, Unusable> {
        Ok(Arc::new((self.open)(self.dir.path())?))
    }

    fn set_newer(&self, newer: bool) -> Result<bool, Unusable> {
        (self.set_newer)(self.dir.path(), newer).map(|()| true)
    }

    fn copy(&self) -> Result<Option<Box<dyn Place>>, Unusable> {
        let from = self.dir.path();
        let dir = tempfile::tempdir_in(from.parent().unwrap_or(from))?;
        copy_files(from, dir.path())?;
        let (open, set_newer) = (Arc::clone(&self.open), Arc::clone(&self.set_newer));
        Ok(Some(Box::new(InDirectory { dir, open, set_newer })))
    }
}

/// Copies the files of a directory, and of those in it. Locks are not copied.
fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir(&target)?;
            copy_files(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
