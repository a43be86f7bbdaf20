//! Opening and creating stores.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

use redb::{Database, ReadableDatabase, StorageBackend};

use super::backend::RedbBackend;
use super::engine::{Opened, Redb};
use super::error::{Fault, OpenError};
use super::format;
use crate::kv::{catch, sync_parent};

/// Default for [`Options::cache_bytes`].
const CACHE_BYTES: usize = 128 << 20;

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options { cache_bytes: CACHE_BYTES }
    }
}

impl Options {
    /// Most memory to use for pages of the file. Without it, 128 MiB.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Options {
        self.cache_bytes = bytes;
        self
    }

    /// Opens the store at `path`, or creates it if there is no file or an empty one.
    ///
    /// A store in an older format is upgraded; one that a crash left behind is repaired.
    ///
    /// # Errors
    /// `InUse`, `NotOurs`, `NewerFormat`, `EngineFormat`, `Damaged`, `Io`, `Engine`.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<RedbBackend, OpenError> {
        let path = path.as_ref();
        catch(|| self.prepare(self.builder().create(path)?, Some(path)))?
    }

    /// Creates a store at `path`.
    ///
    /// # Errors
    /// `Exists` for any file, an empty one included; `Io`, `Engine`. Something may be left behind:
    /// [`open`](Options::open) completes it, or says `NotOurs` if it ends before redb's own magic
    /// number; then it holds nothing and can be deleted.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<RedbBackend, OpenError> {
        let path = path.as_ref();
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let file = file.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => OpenError::Exists,
            _ => OpenError::Io(error),
        })?;
        catch(|| self.prepare(self.builder().create_file(file)?, Some(path)))?
    }

    /// Opens the store at `path`, as [`open`](Options::open) does, if there is one.
    ///
    /// # Errors
    /// `Missing` if there is no file; `NotOurs` also for a file whose creation was not finished;
    /// otherwise as for [`open`](Options::open).
    pub fn open_existing(&self, path: impl AsRef<Path>) -> Result<RedbBackend, OpenError> {
        let path = path.as_ref();
        catch(|| {
            let db = self.builder().open(path).map_err(missing)?;
            let txn = db.begin_read().map_err(Fault::from)?;
            match format::require_newest(&txn) {
                Ok(()) | Err(OpenError::OlderFormat { .. }) => {}
                Err(error) => return Err(error),
            }
            drop(txn);
            self.prepare(db, Some(path))
        })?
    }

    /// Opens the store at `path` for reading. Several processes may do so at a time, as long as
    /// none has it open for writing. Claims and commits fail.
    ///
    /// # Errors
    /// `Missing`, `InUse`, `NotOurs`, `NewerFormat`, `OlderFormat`, `EngineFormat`, `NeedsRepair`,
    /// `Damaged`, `Io`, `Engine`.
    pub fn open_read_only(&self, path: impl AsRef<Path>) -> Result<RedbBackend, OpenError> {
        catch(|| {
            let db = self.builder().open_read_only(path).map_err(missing)?;
            let txn = db.begin_read().map_err(Fault::from)?;
            format::require_newest(&txn)?;
            drop(txn);
            Ok(RedbBackend::new(Redb(Opened::ReadOnly(db))))
        })?
    }

    /// Opens or creates a store in storage of the caller's: memory, or storage that fails on
    /// purpose in a test. The caller sees to it that nobody else writes there.
    ///
    /// # Errors
    /// As for [`open`](Options::open).
    pub fn open_storage(&self, storage: impl StorageBackend) -> Result<RedbBackend, OpenError> {
        catch(|| self.prepare(self.builder().create_with_backend(storage)?, None))?
    }

    fn prepare(&self, db: Database, path: Option<&Path>) -> Result<RedbBackend, OpenError> {
        let created = format::upgrade(&db)?;
        if let Some(path) = path.filter(|_| created) {
            sync_parent(path).map_err(OpenError::Io)?;
        }
        Ok(RedbBackend::new(Redb(Opened::ReadWrite(db))))
    }

    fn builder(&self) -> redb::Builder {
        let mut builder = Database::builder();
        builder.set_cache_size(self.cache_bytes);
        builder
    }
}

fn missing(error: redb::DatabaseError) -> OpenError {
    match error.into() {
        OpenError::Io(error) if error.kind() == ErrorKind::NotFound => OpenError::Missing,
        other => other,
    }
}
