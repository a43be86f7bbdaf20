//! Random damage: whatever the bytes, reading ends, without a panic, and agrees with the survey.
//!
//! `BOLT_MUTATIONS` sets the number of mutations per file, `BOLT_SEED` the first seed (a failure names
//! its seed), and `BOLT_CASES` the number of arbitrary files.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use migrate::bolt::{BoltFile, Bucket, Entry, FileError, OpenError, ReadError, Survey};
use proptest::prelude::*;

use crate::builder::{Image, Stored, branch, bucket, checksum, header, inline, leaf, value};
use crate::walk::fixture;

/// Entries read at most where the survey's advice is ignored.
const CARELESS_ENTRIES: u32 = 20_000;

#[test]
fn mutations_of_base() {
    mutate("damaged/base.db", 0, 100);
}

#[test]
fn mutations_of_empty() {
    mutate("empty.db", 1 << 32, 500);
}

#[test]
fn mutations_of_stored_freelist() {
    mutate("freelist.db", 2 << 32, 40);
}

#[test]
fn mutations_of_large_pages() {
    mutate("pages16k.db", 3 << 32, 30);
}

#[test]
fn mutations_of_old_forms() {
    mutate("legacy31.db", 4 << 32, 60);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: setting("BOLT_CASES").unwrap_or(200) as u32,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..20_000)) {
        read_everything(&Stored::new(&bytes));
    }

    /// Valid meta pages over pages whose headers are right and whose content is noise.
    #[test]
    fn arbitrary_pages(
        pages in proptest::collection::vec((1..=2_u16, 0..6_u16, proptest::collection::vec(any::<u8>(), 300)), 1..12),
    ) {
        let page = |(id, (flags, count, noise)): (u64, &(u16, u16, Vec<u8>))| {
            let small = noise.iter().map(|byte| if byte % 3 == 0 { byte % 64 } else { 0 });
            header(id, *flags, *count, 0).into_iter().chain(small).collect()
        };
        let pages: Vec<Vec<u8>> = (2..).zip(&pages).map(page).collect();
        read_everything(&Image::with_page_size(1024, &pages).store());
    }

    /// Well-formed pages whose links lead anywhere.
    #[test]
    fn arbitrary_links(pages in proptest::collection::vec(page(), 1..14)) {
        let build = |(id, page): (u64, &Page)| match page {
            Page::Branch(children) => {
                let links: Vec<_> = children.iter().map(|(key, child)| (key.as_str(), *child)).collect();
                branch(id, &links)
            }
            Page::Leaf(entries) => {
                let element = |(key, entry): (&String, &Option<u64>)| match entry {
                    Some(0) => inline(key, &[value("k", "v")]),
                    Some(page) => bucket(key, *page),
                    None => value(key, "v"),
                };
                leaf(id, 0, &entries.iter().map(element).collect::<Vec<_>>())
            }
        };
        let pages: Vec<Vec<u8>> = (2..).zip(&pages).map(build).collect();
        read_everything(&Image::with_page_size(1024, &pages).store());
    }
}

#[derive(Debug)]
enum Page {
    /// Keys and child pages.
    Branch(BTreeMap<String, u64>),
    /// Keys of values and, with their root page, buckets.
    Leaf(BTreeMap<String, Option<u64>>),
}

fn page() -> impl Strategy<Value = Page> {
    let key = || "[a-f]{1,2}";
    let link = 2..16_u64;
    let entry = prop_oneof![
        Just(None),
        Just(Some(0)),
        link.clone().prop_map(Some),
        link.clone().prop_map(Some)
    ];
    prop_oneof![
        proptest::collection::btree_map(key(), link, 1..5).prop_map(Page::Branch),
        proptest::collection::btree_map(key(), entry, 0..6).prop_map(Page::Leaf),
    ]
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn mutate(name: &str, base_seed: u64, iterations: u64) {
    let iterations = setting("BOLT_MUTATIONS").unwrap_or(iterations);
    let base_seed = setting("BOLT_SEED").unwrap_or(base_seed);
    let original = std::fs::read(fixture(name)).unwrap();
    let page_size = BoltFile::open(&fixture(name)).unwrap().info().page_size as usize;
    let stored = Stored::new(&original);
    let file = File::options().write(true).open(&stored.path).unwrap();
    let mut seen = BTreeMap::new();
    for seed in base_seed..base_seed + iterations {
        let mutant = Mutant::new(seed, &original, page_size);
        let changed = mutant.write(&file, &original);
        match std::panic::catch_unwind(|| read_everything(&stored)) {
            Ok(outcome) => *seen.entry(outcome).or_insert(0_u64) += 1,
            Err(cause) => {
                eprintln!("mutation {seed} of {name} failed");
                std::panic::resume_unwind(cause);
            }
        }
        restore(&file, &original, changed);
    }
    eprintln!("{name}: {seen:?}");
    // Mutations that miss the tree or all hit the meta pages would test nothing.
    for outcome in [Outcome::Refused, Outcome::Damaged, Outcome::Clean] {
        assert!(seen.contains_key(&outcome), "no {outcome:?} in {seen:?}");
    }
}

/// How far reading came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Refused,
    Truncated,
    Damaged,
    Clean,
}

/// A copy of a database with random changes, aimed at what a reader looks at.
struct Mutant {
    bytes: Vec<u8>,
    page_size: usize,
    random: Random,
}

impl Mutant {
    fn new(seed: u64, original: &[u8], page_size: usize) -> Mutant {
        let mut mutant = Mutant { bytes: original.to_vec(), page_size, random: Random(seed) };
        for _ in 0..=mutant.random.below(3) {
            mutant.change();
        }
        mutant
    }

    fn change(&mut self) {
        match self.random.below(20) {
            0..2 => self.flip_bits(),
            2..6 => self.change_header(),
            6..12 => self.change_element(),
            12..15 => self.change_bucket(),
            15..17 => self.change_meta(),
            17..19 => self.copy_page(),
            _ => {
                let length = self.random.below(self.bytes.len() as u64) as usize;
                self.bytes.truncate(length);
            }
        }
    }

    fn flip_bits(&mut self) {
        for _ in 0..=self.random.below(8) {
            let at = self.random.below(self.bytes.len() as u64) as usize;
            let bit = self.random.below(8);
            self.put(at, &[self.get(at, 1)[0] ^ 1 << bit]);
        }
    }

    fn change_header(&mut self) {
        let at = self.any_page() * self.page_size;
        let (offset, size) = [(0, 8), (8, 2), (10, 2), (12, 4)][self.random.below(4) as usize];
        self.change_number(at + offset, size);
    }

    fn change_element(&mut self) {
        let Some(at) = self.any_element() else { return };
        let (offset, size) =
            [(0, 4), (4, 4), (8, 4), (12, 4), (8, 8)][self.random.below(5) as usize];
        self.change_number(at + offset, size);
    }

    /// Leads a bucket or an inline page elsewhere.
    fn change_bucket(&mut self) {
        let Some(at) = self.any_element() else { return };
        let [_, pos, key, _] = [0, 4, 8, 12].map(|field| self.number(at + field, 4) as usize);
        let value = at.saturating_add(pos).saturating_add(key);
        let (offset, size) = [(0, 8), (8, 8), (16, 8), (24, 2), (26, 2), (28, 4), (32, 4), (36, 4)]
            [self.random.below(8) as usize];
        self.change_number(value.saturating_add(offset), size);
    }

    /// Changes a field of a meta page and, mostly, repairs the checksum.
    fn change_meta(&mut self) {
        let meta = self.random.below(2) as usize * self.page_size + 16;
        let (offset, size) = [(0, 4), (4, 4), (8, 4), (16, 8), (32, 8), (40, 8), (48, 8)]
            [self.random.below(7) as usize];
        self.change_number(meta + offset, size);
        if self.random.below(4) > 0 && self.bytes.len() >= meta + 64 {
            let sum = checksum(&self.bytes[meta..meta + 56]);
            self.put(meta + 56, &sum.to_le_bytes());
        }
    }

    /// Overwrites a page with another one, mostly under its own id.
    fn copy_page(&mut self) {
        let (from, to) = (self.any_page(), self.any_page());
        let page = self.get(from * self.page_size, self.page_size);
        self.put(to * self.page_size, &page);
        if self.random.below(4) > 0 {
            self.put(to * self.page_size, &(to as u64).to_le_bytes());
        }
    }

    fn any_page(&mut self) -> usize {
        let pages = (self.bytes.len() / self.page_size).max(1);
        self.random.below(pages as u64) as usize
    }

    /// An element of some branch or leaf page.
    fn any_element(&mut self) -> Option<usize> {
        (0..50).find_map(|_| {
            let page = self.any_page() * self.page_size;
            let (flags, count) = (self.number(page + 8, 2), self.number(page + 10, 2));
            let usable = page > self.page_size && (flags == 1 || flags == 2) && count > 0;
            usable.then(|| page + 16 + 16 * self.random.below(count) as usize)
        })
    }

    fn change_number(&mut self, at: usize, size: usize) {
        let old = self.number(at, size);
        let pages = (self.bytes.len() / self.page_size) as u64;
        let new = match self.random.below(8) {
            0 => 0,
            1 => u64::MAX,
            2 => old.wrapping_add(1),
            3 => old.wrapping_sub(1),
            4 => old ^ 1 << self.random.below(8 * size as u64),
            5 => self.random.below(pages + 4),
            6 => self.random.below(1 << 16),
            _ => self.random.next(),
        };
        self.put(at, &new.to_le_bytes()[..size]);
    }

    fn number(&self, at: usize, size: usize) -> u64 {
        self.get(at, size).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// The bytes at a place; zeros where the file does not reach.
    fn get(&self, at: usize, size: usize) -> Vec<u8> {
        let end = at.saturating_add(size).min(self.bytes.len());
        let mut bytes = self.bytes.get(at..end).unwrap_or_default().to_vec();
        bytes.resize(size, 0);
        bytes
    }

    fn put(&mut self, at: usize, new: &[u8]) {
        if let Some(rest) = self.bytes.get_mut(at..) {
            let length = new.len().min(rest.len());
            rest[..length].copy_from_slice(&new[..length]);
        }
    }

    /// Brings a file that holds the original up to date and returns the places that differ.
    fn write(&self, file: &File, original: &[u8]) -> Vec<usize> {
        let mut changed = Vec::new();
        for (number, (new, old)) in self.bytes.chunks(512).zip(original.chunks(512)).enumerate() {
            if new != old {
                changed.push(number * 512);
                file.write_all_at(new, number as u64 * 512).unwrap();
            }
        }
        if self.bytes.len() < original.len() {
            changed.extend((self.bytes.len() / 512 * 512..original.len()).step_by(512));
            file.set_len(self.bytes.len() as u64).unwrap();
        }
        changed
    }
}

fn restore(file: &File, original: &[u8], changed: Vec<usize>) {
    for at in changed {
        let end = (at + 512).min(original.len());
        file.write_all_at(&original[at..end], at as u64).unwrap();
    }
}

/// Opens, surveys and walks a file, and compares what the three say.
fn read_everything(stored: &Stored) -> Outcome {
    let file = match stored.open() {
        Ok(file) => file,
        Err(
            OpenError::Open { .. }
            | OpenError::Locked
            | OpenError::Lock { .. }
            | OpenError::Read { .. },
        ) => {
            panic!("the damage is in the bytes alone")
        }
        Err(_) => return Outcome::Refused,
    };
    read_carelessly(&file.root(), &mut { CARELESS_ENTRIES }, None);
    let survey = match file.survey() {
        Ok(survey) => survey,
        Err(FileError::Io { .. } | FileError::OutOfMemory { .. }) => {
            panic!("the damage is in the bytes alone")
        }
        Err(FileError::Truncated { .. } | FileError::TooMuchDamage) => return Outcome::Truncated,
    };
    let (mut keys, mut buckets) = (0, 0);
    read_carefully(&file.root(), &survey, &mut keys, &mut buckets);
    if survey.is_clean() {
        assert_eq!((keys, buckets), (survey.keys, survey.buckets));
    }
    for damage in &survey.damage {
        assert!(!format!("{damage}: {}", damage.fault).is_empty());
        assert_eq!(
            survey.damage_of(&damage.path).map(|d| d.path.len() <= damage.path.len()),
            Some(true)
        );
    }
    read_carelessly(&file.root(), &mut { CARELESS_ENTRIES }, Some(&survey));
    if survey.is_clean() { Outcome::Clean } else { Outcome::Damaged }
}

/// Reads the buckets the survey does not name, which must all be fine.
fn read_carefully(bucket: &Bucket<'_>, survey: &Survey, keys: &mut u64, buckets: &mut u64) {
    if survey.damage_of(&bucket.path()).is_some() {
        return;
    }
    let mut last = None;
    for (number, item) in bucket.entries().enumerate() {
        let (key, entry) = item.unwrap();
        assert!(last.as_ref().is_none_or(|last| *last < key));
        // Each look-up checks whole pages, so not every key is worth one.
        let found = (number % 8 == 0).then(|| bucket.get(&key).unwrap().unwrap());
        match (&entry, found) {
            (Entry::Value(value), Some(Entry::Value(found))) => assert_eq!(*value, found),
            (Entry::Bucket(nested), Some(Entry::Bucket(found))) => {
                assert_eq!((nested.path(), nested.sequence()), (found.path(), found.sequence()));
            }
            (_, None) => {}
            (entry, found) => panic!("{entry:?} is {found:?}"),
        }
        match entry {
            Entry::Value(_) => *keys += 1,
            Entry::Bucket(nested) => {
                *buckets += 1;
                read_carefully(&nested, survey, keys, buckets);
            }
        }
        last = Some(key);
    }
}

/// Reads every bucket for as long as `left` lasts; what fails must be named by the survey.
fn read_carelessly(bucket: &Bucket<'_>, left: &mut u32, survey: Option<&Survey>) {
    for item in bucket.entries() {
        *left = left.saturating_sub(1);
        if *left == 0 {
            return;
        }
        match item {
            Ok((key, entry)) => {
                if left.is_multiple_of(8) {
                    let _ = bucket.get(&key);
                }
                if let Entry::Bucket(nested) = entry {
                    read_carelessly(&nested, left, survey);
                }
            }
            Err(ReadError::Damaged(damage)) => {
                assert_eq!(damage.path, bucket.path());
                if let Some(survey) = survey {
                    assert!(survey.damage_of(&damage.path).is_some(), "{damage} is missed");
                }
            }
            // The survey would have refused the file as well.
            Err(ReadError::File(error)) => assert!(survey.is_none(), "{error}"),
        }
    }
}

/// A small generator, so that a seed names a mutation for good.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}
