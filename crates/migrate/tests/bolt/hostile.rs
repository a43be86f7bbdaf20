//! Files made to keep a reader busy for ever or to exhaust its memory.

use migrate::bolt::{Entry, FileError, PageFault, ReadError};

use crate::builder::{Image, LEAF, PAGE, branch, bucket, header, leaf, value};

/// A leaf whose ten buckets all start at the leaf itself: ten to the 32nd paths.
#[test]
fn bucket_inside_itself() {
    let names = "0123456789";
    let nested: Vec<_> = names.chars().map(|name| bucket(name.to_string(), 3)).collect();
    let image = Image::new(&[leaf(2, 0, &[bucket("b", 3)]), leaf(3, 0, &nested)]);
    let file = image.open();
    let survey = file.survey().unwrap();
    assert_eq!(survey.damage.len(), names.len());
    for (damage, name) in survey.damage.iter().zip(names.bytes()) {
        assert_eq!(damage.path, [b"b".to_vec(), vec![name]]);
        assert_eq!(damage.fault, PageFault::ReachedTwice { page: 3 });
    }
}

#[test]
fn descent_through_buckets_ends() {
    let image = Image::new(&[leaf(2, 0, &[bucket("b", 3)]), leaf(3, 0, &[bucket("b", 3)])]);
    let file = image.open();
    let mut at = file.root();
    let error = loop {
        match at.get(b"b") {
            Ok(Some(Entry::Bucket(nested))) => at = nested,
            Ok(other) => panic!("{other:?}"),
            Err(error) => break error,
        }
    };
    let ReadError::Damaged(damage) = error else { panic!("{error:?}") };
    assert_eq!(damage.fault, PageFault::NestedTooDeep { limit: 32 });
    assert_eq!(damage.path.len(), 33);
}

/// Nested to the last level allowed, and one level further.
#[test]
fn nesting_has_a_limit() {
    let nested = |levels: u64| {
        let mut pages: Vec<_> =
            (2..2 + levels).map(|id| leaf(id, 0, &[bucket("b", id + 1)])).collect();
        pages.push(leaf(2 + levels, 0, &[value("k", "v")]));
        Image::new(&pages).open().survey().unwrap()
    };
    assert_eq!((nested(32).damage.len(), nested(32).keys), (0, 1));
    let survey = nested(33);
    assert_eq!(survey.damage[0].path.len(), 33);
    assert_eq!(survey.damage[0].fault, PageFault::NestedTooDeep { limit: 32 });
}

/// A branch of one element that leads to itself breaks no key order.
#[test]
fn branch_to_itself() {
    // Large enough a file that its size does not end the walk first.
    let mut pages = vec![leaf(2, 0, &[bucket("b", 3)]), branch(3, &[("a", 3)])];
    pages.extend((4..104).map(|id| leaf(id, 0, &[])));
    let file = Image::new(&pages).open();
    let survey = file.survey().unwrap();
    assert_eq!(survey.damage[0].fault, PageFault::ReachedTwice { page: 3 });

    let bucket = file.root().bucket(b"b").unwrap().unwrap();
    for error in [bucket.entries().next().unwrap().unwrap_err(), bucket.get(b"a").unwrap_err()] {
        let ReadError::Damaged(damage) = error else { panic!("{error:?}") };
        assert_eq!(damage.fault, PageFault::TreeTooDeep { limit: 64 });
    }
}

/// The deepest tree allowed, and one page deeper.
#[test]
fn depth_has_a_limit() {
    let deep = |branches: u64| {
        let mut pages = vec![leaf(2, 0, &[bucket("b", 3)])];
        pages.extend((3..3 + branches).map(|id| branch(id, &[("a", id + 1)])));
        pages.push(leaf(3 + branches, 0, &[value("a", "v")]));
        let file = Image::new(&pages).open();
        let bucket = file.root().bucket(b"b").unwrap().unwrap();
        let ends = [
            file.survey().unwrap().is_clean(),
            bucket.value(b"a").is_ok(),
            bucket.entries().all(|e| e.is_ok()),
        ];
        assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
        ends[0]
    };
    assert!(deep(63));
    assert!(!deep(64));
}

/// An empty leaf may be shared by all elements of a branch without breaking any order.
#[test]
fn branch_with_one_child_for_all_elements() {
    let keys: Vec<_> = (0..200).map(|i| format!("{i:03}")).collect();
    let elements: Vec<_> = keys.iter().map(|key| (key.as_str(), 4)).collect();
    let image = Image::new(&[leaf(2, 0, &[bucket("b", 3)]), branch(3, &elements), leaf(4, 0, &[])]);
    let file = image.open();
    let survey = file.survey().unwrap();
    assert_eq!(survey.damage[0].fault, PageFault::ReachedTwice { page: 4 });
    let bucket = file.root().bucket(b"b").unwrap().unwrap();
    let error = bucket.entries().next().unwrap().unwrap_err();
    let ReadError::Damaged(damage) = error else { panic!("{error:?}") };
    assert_eq!(damage.fault, PageFault::TreeTooLarge { limit: 5 * PAGE as u64 });
}

/// Every page claims all pages behind it, so the runs add up to the square of the file.
#[test]
fn runs_that_overlap() {
    const PAGES: u64 = 3000;
    let mut elements = Vec::new();
    for id in 3..PAGES {
        elements.push(bucket(format!("{id:05}"), id));
    }
    let root = leaf(2, 0, &elements);
    let room = root.len() / PAGE;
    let mut pages = vec![leaf(2, room as u32, &elements)];
    for id in 3 + room as u64..PAGES {
        pages.push(header(id, LEAF, 0, (PAGES - id - 1) as u32));
    }
    let file = Image::new(&pages).open();
    assert!(matches!(file.survey(), Err(FileError::TooMuchDamage)));
}

/// Long names above many damaged buckets: the list of damage would dwarf the file.
#[test]
fn list_of_damage_is_bounded() {
    let long = vec![b'n'; 32768];
    let mut pages = Vec::new();
    let mut id = 2;
    for _ in 0..20 {
        pages.push(leaf(id, 8, &[bucket(&long, id + 9)]));
        id += 9;
    }
    let broken: Vec<_> = (0..1000).map(|i| (1, format!("{i:04}").into_bytes(), vec![])).collect();
    let overflow = leaf(id, 0, &broken).len() / PAGE;
    pages.push(leaf(id, overflow as u32, &broken));
    let file = Image::new(&pages).open();
    assert!(matches!(file.survey(), Err(FileError::TooMuchDamage)));
}

/// The high-water mark and the overflow promise far more than the file holds.
#[test]
fn sizes_are_not_believed() {
    let mut image = Image::new(&[leaf(2, 0, &[bucket("b", 3)]), header(3, LEAF, 0xfffe, u32::MAX)]);
    image.put_metas(|meta| meta.high_water_mark = u64::MAX);
    let file = image.open();
    assert!(matches!(file.survey(), Err(FileError::Truncated { page: 3, .. })));
    let bucket = file.root().bucket(b"b").unwrap().unwrap();
    let error = bucket.entries().next().unwrap().unwrap_err();
    assert!(matches!(error, ReadError::File(FileError::Truncated { page: 3, .. })));
}

/// A sparse file makes a run of terabytes cheap to claim.
#[test]
fn run_longer_than_any_real_one() {
    let mut image = Image::new(&[leaf(2, 0, &[bucket("b", 3)]), header(3, LEAF, 0, (1 << 20) - 1)]);
    image.put_metas(|meta| meta.high_water_mark = 3 + (1 << 20));
    let stored = image.store();
    let sparse = std::fs::File::options().write(true).open(&stored.path).unwrap();
    sparse.set_len((3 + (1 << 20)) * 4096).unwrap();
    let survey = stored.open().unwrap().survey().unwrap();
    assert_eq!(survey.damage[0].fault, PageFault::RunTooLong { bytes: 1 << 32 });
}
