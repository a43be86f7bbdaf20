//! Numbers that a case reports beside its verdict.

use std::cell::RefCell;

thread_local! {
    static NOTES: RefCell<Vec<(&'static str, u64)>> = const { RefCell::new(Vec::new()) };
}

/// Reports a number, such as the operations that a case carried out. The runner prints it; call it
/// from the body of a case.
pub fn note(what: &'static str, number: u64) {
    NOTES.with_borrow_mut(|notes| notes.push((what, number)));
}

/// The numbers reported on this thread since the last call.
pub(crate) fn take_notes() -> Vec<(&'static str, u64)> {
    NOTES.take()
}
