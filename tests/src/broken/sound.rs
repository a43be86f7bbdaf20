//! Not broken: the ways in which defects are built, with nothing wrong. No case may fail over them,
//! or it would find the building of a defect and not the defect.

use std::collections::HashMap;

use super::{durability, flaw::Flaw, guards, reads, standing};

/// Every call is passed on.
pub(crate) fn passes_everything_on() -> Flaw {
    Flaw::default()
}

/// Sets whose guards hold are passed on without them.
pub(crate) fn passes_sets_on_without_guards() -> Flaw {
    Flaw::stores(|_, _| ())
}

/// Guards are checked in front.
pub(crate) fn checks_guards_in_front() -> Flaw {
    Flaw::guards(|_, _, expected, found| expected == found)
}

/// Nothing is stored of stale sets.
pub(crate) fn passes_stale_sets_on_empty() -> Flaw {
    guards::of_stale_sets(|_| Default::default())
}

/// Epochs are counted twice.
pub(crate) fn counts_epochs_in_front() -> Flaw {
    standing::counting_epochs(|epoch| epoch.0, || ())
}

/// Sequence numbers are translated, to themselves.
pub(crate) fn counts_sets_in_front() -> Flaw {
    standing::counting(Default::default(), |_| 0)
}

/// The cache of records is emptied by each commit.
pub(crate) fn empties_its_cache() -> Flaw {
    reads::caching(|cache, _| HashMap::clear(cache))
}

/// Scans are cut out of whole kinds, in the right order.
pub(crate) fn cuts_scans_out_of_ranges() -> Flaw {
    reads::scanning(|_| ())
}

/// Commits go to memory first, and on at once.
pub(crate) fn stores_behind_memory() -> Flaw {
    durability::delayed(|held, _| held)
}

/// Reads go through an overlay that shows nothing.
pub(crate) fn reads_through_an_overlay() -> Flaw {
    durability::overlaid(|inner, batch, _| inner.commit(batch))
}
