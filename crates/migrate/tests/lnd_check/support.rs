//! What the tests share.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use channelcoord::{Backend, MemoryBackend, Record as AnyRecord};
use chanstate::Record;
use chanstate::key::{KeyRange, Kind};
use chanstate::record::ChannelRecord;
use migrate::counts::Counts;
use migrate::finding::{Finding, Severity};
use migrate::lnd::check::{self, Checked};
use migrate::lnd::diff::{self, Difference};
use migrate::lnd::import;
use migrate::lnd::source::{LndEntry, LndSource, Refused};
use migrate::progress::Progress;
use migrate::writer::Writer;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/lnd").join(name)
}

/// A source, and what the check says about it.
pub(crate) struct Case {
    pub(crate) source: LndSource,
    pub(crate) checked: Checked,
    pub(crate) findings: Vec<Finding>,
}

impl Case {
    pub(crate) fn open(path: &Path) -> Case {
        Case::of(LndSource::open(path, true).unwrap())
    }

    pub(crate) fn of(source: LndSource) -> Case {
        let mut findings = Vec::new();
        let checked =
            check::check(&source, &Progress::silent(), &mut |finding| findings.push(finding))
                .unwrap();
        let count = |severity| findings.iter().filter(|f| f.severity == severity).count() as u64;
        assert_eq!(
            (checked.warnings, checked.inconsistencies, checked.damages),
            (
                count(Severity::Warning),
                count(Severity::Inconsistency),
                count(Severity::Damage)
            )
        );
        assert_eq!(checked.damages == 0, checked.refused.is_empty());
        Case { source, checked, findings }
    }

    pub(crate) fn with(&self, severity: Severity) -> Vec<&Finding> {
        self.findings.iter().filter(|finding| finding.severity == severity).collect()
    }

    /// Finds neither inconsistency nor damage.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        let bad: Vec<_> = self.findings.iter().filter(|f| f.severity != Severity::Warning).collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }

    /// Finds just this.
    #[track_caller]
    pub(crate) fn assert_finds(&self, severity: Severity, place: &str, what: &str) {
        let found = self.with(severity);
        assert!(
            found.iter().any(|f| f.place.contains(place) && f.what.contains(what)),
            "no {severity:?} {place}: {what} in {:#?}",
            self.findings
        );
    }

    /// Imports what is not refused and compares; nothing may differ. Returns the store.
    #[track_caller]
    pub(crate) fn assert_survives(&self) -> MemoryBackend {
        match self.round_trip() {
            Ok((backend, found)) => {
                assert!(found.is_empty(), "{:#?}\n{:#?}", found, self.findings);
                backend
            }
            Err(error) => panic!("{error}\n{:#?}", self.findings),
        }
    }

    pub(crate) fn round_trip(&self) -> Result<(MemoryBackend, Vec<Difference>), String> {
        let Case { source, checked, .. } = self;
        let refused = &checked.refused;
        let backend = MemoryBackend::new();
        let progress = Progress::silent();
        let mut writer = Writer::claim(&backend).unwrap();
        import::import(source, refused, &mut writer, &progress)
            .map_err(|error| migrate::finding::chain(&error))?;
        diff::store_residue(source, refused, &backend, &mut writer, &progress)
            .map_err(|error| migrate::finding::chain(&error))?;
        drop(writer);
        let mut found = Vec::new();
        diff::compare(source, refused, &backend, &progress, |difference| found.push(difference))
            .map_err(|error| migrate::finding::chain(&error))?;
        Ok((backend, found))
    }
}

/// Everything of channel state that is not refused.
pub(crate) fn entries(source: &LndSource, refused: &Refused) -> Vec<LndEntry> {
    source.walk(refused).collect::<Result<_, _>>().unwrap()
}

/// What a store holds.
pub(crate) fn store_counts(backend: &MemoryBackend) -> Counts {
    let count = |kind| scan(backend, kind).len() as u64;
    let rows: Vec<ChannelRecord> = scan(backend, Kind::Channel)
        .into_iter()
        .filter_map(|record| match record {
            AnyRecord::Channel(Record::Channel(row)) => Some(row),
            _ => None,
        })
        .collect();
    let terms: HashSet<_> = scan(backend, Kind::Terms)
        .into_iter()
        .filter_map(|record| match record {
            AnyRecord::Channel(Record::Terms(terms)) => Some(terms.no),
            _ => None,
        })
        .collect();
    let historical = rows.iter().filter(|row| row.closed && terms.contains(&row.no));
    Counts {
        open_channels: rows.iter().filter(|row| !row.closed).count() as u64,
        closed_channels: count(Kind::Close),
        historical_channels: historical.count() as u64,
        link_nodes: count(Kind::LinkNode),
        forwarding_packages: count(Kind::Package),
        revoked_states: count(Kind::RevokedState) + count(Kind::RevokedCommitment),
        final_htlcs: count(Kind::FinalHtlc),
        opening_states: count(Kind::OpeningState),
        forwarding_policies: count(Kind::ForwardingPolicy),
    }
}

fn scan(backend: &MemoryBackend, kind: Kind) -> Vec<AnyRecord> {
    pollster::block_on(backend.scan(&KeyRange::all(kind), usize::MAX)).unwrap()
}
