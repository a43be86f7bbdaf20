//! Reads a whole file through the public interface and sums it up the way the oracle does.

use std::path::{Path, PathBuf};

use bitcoin::hashes::{Hash, HashEngine, sha256};
use migrate::bolt::{BoltFile, Bucket, Entry, ReadError, Survey};
use serde_json::Value;

/// The path of a file below `tests/data/lnd`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/lnd").join(name)
}

/// A JSON file below `tests/data/lnd`.
pub(crate) fn json(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

/// One line of the oracle's `buckets`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) path: Vec<Vec<u8>>,
    pub(crate) keys: u64,
    pub(crate) buckets: u64,
    pub(crate) sequence: u64,
    pub(crate) inline: bool,
    pub(crate) sha256: String,
}

/// Sums up every bucket the survey does not name, in walk order.
pub(crate) fn summarize(file: &BoltFile, survey: &Survey) -> Vec<Summary> {
    let mut all = Vec::new();
    for (_, entry) in file.root().entries().map(Result::unwrap) {
        let Entry::Bucket(bucket) = entry else { panic!("a value in the root bucket") };
        add_bucket(&bucket, survey, &mut all).unwrap();
    }
    all
}

fn add_bucket(
    bucket: &Bucket<'_>,
    survey: &Survey,
    all: &mut Vec<Summary>,
) -> Result<(), ReadError> {
    if survey.damage_of(&bucket.path()).is_some() {
        return Ok(());
    }
    let place = all.len();
    let mut hash = sha256::Hash::engine();
    let (mut keys, mut buckets) = (0, 0);
    all.push(Summary {
        path: bucket.path(),
        keys,
        buckets,
        sequence: bucket.sequence(),
        inline: bucket.is_inline(),
        sha256: String::new(),
    });
    for item in bucket.entries() {
        match item? {
            (key, Entry::Value(value)) => {
                keys += 1;
                hash_entry(&mut hash, &bucket.path(), &key, &value);
                // Each look-up checks whole pages, which in the longest logs adds up.
                if keys < 500 || keys % 32 == 0 {
                    assert_eq!(bucket.value(&key)?, Some(value), "looked up in {bucket:?}");
                }
            }
            (key, Entry::Bucket(nested)) => {
                buckets += 1;
                assert_eq!(nested.name(), key);
                let found = bucket.bucket(&key)?.unwrap();
                assert_eq!((found.path(), found.sequence()), (nested.path(), nested.sequence()));
                add_bucket(&nested, survey, all)?;
            }
        }
    }
    all[place].keys = keys;
    all[place].buckets = buckets;
    all[place].sha256 = hex(sha256::Hash::from_engine(hash).as_byte_array());
    Ok(())
}

fn hash_entry(hash: &mut sha256::HashEngine, path: &[Vec<u8>], key: &[u8], value: &[u8]) {
    let length = |bytes: &[u8]| (bytes.len() as u32).to_be_bytes();
    hash.input(&(path.len() as u32).to_be_bytes());
    for part in path.iter().map(Vec::as_slice).chain([key, value]) {
        hash.input(&length(part));
        hash.input(part);
    }
}

/// The oracle's `buckets`.
pub(crate) fn oracle(json: &Value) -> Vec<Summary> {
    let line = |line: &Value| Summary {
        path: line["path"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| unhex(name.as_str().unwrap()))
            .collect(),
        keys: line["keys"].as_u64().unwrap(),
        buckets: line["buckets"].as_u64().unwrap(),
        sequence: line["sequence"].as_u64().unwrap(),
        inline: line["inline"].as_bool().unwrap(),
        sha256: line["sha256"].as_str().unwrap().to_owned(),
    };
    json["buckets"].as_array().unwrap().iter().map(line).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}
