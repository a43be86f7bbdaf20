//! Random changes of good databases: whatever they are, what the check lets pass can be imported
//! and compares equal, and so does what it leaves of the rest.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use channelcoord::{Backend, MemoryBackend};
use kvstore::RedbBackend;
use migrate::counts::Counts;
use migrate::lnd::source::LndSource;
use migrate::store;
use sqlstore::SqliteBackend;

use crate::bolt_writer::{Node, Tree};
use crate::support::{Case, fixture};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Buckets in which values are changed.
const CHANGED: [&[u8]; 11] = [
    b"chan-id-bucket",
    b"channelOpeningState",
    b"closed-chan-bucket",
    b"final-htlcs",
    b"fwd-packages",
    b"historical-chan-bucket",
    b"initialChannelFwdingPolicy",
    b"metadata",
    b"nib",
    b"open-chan-bucket",
    b"outpoint-bucket",
];

/// A database to start from: few log entries, no other tenants.
fn seed(name: &str) -> Tree {
    let mut tree = Tree::read(&fixture(name));
    tree.nodes.retain(|name, _| CHANGED.contains(&name.as_slice()));
    let open = tree.at(&[b"open-chan-bucket"]);
    for peer in open.names() {
        for chain in open.at(&[&peer]).names() {
            for channel in open.at(&[&peer, &chain]).names() {
                for log in [b"revocation-log".as_slice(), b"revocation-log-key"] {
                    let channel = open.at(&[&peer, &chain, &channel]);
                    if channel.nodes.contains_key(log) {
                        let log = channel.at(&[log]);
                        log.nodes = log.nodes.clone().into_iter().take(3).collect();
                    }
                }
            }
        }
    }
    tree
}

/// Somewhere in the tree: the bucket of a random key.
fn somewhere<'a>(tree: &'a mut Tree, random: &mut Random) -> Option<(&'a mut Tree, Vec<u8>)> {
    let key = random.pick(&tree.nodes.keys().cloned().collect::<Vec<_>>()).clone();
    let stop = random.below(12) == 0;
    match tree.nodes.get(&key)? {
        Node::Bucket(child) if !stop && !child.nodes.is_empty() => {
            let Some(Node::Bucket(child)) = tree.nodes.get_mut(&key) else { return None };
            somewhere(child, random)
        }
        _ => Some((tree, key)),
    }
}

/// A node from anywhere.
fn any_node(tree: &mut Tree, random: &mut Random) -> Option<Node> {
    let (bucket, key) = somewhere(tree, random)?;
    bucket.nodes.get(&key).cloned()
}

fn change_bytes(bytes: &mut Vec<u8>, other: &[u8], same_length: bool, random: &mut Random) {
    const NUMBERS: [u64; 8] = [0, 1, 2, 0x7f, 0xffff, i64::MAX as u64, 1 << 63, u64::MAX];
    // Most of what matters is at the beginning or at the end.
    let len = bytes.len();
    let at = match random.below(4) {
        0 => random.below(len.min(100)),
        1 => len - random.below(len.min(40)).min(len),
        _ => random.below(len),
    }
    .min(len.saturating_sub(1));
    let kind = if same_length { *random.pick(&[4, 7, 8, 8, 8]) } else { random.below(9) };
    match kind {
        0 => bytes.truncate(at),
        1 => bytes.push(random.next() as u8),
        2 => bytes.insert(at, random.next() as u8),
        3 if len > 0 => drop(bytes.remove(at)),
        4 if len >= at + 8 => {
            bytes[at..at + 8].copy_from_slice(&random.pick(&NUMBERS).to_be_bytes());
        }
        5 if !other.is_empty() => {
            let from = random.below(other.len());
            let part = &other[from..(from + 40).min(other.len())];
            bytes.splice(at..at, part.iter().copied());
        }
        6 => bytes.extend([11, 1, 9]),
        7 if len > 0 => bytes[at] = *random.pick(&[0, 1, 2, 3, 0x7f, 0x80, 0xfd, 0xff]),
        _ if len > 0 => bytes[at] ^= 1 << random.below(8),
        _ => bytes.push(1),
    }
}

/// Changes the tree at one place; keeps its structure if `gentle`. Says what it did.
fn change(tree: &mut Tree, gentle: bool, random: &mut Random) -> Option<String> {
    let other = any_node(tree, random)?;
    let other_bytes = match &other {
        Node::Value(value) => value.clone(),
        Node::Bucket(_) => Vec::new(),
    };
    let closing = random.below(10) == 0;
    let (bucket, key) = somewhere(tree, random)?;
    let shown = key.escape_ascii().to_string();
    let kind = if gentle { 7 } else { random.below(20) };
    match kind {
        0 => {
            bucket.nodes.remove(&key);
        }
        1 => {
            let node = bucket.nodes.remove(&key)?;
            let mut key = key;
            change_bytes(&mut key, &other_bytes, false, random);
            if !key.is_empty() {
                bucket.nodes.insert(key, node);
            }
        }
        2 => {
            let mut copy = key.clone();
            change_bytes(&mut copy, &other_bytes, false, random);
            if !copy.is_empty() {
                let node = bucket.nodes.get(&key)?.clone();
                bucket.nodes.insert(copy, node);
            }
        }
        3 => {
            let node = match bucket.nodes.get(&key)? {
                Node::Value(_) => Node::Bucket(Tree::default()),
                Node::Bucket(_) => Node::Value(vec![0; 16]),
            };
            bucket.nodes.insert(key, node);
        }
        4 => {
            bucket.nodes.insert(key, other);
        }
        5 => bucket.sequence = random.next() % 5,
        6 => {
            let mut name = key;
            name.push(random.next() as u8);
            bucket.nodes.insert(name, other);
        }
        _ => match bucket.nodes.get_mut(&key)? {
            Node::Value(value) => {
                let same_length = random.below(3) > 0;
                change_bytes(value, &other_bytes, same_length, random);
            }
            Node::Bucket(_) => return None,
        },
    }
    if closing
        && let Some(Node::Bucket(outpoints)) = tree.nodes.get_mut(b"outpoint-bucket".as_slice())
    {
        let keys: Vec<_> = outpoints.nodes.keys().cloned().collect();
        if !keys.is_empty() {
            outpoints.set(random.pick::<Vec<u8>>(&keys), [0, 1, random.below(2) as u8]);
        }
    }
    Some(format!("{kind}:{shown}"))
}

/// Gives some channels of the open tree a summary and a historical record of other channels' making.
fn tombstones(tree: &mut Tree, random: &mut Random) {
    let open = tree.at(&[b"open-chan-bucket"]).clone();
    let mut channels = Vec::new();
    for peer in open.nodes.values() {
        let Node::Bucket(peer) = peer else { continue };
        for chain in peer.nodes.values() {
            let Node::Bucket(chain) = chain else { continue };
            channels.extend(chain.nodes.iter().map(|(key, node)| (key.clone(), node.clone())));
        }
    }
    let (key, node) = random.pick(&channels).clone();
    if random.below(4) > 0 {
        tree.at(&[b"outpoint-bucket"]).set(&key, [0, 1, 1]);
    }
    let closed = tree.at(&[b"closed-chan-bucket"]);
    if random.below(4) > 0 {
        let summaries: Vec<_> = closed.nodes.values().cloned().collect();
        let Node::Value(mut summary) = random.pick(&summaries).clone() else { return };
        if summary.len() >= 36 {
            summary[..36].copy_from_slice(&key);
        }
        closed.set(&key, summary);
    }
    if random.below(4) > 0 {
        tree.at(&[b"historical-chan-bucket"]).nodes.insert(key, node);
    }
}

/// Changes bytes behind the meta pages, often in the headers of pages.
fn change_pages(image: &mut [u8], random: &mut Random) {
    const PAGE: usize = 4096;
    for _ in 0..=random.below(3) {
        let page = 2 + random.below(image.len() / PAGE - 2);
        let inside = [16, 64, 600, PAGE][random.below(4)];
        image[page * PAGE + random.below(inside)] ^= 1 << random.below(8);
    }
}

/// A database of random changes, and what they were.
fn image(seeds: &[Tree], number: u64) -> (Vec<u8>, Vec<String>) {
    let mut random = Random(number);
    let mut tree = random.pick(seeds).clone();
    if random.below(3) == 0 {
        tombstones(&mut tree, &mut random);
    }
    let (gentle, changes) = (random.below(3) > 0, 1 + random.below(3));
    let changes = (0..changes).filter_map(|_| change(&mut tree, gentle, &mut random)).collect();
    let mut image = tree.to_file();
    if random.below(4) == 0 {
        change_pages(&mut image, &mut random);
    }
    (image, changes)
}

/// What became of a database.
#[derive(Clone, Copy)]
enum Class {
    Unusable,
    Whole,
    InPart,
}

fn survive(image: &[u8], backend: &dyn Backend) -> Result<Class, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), image).unwrap();
    let Ok(source) = LndSource::open(file.path(), true) else { return Ok(Class::Unusable) };
    let case = Case::of(source);
    case.import_into(backend)?;
    let (found, said) = (store::count(backend).unwrap(), case.checked.counts);
    let whole = case.checked.damages == 0;
    // Contradicting indexes leave room for what a historical channel is.
    let is_clear = whole && case.checked.inconsistencies == 0;
    let historical = if is_clear { found.historical_channels } else { said.historical_channels };
    let found = Counts { historical_channels: historical, ..found };
    if found != said {
        return Err(format!("store has {found:?}, check says {said:?}"));
    }
    Ok(if whole { Class::Whole } else { Class::InPart })
}

fn run<B: Backend>(seeds: &[Tree], numbers: Range<u64>, create: impl Fn(&Path) -> B) {
    let mut classes = [0u64; 3];
    for number in numbers.clone() {
        let (image, changes) = image(seeds, number);
        let directory = tempfile::tempdir().unwrap();
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
            survive(&image, &create(&directory.path().join("store")))
        }));
        match outcome.unwrap_or_else(|_| Err("panic".into())) {
            Ok(class) => classes[class as usize] += 1,
            Err(error) => panic!("number {number}, {changes:?}: {error}"),
        }
    }
    println!("{numbers:?}: unusable, whole, in part: {classes:?}");
}

fn memory(_: &Path) -> MemoryBackend {
    MemoryBackend::new()
}

fn redb(path: &Path) -> RedbBackend {
    RedbBackend::create(path).unwrap()
}

fn sqlite(path: &Path) -> SqliteBackend {
    SqliteBackend::create(path).unwrap()
}

#[test]
fn random_changes_are_refused_or_survive() {
    let seeds = [seed("damaged/base.db")];
    run(&seeds, 1..60, memory);
    run(&seeds, 60..65, redb);
    run(&seeds, 65..70, sqlite);
}

/// For long runs: `CHECK_MUTATIONS=<first>,<end>`, `CHECK_STORE=redb` or `sqlite`.
#[test]
#[ignore = "takes as long as it is told to"]
fn random_changes_for_long() {
    let numbers = std::env::var("CHECK_MUTATIONS").unwrap_or("1000,2000".into());
    let (first, end) = numbers.split_once(',').unwrap();
    let numbers = first.parse().unwrap()..end.parse().unwrap();
    let seeds = ["damaged/base.db", "legacy.db", "node.db", "legacy31.db"].map(seed);
    match std::env::var("CHECK_STORE").as_deref() {
        Ok("redb") => run(&seeds, numbers, redb),
        Ok("sqlite") => run(&seeds, numbers, sqlite),
        _ => run(&seeds, numbers, memory),
    }
}
