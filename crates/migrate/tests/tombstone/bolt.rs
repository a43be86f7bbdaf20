//! In a bbolt file.

use std::path::Path;

use migrate::bolt::{BoltFile, OpenError};
use migrate::lnd::source::{LndSource, SourceError};
use migrate::lnd::tombstone::{Home, TombstoneError, remove, write};
use migrate::url::StoreUrl;

use crate::bolt_writer::Tree;
use crate::pages::{FILES, NAME, assert_sound, copy, fixture, marked, unmarked};

#[test]
fn a_marked_file_holds_what_it_held_and_the_mark() {
    for name in FILES {
        let (_dir, path) = copy(name);
        let before = Tree::read(&path);
        let txid = BoltFile::open(&path).unwrap().info().meta().txid;
        write(Home::Bolt(&path), "moved to another place").unwrap();
        assert!(Tree::read(&path) == marked(before.clone(), "moved to another place"), "{name}");
        assert_sound(&path);
        assert_eq!(BoltFile::open(&path).unwrap().info().meta().txid, txid + 1);
        let refused = LndSource::open(&path, false);
        assert!(
            matches!(&refused, Err(SourceError::Tombstoned(text)) if text == "moved to another place"),
            "{refused:?}"
        );
        let removed = remove(Home::Bolt(&path)).unwrap();
        assert_eq!(removed.as_deref(), Some("moved to another place"));
        assert!(Tree::read(&path) == before, "{name}");
        assert_sound(&path);
        LndSource::open(&path, false).unwrap();
    }
}

#[test]
fn it_is_what_another_tool_writes() {
    let (_dir, path) = copy("node.db");
    let theirs = Tree::read(&fixture("tombstoned.db"));
    let text = String::from_utf8(theirs.clone().at(&[NAME]).value(NAME).to_vec()).unwrap();
    write(Home::Bolt(&path), &text).unwrap();
    assert!(Tree::read(&path) == theirs);
    let file = BoltFile::open(&path).unwrap();
    assert!(file.root().bucket(NAME).unwrap().unwrap().is_inline());
}

#[test]
fn the_mark_of_another_tool_can_be_removed() {
    let (_dir, path) = copy("tombstoned.db");
    let before = Tree::read(&path);
    let text = remove(Home::Bolt(&path)).unwrap().unwrap();
    assert!(text.starts_with("lndinit migrate-db"), "{text}");
    assert!(Tree::read(&path) == unmarked(before));
    assert!(Tree::read(&path) == Tree::read(&fixture("node.db")));
    assert_sound(&path);
}

#[test]
fn a_file_can_be_marked_and_unmarked_again_and_again() {
    for name in ["node.db", "freelist.db"] {
        let (_dir, path) = copy(name);
        let before = Tree::read(&path);
        for turn in 0..20 {
            write(Home::Bolt(&path), &format!("turn {turn}")).unwrap();
            remove(Home::Bolt(&path)).unwrap().unwrap();
            assert_sound(&path);
        }
        assert!(Tree::read(&path) == before);
    }
}

#[test]
fn each_of_lnd_s_databases_has_a_home() {
    let url = |name: &str| StoreUrl::resolve(name).unwrap();
    assert!(
        matches!(Home::of(&url("lnd-bolt:a")), Some(Home::Bolt(path)) if path == Path::new("a"))
    );
    assert!(matches!(Home::of(&url("lnd-sqlite:a")), Some(Home::Sqlite(_))));
    assert!(matches!(Home::of(&url("lnd-postgres://h/lnd")), Some(Home::Postgres(_))));
    for ours in ["sqlite:a", "redb:a", "postgres://h/nodes"] {
        assert!(Home::of(&url(ours)).is_none(), "{ours}");
    }
}

#[test]
fn a_marked_file_is_not_marked_again() {
    let (_dir, path) = copy("empty.db");
    write(Home::Bolt(&path), "first").unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let refused = write(Home::Bolt(&path), "second");
    assert!(
        matches!(&refused, Err(TombstoneError::Tombstoned(text)) if text == "first"),
        "{refused:?}"
    );
    assert!(std::fs::read(&path).unwrap() == bytes);
}

/// A file with what `edit` makes of a fixture's content.
fn edited(edit: impl FnOnce(&mut Tree)) -> tempfile::NamedTempFile {
    let mut tree = Tree::read(&fixture("empty.db"));
    edit(&mut tree);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), tree.to_file()).unwrap();
    file
}

#[test]
fn an_empty_mark_is_none() {
    let no_value: fn(&mut Tree) = |tree| {
        tree.at(&[NAME]);
    };
    for edit in [no_value, |tree| {
        tree.at(&[NAME]).set(NAME, "");
    }] {
        let file = edited(edit);
        let before = Tree::read(file.path());
        write(Home::Bolt(file.path()), "text").unwrap();
        assert!(Tree::read(file.path()) == marked(before.clone(), "text"));
        remove(Home::Bolt(file.path())).unwrap().unwrap();
        assert!(Tree::read(file.path()) == unmarked(before));
        assert_eq!(remove(Home::Bolt(file.path())).unwrap(), None);
        let file = edited(edit);
        assert_eq!(remove(Home::Bolt(file.path())).unwrap(), None);
        assert!(!Tree::read(file.path()).nodes.contains_key(NAME));
    }
}

#[test]
fn what_else_is_in_the_bucket_is_not_lost() {
    for edit in
        [(|tree: &mut Tree| tree.at(&[NAME]).set(b"other", "mine")) as fn(&mut Tree), |tree| {
            tree.at(&[NAME, NAME]);
        }]
    {
        let file = edited(edit);
        let bytes = std::fs::read(file.path()).unwrap();
        assert!(matches!(write(Home::Bolt(file.path()), "text"), Err(TombstoneError::Occupied)));
        assert!(matches!(remove(Home::Bolt(file.path())), Err(TombstoneError::Occupied)));
        assert!(std::fs::read(file.path()).unwrap() == bytes);
    }
}

#[test]
fn a_mark_on_pages_of_its_own_gives_them_back() {
    let file = edited(|tree| tree.at(&[NAME]).set(NAME, "x".repeat(10_000)));
    let pages = |path: &Path| BoltFile::open(path).unwrap().survey().unwrap().pages;
    let before = pages(file.path());
    assert_eq!(remove(Home::Bolt(file.path())).unwrap().unwrap().len(), 10_000);
    // The run of three pages.
    assert_eq!(pages(file.path()), before - 3);
    assert_sound(file.path());
}

/// Names of so many buckets that the root bucket has branch pages; the mark comes first, in the middle
/// or last.
#[test]
fn the_place_of_the_mark_among_many_does_not_matter() {
    for prefix in ["a", "z", "data-migration-tombston", "data-migration-tombstonf"] {
        let file = edited(|tree| {
            for number in 0..900 {
                tree.at(&[format!("{prefix}{number:060}").as_bytes()]);
            }
        });
        let before = Tree::read(file.path());
        write(Home::Bolt(file.path()), "text").unwrap();
        assert!(Tree::read(file.path()) == marked(before.clone(), "text"), "{prefix}");
        assert_sound(file.path());
        remove(Home::Bolt(file.path())).unwrap().unwrap();
        assert!(Tree::read(file.path()) == before, "{prefix}");
        assert_sound(file.path());
    }
}

#[test]
fn a_mark_that_is_alone_leaves_an_empty_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), Tree::default().to_file()).unwrap();
    write(Home::Bolt(file.path()), "text").unwrap();
    assert!(Tree::read(file.path()) == marked(Tree::default(), "text"));
    remove(Home::Bolt(file.path())).unwrap().unwrap();
    assert!(Tree::read(file.path()) == Tree::default());
    assert_sound(file.path());
}

#[test]
fn damaged_files_are_left_as_they_are() {
    for name in [
        "page-cycle.db",
        "page-double-ref.db",
        "key-order.db",
        "inline-broken.db",
        "trunc-middle.db",
        "metas-both-invalid.db",
        "zero-length.db",
    ] {
        let (_dir, path) = copy(&format!("damaged/{name}"));
        let bytes = std::fs::read(&path).unwrap();
        assert!(write(Home::Bolt(&path), "text").is_err(), "{name}");
        assert!(remove(Home::Bolt(&path)).is_err(), "{name}");
        assert!(std::fs::read(&path).unwrap() == bytes, "{name}");
    }
}

#[test]
fn a_damaged_free_list_is_left_as_it_is() {
    let (_dir, path) = copy("freelist.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let info = *BoltFile::open(&path).unwrap().info();
    let page = info.meta().freelist_page.unwrap() as usize * info.page_size as usize;
    // The first page of the list is one that cannot be free.
    bytes[page + 16..page + 24].copy_from_slice(&[0; 8]);
    std::fs::write(&path, &bytes).unwrap();
    assert!(matches!(write(Home::Bolt(&path), "text"), Err(TombstoneError::Edit(_))));
    assert!(std::fs::read(&path).unwrap() == bytes);
}

#[test]
fn one_damaged_meta_page_is_the_one_that_is_written() {
    for name in ["meta-newer-invalid.db", "meta-older-invalid.db", "meta0-zeroed.db"] {
        let (_dir, path) = copy(&format!("damaged/{name}"));
        let before = Tree::read(&path);
        write(Home::Bolt(&path), "text").unwrap();
        assert!(Tree::read(&path) == marked(before, "text"), "{name}");
        assert_sound(&path);
        assert!(!BoltFile::open(&path).unwrap().info().newest_may_be_lost, "{name}");
    }
}

#[test]
fn a_file_in_use_is_left_as_it_is() {
    let (_dir, path) = copy("empty.db");
    let reader = BoltFile::open(&path).unwrap();
    let refused = write(Home::Bolt(&path), "text");
    assert!(matches!(refused, Err(TombstoneError::Bolt(OpenError::Locked))), "{refused:?}");
    drop(reader);
    write(Home::Bolt(&path), "text").unwrap();
}

#[test]
fn a_text_of_any_length_that_fits_is_kept() {
    let (_dir, path) = copy("empty.db");
    assert!(matches!(write(Home::Bolt(&path), ""), Err(TombstoneError::Empty)));
    // A quarter of a page, less two headers, the name, and the element.
    let most = 4096 / 4 - 16 - 16 - NAME.len();
    let long = "x".repeat(most + 1);
    assert!(matches!(write(Home::Bolt(&path), &long), Err(TombstoneError::Edit(_))));
    write(Home::Bolt(&path), &long[1..]).unwrap();
    assert_eq!(remove(Home::Bolt(&path)).unwrap().unwrap().len(), most);
}
