//! A crash at any moment leaves the old state or the new one, and never half of one.

use migrate::bolt::{BoltWriter, Change, Step};

use crate::bolt_writer::Tree;
use crate::pages::{FILES, NAME, assert_sound, copy, marked};

/// What a disk holds.
#[derive(Clone)]
struct Disk(Vec<u8>);

impl Disk {
    fn write(&mut self, at: u64, bytes: &[u8]) {
        let at = at as usize;
        if self.0.len() < at + bytes.len() {
            self.0.resize(at + bytes.len(), 0);
        }
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Whether the new state counts; it is one of both, and sound.
    #[track_caller]
    fn is_new(&self, old: &Tree, new: &Tree) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &self.0).unwrap();
        assert_sound(file.path());
        let found = Tree::read(file.path());
        assert!(found == *old || found == *new);
        found == *new
    }
}

/// Writes after the last sync can have reached the disk in any selection, and each of them in part.
fn crashes(before: &Disk, unsynced: &[(u64, Vec<u8>)], mut see: impl FnMut(&Disk, bool)) {
    assert!(unsynced.len() < 8);
    for selection in 0..1u32 << unsynced.len() {
        let mut disk = before.clone();
        let chosen = (0..unsynced.len()).filter(|at| selection >> at & 1 == 1);
        for (at, bytes) in chosen.map(|at| &unsynced[at]) {
            disk.write(*at, bytes);
        }
        see(&disk, selection + 1 == 1 << unsynced.len());
    }
    for (torn, (at, bytes)) in unsynced.iter().enumerate() {
        // Pages in eight parts, a meta page in its smallest fields.
        let step = if bytes.len() > 512 { bytes.len() / 8 } else { 4 };
        for length in (0..bytes.len()).step_by(step) {
            let mut disk = before.clone();
            unsynced[..torn].iter().for_each(|(at, bytes)| disk.write(*at, bytes));
            disk.write(*at, &bytes[..length]);
            see(&disk, false);
            // The end of it without its beginning.
            let mut disk = before.clone();
            unsynced[..torn].iter().for_each(|(at, bytes)| disk.write(*at, bytes));
            disk.write(*at + length as u64, &bytes[length..]);
            see(&disk, false);
        }
    }
}

fn survives(
    name: &str,
    change: Change<'_>,
    prepare: impl Fn(&std::path::Path),
    new: impl Fn(Tree) -> Tree,
) {
    let (_dir, path) = copy(name);
    prepare(&path);
    let old = Tree::read(&path);
    let new = new(old.clone());
    let writer = BoltWriter::open(&path).unwrap();
    let steps = writer.plan(change).unwrap();
    let mut disk = Disk(std::fs::read(&path).unwrap());
    let mut unsynced = Vec::new();
    let (mut olds, mut news) = (0, 0);
    for step in &steps {
        match step {
            Step::Write { at, bytes } => unsynced.push((*at, bytes.clone())),
            Step::Sync => {
                let mut is_new = Vec::new();
                crashes(&disk, &unsynced, |disk, _| is_new.push(disk.is_new(&old, &new)));
                news += is_new.iter().filter(|is_new| **is_new).count();
                olds += is_new.iter().filter(|is_new| !**is_new).count();
                unsynced.drain(..).for_each(|(at, bytes)| disk.write(at, &bytes));
            }
        }
    }
    // What was written before the last sync is durable.
    assert!(unsynced.is_empty());
    assert!(disk.is_new(&old, &new));
    assert!(olds > 30 && news > 0, "{olds} {news}");
    // It is what is carried out.
    writer.carry_out(&steps).unwrap();
    assert!(std::fs::read(&path).unwrap() == disk.0);
}

#[test]
fn while_a_mark_is_written() {
    for name in ["pages16k.db", "freelist.db", "empty.db"] {
        let change = Change::Put { name: NAME, key: NAME, value: b"text" };
        survives(name, change, |_| {}, |tree| marked(tree, "text"));
    }
}

#[test]
fn while_a_mark_is_removed() {
    for name in ["freelist.db", "empty.db"] {
        let mark = |path: &std::path::Path| {
            let home = migrate::lnd::tombstone::Home::Bolt(path);
            migrate::lnd::tombstone::write(home, "text").unwrap();
        };
        survives(name, Change::Remove { name: NAME }, mark, crate::pages::unmarked);
    }
}

/// Nothing of the old state is overwritten but the meta page that does not count.
#[test]
fn no_page_in_use_is_written() {
    for name in FILES {
        let (_dir, path) = copy(name);
        let writer = BoltWriter::open(&path).unwrap();
        let info = *writer.file().info();
        let end = info.meta().high_water_mark * u64::from(info.page_size);
        let other = (1 - info.used as u64) * u64::from(info.page_size);
        let steps = writer.plan(Change::Put { name: NAME, key: NAME, value: b"text" }).unwrap();
        let [pages @ .., Step::Sync, Step::Write { at, .. }, Step::Sync] = steps.as_slice() else {
            panic!("{steps:?}");
        };
        assert_eq!(*at, other);
        assert!(pages.iter().all(|step| matches!(step, Step::Write { at, .. } if *at >= end)));
    }
}
