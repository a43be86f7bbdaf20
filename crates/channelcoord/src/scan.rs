//! Reading a whole range page by page.

use chanstate::key::KeyRange;

use crate::backend::{Backend, BackendError};
use crate::record::Record;

/// Records read at a time.
const PAGE: usize = 512;

/// Hands every record of a range to `visit`, in key order and in flat memory.
///
/// # Errors
/// As [`Backend::scan`].
pub async fn scan_all(
    backend: &dyn Backend,
    mut range: KeyRange,
    mut visit: impl FnMut(Record) + Send,
) -> Result<(), BackendError> {
    loop {
        let page = backend.scan(&range, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        let complete = page.len() < PAGE;
        range = range.after(last.key());
        page.into_iter().for_each(&mut visit);
        if complete {
            return Ok(());
        }
    }
}
