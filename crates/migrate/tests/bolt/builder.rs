//! Builds small bbolt files page by page, right or wrong.

use std::path::PathBuf;

use migrate::bolt::{BoltFile, OpenError};
use tempfile::TempDir;

pub(crate) const PAGE: usize = 4096;
pub(crate) const BRANCH: u16 = 1;
pub(crate) const LEAF: u16 = 2;
pub(crate) const FREELIST: u16 = 16;
pub(crate) const NO_FREELIST: u64 = u64::MAX;

/// The fields of one meta page; `page` of [`Image`] puts a checksum under them.
#[derive(Clone)]
pub(crate) struct Meta {
    pub(crate) magic: u32,
    pub(crate) version: u32,
    pub(crate) page_size: u32,
    pub(crate) root: u64,
    pub(crate) freelist: u64,
    pub(crate) high_water_mark: u64,
    pub(crate) txid: u64,
}

impl Meta {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in [self.magic, self.version, self.page_size, 0] {
            bytes.extend(field.to_le_bytes());
        }
        for field in [self.root, 0, self.freelist, self.high_water_mark, self.txid] {
            bytes.extend(field.to_le_bytes());
        }
        let sum = checksum(&bytes);
        bytes.extend(sum.to_le_bytes());
        bytes
    }
}

pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The bytes of a file to be.
#[derive(Clone)]
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    pub(crate) page_size: usize,
    pub(crate) meta: Meta,
}

impl Image {
    /// A file whose pages from number 2 on are `pages`, each one run; the root bucket starts at page 2.
    pub(crate) fn new(pages: &[Vec<u8>]) -> Image {
        Image::with_page_size(PAGE, pages)
    }

    pub(crate) fn with_page_size(page_size: usize, pages: &[Vec<u8>]) -> Image {
        let mut bytes = vec![0; 2 * page_size];
        for page in pages {
            bytes.extend(page);
            bytes.resize(bytes.len().next_multiple_of(page_size), 0);
        }
        let meta = Meta {
            magic: 0xed0c_daed,
            version: 2,
            page_size: page_size as u32,
            root: 2,
            freelist: NO_FREELIST,
            high_water_mark: (bytes.len() / page_size) as u64,
            txid: 7,
        };
        let mut image = Image { bytes, page_size, meta };
        image.put_metas(|_| {});
        image
    }

    /// Writes both meta pages, with the fields changed by `change`.
    pub(crate) fn put_metas(&mut self, change: impl FnOnce(&mut Meta)) {
        change(&mut self.meta);
        for number in 0..2 {
            let meta = Meta { txid: self.meta.txid - 1 + number as u64, ..self.meta.clone() };
            self.put_meta(number, &meta);
        }
    }

    pub(crate) fn put_meta(&mut self, number: usize, meta: &Meta) {
        let mut page = header(number as u64, 4, 0, 0);
        page.extend(meta.bytes());
        let at = number * self.page_size;
        self.bytes[at..at + page.len()].copy_from_slice(&page);
    }

    pub(crate) fn store(&self) -> Stored {
        Stored::new(&self.bytes)
    }

    /// Stores and opens the file; the name in the file system lives as long as the process.
    pub(crate) fn open(&self) -> BoltFile {
        self.store().open().unwrap()
    }
}

/// A file in a directory of its own.
pub(crate) struct Stored {
    pub(crate) path: PathBuf,
    _dir: TempDir,
}

impl Stored {
    pub(crate) fn new(bytes: &[u8]) -> Stored {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("channel.db");
        std::fs::write(&path, bytes).unwrap();
        Stored { path, _dir: dir }
    }

    pub(crate) fn open(&self) -> Result<BoltFile, OpenError> {
        BoltFile::open(&self.path)
    }
}

/// A leaf element: flags, key, value.
pub(crate) type Element = (u32, Vec<u8>, Vec<u8>);

pub(crate) fn value(key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Element {
    (0, key.as_ref().to_vec(), value.as_ref().to_vec())
}

/// An element for a bucket with its root at `page`.
pub(crate) fn bucket(key: impl AsRef<[u8]>, page: u64) -> Element {
    (1, key.as_ref().to_vec(), [page.to_le_bytes(), 9_u64.to_le_bytes()].concat())
}

/// An element for an inline bucket with these elements.
pub(crate) fn inline(key: impl AsRef<[u8]>, elements: &[Element]) -> Element {
    let page = leaf(0, 0, elements);
    (1, key.as_ref().to_vec(), [vec![0; 8], 5_u64.to_le_bytes().to_vec(), page].concat())
}

pub(crate) fn header(id: u64, flags: u16, count: u16, overflow: u32) -> Vec<u8> {
    let mut bytes = id.to_le_bytes().to_vec();
    bytes.extend(flags.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(overflow.to_le_bytes());
    bytes
}

pub(crate) fn leaf(id: u64, overflow: u32, elements: &[Element]) -> Vec<u8> {
    let mut bytes = header(id, LEAF, elements.len() as u16, overflow);
    let mut data: Vec<u8> = Vec::new();
    for (i, (flags, key, value)) in elements.iter().enumerate() {
        let pos = (elements.len() - i) * 16 + data.len();
        for field in [*flags, pos as u32, key.len() as u32, value.len() as u32] {
            bytes.extend(field.to_le_bytes());
        }
        data.extend(key);
        data.extend(value);
    }
    bytes.extend(data);
    bytes
}

pub(crate) fn branch(id: u64, elements: &[(&str, u64)]) -> Vec<u8> {
    let mut bytes = header(id, BRANCH, elements.len() as u16, 0);
    let mut data: Vec<u8> = Vec::new();
    for (i, (key, child)) in elements.iter().enumerate() {
        let pos = (elements.len() - i) * 16 + data.len();
        for field in [pos as u32, key.len() as u32] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend(child.to_le_bytes());
        data.extend(key.as_bytes());
    }
    bytes.extend(data);
    bytes
}

pub(crate) fn freelist(id: u64, count: u16, pages: &[u64]) -> Vec<u8> {
    let mut bytes = header(id, FREELIST, count, 0);
    bytes.extend(pages.iter().flat_map(|page| page.to_le_bytes()));
    bytes
}
