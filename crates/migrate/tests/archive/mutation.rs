//! Random damage and random content: reading ends, without a panic, and never with other records.
//!
//! `ARCHIVE_CASES` sets the number of cases of each test.

use proptest::prelude::*;

use crate::samples::{Trial, archived, few, findings, three_blocks};
use crate::sketch::{Pair, Sketch, SketchBlock, pair};

/// Something that befalls bytes.
#[derive(Clone, Debug)]
enum Mishap {
    Change(usize, u8),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
    Swap(usize, usize, usize),
    Zero(usize, usize),
}

impl Mishap {
    fn befall(&self, bytes: &mut Vec<u8>) {
        let len = bytes.len();
        let range = |at: usize, count: usize| {
            let at = at % (len + 1);
            at..(at + count).min(len)
        };
        match self {
            Mishap::Change(at, by) if len > 0 => bytes[at % len] ^= by,
            Mishap::Change(..) => {}
            Mishap::Remove(at, count) => drop(bytes.drain(range(*at, *count))),
            Mishap::Insert(at, more) => {
                let at = at % (len + 1);
                drop(bytes.splice(at..at, more.iter().copied()));
            }
            Mishap::Repeat(at, count) => {
                let range = range(*at, *count);
                let (end, again) = (range.end, bytes[range].to_vec());
                drop(bytes.splice(end..end, again));
            }
            Mishap::Swap(a, b, count) => {
                for step in 0..*count {
                    let (a, b) = (a % (len + 1) + step, b % (len + 1) + step);
                    if a.max(b) < len {
                        bytes.swap(a, b);
                    }
                }
            }
            Mishap::Zero(at, count) => bytes[range(*at, *count)].fill(0),
        }
    }
}

fn mishap() -> impl Strategy<Value = Mishap> {
    let (at, count) = (any::<usize>, 1..200usize);
    prop_oneof![
        (at(), 1..=u8::MAX).prop_map(|(at, by)| Mishap::Change(at, by)),
        (at(), count.clone()).prop_map(|(at, count)| Mishap::Remove(at, count)),
        (at(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, b)| Mishap::Insert(at, b)),
        (at(), count.clone()).prop_map(|(at, count)| Mishap::Repeat(at, count)),
        (at(), at(), count.clone()).prop_map(|(a, b, count)| Mishap::Swap(a, b, count)),
        (at(), count).prop_map(|(at, count)| Mishap::Zero(at, count)),
    ]
}

/// Keys and values that are nearly those of records.
fn nearly() -> impl Strategy<Value = Pair> {
    let good = prop::sample::select(few().concat()).prop_map(|record| pair(&record));
    let noise = prop::collection::vec(any::<u8>(), 0..30);
    (good, noise.clone(), noise, 0..6u8).prop_map(|((key, value), a, b, choice)| match choice {
        0 => (a, value),
        1 => ([&key[..1], &a].concat(), value),
        2 => (key, b),
        3 => (key, [&value[..], &b].concat()),
        _ => (key, value),
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("ARCHIVE_CASES").ok().and_then(|it| it.parse().ok()).unwrap_or(1000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn mishaps_are_found(mishaps in prop::collection::vec(mishap(), 1..4), large in prop::bool::weighted(0.1)) {
        let (good, records) = match large {
            true => (archived(three_blocks()), three_blocks()),
            false => (Sketch::new(&few()).bytes(), few().concat()),
        };
        let mut bad = good.clone();
        mishaps.iter().for_each(|mishap| mishap.befall(&mut bad));
        let trial = Trial::new();
        trial.put(&bad);
        prop_assert_eq!(findings(&bad).is_empty(), bad == good);
        match trial.records() {
            Ok(found) => prop_assert_eq!(found, records),
            Err(_) => prop_assert!(bad != good),
        }
    }

    #[test]
    fn any_records_are_taken_or_refused(
        mut pairs in prop::collection::vec(nearly(), 0..8),
        in_block in 1..4usize,
        ordered in any::<bool>(),
    ) {
        if ordered {
            pairs.sort();
            pairs.dedup_by(|a, b| a.0 == b.0);
        }
        let blocks: Vec<_> = pairs.chunks(in_block).map(<[Pair]>::to_vec).collect();
        let sketch = Sketch::of_pairs(&blocks);
        let trial = Trial::new();
        trial.put(&sketch.bytes());
        if findings(&sketch.bytes()).is_empty() {
            let found: Vec<_> = trial.records().unwrap().iter().map(pair).collect();
            prop_assert_eq!(found, pairs);
        }
    }

    #[test]
    fn any_content_is_taken_or_refused(content in prop::collection::vec(any::<u8>(), 0..300)) {
        let sketch = Sketch::of_blocks(vec![SketchBlock::raw(0, 1, content)]);
        let trial = Trial::new();
        trial.put(&sketch.bytes());
        prop_assert!(!findings(&sketch.bytes()).is_empty());
        prop_assert!(trial.records().is_err());
    }

    #[test]
    fn any_bytes_are_refused(noise in prop::collection::vec(any::<u8>(), 0..300), headed in any::<bool>()) {
        let header = if headed { Sketch::new(&[]).header() } else { Vec::new() };
        let bytes = [header, noise].concat();
        let trial = Trial::new();
        trial.put(&bytes);
        prop_assert!(!findings(&bytes).is_empty());
        prop_assert!(trial.records().is_err());
    }
}
