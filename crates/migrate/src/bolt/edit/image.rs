//! The bytes of new pages, in bbolt's form.

use super::super::error::PageFault;
use super::super::meta::{FileInfo, meta_page};
use super::super::page::{BRANCH, ELEMENT, FREELIST, HEADER, LEAF, Node};
use super::{EditError, Step};

/// Most elements of a page: bbolt gives the largest number a meaning of its own.
const MAX_ELEMENTS: usize = 0xFFFE;

/// Whether it is a bucket, its key, its value.
pub(super) type LeafElement = (bool, Vec<u8>, Vec<u8>);

/// Lowest key, page.
pub(super) type BranchElement = (Vec<u8>, u64);

/// Pages behind all others.
pub(super) struct Image {
    page_size: u32,
    /// Number of the next page.
    next: u64,
    pages: Vec<Step>,
}

impl Image {
    pub(super) fn new(page_size: u32, high_water_mark: u64) -> Image {
        Image { page_size, next: high_water_mark, pages: Vec::new() }
    }

    pub(super) fn leaf(&mut self, elements: &[LeafElement]) -> Result<u64, EditError> {
        let page = leaf_page(elements)?;
        self.append(page)
    }

    pub(super) fn branch(&mut self, children: &[BranchElement]) -> Result<u64, EditError> {
        let mut page = header(BRANCH, children.len())?;
        let mut data = HEADER + ELEMENT * children.len();
        for (key, child) in children {
            page.extend(length(data - page.len())?.to_le_bytes());
            page.extend(length(key.len())?.to_le_bytes());
            page.extend(child.to_le_bytes());
            data += key.len();
        }
        children.iter().for_each(|(key, _)| page.extend(key));
        self.append(page)
    }

    /// The list of free pages. A count that does not fit in the header is stored in front of it.
    pub(super) fn freelist(&mut self, free: &[u64]) -> Result<u64, EditError> {
        let is_long = free.len() > MAX_ELEMENTS;
        let mut page = header(FREELIST, if is_long { 0 } else { free.len() })?;
        if is_long {
            put(&mut page, 10, &u16::MAX.to_le_bytes());
            page.extend((free.len() as u64).to_le_bytes());
        }
        free.iter().for_each(|id| page.extend(id.to_le_bytes()));
        self.append(page)
    }

    /// The value of an element that is a bucket with one value, inside the page of the element.
    pub(super) fn inline_bucket(&self, key: &[u8], value: &[u8]) -> Result<Vec<u8>, EditError> {
        let page = leaf_page(&[(false, key.to_vec(), value.to_vec())])?;
        // bbolt itself keeps larger ones in pages of their own.
        let most = usize::try_from(self.page_size / 4).unwrap_or(usize::MAX);
        if page.len() > most {
            return Err(EditError::TooLong { found: page.len(), most });
        }
        // Root page 0 says that the page follows; then the sequence counter.
        Ok([&[0; 16][..], &page].concat())
    }

    /// Gives a page its number and its place.
    fn append(&mut self, mut page: Vec<u8>) -> Result<u64, EditError> {
        let size = usize::try_from(self.page_size).map_err(|_| EditError::Full)?;
        let pages = page.len().div_ceil(size);
        let overflow = u32::try_from(pages.saturating_sub(1)).map_err(|_| EditError::Full)?;
        let id = self.next;
        put(&mut page, 0, &id.to_le_bytes());
        put(&mut page, 12, &overflow.to_le_bytes());
        page.resize(pages.saturating_mul(size), 0);
        let at = id.checked_mul(u64::from(self.page_size)).ok_or(EditError::Full)?;
        self.next = id.checked_add(pages as u64).ok_or(EditError::Full)?;
        self.pages.push(Step::Write { at, bytes: page });
        Ok(id)
    }

    /// The write that makes the new state count.
    pub(super) fn meta(&self, info: &FileInfo, root: u64, freelist: Option<u64>) -> Step {
        let page = 1 - info.used as u64;
        // Each transaction writes the meta page of its parity. The one that counts is never written,
        // even if its number is not of its page's parity, as in copies by other tools.
        let last = info.meta().txid;
        let next = last.saturating_add(1);
        let txid = if next % 2 == page { next } else { next.saturating_add(1) };
        let bytes = meta_page(page, info, root, freelist, self.next, txid);
        Step::Write { at: page * u64::from(self.page_size), bytes }
    }

    pub(super) fn into_steps(self) -> Vec<Step> {
        self.pages
    }
}

pub(super) fn leaf_elements(node: &Node) -> Result<Vec<LeafElement>, PageFault> {
    let element = |at| Ok((node.is_bucket(at)?, node.key(at)?.to_vec(), node.value(at)?.to_vec()));
    (0..node.count()).map(element).collect()
}

pub(super) fn branch_elements(node: &Node) -> Result<Vec<BranchElement>, PageFault> {
    (0..node.count()).map(|at| Ok((node.key(at)?.to_vec(), node.child(at)?))).collect()
}

fn leaf_page(elements: &[LeafElement]) -> Result<Vec<u8>, EditError> {
    let mut page = header(LEAF, elements.len())?;
    let mut data = HEADER + ELEMENT * elements.len();
    for (is_bucket, key, value) in elements {
        // From the start of the element.
        let position = length(data - page.len())?;
        page.extend(u32::from(*is_bucket).to_le_bytes());
        page.extend(position.to_le_bytes());
        page.extend(length(key.len())?.to_le_bytes());
        page.extend(length(value.len())?.to_le_bytes());
        data += key.len() + value.len();
    }
    elements.iter().for_each(|(_, key, value)| page.extend(key.iter().chain(value)));
    Ok(page)
}

/// A page's header without number and overflow pages.
fn header(flags: u16, count: usize) -> Result<Vec<u8>, EditError> {
    let count = u16::try_from(count).ok().filter(|count| usize::from(*count) <= MAX_ELEMENTS);
    let count = count.ok_or(EditError::Full)?;
    let mut page = vec![0; HEADER];
    put(&mut page, 8, &flags.to_le_bytes());
    put(&mut page, 10, &count.to_le_bytes());
    Ok(page)
}

fn length(length: usize) -> Result<u32, EditError> {
    u32::try_from(length).map_err(|_| EditError::Full)
}

fn put(page: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = page.get_mut(at..at.saturating_add(bytes.len())) {
        place.copy_from_slice(bytes);
    }
}
