//! What can be wrong with a bbolt file, by reach: the whole file, one bucket, one page.

use std::io;

use super::path::display_path;

/// Why a file cannot be opened as a bbolt database.
///
/// No variant carries the path: the caller has it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The operating system does not open the file or does not tell its size.
    #[error("cannot open the file")]
    Open {
        /// What the operating system said.
        source: io::Error,
    },
    /// A directory, a pipe or a device.
    #[error("not a regular file")]
    NotAFile,
    /// A bbolt writer, usually lnd, has the file open.
    #[error("the file is locked by a running writer")]
    Locked,
    /// The file system cannot lock, so a running writer would go unnoticed.
    #[error("cannot take the shared lock")]
    Lock {
        /// What the operating system said.
        source: io::Error,
    },
    /// Reading a meta page failed.
    #[error("cannot read the meta page at byte {offset}")]
    Read {
        /// Place of the read in the file.
        offset: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// A file of zero bytes, which a writer would initialise.
    #[error("no database: the file is empty")]
    Empty,
    /// Written on a big-endian machine.
    #[error("the file was written in big-endian byte order")]
    BigEndian,
    /// Neither meta page can be used: no bbolt file, or both were overwritten.
    #[error("no valid meta page")]
    NoValidMeta {
        /// What is wrong with meta page 0.
        source: MetaFault,
    },
    /// The file ends before pages the meta page leads to.
    #[error("the file is truncated: {size} bytes, at least {needed} needed")]
    Truncated {
        /// Smallest size that would hold the page.
        needed: u64,
        /// Size of the file.
        size: u64,
    },
    /// The newest valid meta page names a root page that cannot exist.
    ///
    /// The older meta page is not used instead: its checksum says that the newest one was written
    /// completely, so the pages of the older one may have been reused since.
    #[error("root page {page} is out of range, high-water mark {high_water_mark}")]
    RootOutOfRange {
        /// Page named as root.
        page: u64,
        /// One more than the largest page in use.
        high_water_mark: u64,
    },
    /// The newest valid meta page names a free-list page that cannot exist.
    #[error("free-list page {page} is out of range, high-water mark {high_water_mark}")]
    FreelistOutOfRange {
        /// Page named as free list.
        page: u64,
        /// One more than the largest page in use.
        high_water_mark: u64,
    },
}

/// What is wrong with one meta page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetaFault {
    /// The file ends before the meta page does.
    #[error("the meta page lies beyond the end of the file")]
    Missing,
    /// The bytes are no meta page.
    #[error("magic number {found:#010x}, expected 0xed0cdaed")]
    Magic {
        /// Number in its place.
        found: u32,
    },
    /// Another version of the format.
    #[error("format version {found}, expected 2")]
    Version {
        /// Version in the page.
        found: u32,
    },
    /// The meta page was written incompletely or changed since.
    #[error("checksum {found:#018x}, expected {expected:#018x}")]
    Checksum {
        /// Checksum of the bytes in the page.
        expected: u64,
        /// Checksum stored in the page.
        found: u64,
    },
    /// Not a page size bbolt uses, or not the distance of the two meta pages.
    #[error("unusable page size {found}")]
    PageSize {
        /// Page size in the page.
        found: u32,
    },
}

/// Why nothing more can be read from the file as a whole.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The operating system failed to read a page, or the file shrank while it was read.
    #[error("cannot read page {page}")]
    Io {
        /// First page of the run being read.
        page: u64,
        /// What the operating system said.
        source: io::Error,
    },
    /// A page in use lies beyond the end of the file, so the copy is incomplete.
    #[error("the file is truncated: page {page} needs {needed} bytes, the file has {size}")]
    Truncated {
        /// First page of the run that is cut.
        page: u64,
        /// Size of a file that holds the run.
        needed: u64,
        /// Size of the file.
        size: u64,
    },
    /// The memory for pages that do exist in the file is not available.
    #[error("cannot allocate {bytes} bytes")]
    OutOfMemory {
        /// Size of the allocation.
        bytes: u64,
    },
    /// So much is damaged that even the list of it, or the search for it, takes too much.
    #[error("the file is damaged throughout")]
    TooMuchDamage,
}

/// Why reading from a bucket stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing in the file can be relied on any more.
    #[error(transparent)]
    File(#[from] FileError),
    /// This bucket is damaged, others may be fine.
    #[error(transparent)]
    Damaged(#[from] TreeDamage),
}

/// A bucket that cannot be used, and the first fault found in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bucket {} is damaged at page {page}", display_path(.path))]
pub struct TreeDamage {
    /// Names of the buckets from the top level down to the damaged one; empty for the root bucket.
    pub path: Vec<Vec<u8>>,
    /// The page at fault; for an inline bucket the page that contains it.
    pub page: u64,
    /// What is wrong with it.
    #[source]
    pub fault: PageFault,
}

/// What is wrong with one page.
///
/// Elements are counted from 0, offsets from the start of the page; the elements of an inline bucket
/// belong to the small page inside its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageFault {
    /// The page number belongs to a meta page or lies beyond the pages in use.
    #[error("page number out of range, high-water mark {high_water_mark}")]
    OutOfRange {
        /// One more than the largest page in use.
        high_water_mark: u64,
    },
    /// The page is used twice: by a cycle, by two branches, or by two buckets.
    #[error("page {page} is reached twice")]
    ReachedTwice {
        /// The page seen before, the one walked into or one of its overflow pages.
        page: u64,
    },
    /// The page is in use and in the free list.
    #[error("page {page} is in use and listed as free")]
    ListedFree {
        /// The page in the free list.
        page: u64,
    },
    /// The page calls itself by another number.
    #[error("page carries id {found}")]
    WrongId {
        /// Number in its header.
        found: u64,
    },
    /// The page is of another kind than its place demands.
    #[error("page flags {found:#06x} do not fit its place")]
    WrongFlags {
        /// Flags in its header.
        found: u16,
    },
    /// The overflow pages reach beyond the pages in use.
    #[error("run with {overflow} overflow pages crosses the high-water mark {high_water_mark}")]
    RunBeyondHighWaterMark {
        /// Overflow count in its header.
        overflow: u32,
        /// One more than the largest page in use.
        high_water_mark: u64,
    },
    /// The run is longer than bbolt itself can address.
    #[error("run of {bytes} bytes is too long")]
    RunTooLong {
        /// Length of the run.
        bytes: u64,
    },
    /// The page claims overflow pages it has no use for.
    #[error("{overflow} overflow pages for {used} bytes")]
    RunUnused {
        /// Overflow count in its header.
        overflow: u32,
        /// Bytes its header and elements take.
        used: u64,
    },
    /// The page cannot hold as many elements as it claims.
    #[error("{count} elements do not fit in {room} bytes")]
    TooManyElements {
        /// Element count in its header.
        count: u16,
        /// Bytes in the page.
        room: u64,
    },
    /// An element's key or value lies outside of the page.
    #[error("element {element} reaches to byte {end} of {room}")]
    ElementOutside {
        /// The element.
        element: usize,
        /// Where its value ends.
        end: u64,
        /// Bytes in the page.
        room: u64,
    },
    /// An element's data does not follow that of the element before it.
    ///
    /// bbolt writes them without gaps, so a position or size was changed since.
    #[error("element {element} begins at byte {found}, expected {expected}")]
    ElementMisplaced {
        /// The element.
        element: usize,
        /// Where the data before it ends.
        expected: u64,
        /// Where its data begins.
        found: u64,
    },
    /// An element is marked as something other than a value or a bucket.
    #[error("element {element} has unknown flags {found:#x}")]
    ElementFlags {
        /// The element.
        element: usize,
        /// Its flags.
        found: u32,
    },
    /// A key is empty or longer than bbolt allows.
    #[error("element {element} has a key of {found} bytes")]
    KeyLength {
        /// The element.
        element: usize,
        /// Length of its key.
        found: u64,
    },
    /// A key is not greater than the one before it.
    #[error("key order broken at element {element}")]
    KeyOrder {
        /// The element.
        element: usize,
    },
    /// A key lies outside of the range the branch pages above promise.
    #[error("key of element {element} is outside of the range of its branch")]
    KeyOutOfBranch {
        /// The element.
        element: usize,
    },
    /// A branch page leads nowhere.
    #[error("branch page without elements")]
    EmptyBranch,
    /// The tree is deeper than any real one, so its pages lead in a circle.
    #[error("tree is deeper than {limit} pages")]
    TreeTooDeep {
        /// The depth allowed.
        limit: usize,
    },
    /// The pages of one bucket take more than the whole file, so some of them overlap.
    #[error("tree takes more than the {limit} bytes of the file")]
    TreeTooLarge {
        /// Size of the file.
        limit: u64,
    },
    /// Buckets are nested deeper than any real ones.
    #[error("buckets are nested deeper than {limit}")]
    NestedTooDeep {
        /// The depth allowed.
        limit: usize,
    },
    /// The root bucket holds a plain value in place of this bucket.
    #[error("element {element} is a value in place of a bucket")]
    NotABucket {
        /// The element.
        element: usize,
    },
    /// The value that describes the bucket has an impossible length.
    #[error("element {element} describes a bucket in {found} bytes")]
    BucketValueLength {
        /// The element.
        element: usize,
        /// Length of its value.
        found: usize,
    },
    /// The page inside an inline bucket has an id, overflow pages or wrong flags.
    #[error(
        "inline page of element {element} has id {id}, flags {flags:#06x}, overflow {overflow}"
    )]
    InlineHeader {
        /// The element whose value holds the inline page.
        element: usize,
        /// Id in its header, 0 expected.
        id: u64,
        /// Flags in its header, 0x0002 expected.
        flags: u16,
        /// Overflow count in its header, 0 expected.
        overflow: u32,
    },
    /// An inline bucket contains a bucket.
    #[error("element {element} of an inline page is a bucket")]
    BucketInInline {
        /// The element inside the inline page.
        element: usize,
    },
    /// The free list claims more pages than it has room for.
    #[error("free list of {count} pages does not fit in {room} bytes")]
    FreelistTooLong {
        /// Pages claimed.
        count: u64,
        /// Bytes in the page.
        room: u64,
    },
    /// The free list names a page that cannot be.
    #[error("free list names page {found}, high-water mark {high_water_mark}")]
    FreelistEntry {
        /// Page named.
        found: u64,
        /// One more than the largest page in use.
        high_water_mark: u64,
    },
}
