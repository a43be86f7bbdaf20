//! Every case of the suite over fjall.

use std::path::Path;

use conformance::{InDirectory, Place, Unusable};
use fjall::{KeyspaceCreateOptions, PersistMode, SingleWriterTxDatabase};

fn place() -> impl Place {
    InDirectory::new(|dir| fjall_backend::open(dir.join("channels")), set_newer)
}

fn set_newer(dir: &Path, newer: bool) -> Result<(), Unusable> {
    let db = SingleWriterTxDatabase::builder(dir.join("channels")).open()?;
    let rows = db.keyspace("chanstore", KeyspaceCreateOptions::default)?;
    let (key, value) = kvstore::kv::format_row(1 + u32::from(newer));
    rows.insert(key, value)?;
    Ok(db.persist(PersistMode::SyncAll)?)
}

conformance::cases!(tests crate::place);
