//! Where stores are kept: something that can be opened, closed and opened again.

use std::sync::Arc;

use channelcoord::{Backend, MemoryBackend};
use kvstore::RedbBackend;
use sqlstore::SqliteBackend;
use tempfile::TempDir;

/// A place for one store, empty at first.
pub trait Place: Send + Sync {
    /// Opens what is there. What was opened before has been released and dropped.
    fn open(&self) -> Arc<dyn Backend>;
}

/// A place in memory.
#[derive(Debug, Default)]
pub struct InMemory(MemoryBackend);

impl Place for InMemory {
    fn open(&self) -> Arc<dyn Backend> {
        Arc::new(self.0.clone())
    }
}

/// A file of the engine redb, deleted at the end.
#[derive(Debug)]
pub struct InRedb(TempDir);

impl Default for InRedb {
    fn default() -> Self {
        InRedb(directory())
    }
}

impl Place for InRedb {
    fn open(&self) -> Arc<dyn Backend> {
        let path = self.0.path().join("channels.redb");
        Arc::new(RedbBackend::open(path).expect("the file opens"))
    }
}

/// A file of the engine SQLite, deleted at the end.
#[derive(Debug)]
pub struct InSqlite(TempDir);

impl Default for InSqlite {
    fn default() -> Self {
        InSqlite(directory())
    }
}

impl Place for InSqlite {
    fn open(&self) -> Arc<dyn Backend> {
        let path = self.0.path().join("channels.sqlite");
        Arc::new(SqliteBackend::open(path).expect("the file opens"))
    }
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("the system has room for a directory")
}
