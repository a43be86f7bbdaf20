//! Finds damage and inconsistencies.
//!
//! | Module | Checks |
//! |---|---|
//! | `walk` | the steps through buckets, and that everything has its kind |
//! | `channel` | channel buckets, open and historical |
//! | `state` | the values of one channel against each other |
//! | `log` | the two revocation logs of a channel |
//! | `package` | forwarding packages |
//! | `small` | summaries, link nodes, policies, HTLC outcomes, metadata |
//! | `index` | the outpoint index and the channel ids |

mod channel;
mod index;
pub(crate) mod log;
mod package;
mod small;
mod state;
mod walk;

use std::collections::{BTreeSet, HashMap, HashSet};

use bitcoin::OutPoint;
use chanstate::{ChannelId, ShortChannelId};

use super::codec::keys::{bucket as top, channel as key};
use super::path::Path;
use super::source::{BUCKETS, LndSource, Refused, VERSIONS};
use crate::bolt::display_path;
use crate::counts::Counts;
use crate::finding::{Finding, Severity};
use crate::lnd::tree::{Damage, ReadError};
use crate::progress::Progress;
use index::Index;

/// Buckets that lnd creates at its first start.
const ALWAYS: [&[u8]; 8] = [
    top::CHANNEL_IDS,
    top::CLOSED_CHANNELS,
    top::PACKAGES,
    top::HISTORICAL_CHANNELS,
    top::METADATA,
    top::LINK_NODES,
    top::OPEN_CHANNELS,
    top::OUTPOINTS,
];

/// What a check found out about a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What cannot be read or stored. The rest can be imported.
    pub refused: Refused,
    /// Records that are not refused.
    pub counts: Counts,
    /// Number of warnings.
    pub warnings: u64,
    /// Number of inconsistencies.
    pub inconsistencies: u64,
    /// Number of damages.
    pub damages: u64,
    /// Names of the top-level buckets that belong to others, printable.
    pub other_tenants: Vec<String>,
}

/// Reads everything of an lnd database that concerns channels and link nodes, and reports what is
/// wrong: first what concerns the file and its pages, then records in walk order. Memory stays
/// flat but for the outpoints and ids of all channels.
///
/// # Errors
/// If the file cannot be read. Damage is no error.
pub fn check(
    source: &LndSource,
    progress: &Progress,
    report: &mut dyn FnMut(Finding),
) -> Result<Checked, ReadError> {
    let mut checker = Checker {
        source,
        progress,
        report,
        checked: Checked::default(),
        index: Index::default(),
        ids: HashMap::new(),
        open: HashSet::new(),
        sources: BTreeSet::new(),
    };
    checker.tree();
    checker.file();
    if !checker.checked.refused.contains(&Path::new()) {
        checker.content()?;
    }
    Ok(checker.checked)
}

struct Checker<'a, 'r> {
    source: &'a LndSource,
    progress: &'a Progress,
    report: &'r mut dyn FnMut(Finding),
    checked: Checked,
    index: Index,
    /// Channels by id: two outpoints can have the same, and a store can hold one of them.
    ids: HashMap<ChannelId, OutPoint>,
    /// Channels in the tree of open ones, whether they can be read or not.
    open: HashSet<OutPoint>,
    /// Sources of packages that no channel was found for yet.
    sources: BTreeSet<ShortChannelId>,
}

impl Checker<'_, '_> {
    fn content(&mut self) -> Result<(), ReadError> {
        let tenants = self.source.other_tenants()?;
        let printable = |name| display_path(&[name]).to_string();
        self.checked.other_tenants = tenants.into_iter().map(printable).collect();
        self.presence()?;
        self.index = Index::read(self)?;
        for name in BUCKETS {
            match name {
                top::CHANNEL_IDS => self.channel_ids()?,
                top::OPENING_STATES => self.opening_states()?,
                top::CLOSED_CHANNELS => self.summaries()?,
                top::TOMBSTONE => self.tombstone(),
                top::FINAL_HTLCS => self.final_htlcs()?,
                top::PACKAGES => self.packages()?,
                top::HISTORICAL_CHANNELS => self.historical_channels()?,
                top::FORWARDING_POLICIES => self.policies()?,
                top::METADATA => self.metadata()?,
                top::LINK_NODES => self.link_nodes()?,
                top::OPEN_CHANNELS => self.open_channels()?,
                top::OUTPOINTS => self.outpoints()?,
                _ => {}
            }
        }
        self.unknown_sources();
        Ok(())
    }

    /// Reports what the look at the whole tree found.
    fn tree(&mut self) {
        for damage in &self.source.survey().damage {
            let Damage { path, what } = damage;
            self.damage(path.clone(), format!("{what}{}", consequence(path)));
        }
        for (place, what) in &self.source.survey().lost {
            self.find(Severity::Damage, place.clone(), format!("{what}; it is lost"));
        }
    }

    /// Reports what is wrong with the file beside its trees.
    fn file(&mut self) {
        for (place, what) in &self.source.survey().notes {
            self.find(Severity::Warning, place.clone(), what.clone());
        }
        match self.source.version() {
            Some(version) if version < *VERSIONS.end() => {
                let newest = VERSIONS.end();
                let what = format!("database version {version}, newest known is {newest}");
                self.find(Severity::Warning, "database".into(), what);
            }
            Some(_) => {}
            None => {
                self.find(Severity::Warning, "database".into(), "version is not known".into());
            }
        }
    }

    /// Reports missing buckets. One that was renamed by damage would pass for another tenant.
    fn presence(&mut self) -> Result<(), ReadError> {
        for name in ALWAYS {
            if self.source.tree().root().get(name)?.is_none() {
                let what = "is missing, lnd creates it at its first start";
                self.inconsistency(&[name.to_vec()], what);
            }
        }
        Ok(())
    }

    fn find(&mut self, severity: Severity, place: String, what: String) {
        match severity {
            Severity::Warning => self.checked.warnings += 1,
            Severity::Inconsistency => self.checked.inconsistencies += 1,
            Severity::Damage => self.checked.damages += 1,
        }
        (self.report)(Finding { severity, place, what });
    }

    fn warning(&mut self, path: &[Vec<u8>], what: impl Into<String>) {
        self.find(Severity::Warning, display_path(path).to_string(), what.into());
    }

    fn inconsistency(&mut self, path: &[Vec<u8>], what: impl Into<String>) {
        self.find(Severity::Inconsistency, display_path(path).to_string(), what.into());
    }

    /// Reports what is at `path` as damaged and refuses it.
    fn damage(&mut self, path: Path, what: impl Into<String>) {
        let place = path.clone();
        self.damage_inside(&place, path, what);
    }

    /// Reports what is at `place` as damaged and refuses what is at `refused`, around it.
    fn damage_inside(&mut self, place: &[Vec<u8>], refused: Path, what: impl Into<String>) {
        self.find(Severity::Damage, display_path(place).to_string(), what.into());
        self.checked.refused.add(refused);
    }

    fn is_refused(&self, path: &[Vec<u8>]) -> bool {
        self.checked.refused.contains(path)
    }
}

/// What damage of a bucket means.
fn consequence(path: &[Vec<u8>]) -> &'static str {
    let path: Vec<&[u8]> = path.iter().map(Vec::as_slice).collect();
    match path.as_slice() {
        [top::OPEN_CHANNELS, _, _, _, key::REVOCATION_LOG | key::DEPRECATED_LOG] => {
            "; its revoked states are lost, breach remedy in danger"
        }
        [top::OPEN_CHANNELS] => "; all open channels are lost",
        [top::OPEN_CHANNELS, _, ..] => "; open channels are lost",
        [] => "; everything is lost",
        _ => "",
    }
}
