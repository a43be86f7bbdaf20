//! `migrate verify`: compares every record of two stores.

use std::collections::BTreeMap;
use std::thread;

use bitcoin::OutPoint;
use channelcoord::Backend;
use chanstate::key::Kind;
use serde::Serialize;

use super::Watch;
use super::fill::diff_failure;
use crate::bolt::display_path;
use crate::finding::Severity;
use crate::lnd::source::{LndSource, Refused};
use crate::lnd::{self, diff};
use crate::opened::{self, Failure, Opened};
use crate::progress::Progress;
use crate::store::{self, Difference, Survey};
use crate::url::StoreUrl;

/// Differences, and channels that differ, that are named.
const NAMED: usize = 20;

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Entries or records compared.
    pub compared: u64,
    /// Places that differ.
    pub differences: u64,
    /// The first of them.
    pub first: Vec<String>,
    /// Damaged parts of the source that could not be compared.
    pub not_compared: u64,
    /// Channels with differences.
    pub differing_channels: u64,
    /// The first of them, each with the number of its differences.
    pub channels: Vec<ChannelDifferences>,
    /// Records by kind.
    pub records: Vec<KindCount>,
    /// Digest of the source; `None` if it is not a store of ours, or damaged.
    pub source_digest: Option<String>,
    /// Digest of the target; `None` if it is damaged.
    pub digest: Option<String>,
}

/// How much a channel differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChannelDifferences {
    /// Funding outpoint.
    pub channel: String,
    /// Places that differ.
    pub differences: u64,
}

/// How many records of a kind there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// Name of the kind.
    #[serde(serialize_with = "by_name")]
    pub kind: Kind,
    /// In the source, if it is a store of ours.
    pub source: Option<u64>,
    /// In the target.
    pub target: u64,
}

fn by_name<S: serde::Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{kind:?}"))
}

/// Compares every record both ways; an lnd source byte for byte with what the target's records
/// encode to. Damage of the target is a difference.
///
/// # Errors
/// [`Failure`] if one of them cannot be read.
pub fn verify(
    from: &StoreUrl,
    source: &Opened,
    to: &StoreUrl,
    target: &Opened,
    watch: &dyn Watch,
) -> Result<VerifyReport, Failure> {
    require_store(target)?;
    let mut not_compared = 0;
    let refused = match source {
        Opened::Store(_) => Refused::default(),
        Opened::Lnd(lnd) => {
            let progress = watch.phase("checking", Some(lnd.survey().keys));
            let checked = lnd::check::check(lnd, &progress, &mut |finding| {
                if finding.severity == Severity::Damage {
                    not_compared += 1;
                    watch.finding(&finding);
                }
            });
            checked.map_err(|error| Failure::access(from, &error))?.refused
        }
    };
    let report = compare(from, source, &refused, to, target, watch)?;
    Ok(VerifyReport { not_compared, ..report })
}

/// As [`verify`], without looking for damage of the source first.
pub(super) fn compare(
    from: &StoreUrl,
    source: &Opened,
    refused: &Refused,
    to: &StoreUrl,
    target: &Opened,
    watch: &dyn Watch,
) -> Result<VerifyReport, Failure> {
    let target = require_store(target)?;
    match source {
        Opened::Lnd(lnd) => Lnd { from, source: lnd, refused, to, watch }.compare(target),
        Opened::Store(source) => {
            let progress = watch.phase("verifying", None);
            let mut found = Found::default();
            let mut unchecked = None;
            let compared = store::compare(
                source.as_ref(),
                target,
                &mut |key| {
                    let open = || opened::open_damaged(to).ok().flatten();
                    let Opened::Store(target) = unchecked.get_or_insert_with(open).as_ref()? else {
                        return None;
                    };
                    let read = pollster::block_on(target.read(std::slice::from_ref(key)));
                    read.ok()?.pop().flatten()
                },
                &progress,
                &mut |difference| found.take(difference),
            )
            .map_err(|error| Failure::of_backend(format!("{from} or {to}"), &error))?;
            Ok(found.report(compared.compared, Some(&compared.source), &compared.target))
        }
    }
}

fn require_store(target: &Opened) -> Result<&dyn Backend, Failure> {
    match target {
        Opened::Store(target) => Ok(target.as_ref()),
        Opened::Lnd(_) => Err(Failure::Usage("the target must be one of our stores".into())),
    }
}

/// A comparison with an lnd database.
struct Lnd<'a> {
    from: &'a StoreUrl,
    source: &'a LndSource,
    refused: &'a Refused,
    to: &'a StoreUrl,
    watch: &'a dyn Watch,
}

impl Lnd<'_> {
    fn compare(&self, target: &dyn Backend) -> Result<VerifyReport, Failure> {
        let mut damages = Found::default();
        let (viewed, survey) = thread::scope(|scope| {
            let survey = scope.spawn(|| {
                store::survey(target, &Progress::silent(), &mut |record, what| {
                    damages.take(Difference { record, channel: None, what });
                })
            });
            let viewed = self.view(target);
            (viewed, survey.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
        });
        let survey = survey.map_err(|error| Failure::of_backend(self.to, &error))?;
        let (mut found, compared) = match survey.damaged {
            0 => viewed?,
            // A row whose checksum is wrong differs; which field does, its content tells.
            _ => match opened::open_damaged(self.to)? {
                Some(Opened::Store(unchecked)) => self.view(unchecked.as_ref())?,
                _ => viewed?,
            },
        };
        for difference in found.first.iter_mut().chain(&mut damages.first) {
            let known = difference.channel.take();
            difference.channel = known.or_else(|| survey.channel_of(&difference.record));
        }
        damages.append(found);
        found = damages;
        Ok(found.report(compared, None, &survey))
    }

    /// Compares the source with the view of a store. Returns the number of entries too.
    fn view(&self, target: &dyn Backend) -> Result<(Found, u64), Failure> {
        let mut found = Found::default();
        let progress = self.watch.phase("verifying", Some(self.source.survey().keys));
        let compared = diff::compare(self.source, self.refused, target, &progress, |difference| {
            found.take(Difference::from(&difference));
        })
        .map_err(|error| diff_failure(self.from, self.to, &error))?;
        // What has no place in an lnd database does not show there either.
        let progress = self.watch.phase("verifying", None);
        store::unseen(target, &progress, &mut |finding| {
            let what = format!("{:?}: {}", finding.severity, finding.what).to_lowercase();
            found.take(Difference { record: finding.place, channel: None, what });
        })
        .map_err(|error| super::check::job_failure(self.to, &error))?;
        Ok((found, compared))
    }
}

impl From<&diff::Difference> for Difference {
    fn from(difference: &diff::Difference) -> Difference {
        let (text, record) = (difference.to_string(), display_path(&difference.path).to_string());
        let what = text.strip_prefix(&record).and_then(|text| text.strip_prefix(": "));
        let what = what.unwrap_or(&text).to_owned();
        Difference { record, channel: difference.channel(), what }
    }
}

/// Differences as they come in.
#[derive(Default)]
struct Found {
    count: u64,
    first: Vec<Difference>,
    channels: BTreeMap<OutPoint, u64>,
}

impl Found {
    fn take(&mut self, difference: Difference) {
        self.count += 1;
        if let Some(channel) = difference.channel {
            *self.channels.entry(channel).or_default() += 1;
        }
        if self.first.len() < NAMED {
            self.first.push(difference);
        }
    }

    fn append(&mut self, other: Found) {
        self.count += other.count;
        for (channel, count) in other.channels {
            *self.channels.entry(channel).or_default() += count;
        }
        let room = NAMED.saturating_sub(self.first.len());
        self.first.extend(other.first.into_iter().take(room));
    }

    fn report(self, compared: u64, source: Option<&Survey>, target: &Survey) -> VerifyReport {
        let digest = |survey: &Survey| Some(survey.digest.as_ref()?.store.to_string());
        let count = |kind| KindCount {
            kind,
            source: source.map(|source| source.count(kind)),
            target: target.count(kind),
        };
        let is_there = |count: &KindCount| count.target > 0 || count.source.unwrap_or(0) > 0;
        let channels = self.channels.iter().take(NAMED).map(|(channel, differences)| {
            ChannelDifferences { channel: channel.to_string(), differences: *differences }
        });
        VerifyReport {
            compared,
            differences: self.count,
            first: self.first.iter().map(Difference::to_string).collect(),
            not_compared: 0,
            differing_channels: self.channels.len() as u64,
            channels: channels.collect(),
            records: Kind::ALL.into_iter().map(count).filter(is_there).collect(),
            source_digest: source.and_then(digest),
            digest: digest(target),
        }
    }
}

impl std::fmt::Display for VerifyReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for difference in &self.first {
            writeln!(f, "differs: {difference}")?;
        }
        for ChannelDifferences { channel, differences } in &self.channels {
            writeln!(f, "channel {channel}: {differences} differences")?;
        }
        let unnamed = self.differing_channels - self.channels.len() as u64;
        if unnamed > 0 {
            writeln!(f, "and {unnamed} more channels")?;
        }
        for KindCount { kind, source, target } in &self.records {
            match source {
                Some(source) if source != target => {
                    writeln!(
                        f,
                        "records {kind:?}: {source} in the source, {target} in the target"
                    )?;
                }
                _ => writeln!(f, "records {kind:?}: {target}")?,
            }
        }
        match (&self.source_digest, &self.digest) {
            (Some(source), Some(target)) if source == target => writeln!(f, "digest {target}")?,
            (source, target) => {
                for (side, digest) in [("source", source), ("target", target)] {
                    if let Some(digest) = digest {
                        writeln!(f, "digest of the {side} {digest}")?;
                    }
                }
            }
        }
        match self.differences {
            0 => write!(f, "identical: {} entries compared", self.compared)?,
            count => write!(f, "{count} differences in {} entries", self.compared)?,
        }
        match self.not_compared {
            0 => Ok(()),
            count => write!(f, ", but {count} damaged parts of the source were not compared"),
        }
    }
}
