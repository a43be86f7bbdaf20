//! Records of a store one by one, read page by page, ahead of their taker if that pays.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;

use channelcoord::{Backend, BackendError, Record};
use chanstate::key::KeyRange;

use crate::store::is_content;
use crate::weight::weight;

/// Records in the first page.
const FIRST: usize = 256;

/// Most records in a page.
const MOST: usize = 4096;

/// Bytes in a page, as far as the page before tells.
const BYTES: usize = 1 << 20;

/// Pages that wait for their taker. Beside them, one is with the taker and one being read.
const AHEAD: usize = 4;

/// Every record of a range that is content, in key order and in flat memory. Ends after the first
/// error. What part a store has in a [`Transfer`](channelcoord::Transfer) is no content.
pub struct Records<'a> {
    pages: Pages<'a>,
    page: std::vec::IntoIter<Record>,
}

impl<'a> Records<'a> {
    /// Records of a range.
    pub fn new(backend: &'a dyn Backend, range: KeyRange) -> Records<'a> {
        Records { pages: Pages::new(backend, range), page: Vec::new().into_iter() }
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, BackendError>;

    fn next(&mut self) -> Option<Self::Item> {
        next(&mut self.page, || self.pages.next())
    }
}

/// Every record of some ranges, one range after the other, each in key order. A thread of its own
/// reads a few pages ahead, so that whoever takes the records does not wait for the store. Ends after
/// the first error.
pub struct Ahead {
    pages: Receiver<Result<Vec<Record>, BackendError>>,
    page: std::vec::IntoIter<Record>,
}

impl Ahead {
    /// Begins to read. The thread ends with the last record or the first error, or once this value is
    /// dropped; `scope` waits for it.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        backend: &'scope dyn Backend,
        ranges: impl IntoIterator<Item = KeyRange, IntoIter: Send + 'scope>,
    ) -> Ahead {
        let (sender, pages) = sync_channel(AHEAD);
        let ranges = ranges.into_iter();
        scope.spawn(move || send(backend, ranges, &sender));
        Ahead { pages, page: Vec::new().into_iter() }
    }
}

impl Iterator for Ahead {
    type Item = Result<Record, BackendError>;

    fn next(&mut self) -> Option<Self::Item> {
        // If the thread panicked, so does the scope that waits for it.
        next(&mut self.page, || self.pages.recv().ok())
    }
}

fn send(
    backend: &dyn Backend,
    ranges: impl Iterator<Item = KeyRange>,
    sender: &SyncSender<Result<Vec<Record>, BackendError>>,
) {
    for page in ranges.flat_map(|range| Pages::new(backend, range)) {
        let failed = page.is_err();
        // Nobody takes any more records.
        if sender.send(page).is_err() || failed {
            return;
        }
    }
}

/// The next record of a page, or of those that follow.
fn next(
    page: &mut std::vec::IntoIter<Record>,
    mut turn: impl FnMut() -> Option<Result<Vec<Record>, BackendError>>,
) -> Option<Result<Record, BackendError>> {
    loop {
        if let Some(record) = page.find(is_content) {
            return Some(Ok(record));
        }
        match turn()? {
            Ok(records) => *page = records.into_iter(),
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Pages of a range. Ends after the first error.
struct Pages<'a> {
    backend: &'a dyn Backend,
    range: Option<KeyRange>,
    limit: usize,
}

impl<'a> Pages<'a> {
    fn new(backend: &'a dyn Backend, range: KeyRange) -> Pages<'a> {
        Pages { backend, range: Some(range), limit: FIRST }
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Vec<Record>, BackendError>;

    fn next(&mut self) -> Option<Self::Item> {
        let range = self.range.take()?;
        let page = pollster::block_on(self.backend.scan(&range, self.limit));
        if let Ok(page) = &page
            && page.len() >= self.limit
            && let Some(last) = page.last()
        {
            self.range = Some(range.after(last.key()));
            let bytes: usize = page.iter().map(|record| weight(record.as_ref())).sum();
            let fit = BYTES.saturating_mul(page.len()) / bytes.max(1);
            self.limit = fit.clamp(1, MOST).min(self.limit * 2);
        }
        // An empty page would wait among the others for nothing.
        Some(page).filter(|page| page.as_ref().map_or(true, |page| !page.is_empty()))
    }
}
