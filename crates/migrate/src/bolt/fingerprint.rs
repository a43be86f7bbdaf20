//! What tells one state of a file from another.

use std::os::unix::fs::FileExt;

use bitcoin::hashes::{Hash, HashEngine, sha256};

use super::edit::{BoltWriter, EditError, Step};
use super::{BoltFile, FileError, MetaInfo, meta};

/// Pages that are looked at, spread over the file.
const PAGES: u64 = 1024;

impl BoltFile {
    /// A digest of the state that is read: equal for a copy of the file, wherever it lies, and
    /// another one after any transaction.
    ///
    /// bbolt writes pages to new places and then the meta page, which holds the number of the
    /// transaction. Checksums of pages from all over the file tell apart files whose numbers are equal by chance.
    ///
    /// # Errors
    /// [`FileError::Io`] if the operating system cannot read a page.
    pub fn fingerprint(&self) -> Result<[u8; 32], FileError> {
        self.fingerprint_of(self.info.meta(), &[])
    }

    /// As [`fingerprint`](BoltFile::fingerprint), of the state that `meta` and the writes of `steps`
    /// make of the file.
    fn fingerprint_of(&self, meta: &MetaInfo, steps: &[Step]) -> Result<[u8; 32], FileError> {
        let MetaInfo { page_size, root_page, sequence, high_water_mark, txid, .. } = *meta;
        let mut engine = sha256::Hash::engine();
        for number in [page_size.into(), root_page, sequence, high_water_mark, txid] {
            engine.input(&number.to_le_bytes());
        }
        let size = writes(steps).map(|(at, bytes)| at.saturating_add(bytes.len() as u64));
        let size = size.fold(self.info.size, u64::max);
        let step = high_water_mark.div_ceil(PAGES).max(1);
        let pages = (2..high_water_mark).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        let mut page = vec![0; page_size as usize];
        for id in [root_page].into_iter().chain(pages) {
            let at = id.saturating_mul(page_size.into());
            // The file may end before pages that no bucket uses.
            if at.saturating_add(page_size.into()) <= size {
                self.read_with(steps, at, &mut page)
                    .map_err(|source| FileError::Io { page: id, source })?;
                engine.input(&crc32fast::hash(&page).to_le_bytes());
            }
        }
        Ok(sha256::Hash::from_engine(engine).to_byte_array())
    }

    /// Reads a page as it is after the writes of `steps`.
    fn read_with(&self, steps: &[Step], at: u64, page: &mut [u8]) -> std::io::Result<()> {
        // A file that grows is zero wherever nothing was written.
        let there = usize::try_from(self.info.size.saturating_sub(at)).unwrap_or(usize::MAX);
        let there = there.min(page.len());
        let (stored, beyond) = page.split_at_mut(there);
        self.file.read_exact_at(stored, at)?;
        beyond.fill(0);
        let end = at.saturating_add(page.len() as u64);
        for (start, bytes) in writes(steps) {
            let (first, last) = (start.max(at), start.saturating_add(bytes.len() as u64).min(end));
            if first < last {
                let within = |from: u64| (first - from) as usize..(last - from) as usize;
                if let (Some(to), Some(from)) = (page.get_mut(within(at)), bytes.get(within(start)))
                {
                    to.copy_from_slice(from);
                }
            }
        }
        Ok(())
    }
}

impl BoltWriter {
    /// Transaction number and [fingerprint](BoltFile::fingerprint) of the file once a plan was carried
    /// out.
    ///
    /// # Errors
    /// `File` if the operating system cannot read a page.
    pub fn fingerprint_after(&self, steps: &[Step]) -> Result<(u64, [u8; 32]), EditError> {
        let file = self.file();
        // A plan ends with the meta page that then counts.
        let last = writes(steps).last().and_then(|(_, bytes)| meta::of_page(bytes));
        let meta = last.as_ref().unwrap_or_else(|| file.info().meta());
        Ok((meta.txid, file.fingerprint_of(meta, steps)?))
    }
}

fn writes(steps: &[Step]) -> impl Iterator<Item = (u64, &[u8])> {
    steps.iter().filter_map(|step| match step {
        Step::Write { at, bytes } => Some((*at, bytes.as_slice())),
        Step::Sync => None,
    })
}
