//! What is looked at before a copy: everything that would stop it, and what it will take. It goes to
//! the end whatever it finds, so that an operator sees all there is to do at once.
//!
//! Nothing is written but a scratch store beside the target, which is gone before the copy begins
//! and is not made if the copy is refused.
//!
//! | Module | Content |
//! |---|---|
//! | `check` | what each look came to |
//! | `sides`, `owner`, `space` | versions, locks and owners of both stores, and room for the target |
//! | `rehearsal`, `duplicates` | every record made, and thrown away |
//! | `measure` | size and time, told from a sample |
//! | `shown` | all of it as text |

mod check;
mod duplicates;
mod measure;
mod owner;
mod rehearsal;
mod shown;
mod sides;
mod space;

use std::sync::MutexGuard;

use serde::Serialize;

pub use self::check::{Check, Verdict};
pub use self::measure::Estimate;
pub use self::owner::ChainCount;
pub use self::sides::Side;

use self::check::Class;
use self::rehearsal::{Fits, Rehearsal, Seen};
use super::check::{CheckReport, job_failure};
use super::copy::CopyOptions;
use super::fill::import_failure;
use super::{Watch, check as check_store};
use crate::finding::{Finding, Severity};
use crate::lnd::old_records::{self, OldKind, OldRecords};
use crate::lnd::source::{LndSource, Refused};
use crate::opened::{Failure, Opened, Quiet};
use crate::progress::Clock;
use crate::store;
use crate::tally::Tally;
use crate::text::counted;
use crate::url::{Engine, StoreUrl};
use crate::writer::Writer;
use crate::{archive, bolt, lnd};

/// What was found before a copy.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Preflight {
    /// The store to copy.
    pub source: Side,
    /// The store to create.
    pub target: Side,
    /// Findings in the source.
    pub findings: CheckReport,
    /// Records that the copy will have, without residues.
    pub records: Tally,
    /// Channels by chain.
    pub chains: Vec<ChainCount>,
    /// Old records of payments and invoices in an lnd database.
    pub old_records: Vec<OldRecords>,
    /// Damaged parts that are left out.
    pub skipped: Vec<LeftOut>,
    /// Buckets of an lnd database that belong to others and stay where they are.
    pub left_untouched: Vec<String>,
    /// What was looked at.
    pub checks: Vec<Check>,
    /// What the copy will take; `None` if it is refused.
    pub estimate: Option<Estimate>,
}

/// A part of the source that is not copied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Where it is.
    pub place: String,
    /// What is wrong with it.
    pub why: String,
}

/// Both stores, as far as they are known before anything is read.
pub(super) struct Pair<'a> {
    /// Name of the source.
    pub(super) from: &'a StoreUrl,
    /// The source.
    pub(super) source: &'a Opened,
    /// That nobody writes the source.
    pub(super) quiet: &'a Result<Quiet, Failure>,
    /// Name of the target.
    pub(super) to: &'a StoreUrl,
    /// What is at the target's place, if that is no obstacle.
    pub(super) place: Result<&'static str, Failure>,
}

/// Looks at everything, and tells the watcher. Returns what was found, and what must not be read of an
/// lnd source.
///
/// # Errors
/// The first refusal.
pub(super) fn preflight(
    pair: Pair<'_>,
    options: CopyOptions,
    clock: &dyn Clock,
    watch: &dyn Watch,
) -> Result<(Preflight, Refused), Failure> {
    let Pair { from, source, quiet, to, place } = pair;
    let mut report = Preflight::default();
    let reachable = !matches!(place, Err(Failure::Access(_)));
    report.checks.push(sides::target_place(to, place));
    report.checks.push(sides::source_use(from, quiet));
    let seen_source = sides::source(from, source);
    // A server that does not answer is asked once.
    let seen_target = if reachable { sides::target(to) } else { Ok(Side::default()) };
    report.checks.push(sides::versions(&seen_source, &seen_target));
    report.source = seen_source.unwrap_or_default();
    report.target = seen_target.unwrap_or_default();
    let refused = content(from, source, options, &mut report, watch)?;
    let rehearsal = Rehearsal::new(fits(to), options.node);
    let began = clock.now();
    report.checks.push(rehearse(from, source, &refused, &rehearsal, watch));
    let rehearsed = clock.now().saturating_sub(began);
    let seen = rehearsal.seen();
    records(&seen, options, &mut report);
    report.checks.push(owner::network(options.network, &report.source, &report.chains));
    report.checks.push(owner::node(options.node, &report.source, seen.own_peer));
    if let Opened::Lnd(lnd) = source {
        old(from, lnd, &mut report, watch)?;
    }
    if !report.is_refused() {
        let progress = watch.phase("measuring", Some(seen.sampled.total().records));
        match measure::estimate(to, &seen, rehearsed, clock, &progress) {
            Ok(estimate) => {
                report.checks.push(space::check(to, &estimate));
                report.estimate = Some(estimate);
            }
            Err(failure) => {
                let advice = "the target's place must let a store be created and removed";
                report.checks.push(Check::failed("target is writable", &failure, advice));
            }
        }
    }
    watch.preflight(&report);
    match report.checks.iter().find_map(Check::failure) {
        Some(failure) => Err(failure),
        None => Ok((report, refused)),
    }
}

/// Reads the whole source and reports what is wrong with it.
fn content(
    from: &StoreUrl,
    source: &Opened,
    options: CopyOptions,
    report: &mut Preflight,
    watch: &dyn Watch,
) -> Result<Refused, Failure> {
    let refused = match source {
        Opened::Store(_) => {
            report.findings = check_store(from, source, watch)?;
            Refused::default()
        }
        Opened::Lnd(lnd) => lnd_content(from, lnd, report, watch)?,
    };
    report.checks.push(verdict_on(source, &report.findings, options));
    Ok(refused)
}

fn lnd_content(
    from: &StoreUrl,
    lnd: &LndSource,
    report: &mut Preflight,
    watch: &dyn Watch,
) -> Result<Refused, Failure> {
    let progress = watch.phase("checking", Some(lnd.survey().keys));
    let mut damages: Vec<Finding> = Vec::new();
    let checked = lnd::check::check(lnd, &progress, &mut |finding| {
        report.findings.count(finding.severity);
        watch.finding(&finding);
        if finding.severity == Severity::Damage {
            damages.push(finding);
        }
    });
    let refused = checked.map_err(|error| Failure::access(from, &error))?.refused;
    report.skipped = refused.iter().map(|path| left_out(path, &damages)).collect();
    let others = lnd.other_tenants().map_err(|error| Failure::access(from, &error))?;
    let others = others.into_iter().map(|name| bolt::display_path(&[name]).to_string());
    report.left_untouched = others.collect();
    Ok(refused)
}

/// Why a path is refused: what was found there, or below.
fn left_out(path: &[Vec<u8>], damages: &[Finding]) -> LeftOut {
    let place = bolt::display_path(path).to_string();
    let is_there = |found: &&Finding| found.place.starts_with(&place);
    let found = damages.iter().find(|found| found.place == place);
    let found = found.or_else(|| damages.iter().find(is_there));
    let why = found.map_or_else(String::new, |found| found.what.clone());
    LeftOut { place, why }
}

fn verdict_on(source: &Opened, findings: &CheckReport, options: CopyOptions) -> Check {
    const NAME: &str = "content";
    let refused = |what, advice| Check::refused(NAME, Class::Content, what, advice);
    let CheckReport { damages, inconsistencies, .. } = *findings;
    let is_lnd = matches!(source, Opened::Lnd(_));
    if damages > 0 && !is_lnd {
        let what = format!("{damages} damaged parts in the source, nothing was written");
        return refused(
            what,
            "a store of ours is copied whole or not at all: restore a copy of it",
        );
    }
    if damages > 0 && !options.skip_damaged {
        let what = format!("{damages} damaged parts in the source, nothing was written");
        return refused(what, "--skip-damaged copies the rest, see migrate check for what is lost");
    }
    if inconsistencies > 0 && !options.accept {
        let what = format!("{inconsistencies} inconsistencies in the source, nothing was written");
        return refused(what, "--accept carries them as they are, see migrate check");
    }
    match findings.is_clean() {
        true => Check::ok(NAME, findings.to_string()),
        false => Check::note(NAME, findings.to_string()),
    }
}

/// What a target takes.
fn fits(to: &StoreUrl) -> Fits {
    match to {
        StoreUrl::Server(server) => {
            let options = server.options();
            Box::new(move |record| options.fits(record))
        }
        StoreUrl::File { engine: Engine::Sqlite, .. } => Box::new(sqlstore::fits),
        StoreUrl::File { engine: Engine::Archive, .. } => Box::new(archive::fits),
        // A key-value engine keeps any record.
        StoreUrl::File { .. } | StoreUrl::LndServer(_) => Box::new(|_| Ok(())),
    }
}

/// Makes every record of the copy, and throws it away.
fn rehearse(
    from: &StoreUrl,
    source: &Opened,
    refused: &Refused,
    rehearsal: &Rehearsal,
    watch: &dyn Watch,
) -> Check {
    const NAME: &str = "rehearsal";
    let made = Writer::claim(rehearsal).map_err(|error| Failure::access(from, &error));
    let made = made.and_then(|mut writer| match source {
        Opened::Store(backend) => {
            let progress = watch.phase("rehearsing", None);
            store::copy(backend.as_ref(), &mut writer, &progress)
                .map_err(|error| job_failure(from, &error))
        }
        Opened::Lnd(lnd) => {
            let progress = watch.phase("rehearsing", Some(lnd.survey().keys));
            lnd::import::import(lnd, refused, &mut writer, &progress)
                .map_err(|error| import_failure(from, from, &error))
        }
    });
    match made {
        Ok(()) => {
            let total = rehearsal.seen().tally.total();
            Check::ok(
                NAME,
                format!("{} can be made of the source", counted(total.records, "record")),
            )
        }
        Err(failure) => {
            Check::failed(NAME, &failure, "run migrate check on the source, and report this")
        }
    }
}

/// Judges the records of the rehearsal.
fn records(seen: &MutexGuard<'_, Seen>, options: CopyOptions, report: &mut Preflight) {
    report.records = seen.tally.clone();
    report.chains = owner::chain_counts(&seen.chains);
    report.checks.push(match seen.misfits {
        0 => Check::ok("records fit", "the target can hold every record"),
        misfits => {
            let what = format!("{} too large for the target", counted(misfits, "record"));
            let advice = "copy to redb:, which holds any number, or repair them in the source";
            let check = Check::refused("records fit", Class::Content, what, advice);
            check.at(seen.first_misfits.iter().cloned())
        }
    });
    let (clashes, shared) = (&seen.duplicates.clashes, &seen.duplicates.shared);
    report.checks.push(match (clashes.len() as u64, shared.len() as u64) {
        (0, 0) => Check::ok("duplicates", "no two records have one name"),
        (0, shared_names) => {
            let what = format!("{} of two channels", counted(shared_names, "short channel id"));
            let check = match options.accept {
                true => Check::note("duplicates", what),
                false => {
                    let advice = "close one of them first, or --accept carries both";
                    Check::refused("duplicates", Class::Content, what, advice)
                }
            };
            check.at(shared.iter().cloned())
        }
        (clashing, _) => {
            let what = format!("{} that a store cannot hold", counted(clashing, "duplicate"));
            let advice = "find out which one is right, and remove the other from the source";
            let check = Check::refused("duplicates", Class::Content, what, advice);
            check.at(clashes.iter().cloned())
        }
    });
}

/// Names old records of payments and invoices.
fn old(
    from: &StoreUrl,
    lnd: &LndSource,
    report: &mut Preflight,
    watch: &dyn Watch,
) -> Result<(), Failure> {
    const NAME: &str = "old records";
    let progress = watch.phase("searching", None);
    let found = old_records::find(lnd, &progress).map_err(|error| Failure::access(from, &error))?;
    for old in &found {
        let what = format!("{} {}", crate::text::count(old.count), old.kind.description());
        let advice = match old.kind {
            OldKind::Unreadable => {
                "they stay in the source as they are; lnd may not read them either"
            }
            _ => "they stay in the source, which keeps them byte for byte: no channel state",
        };
        report.checks.push(Check::note(NAME, what).advise(advice).at(old.first.iter().cloned()));
    }
    if found.is_empty() {
        report
            .checks
            .push(Check::ok(NAME, "no payment or invoice that lnd's own move to SQL stops at"));
    }
    report.old_records = found;
    Ok(())
}

impl Preflight {
    /// Whether the copy does not start.
    pub fn is_refused(&self) -> bool {
        self.checks.iter().any(|check| check.verdict == Verdict::Refused)
    }
}
