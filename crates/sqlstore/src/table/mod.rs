//! The tables of records, and which record goes into which.
//!
//! One file for each part of the schema maps the records of that part to columns. The order of the
//! columns is the order of the fields here; the first ones are the key, in the order of the parts of
//! a [`RecordKey`](chanstate::key::RecordKey).

mod channel;
mod close;
mod commitment;
mod package;
mod peer;
mod revocation;
mod scalar;
mod setup;
mod store;
mod terms;

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use channelcoord::{BackendError, LndRecord, MetaRecord, Record, RecordRef};
use chanstate::key::Kind;
use chanstate::record::{
    ChannelRecord, CloseRecord, CommitmentRecord, DiffRecord, HtlcRecord, MarkRecord,
    PackageRecord, PackageUpdateRecord, ReclaimRecord, RevokedCommitmentRecord, RevokedStateRecord,
    SecretRecord, TermsRecord, UpdateListRecord,
};
use chanstate::{FinalHtlcRecord, ForwardingPolicyRecord, OpeningStateRecord};
use linknode::{LinkAddressRecord, LinkNodeRecord};

pub(crate) use self::store::{EpochRow, FORMAT, StoreRow};
use crate::columns::{Column, Columns};
use crate::keys;
use crate::row::{Checksums, Damage, RowReader, RowWriter};
use crate::statement::list;
use crate::value::Source;

/// A table with a row for each record of a kind.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: &'static str,
    /// CRC-32 of the name: where the checksums of its rows start.
    pub(crate) name_digest: u32,
    /// Its columns without the checksum, which comes last.
    pub(crate) columns: Vec<Column>,
    /// How many of them are the key.
    pub(crate) key: usize,
    /// The first key column is a short channel id and may use all 64 bits.
    pub(crate) wide: bool,
    /// The key is bytes of any length.
    pub(crate) long: bool,
    /// Columns outside the key that have an index and hardly ever change.
    pub(crate) indexed: &'static [&'static str],
}

impl Table {
    /// The table that rows of type `T` are in.
    pub(crate) fn of<T: Columns>(name: &'static str, key: usize) -> Table {
        let mut columns = Vec::new();
        T::describe("", &mut columns);
        let name_digest = crc32fast::hash(name.as_bytes());
        Table { name, name_digest, columns, key, wide: false, long: false, indexed: &[] }
    }

    /// The key columns.
    pub(crate) fn key_columns(&self) -> &[Column] {
        self.columns.get(..self.key).unwrap_or(&self.columns)
    }

    /// The names of some columns, separated by commas.
    pub(crate) fn names(&self, columns: Range<usize>) -> String {
        list(", ", self.some(columns).map(str::to_owned))
    }

    /// The names of some columns.
    pub(crate) fn some(&self, columns: Range<usize>) -> impl Iterator<Item = &str> {
        let named = self.columns.iter().map(|column| &*column.name);
        named.skip(columns.start).take(columns.len())
    }
}

macro_rules! tables {
    (
        channel { $( $kind:ident: $record:ident = $name:literal, $key:literal; )* }
        link_node { $( $node_kind:ident: $node_record:ident = $node_name:literal, $node_key:literal; )* }
        own { $( $own_kind:ident: $own_record:ident = $own_name:literal, $own_key:literal; )* }
    ) => {
        fn plain_table(kind: Kind) -> Table {
            match kind {
                $( Kind::$kind => Table::of::<$record>($name, $key), )*
                $( Kind::$node_kind => Table::of::<$node_record>($node_name, $node_key), )*
                $( Kind::$own_kind => Table::of::<$own_record>($own_name, $own_key), )*
            }
        }

        /// Writes the values of a record.
        pub(crate) fn write(record: RecordRef<'_>, row: &mut RowWriter<'_>) {
            match record {
                $( RecordRef::Channel(chanstate::Record::$kind(record)) => record.write(row), )*
                $( RecordRef::LinkNode(linknode::Record::$node_kind(record)) => record.write(row), )*
                $( RecordRef::$own_kind(record) => record.write(row), )*
            }
        }

        /// Reads a record of `kind` back.
        pub(crate) fn read(kind: Kind, row: &mut RowReader<'_>) -> Result<Record, Damage> {
            Ok(match kind {
                $( Kind::$kind => Record::Channel(chanstate::Record::$kind(Columns::read(row)?)), )*
                $( Kind::$node_kind => {
                    Record::LinkNode(linknode::Record::$node_kind(Columns::read(row)?))
                } )*
                $( Kind::$own_kind => Record::$own_kind(Columns::read(row)?), )*
            })
        }
    };
}
// Kind, record, table, number of key columns.
tables! {
    channel {
        Channel: ChannelRecord = "channel", 1;
        Terms: TermsRecord = "channel_terms", 1;
        Commitment: CommitmentRecord = "commitment", 3;
        Diff: DiffRecord = "commitment_diff", 1;
        Htlc: HtlcRecord = "htlc", 3;
        UpdateList: UpdateListRecord = "update_list", 2;
        Secret: SecretRecord = "secret", 2;
        Mark: MarkRecord = "mark", 2;
        RevokedState: RevokedStateRecord = "revoked_state", 2;
        RevokedCommitment: RevokedCommitmentRecord = "revoked_commitment", 2;
        Package: PackageRecord = "package", 2;
        PackageUpdate: PackageUpdateRecord = "package_update", 4;
        Close: CloseRecord = "close", 1;
        Reclaim: ReclaimRecord = "reclaim", 1;
        FinalHtlc: FinalHtlcRecord = "final_htlc", 2;
        OpeningState: OpeningStateRecord = "opening_state", 1;
        ForwardingPolicy: ForwardingPolicyRecord = "forwarding_policy", 1;
    }
    link_node {
        LinkNode: LinkNodeRecord = "link_node", 1;
        LinkAddress: LinkAddressRecord = "link_node_address", 2;
    }
    own {
        Meta: MetaRecord = "meta", 1;
        Lnd: LndRecord = "lnd_residue", 1;
    }
}

/// The table of a kind of record.
pub(crate) fn of_kind(kind: Kind) -> &'static Table {
    static TABLES: LazyLock<[Table; Kind::ALL.len()]> = LazyLock::new(|| Kind::ALL.map(table));
    // Kinds are numbered from 1 without gaps.
    &TABLES[kind as usize - 1]
}

/// The table `store`.
pub(crate) fn store() -> &'static Table {
    static STORE: LazyLock<Table> = LazyLock::new(|| Table::of::<StoreRow>("store", 1));
    &STORE
}

/// The table `epoch`.
pub(crate) fn epoch() -> &'static Table {
    static EPOCH: LazyLock<Table> = LazyLock::new(|| Table::of::<EpochRow>("epoch", 1));
    &EPOCH
}

/// Reads the record that a whole row holds.
///
/// # Errors
/// `Corrupt`, with the key of the row.
pub(crate) fn record(
    kind: Kind,
    row: &dyn Source,
    checksums: Checksums,
) -> Result<Record, BackendError> {
    let table = of_kind(kind);
    let record = RowReader::new(table, row, checksums);
    record.and_then(|mut reader| read(kind, &mut reader)).map_err(|damage| {
        let record = keys::of_row(kind, table, row).to_string();
        BackendError::Corrupt { record, cause: Arc::new(damage) }
    })
}

fn table(kind: Kind) -> Table {
    let mut table = plain_table(kind);
    table.wide = matches!(kind, Kind::Package | Kind::PackageUpdate | Kind::FinalHtlc);
    table.long = matches!(kind, Kind::OpeningState | Kind::Meta | Kind::Lnd);
    if kind == Kind::Channel {
        table.indexed = &["txid", "vout", "channel_id"];
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_table() {
        for kind in Kind::ALL {
            assert_eq!(of_kind(kind).name, table(kind).name);
        }
    }
}
