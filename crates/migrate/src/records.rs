//! Records of a store one by one, read page by page.

use channelcoord::{Backend, BackendError, Record};
use chanstate::key::KeyRange;

/// Records read at a time.
const PAGE: usize = 512;

/// Every record of a range, in key order and in flat memory. Ends after the first error.
pub struct Records<'a> {
    backend: &'a dyn Backend,
    range: Option<KeyRange>,
    page: std::vec::IntoIter<Record>,
}

impl<'a> Records<'a> {
    /// Records of a range.
    pub fn new(backend: &'a dyn Backend, range: KeyRange) -> Records<'a> {
        Records { backend, range: Some(range), page: Vec::new().into_iter() }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, BackendError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(record) = self.page.next() {
            return Some(Ok(record));
        }
        let range = self.range.take()?;
        match pollster::block_on(self.backend.scan(&range, PAGE)) {
            Err(error) => Some(Err(error)),
            Ok(page) => {
                if page.len() == PAGE {
                    self.range = page.last().map(|last| range.after(last.key()));
                }
                self.page = page.into_iter();
                self.page.next().map(Ok)
            }
        }
    }
}
