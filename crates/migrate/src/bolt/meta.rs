//! The two meta pages: page size, and which state of the file counts.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::error::{MetaFault, OpenError};
use super::page::{HEADER, u32_at, u64_at};

const MAGIC: u32 = 0xED0C_DAED;
const VERSION: u32 = 2;
const META_FLAG: u16 = 0x04;
/// Bytes of a meta page after its header.
const META: usize = 64;
/// Bytes of a meta page under its checksum.
const SUMMED: usize = 56;
const NO_FREELIST: u64 = u64::MAX;
/// Page sizes bbolt looks for; writers use the memory page size of their machine.
const PAGE_SIZES: std::ops::RangeInclusive<u32> = 1024..=1024 << 14;

/// What the meta pages tell about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileInfo {
    /// Size of the file in bytes.
    pub size: u64,
    /// Size of a page in bytes.
    pub page_size: u32,
    /// The meta pages 0 and 1.
    pub metas: [MetaInfo; 2],
    /// Number of the meta page whose state is read, 0 or 1.
    pub used: usize,
    /// Whether a transaction newer than the one read may be lost, because one meta page is damaged.
    ///
    /// This is so for every damaged meta page. Its transaction number, if it looks older, proves
    /// nothing: an interrupted write can leave the old number beside newer fields.
    pub newest_may_be_lost: bool,
}

/// One meta page as stored; without meaning if there is a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetaInfo {
    /// Why the page cannot be used.
    pub fault: Option<MetaFault>,
    /// Size of a page in bytes.
    pub page_size: u32,
    /// Root page of the root bucket.
    pub root_page: u64,
    /// Sequence counter of the root bucket.
    pub sequence: u64,
    /// Page of the free list, if it is stored.
    pub freelist_page: Option<u64>,
    /// One more than the largest page in use.
    pub high_water_mark: u64,
    /// Number of the transaction that wrote the page.
    pub txid: u64,
}

impl FileInfo {
    /// Returns the meta page whose state is read.
    pub fn meta(&self) -> &MetaInfo {
        let [first, second] = &self.metas;
        if self.used == 0 { first } else { second }
    }
}

impl MetaInfo {
    /// Says whether magic number, version, page size and checksum are right.
    pub fn is_valid(&self) -> bool {
        self.fault.is_none()
    }
}

/// Finds the page size, reads both meta pages and chooses the newest valid one.
pub(super) fn choose(file: &File, size: u64) -> Result<FileInfo, OpenError> {
    if size == 0 {
        return Err(OpenError::Empty);
    }
    let first = read(file, size, 0)?;
    let (page_size, second) = if first.is_valid() {
        (first.page_size, read(file, size, first.page_size)?)
    } else {
        let second = probe(file, size, &first)?;
        (second.page_size, second)
    };
    let second = match second.fault {
        None if second.page_size != page_size => {
            MetaInfo { fault: Some(MetaFault::PageSize { found: second.page_size }), ..second }
        }
        _ => second,
    };
    let used = match (first.is_valid(), second.is_valid()) {
        (true, true) => usize::from(second.txid > first.txid),
        (true, false) => 0,
        (false, _) => 1,
    };
    let info = FileInfo {
        size,
        page_size,
        metas: [first, second],
        used,
        newest_may_be_lost: !(first.is_valid() && second.is_valid()),
    };
    check_range(&info)?;
    Ok(info)
}

/// Looks for meta page 1 where each page size would put it, because meta page 0 tells no page size.
fn probe(file: &File, size: u64, first: &MetaInfo) -> Result<MetaInfo, OpenError> {
    let swapped = MetaFault::Magic { found: MAGIC.swap_bytes() };
    let mut big_endian = first.fault == Some(swapped);
    let mut page_size = *PAGE_SIZES.start();
    while PAGE_SIZES.contains(&page_size) && u64::from(page_size) < size {
        let found = read(file, size, page_size)?;
        // The bytes could be a database inside a value, unless the page size says they are not.
        if found.is_valid() && found.page_size == page_size {
            return Ok(found);
        }
        big_endian |= found.fault == Some(swapped);
        page_size = page_size.saturating_mul(2);
    }
    if big_endian {
        return Err(OpenError::BigEndian);
    }
    Err(OpenError::NoValidMeta { source: first.fault.unwrap_or(MetaFault::Missing) })
}

/// Refuses the file if the pages the meta names cannot be there.
fn check_range(info: &FileInfo) -> Result<(), OpenError> {
    let MetaInfo { root_page, freelist_page, high_water_mark, .. } = *info.meta();
    let in_range = |page: u64| (2..high_water_mark).contains(&page);
    if !in_range(root_page) {
        return Err(OpenError::RootOutOfRange { page: root_page, high_water_mark });
    }
    if let Some(page) = freelist_page.filter(|&page| !in_range(page)) {
        return Err(OpenError::FreelistOutOfRange { page, high_water_mark });
    }
    let last = root_page.max(freelist_page.unwrap_or(0)).max(1);
    let needed = last.saturating_add(1).saturating_mul(u64::from(info.page_size));
    if needed > info.size {
        return Err(OpenError::Truncated { needed, size: info.size });
    }
    Ok(())
}

/// Reads the meta page at `offset`; damage is a fault of the page, not an error.
fn read(file: &File, size: u64, offset: u32) -> Result<MetaInfo, OpenError> {
    let mut bytes = [0; HEADER + META];
    let offset = u64::from(offset);
    // Nothing but an I/O error may come from the read, so the end of the file is checked before.
    if size < offset.saturating_add((HEADER + META) as u64) {
        return Ok(MetaInfo { fault: Some(MetaFault::Missing), ..MetaInfo::NOTHING });
    }
    file.read_exact_at(&mut bytes, offset).map_err(|source| OpenError::Read { offset, source })?;
    parse(bytes.get(HEADER..).unwrap_or_default())
        .ok_or_else(|| OpenError::Read { offset, source: io::ErrorKind::UnexpectedEof.into() })
}

/// What the bytes of a meta page say, header included.
pub(super) fn of_page(bytes: &[u8]) -> Option<MetaInfo> {
    parse(bytes.get(HEADER..)?)
}

fn parse(meta: &[u8]) -> Option<MetaInfo> {
    let magic = u32_at(meta, 0)?;
    let version = u32_at(meta, 4)?;
    let page_size = u32_at(meta, 8)?;
    let found = u64_at(meta, SUMMED)?;
    let expected = fnv1a(meta.get(..SUMMED)?);
    let fault = if magic != MAGIC {
        Some(MetaFault::Magic { found: magic })
    } else if version != VERSION {
        Some(MetaFault::Version { found: version })
    } else if found != expected {
        Some(MetaFault::Checksum { expected, found })
    } else if !page_size.is_power_of_two() || !PAGE_SIZES.contains(&page_size) {
        Some(MetaFault::PageSize { found: page_size })
    } else {
        None
    };
    Some(MetaInfo {
        fault,
        page_size,
        root_page: u64_at(meta, 16)?,
        sequence: u64_at(meta, 24)?,
        freelist_page: Some(u64_at(meta, 32)?).filter(|&page| page != NO_FREELIST),
        high_water_mark: u64_at(meta, 40)?,
        txid: u64_at(meta, 48)?,
    })
}

impl MetaInfo {
    /// A meta page that is not there.
    const NOTHING: MetaInfo = MetaInfo {
        fault: None,
        page_size: 0,
        root_page: 0,
        sequence: 0,
        freelist_page: None,
        high_water_mark: 0,
        txid: 0,
    };
}

/// The bytes of meta page `page`, header included, for a state that follows the one that counts.
pub(super) fn meta_page(
    page: u64,
    info: &FileInfo,
    root: u64,
    freelist: Option<u64>,
    high_water_mark: u64,
    txid: u64,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + META);
    bytes.extend(page.to_le_bytes());
    bytes.extend(META_FLAG.to_le_bytes());
    // No elements, no overflow pages.
    bytes.extend([0; 6]);
    for field in [MAGIC, VERSION, info.page_size, 0] {
        bytes.extend(field.to_le_bytes());
    }
    let freelist = freelist.unwrap_or(NO_FREELIST);
    for field in [root, info.meta().sequence, freelist, high_water_mark, txid] {
        bytes.extend(field.to_le_bytes());
    }
    let sum = fnv1a(bytes.get(HEADER..).unwrap_or_default());
    bytes.extend(sum.to_le_bytes());
    bytes
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv1a_of_known_text() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}
