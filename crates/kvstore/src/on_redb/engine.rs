//! redb as an engine: one transaction for each call.

use std::sync::Arc;

use channelcoord::BackendError;
use redb::{
    Database, DatabaseError, Durability, ReadOnlyDatabase, ReadableDatabase, StorageError,
    WriteTransaction,
};

use super::error::Fault;
use super::tables::{ReadTables, WriteTables};
use crate::kv::{Engine, ReadRows, WriteError, WriteRows};

/// An open file of redb.
pub struct Redb(pub(crate) Opened);

pub(crate) enum Opened {
    ReadWrite(Database),
    ReadOnly(ReadOnlyDatabase),
}

impl Engine for Redb {
    fn read<T>(
        &self,
        work: impl FnOnce(&mut dyn ReadRows) -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        let txn = match &self.0 {
            Opened::ReadWrite(db) => db.begin_read(),
            Opened::ReadOnly(db) => db.begin_read(),
        };
        let txn = txn.map_err(Fault::from)?;
        work(&mut ReadTables::new(&txn))
    }

    fn write<T, E>(
        &self,
        work: impl FnOnce(&mut dyn WriteRows) -> Result<T, E>,
    ) -> Result<T, WriteError<E>> {
        let txn = self.begin().map_err(|fault| WriteError::NotStored(Arc::new(fault)))?;
        let done = work(&mut WriteTables::new(&txn)).map_err(WriteError::Work)?;
        match txn.commit() {
            Ok(()) => Ok(done),
            Err(error) => Err(WriteError::Unknown(Arc::new(Fault::from(error)))),
        }
    }
}

impl Redb {
    fn begin(&self) -> Result<WriteTransaction, Fault> {
        let Opened::ReadWrite(db) = &self.0 else { return Err(Fault::ReadOnly) };
        let mut txn = db.begin_write()?;
        txn.set_durability(Durability::Immediate)?;
        Ok(txn)
    }

    /// Checks every page.
    pub(crate) fn check(&mut self) -> Result<(), Fault> {
        let Opened::ReadWrite(db) = &mut self.0 else { return Err(Fault::ReadOnly) };
        match db.check_integrity() {
            Ok(true) => Ok(()),
            Ok(false) | Err(DatabaseError::Storage(StorageError::Corrupted(_))) => {
                Err(Fault::DamagedFile)
            }
            Err(error) => Err(Fault::Redb(error.into())),
        }
    }
}

impl std::fmt::Debug for Redb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.0 {
            Opened::ReadWrite(_) => "ReadWrite",
            Opened::ReadOnly(_) => "ReadOnly",
        })
    }
}
