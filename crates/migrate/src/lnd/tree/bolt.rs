//! The tree in a bbolt file.

use super::{Bucket, Damage, Entry, ReadError, Survey};
use crate::bolt::{self, BoltFile, TreeDamage};
use crate::finding::chain;

/// Walks the pages once.
pub(super) fn survey(file: &BoltFile) -> Result<Survey, ReadError> {
    let found = file.survey()?;
    let mut notes = Vec::new();
    for (page, meta) in file.info().metas.iter().enumerate() {
        if let Some(fault) = &meta.fault {
            let what = format!("{}; the newest transaction may be lost", chain(fault));
            notes.push((format!("meta page {page}"), what));
        }
    }
    if let Some(fault) = &found.freelist_fault {
        notes.push(("free list".into(), format!("{}; not needed for reading", chain(fault))));
    }
    let damage = found.damage.into_iter().map(Damage::from).collect();
    Ok(Survey { damage, lost: Vec::new(), notes, keys: found.keys })
}

impl From<TreeDamage> for Damage {
    fn from(TreeDamage { path, page, fault }: TreeDamage) -> Damage {
        Damage { path, what: format!("page {page}: {fault}") }
    }
}

impl From<bolt::ReadError> for ReadError {
    fn from(error: bolt::ReadError) -> ReadError {
        match error {
            bolt::ReadError::File(error) => ReadError::File(error),
            bolt::ReadError::Damaged(damage) => ReadError::Damaged(damage.into()),
        }
    }
}

impl<'t> From<bolt::Entry<'t>> for Entry<'t> {
    fn from(entry: bolt::Entry<'t>) -> Entry<'t> {
        match entry {
            bolt::Entry::Value(value) => Entry::Value(value),
            bolt::Entry::Bucket(bucket) => Entry::Bucket(Bucket::Bolt(bucket)),
        }
    }
}
