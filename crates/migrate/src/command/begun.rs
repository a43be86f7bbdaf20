//! A target that an earlier run began to fill.

use channelcoord::{Backend, Stage, Transfer, TransferId};

use super::copy::CopyOptions;
use super::site::Site;
use crate::identity::Identity;
use crate::journal::Journal;
use crate::opened::{Failure, Opened};
use crate::url::StoreUrl;

/// A target with its journal.
pub(super) struct Begun {
    pub(super) stage: Stage,
    pub(super) journal: Journal,
    pub(super) target: Box<dyn Backend>,
    url: StoreUrl,
}

impl Begun {
    /// Looks at the place of a target; `None` if nothing is there.
    pub(super) fn look(site: &dyn Site, resume: bool) -> Result<Option<Begun>, Failure> {
        match site.is_taken()? {
            true => Begun::find(site, resume).map(Some),
            false => Ok(None),
        }
    }

    /// Looks at what is where a target is to be. Opens it if `resume` is wanted; it is refused
    /// otherwise.
    fn find(site: &dyn Site, resume: bool) -> Result<Begun, Failure> {
        let url = site.url();
        if !resume {
            return Err(Failure::Usage(match stage_of(site) {
                Some(Stage::Filling) => format!(
                    "{url} is half filled by a copy that was stopped; --resume goes on with it, or \
                     delete it to begin anew"
                ),
                Some(Stage::Complete) => format!(
                    "{url} is a complete copy; `migrate activate` makes it the one in use, --resume \
                     compares it again"
                ),
                Some(Stage::Differing) => format!(
                    "{url} is a copy that differs from its source; delete it and copy again"
                ),
                _ => format!("{url} exists; copy to a new place"),
            }));
        }
        let target = site.open()?;
        let found = part(url, target.as_ref())?;
        let Some(found) = found else {
            return Err(Failure::Usage(format!(
                "{url} was not begun by a copy; copy to a new place"
            )));
        };
        let refused = match found.stage {
            Stage::Filling | Stage::Complete => None,
            Stage::Differing => Some(Failure::Content(format!(
                "{url} differs from {}, of which it was to be a copy; delete it and copy again",
                found.other
            ))),
            Stage::Active { .. } => {
                Some(Failure::Usage(format!("{url} is in use since it was activated")))
            }
            Stage::Moved => Some(Failure::Usage(format!("{url} was moved to {}", found.other))),
        };
        if let Some(refused) = refused {
            return Err(refused);
        }
        let journal = journal(url, &found)?;
        Ok(Begun { stage: found.stage, journal, target, url: url.clone() })
    }

    /// Refuses to go on from another source, or one that changed since, and with other options.
    pub(super) fn require_same(
        &self,
        from: &StoreUrl,
        source: &Identity,
        options: CopyOptions,
    ) -> Result<(), Failure> {
        let Begun { journal, url, .. } = self;
        if journal.source != *source {
            return Err(Failure::Usage(format!(
                "{url} was begun as a copy of {}, and {from} is not that store or was written since; \
                 delete {url} and copy again",
                journal.from
            )));
        }
        let flags = [
            (journal.accept, options.accept, "--accept"),
            (journal.skip_damaged, options.skip_damaged, "--skip-damaged"),
        ];
        for (begun, now, flag) in flags {
            if begun != now {
                let with = if begun { "with" } else { "without" };
                return Err(Failure::Usage(format!(
                    "{url} was begun {with} {flag}; go on like that"
                )));
            }
        }
        Ok(())
    }
}

/// The stage of what is at a place, if it can be read.
fn stage_of(site: &dyn Site) -> Option<Stage> {
    match site.open_to_read() {
        Ok(Opened::Store(store)) => Some(part(site.url(), store.as_ref()).ok()??.stage),
        _ => None,
    }
}

/// Refuses a target that another run took over since it was looked at. Only whoever has claimed it
/// knows for sure.
pub(super) fn require_filling(
    url: &StoreUrl,
    target: &dyn Backend,
    id: TransferId,
) -> Result<Transfer, Failure> {
    let found = part(url, target)?.filter(|found| found.id == id && found.stage == Stage::Filling);
    found.ok_or_else(|| Failure::Access(format!("{url} was taken over by another run meanwhile")))
}

/// Refuses a claimed target that does not stand where its journal said when it was looked at. What
/// another run wrote since would be written again, over what a node may have made of it.
pub(super) fn require_standing(
    url: &StoreUrl,
    target: &dyn Backend,
    journal: &Journal,
) -> Result<(), Failure> {
    let found = require_filling(url, target, journal.id)?;
    match found.detail == journal.at(Stage::Filling).detail {
        true => Ok(()),
        false => Err(Failure::Access(format!("{url} was filled further by another run meanwhile"))),
    }
}

/// The part that a store has in a transfer.
pub(super) fn part(url: &StoreUrl, store: &dyn Backend) -> Result<Option<Transfer>, Failure> {
    pollster::block_on(Transfer::of(store)).map_err(|error| Failure::of_backend(url, &error))
}

/// The journal of a target.
pub(super) fn journal(url: &StoreUrl, found: &Transfer) -> Result<Journal, Failure> {
    Journal::of(found).map_err(|error| Failure::content(url, &error))
}

/// Refuses a source that holds a part of its content, or outdated content.
pub(super) fn refuse_part(
    from: &StoreUrl,
    source: &Opened,
    allow_moved: bool,
) -> Result<(), Failure> {
    let Opened::Store(store) = source else { return Ok(()) };
    let Some(found) = part(from, store.as_ref())? else { return Ok(()) };
    let other = found.other;
    Err(Failure::Content(match found.stage {
        Stage::Active { .. } | Stage::Complete => return Ok(()),
        Stage::Moved if allow_moved => return Ok(()),
        Stage::Filling => format!("{from} is only half a copy of {other}"),
        Stage::Differing => format!("{from} differs from {other}, of which it was to be a copy"),
        Stage::Moved => format!("{from} was moved to {other}; copy that one"),
    }))
}

/// Whether a copy of a source can be put into use in its place: not while another copy is, or the
/// source itself is a copy that is not.
pub(super) fn is_replaceable(from: &StoreUrl, source: &Opened) -> Result<bool, Failure> {
    Ok(match source {
        Opened::Lnd(lnd) => lnd.tombstone().is_none(),
        Opened::Store(store) => match part(from, store.as_ref())? {
            Some(found) => matches!(found.stage, Stage::Active { .. }),
            None => true,
        },
    })
}
