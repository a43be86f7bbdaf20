//! Where records are kept: one table for each group of kinds that change together.
//!
//! A commit rewrites a path of pages in every table that it touches, so kinds are grouped by how
//! often they change. Keys begin with the kind, so a kind is one contiguous range of its table.

use chanstate::key::Kind;
use redb::{ReadOnlyTable, ReadTransaction, Table, TableDefinition, WriteTransaction};

use crate::kv::{ReadRows, WriteRows};

type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

/// Definitions, in the order of [`Group`].
const TABLES: [Definition; 8] = [
    Definition::new("live"),
    Definition::new("htlc"),
    Definition::new("revoked"),
    Definition::new("package"),
    Definition::new("cold"),
    Definition::new("link_node"),
    Definition::new("meta"),
    Definition::new("lnd"),
];

#[derive(Clone, Copy)]
enum Group {
    Live,
    Htlc,
    Revoked,
    Package,
    Cold,
    LinkNode,
    Meta,
    Lnd,
}

impl Group {
    fn of(kind: Kind) -> Group {
        match kind {
            Kind::Channel
            | Kind::Commitment
            | Kind::Diff
            | Kind::UpdateList
            | Kind::Secret
            | Kind::Mark => Group::Live,
            Kind::Htlc => Group::Htlc,
            Kind::RevokedState | Kind::RevokedCommitment => Group::Revoked,
            Kind::Package | Kind::PackageUpdate => Group::Package,
            Kind::Terms
            | Kind::Close
            | Kind::Reclaim
            | Kind::FinalHtlc
            | Kind::OpeningState
            | Kind::ForwardingPolicy => Group::Cold,
            Kind::LinkNode | Kind::LinkAddress => Group::LinkNode,
            Kind::Meta => Group::Meta,
            Kind::Lnd => Group::Lnd,
        }
    }
}

/// Creates every table of records.
pub(crate) fn create_all(txn: &WriteTransaction) -> Result<(), redb::Error> {
    TABLES.iter().try_for_each(|table| txn.open_table(*table).map(drop).map_err(Into::into))
}

/// The tables of a write transaction, each opened when it is first needed.
pub(crate) struct WriteTables<'txn> {
    txn: &'txn WriteTransaction,
    open: [Option<Table<'txn, &'static [u8], &'static [u8]>>; TABLES.len()],
}

impl<'txn> WriteTables<'txn> {
    pub(crate) fn new(txn: &'txn WriteTransaction) -> WriteTables<'txn> {
        WriteTables { txn, open: Default::default() }
    }

    fn table(
        &mut self,
        kind: Kind,
    ) -> Result<&mut Table<'txn, &'static [u8], &'static [u8]>, redb::Error> {
        let group = Group::of(kind) as usize;
        match &mut self.open[group] {
            Some(table) => Ok(table),
            slot => Ok(slot.insert(self.txn.open_table(TABLES[group])?)),
        }
    }
}

impl ReadRows for WriteTables<'_> {
    type Error = redb::Error;

    fn get(&mut self, kind: Kind, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        let value = redb::ReadableTable::get(self.table(kind)?, key)?;
        Ok(value.map(|value| value.value().to_vec()))
    }
}

impl WriteRows for WriteTables<'_> {
    fn put(&mut self, kind: Kind, key: &[u8], value: &[u8]) -> Result<(), redb::Error> {
        self.table(kind)?.insert(key, value)?;
        Ok(())
    }

    fn remove(&mut self, kind: Kind, key: &[u8]) -> Result<(), redb::Error> {
        self.table(kind)?.remove(key)?;
        Ok(())
    }
}

/// The tables of a read transaction, each opened when it is first needed.
pub(crate) struct ReadTables<'txn> {
    txn: &'txn ReadTransaction,
    open: [Option<ReadOnlyTable<&'static [u8], &'static [u8]>>; TABLES.len()],
}

impl<'txn> ReadTables<'txn> {
    pub(crate) fn new(txn: &'txn ReadTransaction) -> ReadTables<'txn> {
        ReadTables { txn, open: Default::default() }
    }

    pub(crate) fn table(
        &mut self,
        kind: Kind,
    ) -> Result<&ReadOnlyTable<&'static [u8], &'static [u8]>, redb::Error> {
        let group = Group::of(kind) as usize;
        match &mut self.open[group] {
            Some(table) => Ok(table),
            slot => Ok(slot.insert(self.txn.open_table(TABLES[group])?)),
        }
    }
}

impl ReadRows for ReadTables<'_> {
    type Error = redb::Error;

    fn get(&mut self, kind: Kind, key: &[u8]) -> Result<Option<Vec<u8>>, redb::Error> {
        let value = self.table(kind)?.get(key)?;
        Ok(value.map(|value| value.value().to_vec()))
    }
}
