//! Writes small bbolt files from nested maps: what a damaged or unusual lnd could have left.
#![allow(dead_code, reason = "no file of tests needs all of it")]

use std::collections::BTreeMap;
use std::path::Path;

use migrate::bolt::{BoltFile, Bucket, Entry};

const PAGE: usize = 4096;
const HEADER: usize = 16;
const ELEMENT: usize = 16;
/// Largest page of an inline bucket, as in bbolt.
const INLINE: usize = PAGE / 4;
const BRANCH: u16 = 1;
const LEAF: u16 = 2;
const NO_FREELIST: u64 = u64::MAX;

/// A bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    pub(crate) sequence: u64,
    pub(crate) nodes: BTreeMap<Vec<u8>, Node>,
}

/// What a key of a bucket leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    Value(Vec<u8>),
    Bucket(Tree),
}

impl Tree {
    /// Everything in a file.
    pub(crate) fn read(path: &Path) -> Tree {
        Tree::of(&BoltFile::open(path).unwrap().root())
    }

    fn of(bucket: &Bucket<'_>) -> Tree {
        let nodes = bucket.entries().map(|entry| match entry.unwrap() {
            (name, Entry::Value(value)) => (name, Node::Value(value)),
            (name, Entry::Bucket(child)) => (name, Node::Bucket(Tree::of(&child))),
        });
        Tree { sequence: bucket.sequence(), nodes: nodes.collect() }
    }

    /// The bucket at `path`, made if it is not there.
    pub(crate) fn at(&mut self, path: &[&[u8]]) -> &mut Tree {
        path.iter().fold(self, |tree, name| {
            let node =
                tree.nodes.entry(name.to_vec()).or_insert_with(|| Node::Bucket(Tree::default()));
            match node {
                Node::Bucket(tree) => tree,
                Node::Value(_) => panic!("{} is a value", name.escape_ascii()),
            }
        })
    }

    pub(crate) fn set(&mut self, key: &[u8], value: impl Into<Vec<u8>>) {
        self.nodes.insert(key.to_vec(), Node::Value(value.into()));
    }

    pub(crate) fn value(&self, key: &[u8]) -> &[u8] {
        match &self.nodes[key] {
            Node::Value(value) => value,
            Node::Bucket(_) => panic!("{} is a bucket", key.escape_ascii()),
        }
    }

    pub(crate) fn value_mut(&mut self, key: &[u8]) -> &mut Vec<u8> {
        match self.nodes.get_mut(key) {
            Some(Node::Value(value)) => value,
            _ => panic!("{} is no value", key.escape_ascii()),
        }
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Node {
        self.nodes.remove(key).unwrap()
    }

    /// Names of the buckets here.
    pub(crate) fn names(&self) -> Vec<Vec<u8>> {
        let buckets = self.nodes.iter().filter(|(_, node)| matches!(node, Node::Bucket(_)));
        buckets.map(|(name, _)| name.clone()).collect()
    }

    /// The file whose root bucket this is.
    pub(crate) fn to_file(&self) -> Vec<u8> {
        let mut image = Image { bytes: vec![0; 2 * PAGE] };
        let root = image.pages(self);
        let pages = (image.bytes.len() / PAGE) as u64;
        for (page, txid) in [(0u64, 6u64), (1, 7)] {
            let mut meta = Vec::new();
            for field in [0xed0c_daed_u32, 2, PAGE as u32, 0] {
                meta.extend(field.to_le_bytes());
            }
            for field in [root, self.sequence, NO_FREELIST, pages, txid] {
                meta.extend(field.to_le_bytes());
            }
            let step =
                |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
            let sum = meta.iter().fold(0xcbf2_9ce4_8422_2325, step);
            meta.extend(sum.to_le_bytes());
            let at = page as usize * PAGE;
            image.bytes[at..at + 8].copy_from_slice(&page.to_le_bytes());
            image.bytes[at + 8..at + 10].copy_from_slice(&4u16.to_le_bytes());
            image.bytes[at + HEADER..at + HEADER + meta.len()].copy_from_slice(&meta);
        }
        image.bytes
    }
}

struct Image {
    bytes: Vec<u8>,
}

/// A leaf element: whether it is a bucket, key, value.
type Element = (bool, Vec<u8>, Vec<u8>);

impl Image {
    /// Writes the pages of a bucket; returns its root page.
    fn pages(&mut self, tree: &Tree) -> u64 {
        let elements = self.elements(tree);
        let mut leaves: Vec<Vec<Element>> = vec![Vec::new()];
        let mut used = HEADER;
        for element in elements {
            let size = ELEMENT + element.1.len() + element.2.len();
            if used + size > PAGE && leaves.last().is_some_and(|leaf| leaf.len() > 1) {
                leaves.push(Vec::new());
                used = HEADER;
            }
            used += size;
            leaves.last_mut().unwrap().push(element);
        }
        let children: Vec<(Vec<u8>, u64)> = leaves
            .into_iter()
            .map(|leaf| {
                let first = leaf.first().map(|element| element.1.clone()).unwrap_or_default();
                (first, self.append(leaf_page(&leaf)))
            })
            .collect();
        match children.as_slice() {
            [(_, only)] => *only,
            children => self.append(branch_page(children)),
        }
    }

    /// The leaf elements of a bucket; writes the pages of the buckets in it.
    fn elements(&mut self, tree: &Tree) -> Vec<Element> {
        let element = |(name, node): (&Vec<u8>, &Node)| match node {
            Node::Value(value) => (false, name.clone(), value.clone()),
            Node::Bucket(child) => (true, name.clone(), self.bucket_value(child)),
        };
        tree.nodes.iter().map(element).collect()
    }

    fn bucket_value(&mut self, tree: &Tree) -> Vec<u8> {
        let values_only = tree.nodes.values().all(|node| matches!(node, Node::Value(_)));
        let inline = values_only.then(|| leaf_page(&self.elements(tree)));
        let (root, page) = match inline.filter(|page| page.len() <= INLINE) {
            Some(page) => (0, page),
            None => (self.pages(tree), Vec::new()),
        };
        [&root.to_le_bytes()[..], &tree.sequence.to_le_bytes(), &page].concat()
    }

    /// Gives a page its number and its place at the end of the file.
    fn append(&mut self, mut page: Vec<u8>) -> u64 {
        let number = (self.bytes.len() / PAGE) as u64;
        let overflow = (page.len().div_ceil(PAGE) - 1) as u32;
        page[..8].copy_from_slice(&number.to_le_bytes());
        page[12..16].copy_from_slice(&overflow.to_le_bytes());
        self.bytes.extend(page);
        self.bytes.resize(self.bytes.len().next_multiple_of(PAGE), 0);
        number
    }
}

fn page_header(flags: u16, count: usize) -> Vec<u8> {
    let mut page = vec![0; HEADER];
    page[8..10].copy_from_slice(&flags.to_le_bytes());
    page[10..12].copy_from_slice(&(count as u16).to_le_bytes());
    page
}

fn leaf_page(elements: &[Element]) -> Vec<u8> {
    let mut page = page_header(LEAF, elements.len());
    let mut data = HEADER + ELEMENT * elements.len();
    for (is_bucket, key, value) in elements {
        let position = data - page.len();
        for field in [u32::from(*is_bucket), position as u32, key.len() as u32, value.len() as u32]
        {
            page.extend(field.to_le_bytes());
        }
        data += key.len() + value.len();
    }
    elements.iter().for_each(|(_, key, value)| page.extend(key.iter().chain(value)));
    page
}

fn branch_page(children: &[(Vec<u8>, u64)]) -> Vec<u8> {
    let mut page = page_header(BRANCH, children.len());
    let mut data = HEADER + ELEMENT * children.len();
    for (key, child) in children {
        let position = data - page.len();
        page.extend((position as u32).to_le_bytes());
        page.extend((key.len() as u32).to_le_bytes());
        page.extend(child.to_le_bytes());
        data += key.len();
    }
    children.iter().for_each(|(key, _)| page.extend(key));
    page
}
