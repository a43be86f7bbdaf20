//! Records of a store one by one, read page by page.

use channelcoord::{Backend, BackendError, Record, Transfer};
use chanstate::key::KeyRange;

/// Records read at a time.
const PAGE: usize = 512;

/// Every record of a range that is content, in key order and in flat memory. Ends after the first
/// error. What part a store has in a [`Transfer`] is no content.
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
        loop {
            match self.page.next() {
                Some(record) if Transfer::is(&record) => {}
                Some(record) => return Some(Ok(record)),
                None => match self.turn()? {
                    Ok(()) => {}
                    Err(error) => return Some(Err(error)),
                },
            }
        }
    }
}

impl Records<'_> {
    /// Reads the next page; `None` behind the last one.
    fn turn(&mut self) -> Option<Result<(), BackendError>> {
        let range = self.range.take()?;
        let page = pollster::block_on(self.backend.scan(&range, PAGE));
        Some(page.map(|page| {
            if page.len() == PAGE {
                self.range = page.last().map(|last| range.after(last.key()));
            }
            self.page = page.into_iter();
        }))
    }
}
