//! Keeps panics that are expected off the screen, and their text for the verdict.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Trials under way.
static TRIALS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread watches trials, and its own panics are not expected.
    static WATCHES: Cell<bool> = const { Cell::new(false) };
    /// Text and place of this thread's last panic.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// While one exists, panics leave no message, except on threads that made one.
///
/// Cases start threads of their own, the store starts one for commits, and all of them may panic
/// on purpose; so it is the expected panics that cannot be told by their threads.
pub(crate) struct Quiet(());

impl Quiet {
    pub(crate) fn new() -> Quiet {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                LAST.set(Some(info.to_string()));
                let expected = TRIALS.load(Ordering::SeqCst) > 0 && !WATCHES.get();
                if !expected {
                    before(info);
                }
            }));
        });
        WATCHES.set(true);
        TRIALS.fetch_add(1, Ordering::SeqCst);
        Quiet(())
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        TRIALS.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The text of a panic that was caught on this thread, with its place in the source if known.
pub(crate) fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "panicked without a message".to_owned());
    // What was raised again has a text and no place; the last place may be of something else.
    LAST.take().filter(|last| last.contains(&text)).unwrap_or(text)
}
