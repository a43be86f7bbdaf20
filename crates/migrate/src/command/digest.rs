//! `migrate digest`: sums a store up so that it can be compared with another one that is not at hand.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Watch;
use crate::finding::{Finding, Severity};
use crate::opened::{Failure, Opened};
use crate::store;
use crate::url::StoreUrl;

/// Digests of a store, in hex. `docs/digest.md` defines them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestReport {
    /// Of everything.
    pub digest: String,
    /// Of what belongs to no channel.
    pub rest: String,
    /// Number of records.
    pub records: u64,
    /// Number of channels.
    pub channel_count: u64,
    /// Of each channel, by funding outpoint, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<BTreeMap<String, String>>,
    /// What differs from an earlier digest, if one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differences: Option<Vec<String>>,
}

/// What to do beside computing the digest of a store.
#[derive(Clone, Debug, Default)]
pub struct DigestOptions {
    /// Tell the digest of each channel.
    pub channels: bool,
    /// Compare with what an earlier run told.
    pub against: Option<DigestReport>,
}

/// Computes the digests of a store.
///
/// # Errors
/// `Usage` for an lnd database, which has none; `Content` if records are damaged, each of which is a
/// finding; `Access`.
pub fn digest(
    url: &StoreUrl,
    store: &Opened,
    options: &DigestOptions,
    watch: &dyn Watch,
) -> Result<DigestReport, Failure> {
    let Opened::Store(store) = store else {
        return Err(Failure::Usage(format!(
            "{url}: an lnd database has no digest, its copy has; verify proves the copy"
        )));
    };
    let progress = watch.phase("reading", None);
    let survey = store::survey(store.as_ref(), &progress, &mut |place, what| {
        watch.finding(&Finding { severity: Severity::Damage, place, what });
    });
    let survey = survey.map_err(|error| Failure::of_backend(url, &error))?;
    let Some(found) = &survey.digest else {
        let damaged = survey.damaged;
        return Err(Failure::Content(format!("{url}: {damaged} damaged records, so no digest")));
    };
    let channels = found.channels.iter();
    let channels: BTreeMap<_, _> =
        channels.map(|(point, digest)| (point.to_string(), digest.to_string())).collect();
    let mut report = DigestReport {
        digest: found.store.to_string(),
        rest: found.rest.to_string(),
        records: survey.records(),
        channel_count: found.channels.len() as u64,
        channels: Some(channels),
        differences: None,
    };
    if let Some(earlier) = &options.against {
        report.differences = Some(report.differences_from(earlier));
    }
    if !options.channels {
        report.channels = None;
    }
    Ok(report)
}

impl DigestReport {
    /// Reads what an earlier run told as JSON.
    ///
    /// # Errors
    /// `Access` if the file cannot be read, `Usage` if it is something else.
    pub fn read(path: &Path) -> Result<DigestReport, Failure> {
        let name = path.display();
        let text = std::fs::read(path).map_err(|error| Failure::access(name, &error))?;
        serde_json::from_slice(&text)
            .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
    }

    /// Whether nothing differs from the earlier digest.
    pub fn is_same(&self) -> bool {
        self.differences.as_ref().is_none_or(Vec::is_empty)
    }

    fn differences_from(&self, earlier: &DigestReport) -> Vec<String> {
        let mut found = Vec::new();
        if self.digest == earlier.digest {
            return found;
        }
        if let (Some(now), Some(before)) = (&self.channels, &earlier.channels) {
            for (channel, digest) in now {
                match before.get(channel) {
                    None => found.push(format!("channel {channel}: not there before")),
                    Some(before) if before != digest => {
                        found.push(format!("channel {channel}: {before} before, {digest} now"));
                    }
                    Some(_) => {}
                }
            }
            let gone = before.keys().filter(|channel| !now.contains_key(*channel));
            found.extend(gone.map(|channel| format!("channel {channel}: not there any more")));
        }
        if self.rest != earlier.rest {
            found.push(format!("rest: {} before, {} now", earlier.rest, self.rest));
        }
        found.push(format!("store: {} before, {} now", earlier.digest, self.digest));
        found
    }
}

impl std::fmt::Display for DigestReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (channel, digest) in self.channels.iter().flatten() {
            writeln!(f, "{digest} {channel}")?;
        }
        writeln!(f, "{} rest", self.rest)?;
        for difference in self.differences.iter().flatten() {
            writeln!(f, "differs: {difference}")?;
        }
        write!(
            f,
            "{} store: {} records, {} channels",
            self.digest, self.records, self.channel_count
        )
    }
}
