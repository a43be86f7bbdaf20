//! What tells one state of a file from another.

use std::os::unix::fs::FileExt;

use bitcoin::hashes::{Hash, HashEngine, sha256};

use super::{BoltFile, FileError, MetaInfo};

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
        let MetaInfo { page_size, root_page, sequence, high_water_mark, txid, .. } =
            *self.info.meta();
        let mut engine = sha256::Hash::engine();
        for number in [page_size.into(), root_page, sequence, high_water_mark, txid] {
            engine.input(&number.to_le_bytes());
        }
        let step = high_water_mark.div_ceil(PAGES).max(1);
        let pages = (2..high_water_mark).step_by(usize::try_from(step).unwrap_or(usize::MAX));
        let mut page = vec![0; page_size as usize];
        for id in [root_page].into_iter().chain(pages) {
            let at = id.saturating_mul(page_size.into());
            // The file may end before pages that no bucket uses.
            if at.saturating_add(page_size.into()) <= self.info.size {
                self.file
                    .read_exact_at(&mut page, at)
                    .map_err(|source| FileError::Io { page: id, source })?;
                engine.input(&crc32fast::hash(&page).to_le_bytes());
            }
        }
        Ok(sha256::Hash::from_engine(engine).to_byte_array())
    }
}
