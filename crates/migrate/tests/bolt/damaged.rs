//! Copies of one database with one thing broken each.

use migrate::bolt::{BoltFile, FileError, MetaFault, OpenError, PageFault, ReadError, TreeDamage};

use crate::walk::{Summary, fixture, json, oracle, summarize};

fn open(name: &str) -> BoltFile {
    BoltFile::open(&fixture(&format!("damaged/{name}"))).unwrap()
}

fn refused(name: &str) -> OpenError {
    BoltFile::open(&fixture(&format!("damaged/{name}"))).unwrap_err()
}

fn base() -> Vec<Summary> {
    oracle(&json("damaged/base.json"))
}

/// The path `expected.json` names for a file.
fn named_path(name: &str) -> Vec<Vec<u8>> {
    let expected = json("damaged/expected.json");
    let files = expected["files"].as_array().unwrap();
    let entry = files.iter().find(|entry| entry["file"] == name).unwrap();
    assert_eq!(entry["expect"], "refuse-part");
    let text = entry["expect_text"].as_str().unwrap();
    let path = text.strip_prefix("refuse the bucket ").unwrap().split(':').next().unwrap();
    path.split(" / ").map(name_bytes).collect()
}

fn name_bytes(name: &str) -> Vec<u8> {
    let is_hex = name.len().is_multiple_of(2) && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex { crate::walk::unhex(name) } else { name.as_bytes().to_vec() }
}

/// The named bucket is refused with exactly this fault, and everything else equals the base.
fn refuses_part(name: &str, page: u64, fault: PageFault) {
    let path = named_path(name);
    let file = open(name);
    let survey = file.survey().unwrap();
    assert_eq!(survey.damage, [TreeDamage { path: path.clone(), page, fault }]);

    let expected: Vec<_> =
        base().into_iter().filter(|bucket| !bucket.path.starts_with(&path)).collect();
    assert!(expected.len() < base().len());
    assert_eq!(summarize(&file, &survey), expected);
    refuses_without_survey(&file, &path);
}

/// Reading the named bucket fails too, although no survey guards it.
fn refuses_without_survey(file: &BoltFile, path: &[Vec<u8>]) {
    let bucket =
        path.iter().fold(file.root(), |bucket, name| bucket.bucket(name).unwrap().unwrap());
    let mut entries = bucket.entries();
    match entries.find_map(Result::err) {
        Some(ReadError::Damaged(damage)) => assert_eq!(damage.path, path),
        other => panic!("read {other:?}"),
    }
    assert!(entries.next().is_none());
}

#[test]
fn page_cycle() {
    refuses_part("page-cycle.db", 65, PageFault::ReachedTwice { page: 65 });
}

#[test]
fn page_double_reference() {
    refuses_part("page-double-ref.db", 3, PageFault::ReachedTwice { page: 3 });
}

#[test]
fn page_id() {
    refuses_part("page-id.db", 60, PageFault::WrongId { found: 61 });
}

#[test]
fn page_flags() {
    refuses_part("page-flags.db", 59, PageFault::WrongFlags { found: 0x10 });
}

#[test]
fn page_count() {
    refuses_part("page-count.db", 3, PageFault::TooManyElements { count: 60000, room: 4096 });
}

#[test]
fn page_overflow() {
    let fault = PageFault::RunBeyondHighWaterMark { overflow: 0x00ff_ffff, high_water_mark: 86 };
    refuses_part("page-overflow.db", 3, fault);
}

#[test]
fn child_beyond_the_pages_in_use() {
    refuses_part("child-beyond.db", 96, PageFault::OutOfRange { high_water_mark: 86 });
}

#[test]
fn key_order() {
    refuses_part("key-order.db", 61, PageFault::KeyOrder { element: 1 });
}

#[test]
fn element_beyond_its_page() {
    let file = open("element-beyond.db");
    let fault = file.survey().unwrap().damage[0].fault;
    let PageFault::ElementOutside { element: 2, end, room: 4096 } = fault else {
        panic!("{fault:?}")
    };
    assert!(end > 1 << 20);
    refuses_part("element-beyond.db", 2, fault);
}

#[test]
fn element_position_flipped() {
    let file = open("element-pos-bitflip.db");
    let fault = file.survey().unwrap().damage[0].fault;
    let PageFault::ElementOutside { element: 1, end, room: 4096 } = fault else {
        panic!("{fault:?}")
    };
    assert!(end > 1 << 31);
    refuses_part("element-pos-bitflip.db", 2, fault);
}

#[test]
fn inline_bucket_broken() {
    let file = open("inline-broken.db");
    let damage = file.survey().unwrap().damage.remove(0);
    let PageFault::TooManyElements { count: 900, room } = damage.fault else {
        panic!("{damage:?}")
    };
    assert!(room < 4096);
    refuses_part("inline-broken.db", damage.page, damage.fault);
    assert_eq!(damage.to_string(), format!("bucket metadata is damaged at page {}", damage.page));
}

#[test]
fn older_meta_invalid() {
    let file = open("meta-older-invalid.db");
    let info = file.info();
    assert!(matches!(info.metas[0].fault, Some(MetaFault::Checksum { .. })));
    assert_eq!((info.used, info.meta().txid), (1, 5));
    assert!(info.newest_may_be_lost);
    equals_base(&file);
}

#[test]
fn newer_meta_invalid() {
    let file = open("meta-newer-invalid.db");
    let info = file.info();
    assert!(matches!(info.metas[1].fault, Some(MetaFault::Checksum { .. })));
    assert_eq!((info.used, info.meta().txid), (0, 4));
    assert!(info.newest_may_be_lost);

    let survey = file.survey().unwrap();
    assert_eq!(survey.damage, []);
    let found = summarize(&file, &survey);
    let differing: Vec<_> =
        base().into_iter().zip(&found).filter(|(old, new)| old != *new).collect();
    let [(base, found)] = &differing[..] else { panic!("{differing:?}") };
    assert_eq!(base.path, [b"channelOpeningState".to_vec()]);
    assert_eq!(base.keys, found.keys + 1);
    let key = [vec![0x20], vec![0x32; 32], vec![0; 4]].concat();
    let states = file.root().bucket(b"channelOpeningState").unwrap().unwrap();
    assert!(states.get(&key).unwrap().is_none());
    let states = open("base.db");
    let states = states.root().bucket(b"channelOpeningState").unwrap().unwrap();
    assert!(states.get(&key).unwrap().is_some());
}

#[test]
fn first_meta_zeroed() {
    let file = open("meta0-zeroed.db");
    let info = file.info();
    assert_eq!(info.metas[0].fault, Some(MetaFault::Magic { found: 0 }));
    assert_eq!((info.used, info.page_size), (1, 4096));
    assert!(info.newest_may_be_lost);
    equals_base(&file);
}

#[test]
fn garbage_behind_the_pages_in_use() {
    let file = open("tail-garbage.db");
    assert!(!file.info().newest_may_be_lost);
    equals_base(&file);
}

fn equals_base(file: &BoltFile) {
    let survey = file.survey().unwrap();
    assert_eq!(survey.damage, []);
    assert_eq!(summarize(file, &survey), base());
}

#[test]
fn both_metas_invalid() {
    let error = refused("metas-both-invalid.db");
    assert!(matches!(error, OpenError::NoValidMeta { source: MetaFault::Checksum { .. } }));
}

#[test]
fn root_beyond_the_pages_in_use() {
    let error = refused("meta-root-beyond.db");
    assert!(matches!(error, OpenError::RootOutOfRange { page: 93, high_water_mark: 86 }));
}

#[test]
fn cut_inside_a_meta_page() {
    let error = refused("trunc-in-meta.db");
    assert!(matches!(error, OpenError::Truncated { needed: 208896, size: 6000 }), "{error:?}");
}

#[test]
fn cut_in_the_middle() {
    let error = open("trunc-middle.db").survey().unwrap_err();
    assert!(matches!(error, FileError::Truncated { size: 209896, .. }), "{error:?}");
}

#[test]
fn cut_inside_the_last_page() {
    let file = open("trunc-last-page.db");
    let error = file.survey().unwrap_err();
    assert!(
        matches!(error, FileError::Truncated { needed: 348160, size: 346112, .. }),
        "{error:?}"
    );
}

#[test]
fn zero_length() {
    assert!(matches!(refused("zero-length.db"), OpenError::Empty));
}

/// What is broken below the level of pages is not this reader's business: the tree must be fine.
#[test]
fn damage_inside_records_is_left_alone() {
    let names = [
        "info-truncated.db",
        "commit-garbage.db",
        "pubkey.db",
        "htlc-tlv1.db",
        "filter-count.db",
        "shachain.db",
        "log-gap.db",
        "status-bit7.db",
        "tlv-odd.db",
        "dbp36.db",
    ];
    for name in names {
        let file = open(name);
        let survey = file.survey().unwrap();
        assert_eq!(survey.damage, [], "{name}");
        let differing = base().into_iter().zip(summarize(&file, &survey)).filter(|(a, b)| a != b);
        assert_eq!(differing.count(), 1, "{name}");
    }
}
