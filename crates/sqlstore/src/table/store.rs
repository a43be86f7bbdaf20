//! `store`, `epoch`, `meta` and `lnd_residue`.

use channelcoord::{LndRecord, MetaRecord};

use crate::columns::columns;

/// What the column `format` of `store` holds.
pub(crate) const FORMAT: &str = "chanstore";

/// The one row of `store`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoreRow {
    /// Always 1.
    pub(crate) id: u64,
    /// Always [`FORMAT`].
    pub(crate) format: String,
    /// Newest claim.
    pub(crate) epoch: u64,
    /// Sequence number of the last commit.
    pub(crate) seq: u64,
}
columns!(StoreRow { id: "id", format: "format", epoch: "epoch", seq: "seq" });

/// A claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EpochRow {
    /// Its number.
    pub(crate) epoch: u64,
    /// Sequence number of the store when it began.
    pub(crate) began_at: u64,
}
columns!(EpochRow { epoch: "epoch", began_at: "began_at" });

columns!(MetaRecord { name: "name", value: "value" });
columns!(LndRecord { path: "path", residue: "residue" });
