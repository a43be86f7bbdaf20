//! Files lnd wrote, compared with what lnd's own library reads from them.

use migrate::bolt::BoltFile;
use serde_json::Value;

use crate::walk::{fixture, json, oracle, summarize};

fn compare(database: &str, expected: &str) {
    let expected = json(expected);
    let file = BoltFile::open(&fixture(database)).unwrap();
    compare_info(&file, &expected["file"]);

    let survey = file.survey().unwrap();
    assert_eq!(survey.damage, []);
    assert_eq!(survey.freelist_fault, None);
    let found = summarize(&file, &survey);
    assert_eq!(found, oracle(&expected));
    assert_eq!(survey.keys, found.iter().map(|bucket| bucket.keys).sum::<u64>());
    assert_eq!(survey.buckets, found.len() as u64);
}

fn compare_info(file: &BoltFile, expected: &Value) {
    let info = file.info();
    assert_eq!(info.size, expected["size"]);
    assert_eq!(info.page_size, expected["page_size"]);
    assert!(!info.newest_may_be_lost);
    let metas = expected["metas"].as_array().unwrap();
    for (meta, expected) in info.metas.iter().zip(metas) {
        assert_eq!(meta.is_valid(), expected["valid"]);
        assert_eq!(meta.root_page, expected["root_page"]);
        assert_eq!(meta.freelist_page.unwrap_or(u64::MAX), expected["freelist_page"]);
        assert_eq!(meta.high_water_mark, expected["high_water_mark"]);
        assert_eq!(meta.txid, expected["txid"]);
        assert_eq!(meta.page_size, info.page_size);
    }
    assert_eq!(
        Some(info.meta().txid),
        metas.iter().map(|meta| meta["txid"].as_u64().unwrap()).max()
    );
}

#[test]
fn node() {
    compare("node.db", "node.json");
}

#[test]
fn deep() {
    compare("deep.db", "deep.buckets.json");
}

#[test]
fn legacy() {
    compare("legacy.db", "legacy.json");
}

#[test]
fn legacy31() {
    compare("legacy31.db", "legacy31.json");
}

#[test]
fn pages_of_16k() {
    compare("pages16k.db", "pages16k.json");
}

#[test]
fn stored_freelist() {
    compare("freelist.db", "freelist.json");
}

#[test]
fn empty() {
    compare("empty.db", "empty.json");
}

#[test]
fn tombstoned() {
    compare("tombstoned.db", "tombstoned.json");
}

#[test]
fn base_of_the_damaged_files() {
    compare("damaged/base.db", "damaged/base.json");
}

#[test]
fn absent_keys_are_not_found() {
    let file = BoltFile::open(&fixture("deep.db")).unwrap();
    let root = file.root();
    for key in [b"".as_slice(), b"\0", b"open-chan-bucke", b"open-chan-bucket\0", &[0xff; 40]] {
        assert!(root.get(key).unwrap().is_none());
    }
    let channels = root.bucket(b"open-chan-bucket").unwrap().unwrap();
    assert!(channels.get(b"open-chan-bucket").unwrap().is_none());
    assert_eq!(root.value(b"open-chan-bucket").unwrap(), None);
    let metadata = root.bucket(b"metadata").unwrap().unwrap();
    assert_eq!(metadata.value(b"dbp").unwrap(), Some(vec![0, 0, 0, 35]));
    assert!(metadata.bucket(b"dbp").unwrap().is_none());
}
