//! Where rows are kept: one table for each group of kinds that change together.
//!
//! A commit rewrites a path of pages in every table that it touches, so kinds are grouped by how
//! often they change. Keys begin with the kind, so a kind is one contiguous range of its table.

use channelcoord::BackendError;
use chanstate::key::Kind;
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, WriteTransaction};

use super::error::Fault;
use crate::kv::{Bounds, ReadRows, Row, Table, WriteRows};

type Bytes = &'static [u8];
type Definition = TableDefinition<'static, Bytes, Bytes>;

/// Definitions, in the order of [`Group`].
const TABLES: [Definition; 9] = [
    Definition::new("live"),
    Definition::new("htlc"),
    Definition::new("revoked"),
    Definition::new("package"),
    Definition::new("cold"),
    Definition::new("link_node"),
    Definition::new("meta"),
    Definition::new("lnd"),
    Definition::new("store"),
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
    Store,
}

impl Group {
    fn of(table: Table) -> Group {
        let Table::Records(kind) = table else { return Group::Store };
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

/// Creates every table.
pub(crate) fn create_all(txn: &WriteTransaction) -> Result<(), redb::Error> {
    TABLES.iter().try_for_each(|table| txn.open_table(*table).map(drop).map_err(Into::into))
}

/// The table of the rows of the store itself.
pub(crate) const STORE: Definition = TABLES[Group::Store as usize];

/// The tables of a write transaction, each opened when it is first needed.
pub(crate) struct WriteTables<'txn> {
    txn: &'txn WriteTransaction,
    open: [Option<redb::Table<'txn, Bytes, Bytes>>; TABLES.len()],
}

impl<'txn> WriteTables<'txn> {
    pub(crate) fn new(txn: &'txn WriteTransaction) -> WriteTables<'txn> {
        WriteTables { txn, open: Default::default() }
    }

    fn table(&mut self, table: Table) -> Result<&mut redb::Table<'txn, Bytes, Bytes>, Fault> {
        let group = Group::of(table) as usize;
        match &mut self.open[group] {
            Some(table) => Ok(table),
            slot => Ok(slot.insert(self.txn.open_table(TABLES[group])?)),
        }
    }
}

impl ReadRows for WriteTables<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        get(self.table(table)?, key)
    }

    fn range(
        &mut self,
        table: Table,
        bounds: Bounds,
        limit: usize,
    ) -> Result<Vec<Row>, BackendError> {
        range(self.table(table)?, &bounds, limit)
    }
}

impl WriteRows for WriteTables<'_> {
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), BackendError> {
        self.table(table)?.insert(key, value).map_err(Fault::from)?;
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), BackendError> {
        self.table(table)?.remove(key).map_err(Fault::from)?;
        Ok(())
    }
}

/// The tables of a read transaction, each opened when it is first needed.
pub(crate) struct ReadTables<'txn> {
    txn: &'txn ReadTransaction,
    open: [Option<ReadOnlyTable<Bytes, Bytes>>; TABLES.len()],
}

impl<'txn> ReadTables<'txn> {
    pub(crate) fn new(txn: &'txn ReadTransaction) -> ReadTables<'txn> {
        ReadTables { txn, open: Default::default() }
    }

    fn table(&mut self, table: Table) -> Result<&ReadOnlyTable<Bytes, Bytes>, Fault> {
        let group = Group::of(table) as usize;
        match &mut self.open[group] {
            Some(table) => Ok(table),
            slot => Ok(slot.insert(self.txn.open_table(TABLES[group])?)),
        }
    }
}

impl ReadRows for ReadTables<'_> {
    fn get(&mut self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        get(self.table(table)?, key)
    }

    fn range(
        &mut self,
        table: Table,
        bounds: Bounds,
        limit: usize,
    ) -> Result<Vec<Row>, BackendError> {
        range(self.table(table)?, &bounds, limit)
    }
}

fn get(
    table: &impl ReadableTable<Bytes, Bytes>,
    key: &[u8],
) -> Result<Option<Vec<u8>>, BackendError> {
    let value = table.get(key).map_err(Fault::from)?;
    Ok(value.map(|value| value.value().to_vec()))
}

fn range(
    table: &impl ReadableTable<Bytes, Bytes>,
    (start, end): &Bounds,
    limit: usize,
) -> Result<Vec<Row>, BackendError> {
    let bounds = (start.as_ref().map(Vec::as_slice), end.as_ref().map(Vec::as_slice));
    let rows = table.range::<&[u8]>(bounds).map_err(Fault::from)?;
    rows.take(limit)
        .map(|row| {
            let (key, value) = row.map_err(Fault::from)?;
            Ok((key.value().to_vec(), value.value().to_vec()))
        })
        .collect()
}
