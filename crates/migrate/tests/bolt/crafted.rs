//! Crafted files: each rule of the format, kept and broken.

use migrate::bolt::{BoltFile, Entry, FileError, PageFault, ReadError, TreeDamage};

use crate::builder::{
    Element, Image, LEAF, PAGE, branch, bucket, freelist, header, inline, leaf, value,
};

/// A file with bucket `b` at page 3 and an intact bucket `z` beside it, whose page is `pages` + 3.
fn around(pages: &[Vec<u8>]) -> Image {
    let intact = 3 + pages.len() as u64;
    let mut all = vec![leaf(2, 0, &[bucket("b", 3), bucket("z", intact)])];
    all.extend(pages.iter().cloned());
    all.push(leaf(intact, 0, &[value("fine", "1")]));
    Image::new(&all)
}

/// The damage of bucket `b`; the survey, the walk and `z` are checked on the way.
fn damage_of_b(image: &Image) -> TreeDamage {
    let file = image.open();
    let survey = file.survey().unwrap();
    let [damage] = &survey.damage[..] else { panic!("{:?}", survey.damage) };
    assert_eq!(damage.path, [b"b"]);
    let intact = file.root().bucket(b"z").unwrap().unwrap();
    assert_eq!(intact.value(b"fine").unwrap().unwrap(), b"1");
    assert_eq!(intact.entries().count(), 1);
    match read_b(&file) {
        Err(ReadError::Damaged(found)) => assert_eq!(found.path, [b"b"]),
        other => panic!("{other:?}"),
    }
    damage.clone()
}

fn read_b(file: &BoltFile) -> Result<Vec<Vec<u8>>, ReadError> {
    let bucket = file.root().bucket(b"b").unwrap().unwrap();
    bucket.entries().map(|entry| Ok(entry?.0)).collect()
}

fn fault_of_leaf(elements: &[Element]) -> PageFault {
    let damage = damage_of_b(&around(&[leaf(3, 0, elements)]));
    assert_eq!(damage.page, 3);
    damage.fault
}

#[test]
fn tree_of_three_levels() {
    let image = around(&[
        branch(3, &[("a", 4), ("m", 5)]),
        branch(4, &[("b", 6), ("f", 7)]),
        branch(5, &[("m", 8)]),
        leaf(6, 0, &[value("c", ""), value("d", "4")]),
        leaf(7, 0, &[]),
        leaf(8, 0, &[value("n", "5"), inline("o", &[value("p", "6")])]),
    ]);
    let file = image.open();
    let survey = file.survey().unwrap();
    assert_eq!(survey.damage, []);
    assert_eq!((survey.pages, survey.buckets, survey.keys), (8, 3, 5));
    assert_eq!(read_b(&file).unwrap(), [b"c", b"d", b"n", b"o"]);

    let bucket = file.root().bucket(b"b").unwrap().unwrap();
    assert_eq!(bucket.value(b"c").unwrap(), Some(vec![]));
    for absent in ["", "a", "b", "cc", "e", "f", "g", "m", "z"] {
        assert!(bucket.get(absent.as_bytes()).unwrap().is_none(), "{absent}");
    }
    let nested = bucket.bucket(b"o").unwrap().unwrap();
    assert!(nested.is_inline() && !bucket.is_inline());
    assert_eq!((nested.sequence(), nested.path()), (5, vec![b"b".to_vec(), b"o".to_vec()]));
    assert_eq!(nested.value(b"p").unwrap().unwrap(), b"6");
}

#[test]
fn value_of_three_megabytes() {
    let large = vec![7; 3 << 20];
    let elements = [value("k", &large), value("l", "small")];
    let overflow = (leaf(3, 0, &elements).len() / PAGE) as u32;
    let mut image = around(&[leaf(3, overflow, &elements)]);
    let after = 4 + u64::from(overflow);
    image.bytes[2 * PAGE..3 * PAGE].fill(0);
    let root = leaf(2, 0, &[bucket("b", 3), bucket("z", after)]);
    image.bytes[2 * PAGE..][..root.len()].copy_from_slice(&root);
    image.bytes[after as usize * PAGE..][..8].copy_from_slice(&after.to_le_bytes());
    let file = image.open();
    let survey = file.survey().unwrap();
    assert_eq!((survey.damage.len(), survey.pages), (0, after - 1));
    let bucket = file.root().bucket(b"b").unwrap().unwrap();
    assert_eq!(bucket.value(b"k").unwrap().unwrap(), large);
    assert_eq!(bucket.value(b"l").unwrap().unwrap(), b"small");

    // One overflow page too many would be the first page of somebody else.
    image.bytes[3 * PAGE + 12..][..4].copy_from_slice(&(overflow + 1).to_le_bytes());
    let damage = damage_of_b(&image);
    assert!(matches!(damage.fault, PageFault::RunUnused { .. }), "{damage:?}");
}

/// Old writers took a further page for elements that end exactly with one.
#[test]
fn run_may_end_with_one_unused_page() {
    let with = |length: usize| {
        let elements = [value("k", vec![1; length - 16 - 16 - 1])];
        let mut image = Image::new(&[leaf(2, 0, &[bucket("b", 3)]), leaf(3, 1, &elements)]);
        image.bytes.resize(5 * PAGE, 0);
        image.put_metas(|meta| meta.high_water_mark = 5);
        image.open().survey().unwrap().damage.first().map(|damage| damage.fault)
    };
    assert_eq!(with(PAGE), None);
    let used = PAGE as u64 - 1;
    assert_eq!(with(PAGE - 1), Some(PageFault::RunUnused { overflow: 1, used }));
}

#[test]
fn keys_of_every_legal_length() {
    let key = vec![b'k'; 32768];
    let page = leaf(3, 8, &[value("a", "1"), value(&key, "2")]);
    let mut image = Image::new(&[leaf(2, 0, &[bucket("b", 3)]), page]);
    assert_eq!(read_b(&image.open()).unwrap(), [b"a".to_vec(), key.clone()]);

    let page = leaf(3, 8, &[value("a", "1"), value([&key[..], b"k"].concat(), "2")]);
    image.bytes[3 * PAGE..][..page.len()].copy_from_slice(&page);
    let survey = image.open().survey().unwrap();
    assert_eq!(survey.damage[0].fault, PageFault::KeyLength { element: 1, found: 32769 });
    assert_eq!(fault_of_leaf(&[value("", "1")]), PageFault::KeyLength { element: 0, found: 0 });
}

#[test]
fn keys_must_ascend_strictly() {
    let fault = fault_of_leaf(&[value("a", "1"), value("a", "2")]);
    assert_eq!(fault, PageFault::KeyOrder { element: 1 });
    let fault = fault_of_leaf(&[value("a", "1"), value("c", "2"), value("b", "3")]);
    assert_eq!(fault, PageFault::KeyOrder { element: 2 });
    let image = around(&[
        branch(3, &[("c", 4), ("a", 5)]),
        leaf(4, 0, &[value("c", "")]),
        leaf(5, 0, &[value("a", "")]),
    ]);
    let damage = damage_of_b(&image);
    assert_eq!((damage.page, damage.fault), (3, PageFault::KeyOrder { element: 1 }));
}

#[test]
fn children_must_keep_the_range_of_their_branch() {
    let child = |first: &str, second: &str| {
        let damage = damage_of_b(&around(&[
            branch(3, &[("c", 4), ("m", 5)]),
            branch(4, &[(first, 6)]),
            leaf(5, 0, &[value("m", "")]),
            leaf(6, 0, &[value(second, "")]),
        ]));
        (damage.page, damage.fault)
    };
    assert_eq!(child("b", "d"), (4, PageFault::KeyOutOfBranch { element: 0 }));
    assert_eq!(child("m", "n"), (4, PageFault::KeyOutOfBranch { element: 0 }));
    assert_eq!(child("d", "c"), (6, PageFault::KeyOutOfBranch { element: 0 }));
    assert_eq!(child("d", "m"), (6, PageFault::KeyOutOfBranch { element: 0 }));
}

#[test]
fn branches_must_lead_somewhere() {
    let damage = damage_of_b(&around(&[branch(3, &[])]));
    assert_eq!((damage.page, damage.fault), (3, PageFault::EmptyBranch));
    for child in [0, 1, 5, u64::MAX] {
        let damage = damage_of_b(&around(&[branch(3, &[("a", child)])]));
        assert_eq!(
            (damage.page, damage.fault),
            (child, PageFault::OutOfRange { high_water_mark: 5 })
        );
    }
}

#[test]
fn elements_must_be_values_or_buckets() {
    let fault = fault_of_leaf(&[value("a", ""), (2, b"b".to_vec(), vec![])]);
    assert_eq!(fault, PageFault::ElementFlags { element: 1, found: 2 });
}

#[test]
fn elements_must_follow_each_other() {
    let page = leaf(3, 0, &[value("a", "12"), value("b", "34"), value("c", "56")]);
    // The value sizes of elements 0 and 1, which make gaps and overlaps that stay inside the page.
    for (field, change) in [(16 + 12, 1), (16 + 12, -1), (32 + 12, 1), (32 + 12, -1)] {
        let mut page = page.clone();
        page[field] = page[field].checked_add_signed(change).unwrap();
        let damage = damage_of_b(&around(&[page]));
        assert!(matches!(damage.fault, PageFault::ElementMisplaced { .. }), "{damage:?}");
    }
}

#[test]
fn bucket_values_have_exact_lengths() {
    for length in [0, 1, 7, 8, 15, 17, 32] {
        let mut described = [4_u64.to_le_bytes(), [0; 8]].concat();
        described.resize(length, 0);
        let image = Image::new(&[
            leaf(2, 0, &[(1, b"b".to_vec(), described), bucket("z", 3)]),
            leaf(3, 0, &[value("fine", "1")]),
        ]);
        let expected = PageFault::BucketValueLength { element: 0, found: length };
        assert_eq!(damage_of_b(&image).fault, expected, "{length}");
    }
}

#[test]
fn inline_pages_are_checked() {
    let with = |element: Element| {
        let pages = [leaf(2, 0, &[element, bucket("z", 3)]), leaf(3, 0, &[value("fine", "1")])];
        damage_of_b(&Image::new(&pages)).fault
    };
    let patched = |at: usize, byte: u8| {
        let mut element = inline("b", &[value("k", "v"), value("l", "w")]);
        element.2[16 + at] = byte;
        with(element)
    };
    let bad = |id, flags, overflow| PageFault::InlineHeader { element: 0, id, flags, overflow };
    assert_eq!(patched(0, 4), bad(4, LEAF, 0));
    assert_eq!(patched(8, 1), bad(0, 1, 0));
    assert_eq!(patched(12, 1), bad(0, LEAF, 1));
    assert_eq!(patched(10, 9), PageFault::TooManyElements { count: 9, room: 52 });
    assert_eq!(
        patched(16 + 12, 99),
        PageFault::ElementOutside { element: 0, end: 48 + 1 + 99, room: 52 }
    );
    assert_eq!(patched(48, b'x'), PageFault::KeyOrder { element: 1 });
    let nested = inline("b", &[value("k", ""), inline("l", &[])]);
    assert_eq!(with(nested), PageFault::BucketInInline { element: 1 });
    for length in [16, 31] {
        let mut element = inline("b", &[]);
        element.2.truncate(length);
        assert_eq!(with(element), PageFault::BucketValueLength { element: 0, found: length });
    }
}

#[test]
fn root_bucket_holds_buckets_only() {
    let root = leaf(2, 0, &[value("b", "plain"), bucket("z", 3)]);
    let image = Image::new(&[root, leaf(3, 0, &[value("fine", "1")])]);
    assert_eq!(damage_of_b(&image).fault, PageFault::NotABucket { element: 0 });
}

#[test]
fn damage_in_the_root_bucket_takes_everything() {
    let mut image = around(&[leaf(3, 0, &[])]);
    image.bytes[2 * PAGE] = 9;
    let file = image.open();
    let survey = file.survey().unwrap();
    let fault = PageFault::WrongId { found: 9 };
    assert_eq!(survey.damage, [TreeDamage { path: vec![], page: 2, fault }]);
    assert!(survey.damage_of(&[b"z".to_vec()]).is_some());
    assert!(file.root().get(b"z").is_err());
}

#[test]
fn second_bucket_on_a_page_is_blamed() {
    let root = leaf(2, 0, &[bucket("a", 3), bucket("b", 3), bucket("z", 4)]);
    let image = Image::new(&[root, leaf(3, 0, &[]), leaf(4, 0, &[value("fine", "1")])]);
    let survey = image.open().survey().unwrap();
    let fault = PageFault::ReachedTwice { page: 3 };
    assert_eq!(survey.damage, [TreeDamage { path: vec![b"b".to_vec()], page: 3, fault }]);
}

#[test]
fn overflow_pages_belong_to_one_bucket() {
    // The run of `b` takes the page of `a`, which is walked first.
    let root = leaf(2, 0, &[bucket("a", 4), bucket("b", 3)]);
    let mut pages = vec![root, leaf(3, 1, &[value("k", vec![0; PAGE])])];
    let mut image = Image::new(&pages);
    let inner = leaf(4, 0, &[]);
    image.bytes[4 * PAGE..][..inner.len()].copy_from_slice(&inner);
    let survey = image.open().survey().unwrap();
    let fault = PageFault::ReachedTwice { page: 4 };
    let path = vec![b"b".to_vec()];
    assert_eq!(survey.damage, [TreeDamage { path, page: 3, fault }]);

    // The other way round, `c` starts inside the run of `b`, where there is no page header.
    pages[0] = leaf(2, 0, &[bucket("b", 3), bucket("c", 4)]);
    let survey = Image::new(&pages).open().survey().unwrap();
    let path = vec![b"c".to_vec()];
    assert_eq!(survey.damage, [TreeDamage { path, page: 4, fault }]);
}

/// A branch that leads astray is refused; the bucket whose page it leads to is not.
#[test]
fn strayed_branch_does_not_take_the_page_of_another_bucket() {
    let image = around(&[branch(3, &[("a", 5), ("b", 4)]), leaf(4, 0, &[value("b", "")])]);
    let damage = damage_of_b(&image);
    assert_eq!((damage.page, damage.fault), (5, PageFault::KeyOutOfBranch { element: 0 }));
}

#[test]
fn every_damaged_bucket_is_reported_once() {
    let image = Image::new(&[
        leaf(2, 0, &[bucket("a", 3), bucket("b", 4), inline("c", &[]), bucket("d", 99)]),
        leaf(3, 0, &[bucket("x", 98), bucket("y", 5), value("z", "")]),
        branch(4, &[("a", 97), ("b", 96)]),
        header(6, LEAF, 0, 0),
    ]);
    let survey = image.open().survey().unwrap();
    let paths: Vec<_> = survey.damage.iter().map(ToString::to_string).collect();
    let expected = [
        "bucket a/x is damaged at page 98",
        "bucket a/y is damaged at page 5",
        "bucket b is damaged at page 97",
        "bucket d is damaged at page 99",
    ];
    assert_eq!(paths, expected);
    assert_eq!((survey.buckets, survey.keys, survey.pages), (6, 1, 3));
}

#[test]
fn pages_in_use_must_not_be_listed_as_free() {
    let mut image = around(&[leaf(3, 0, &[]), freelist(4, 1, &[3])]);
    image.put_metas(|meta| meta.freelist = 4);
    let file = image.open();
    let survey = file.survey().unwrap();
    let fault = PageFault::ListedFree { page: 3 };
    assert_eq!(survey.damage, [TreeDamage { path: vec![b"b".to_vec()], page: 3, fault }]);
    assert_eq!(survey.freelist_fault, None);
}

/// Damage that reading does not notice must not hide from the survey what reading does notice.
#[test]
fn page_listed_as_free_hides_no_truncation() {
    let mut image = around(&[branch(3, &[("a", 9)]), freelist(4, 1, &[3])]);
    image.put_metas(|meta| (meta.freelist, meta.high_water_mark) = (4, 10));
    let error = image.open().survey().unwrap_err();
    assert!(matches!(error, FileError::Truncated { page: 9, .. }));
}

#[test]
fn damaged_freelist_is_reported_and_not_used() {
    let wrong_id = freelist(9, 1, &[3]);
    let wrong_flags = leaf(4, 0, &[]);
    let lists = [
        (wrong_id, PageFault::WrongId { found: 9 }),
        (wrong_flags, PageFault::WrongFlags { found: LEAF }),
        (freelist(4, 511, &[3]), PageFault::FreelistTooLong { count: 511, room: 4096 }),
        (freelist(4, 0xffff, &[511, 3]), PageFault::FreelistTooLong { count: 511, room: 4096 }),
        (
            freelist(4, 0xffff, &[u64::MAX]),
            PageFault::FreelistTooLong { count: u64::MAX, room: 4096 },
        ),
        (freelist(4, 2, &[3, 6]), PageFault::FreelistEntry { found: 6, high_water_mark: 6 }),
        (freelist(4, 1, &[1]), PageFault::FreelistEntry { found: 1, high_water_mark: 6 }),
    ];
    for (list, fault) in lists {
        let mut image = around(&[leaf(3, 0, &[]), list]);
        image.put_metas(|meta| meta.freelist = 4);
        let survey = image.open().survey().unwrap();
        assert_eq!(survey.damage, []);
        assert_eq!(survey.freelist_fault, Some(fault));
    }
}

#[test]
fn freelist_count_in_front_of_the_list() {
    let mut image = around(&[leaf(3, 0, &[]), freelist(4, 0xffff, &[2, 4, 3])]);
    image.put_metas(|meta| meta.freelist = 4);
    let survey = image.open().survey().unwrap();
    assert_eq!(survey.damage[0].fault, PageFault::ListedFree { page: 3 });
    assert_eq!(survey.freelist_fault, None);
}

#[test]
fn page_in_use_beyond_the_end_refuses_the_file() {
    let mut image = around(&[branch(3, &[("a", 9)])]);
    image.put_metas(|meta| meta.high_water_mark = 10);
    let file = image.open();
    let truncated =
        |error| matches!(error, FileError::Truncated { page: 9, needed: 40960, size: 20480 });
    assert!(truncated(file.survey().unwrap_err()));
    let bucket = file.root().bucket(b"b").unwrap().unwrap();
    for error in [bucket.entries().next().unwrap().unwrap_err(), bucket.get(b"a").unwrap_err()] {
        let ReadError::File(error) = error else { panic!("{error:?}") };
        assert!(truncated(error));
    }
    assert!(matches!(file.root().get(b"z"), Ok(Some(Entry::Bucket(_)))));
}

#[test]
fn failing_read_is_an_error_of_its_own() {
    let stored = around(&[leaf(3, 0, &[])]).store();
    let file = stored.open().unwrap();
    std::fs::File::options().write(true).open(&stored.path).unwrap().set_len(3 * 4096 + 5).unwrap();
    assert!(matches!(file.survey(), Err(FileError::Io { page: 3, .. })));
    let error = read_b(&file).unwrap_err();
    assert!(matches!(error, ReadError::File(FileError::Io { page: 3, .. })));
}
