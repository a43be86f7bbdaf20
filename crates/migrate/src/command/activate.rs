//! `migrate activate`: makes a complete copy the store in use.

use channelcoord::{Seq, Stage, Transfer};
use serde::Serialize;

use super::begun::journal;
use super::side::{Sealed, Side, Source};
use super::site::{Site, UrlSite};
use crate::lnd::tombstone::Home;
use crate::opened::Failure;
use crate::url::StoreUrl;

/// How to activate a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActivateOptions {
    /// Seal an lnd database too, with its tombstone. A store of ours is always sealed, an archive
    /// never.
    pub seal_source: bool,
}

/// What an activation did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActivateReport {
    /// The transfer, by the id that both sides keep.
    pub transfer: String,
    /// The store in use.
    pub in_use: String,
    /// The store that was copied.
    pub source: String,
    /// No node opens the source any more.
    pub sealed: bool,
    /// An earlier run had activated the copy already.
    pub was_active: bool,
}

/// Makes a complete copy the store in use, then seals its source. Each step is durable before the
/// next one begins; after a stop at any point, the same call does what is missing.
///
/// # Errors
/// `Content` if the copy is not complete, or the source is not what was copied: then nothing was
/// changed. `Usage` if the target is an archive or lnd's. `Access` if a side cannot be read or
/// written, or a node has it open.
pub fn activate(
    from: &StoreUrl,
    to: &StoreUrl,
    options: ActivateOptions,
) -> Result<ActivateReport, Failure> {
    activate_at(&UrlSite(from), &UrlSite(to), options)
}

/// As [`activate`], for stores at places.
///
/// # Errors
/// As for [`activate`].
pub fn activate_at(
    from: &dyn Site,
    to: &dyn Site,
    options: ActivateOptions,
) -> Result<ActivateReport, Failure> {
    require_ours(to)?;
    // Both sides are held before one is changed.
    let mut target = Side::take(to)?;
    let found = require_copy(&target)?.clone();
    let was_active = matches!(found.stage, Stage::Active { .. });
    let source = Source::take(from, &found, options.seal_source)?;
    let sealed = source.require(&found, &journal(&target.url, &found)?.source);
    let sealed = sealed.map_err(|failure| match was_active {
        true => failure.and(format!("{} is in use since it was activated", target.url)),
        false => failure,
    })?;
    if sealed == Sealed::No {
        source.require_sealable(&found, &target.url)?;
    }
    if !was_active {
        let at = Seq(target.seq().0 + 1);
        target.set_part(Some(Transfer { stage: Stage::Active { at }, ..found.clone() }))?;
    }
    let source_url = source.url().to_string();
    let sealed = sealed == Sealed::Here || source.seal(&found, &target.url)?;
    Ok(ActivateReport {
        transfer: found.id.to_string(),
        in_use: target.url.to_string(),
        source: source_url,
        sealed,
        was_active,
    })
}

/// Refuses a target that no node of ours could have in use.
pub(super) fn require_ours(to: &dyn Site) -> Result<(), Failure> {
    let url = to.url();
    match (url.archive(), Home::of(url)) {
        (Some(_), _) => Err(Failure::Usage(format!(
            "{url} is an archive, which no node opens: copy it into a store and activate that one"
        ))),
        (None, Some(_)) => Err(Failure::Usage(format!(
            "{url} is lnd's database, which no copy is made into: name it with --from"
        ))),
        (None, None) => Ok(()),
    }
}

/// Refuses a store that is no complete copy.
pub(super) fn require_copy(target: &Side) -> Result<&Transfer, Failure> {
    let url = &target.url;
    let Some(found) = &target.part else {
        return Err(Failure::Content(format!("{url} is no copy: nothing is known of a transfer")));
    };
    let other = &found.other;
    Err(Failure::Content(match found.stage {
        Stage::Complete | Stage::Active { .. } => return Ok(found),
        Stage::Filling => format!(
            "{url} is half filled; `migrate copy --resume --from {other} --to {url}` goes on"
        ),
        Stage::Differing => format!("{url} differs from {other}: delete it and copy again"),
        Stage::Moved => format!("{url} was moved to {other} itself"),
    }))
}

impl std::fmt::Display for ActivateReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ActivateReport { transfer, in_use, source, sealed, was_active } = self;
        let already = if *was_active { "already " } else { "" };
        writeln!(f, "{in_use} is {already}the store in use (transfer {transfer})")?;
        match sealed {
            true => write!(f, "{source} is sealed: no node opens it; `migrate unseal` undoes this"),
            false => write!(f, "{source} was not changed: never start a node on it again"),
        }
    }
}
