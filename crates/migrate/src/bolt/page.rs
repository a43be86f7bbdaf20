//! One page of a tree: the checks it must pass, and access to its elements.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use super::error::PageFault;

/// Bytes of a page header.
pub(super) const HEADER: usize = 16;
/// Bytes of a branch or leaf element.
pub(super) const ELEMENT: usize = 16;
const MAX_KEY: usize = 32768;
const BUCKET_FLAG: u32 = 1;

pub(super) const BRANCH: u16 = 0x01;
pub(super) const LEAF: u16 = 0x02;
pub(super) const FREELIST: u16 = 0x10;

/// The 16 bytes every page starts with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) id: u64,
    pub(super) flags: u16,
    pub(super) count: u16,
    pub(super) overflow: u32,
}

impl Header {
    /// Reads the header; `None` if there are not enough bytes.
    pub(super) fn parse(bytes: &[u8]) -> Option<Header> {
        Some(Header {
            id: u64_at(bytes, 0)?,
            flags: u16_at(bytes, 8)?,
            count: u16_at(bytes, 10)?,
            overflow: u32_at(bytes, 12)?,
        })
    }

    pub(super) fn is_tree(&self) -> bool {
        self.flags == BRANCH || self.flags == LEAF
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.flags == LEAF
    }
}

/// The keys a branch page lets its child have: not below `lower`, below `upper`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bounds<'a> {
    pub(super) lower: Option<&'a [u8]>,
    pub(super) upper: Option<&'a [u8]>,
}

/// A checked branch or leaf page with its overflow pages, or the page inside an inline bucket.
///
/// Clones share the bytes, and so does an inline bucket with the page that contains it.
#[derive(Debug, Clone)]
pub(super) struct Node {
    bytes: Arc<Vec<u8>>,
    /// Place of this page in `bytes`.
    span: Range<usize>,
    page: u64,
    leaf: bool,
    count: usize,
}

/// Where the parts of one element are, as offsets from the start of the page.
#[derive(Debug, Clone)]
struct Slot {
    /// Flags of a leaf element.
    flags: u32,
    /// Child page of a branch element.
    child: u64,
    key: Range<usize>,
    value: Range<usize>,
}

impl Node {
    /// Checks the run of a page read from the file, whose header the caller has checked.
    pub(super) fn check_run(
        page: u64,
        bytes: Vec<u8>,
        header: Header,
        page_size: u32,
        bounds: Bounds<'_>,
    ) -> Result<Node, PageFault> {
        let node = Node {
            span: 0..bytes.len(),
            bytes: Arc::new(bytes),
            page,
            leaf: header.is_leaf(),
            count: usize::from(header.count),
        };
        let used = node.check(header.count, bounds)? as u64;
        if node.count == 0 && !node.leaf {
            return Err(PageFault::EmptyBranch);
        }
        // Unused overflow pages would take pages away from their owner, who would then be blamed.
        if used < u64::from(header.overflow).saturating_mul(u64::from(page_size)) {
            return Err(PageFault::RunUnused { overflow: header.overflow, used });
        }
        Ok(node)
    }

    /// Checks the inline page that starts `skip` bytes into the value of `element`.
    pub(super) fn check_inline(&self, element: usize, skip: usize) -> Result<Node, PageFault> {
        let value = self.slot(element)?.value;
        let short = PageFault::BucketValueLength { element, found: value.len() };
        let page = value.start.checked_add(skip).filter(|&start| start <= value.end).ok_or(short)?
            ..value.end;
        let header =
            Header::parse(self.data().get(page.clone()).unwrap_or_default()).ok_or(short)?;
        let Header { id, flags, count, overflow } = header;
        if id != 0 || !header.is_leaf() || overflow != 0 {
            return Err(PageFault::InlineHeader { element, id, flags, overflow });
        }
        let offset = |at: usize| self.span.start.saturating_add(at);
        let node = Node {
            bytes: Arc::clone(&self.bytes),
            span: offset(page.start)..offset(page.end),
            page: self.page,
            leaf: true,
            count: usize::from(count),
        };
        node.check(count, Bounds::default())?;
        match (0..node.count).find(|&inner| node.is_bucket(inner) != Ok(false)) {
            Some(inner) => Err(PageFault::BucketInInline { element: inner }),
            None => Ok(node),
        }
    }

    /// The page in the file that holds these bytes.
    pub(super) fn page(&self) -> u64 {
        self.page
    }

    /// Bytes of the page, overflow pages included.
    pub(super) fn size(&self) -> u64 {
        self.span.len() as u64
    }

    pub(super) fn is_leaf(&self) -> bool {
        self.leaf
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn key(&self, element: usize) -> Result<&[u8], PageFault> {
        let slot = self.slot(element)?;
        Ok(self.data().get(slot.key).unwrap_or_default())
    }

    /// The value of a leaf element.
    pub(super) fn value(&self, element: usize) -> Result<&[u8], PageFault> {
        let slot = self.slot(element)?;
        Ok(self.data().get(slot.value).unwrap_or_default())
    }

    /// Whether the value of a leaf element is a bucket.
    pub(super) fn is_bucket(&self, element: usize) -> Result<bool, PageFault> {
        Ok(self.slot(element)?.flags == BUCKET_FLAG)
    }

    /// The page a branch element leads to.
    pub(super) fn child(&self, element: usize) -> Result<u64, PageFault> {
        Ok(self.slot(element)?.child)
    }

    /// Finds the element with `key`, or the place where it would be.
    pub(super) fn find(&self, key: &[u8]) -> Result<Result<usize, usize>, PageFault> {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = usize::midpoint(low, high);
            match self.key(middle)?.cmp(key) {
                Ordering::Less => low = middle.saturating_add(1),
                Ordering::Equal => return Ok(Ok(middle)),
                Ordering::Greater => high = middle,
            }
        }
        Ok(Err(low))
    }

    /// Checks every element and returns how many bytes of the page are in use.
    fn check(&self, count: u16, bounds: Bounds<'_>) -> Result<usize, PageFault> {
        let room = self.data().len();
        let table = HEADER.saturating_add(self.count.saturating_mul(ELEMENT));
        if table > room {
            return Err(PageFault::TooManyElements { count, room: room as u64 });
        }
        let mut last: Option<&[u8]> = None;
        for element in 0..self.count {
            let slot = self.slot(element)?;
            if slot.flags & !BUCKET_FLAG != 0 {
                return Err(PageFault::ElementFlags { element, found: slot.flags });
            }
            if slot.key.is_empty() || slot.key.len() > MAX_KEY {
                return Err(PageFault::KeyLength { element, found: slot.key.len() as u64 });
            }
            let key = self.key(element)?;
            if last.is_some_and(|last| last >= key) {
                return Err(PageFault::KeyOrder { element });
            }
            if bounds.lower.is_some_and(|lower| key < lower)
                || bounds.upper.is_some_and(|upper| key >= upper)
            {
                return Err(PageFault::KeyOutOfBranch { element });
            }
            last = Some(key);
        }
        // A second pass, because exchanged elements are better described by the order of their keys.
        let mut expected = table;
        for element in 0..self.count {
            let slot = self.slot(element)?;
            if slot.key.start != expected {
                let (expected, found) = (expected as u64, slot.key.start as u64);
                return Err(PageFault::ElementMisplaced { element, expected, found });
            }
            expected = slot.value.end;
        }
        Ok(expected)
    }

    fn slot(&self, element: usize) -> Result<Slot, PageFault> {
        let room = self.data().len() as u64;
        let at = HEADER.saturating_add(element.saturating_mul(ELEMENT));
        let field = |offset: usize| {
            let end = at.saturating_add(ELEMENT) as u64;
            let outside = PageFault::ElementOutside { element, end, room };
            u32_at(self.data(), at.saturating_add(offset)).ok_or(outside)
        };
        let (flags, pos, key, value, child) = if self.leaf {
            (field(0)?, field(4)?, field(8)?, field(12)?, 0)
        } else {
            let child = u64::from(field(8)?) | u64::from(field(12)?) << 32;
            (0, field(0)?, field(4)?, 0, child)
        };
        let key_start = (at as u64).saturating_add(u64::from(pos));
        let key_end = key_start.saturating_add(u64::from(key));
        let end = key_end.saturating_add(u64::from(value));
        let outside = PageFault::ElementOutside { element, end, room };
        let offset = |at: u64| usize::try_from(at).map_err(|_| outside);
        if end > room {
            return Err(outside);
        }
        let (key_start, key_end, end) = (offset(key_start)?, offset(key_end)?, offset(end)?);
        Ok(Slot { flags, child, key: key_start..key_end, value: key_end..end })
    }

    fn data(&self) -> &[u8] {
        self.bytes.get(self.span.clone()).unwrap_or_default()
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

/// Reads the little-endian number at `at`; `None` beyond the end.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// Reads the little-endian number at `at`; `None` beyond the end.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}
