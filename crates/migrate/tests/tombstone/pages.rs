//! What the tests share.

use std::path::{Path, PathBuf};

use migrate::bolt::BoltFile;
use tempfile::TempDir;

use crate::bolt_writer::{Node, Tree};

pub(crate) const NAME: &[u8] = b"data-migration-tombstone";

/// Each page size, with and without a stored free list, and a root bucket of more than one page.
pub(crate) const FILES: [&str; 5] =
    ["node.db", "pages16k.db", "freelist.db", "legacy31.db", "empty.db"];

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/lnd").join(name)
}

/// A copy of a fixture.
pub(crate) fn copy(name: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("channel.db");
    std::fs::write(&path, std::fs::read(fixture(name)).unwrap()).unwrap();
    (dir, path)
}

/// The tree with a tombstone.
pub(crate) fn marked(mut tree: Tree, text: &str) -> Tree {
    tree.at(&[NAME]).set(NAME, text);
    tree
}

/// The tree without its tombstone.
pub(crate) fn unmarked(mut tree: Tree) -> Tree {
    assert!(matches!(tree.remove(NAME), Node::Bucket(_)));
    tree
}

/// Requires that no page of a file is used twice, none damaged, and none lost if free pages are listed.
#[track_caller]
pub(crate) fn assert_sound(path: &Path) {
    let file = BoltFile::open(path).unwrap();
    let survey = file.survey().unwrap();
    assert!(survey.is_clean(), "{:?}", survey.damage);
    assert_eq!(survey.freelist_fault, None);
    let (info, bytes) = (file.info(), std::fs::read(path).unwrap());
    let size = info.page_size as usize;
    assert!(bytes.len() as u64 >= info.meta().high_water_mark * size as u64);
    let Some(page) = info.meta().freelist_page else { return };
    let list = &bytes[page as usize * size..];
    let number = |at: usize, length: usize| {
        let bytes = &list[at..at + length];
        bytes.iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let (count, overflow) = (number(10, 2), number(12, 4));
    assert_eq!(survey.pages + overflow + 1 + count, info.meta().high_water_mark - 2);
}
