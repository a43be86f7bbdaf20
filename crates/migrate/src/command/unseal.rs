//! `migrate unseal`: makes the source of a copy the store in use again.

use channelcoord::Stage;
use serde::Serialize;

use super::activate::{require_copy, require_ours};
use super::begun::journal;
use super::side::{Sealed, Side, Source};
use super::site::{Site, UrlSite};
use crate::opened::Failure;
use crate::url::StoreUrl;

/// What taking an activation back did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnsealReport {
    /// The transfer, by the id that both sides keep.
    pub transfer: String,
    /// The store in use.
    pub in_use: String,
    /// Its copy, which no node opens any more.
    pub copy: String,
    /// The copy was in use, and was taken out of it.
    pub deactivated: bool,
    /// The source was sealed, and was opened to its node.
    pub unsealed: bool,
}

/// Takes a copy out of use, then opens its source to its node again: never are both in use. Each step
/// is durable before the next one begins; after a stop at any point, the same call does what is
/// missing. The copy stays complete and can be activated again until the source is written.
///
/// # Errors
/// `Content` if the copy was written since it was activated, or the two are no copy and source: then
/// nothing was changed. `Access` if a side cannot be read or written, or a node has it open.
pub fn unseal(from: &StoreUrl, to: &StoreUrl) -> Result<UnsealReport, Failure> {
    unseal_at(&UrlSite(from), &UrlSite(to))
}

/// As [`unseal`], for stores at places.
///
/// # Errors
/// As for [`unseal`].
pub fn unseal_at(from: &dyn Site, to: &dyn Site) -> Result<UnsealReport, Failure> {
    require_ours(to)?;
    // Both sides are held before one is changed.
    let mut target = Side::take(to)?;
    let found = require_copy(&target)?.clone();
    let source = Source::take(from, &found, false)?;
    let mut journal = journal(&target.url, &found)?;
    let sealed = source.require(&found, &journal.source)?;
    let mut deactivated = false;
    if let Stage::Active { at } = found.stage {
        if target.seq() != at {
            return Err(Failure::Content(format!(
                "{} was written since it was activated, at sequence number {}, and stands at {}: {} \
                 is outdated and stays sealed",
                target.url,
                at.0,
                target.seq().0,
                source.url()
            )));
        }
        // What the source will stand at, so that the copy is known as one of it afterwards.
        if sealed == Sealed::Here {
            journal.source = source.identity_unsealed(&journal.source)?;
        }
        target.set_part(Some(journal.at(Stage::Complete)))?;
        deactivated = true;
    }
    let source_url = source.url().to_string();
    if sealed == Sealed::Here {
        source.unseal()?;
    }
    Ok(UnsealReport {
        transfer: found.id.to_string(),
        in_use: source_url,
        copy: target.url.to_string(),
        deactivated,
        unsealed: sealed == Sealed::Here,
    })
}

impl std::fmt::Display for UnsealReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let UnsealReport { transfer, in_use, copy, deactivated, unsealed } = self;
        if !deactivated && !unsealed {
            writeln!(f, "there was nothing to undo")?;
        }
        write!(f, "{in_use} is the store in use, and no node opens {copy} (transfer {transfer})")
    }
}
