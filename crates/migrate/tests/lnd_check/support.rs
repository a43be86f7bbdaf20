//! What the tests share.

use std::path::{Path, PathBuf};

use channelcoord::{Backend, MemoryBackend, Record as AnyRecord};
use chanstate::Commitment;
use chanstate::key::{KeyRange, Kind};
use migrate::finding::{Finding, Severity, chain};
use migrate::lnd::check::{self, Checked};
use migrate::lnd::codec::chan_info::ChanInfo;
use migrate::lnd::codec::commitment;
use migrate::lnd::codec::keys::channel as key;
use migrate::lnd::diff;
use migrate::lnd::import;
use migrate::lnd::source::{LndEntry, LndSource, Refused};
use migrate::progress::Progress;
use migrate::store;
use migrate::writer::Writer;

use crate::bolt_writer::Tree;

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/lnd").join(name)
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
            (count(Severity::Warning), count(Severity::Inconsistency), count(Severity::Damage))
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
        let bad: Vec<_> =
            self.findings.iter().filter(|f| f.severity != Severity::Warning).collect();
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
        let backend = MemoryBackend::new();
        if let Err(error) = self.import_into(&backend) {
            panic!("{error}\n{:#?}", self.findings);
        }
        backend
    }

    /// Imports what is not refused and compares. Says what differs, or is wrong with the store.
    pub(crate) fn import_into(&self, backend: &dyn Backend) -> Result<(), String> {
        let Case { source, checked, .. } = self;
        let (refused, progress) = (&checked.refused, Progress::silent());
        let text = |error: &dyn std::error::Error| chain(error);
        let mut writer = Writer::claim(backend).map_err(|error| text(&error))?;
        import::import(source, refused, &mut writer, &progress).map_err(|error| text(&error))?;
        diff::store_residue(source, refused, backend, &mut writer, &progress)
            .map_err(|error| text(&error))?;
        drop(writer);
        let mut found = Vec::new();
        diff::compare(source, refused, backend, &progress, |one| found.push(one.to_string()))
            .map_err(|error| text(&error))?;
        store::unseen(backend, &progress, &mut |finding| found.push(finding.to_string()))
            .map_err(|error| text(&error))?;
        // Contradictions and gaps of the source are in the store as well.
        let sound = self.checked.inconsistencies == 0 && refused.is_empty();
        store::check(backend, &progress, &mut |finding| {
            if finding.severity == Severity::Damage || sound {
                found.push(finding.to_string());
            }
        })
        .map_err(|error| text(&error))?;
        if found.is_empty() { Ok(()) } else { Err(found.join("\n")) }
    }
}

/// Everything of channel state that is not refused.
pub(crate) fn entries(source: &LndSource, refused: &Refused) -> Vec<LndEntry> {
    source.walk(refused).collect::<Result<_, _>>().unwrap()
}

/// Every record of a kind.
pub(crate) fn scan(backend: &MemoryBackend, kind: Kind) -> Vec<AnyRecord> {
    pollster::block_on(backend.scan(&KeyRange::all(kind), usize::MAX)).unwrap()
}

/// The base of the damaged fixtures.
pub(crate) fn base() -> Tree {
    Tree::read(&fixture("damaged/base.db"))
}

/// A database with this content.
pub(crate) fn case(tree: &Tree) -> Case {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), tree.to_file()).unwrap();
    Case::open(file.path())
}

/// Peer, chain and outpoint of every channel among the open ones.
pub(crate) fn channels(tree: &Tree) -> Vec<[Vec<u8>; 3]> {
    let mut tree = tree.clone();
    let open = tree.at(&[b"open-chan-bucket"]);
    let mut found = Vec::new();
    for peer in open.names() {
        for chain in open.at(&[&peer]).names() {
            let outpoints = open.at(&[&peer, &chain]).names();
            found.extend(outpoints.into_iter().map(|point| [peer.clone(), chain.clone(), point]));
        }
    }
    found
}

/// The bucket of an open channel.
pub(crate) fn channel<'a>(tree: &'a mut Tree, [peer, chain, point]: &[Vec<u8>; 3]) -> &'a mut Tree {
    tree.at(&[b"open-chan-bucket", peer, chain, point])
}

/// The first channel whose chan-info is as `wanted`.
pub(crate) fn find_channel(tree: &Tree, wanted: impl Fn(&ChanInfo) -> bool) -> [Vec<u8>; 3] {
    let mut copy = tree.clone();
    let is_wanted = |place: &[Vec<u8>; 3]| wanted(&info_of(channel(&mut copy, place)));
    channels(tree).into_iter().find(is_wanted).unwrap()
}

/// The channel with 124 revoked states.
pub(crate) fn busy_channel(tree: &Tree) -> [Vec<u8>; 3] {
    find_channel(tree, |info| {
        info.capacity.to_sat() == 15_000_000 && info.channel_type.bits() == 0x2a
    })
}

/// The channel with a commitment that awaits a revocation.
pub(crate) fn pending_channel(tree: &Tree) -> [Vec<u8>; 3] {
    let mut copy = tree.clone();
    let mut all = channels(tree).into_iter();
    all.find(|place| channel(&mut copy, place).nodes.contains_key(key::COMMIT_DIFF)).unwrap()
}

pub(crate) fn info_of(channel: &Tree) -> ChanInfo {
    ChanInfo::decode(channel.value(key::INFO).to_vec().into()).unwrap()
}

/// Changes a channel's chan-info.
pub(crate) fn edit_info(channel: &mut Tree, edit: impl FnOnce(&mut ChanInfo)) {
    let mut info = info_of(channel);
    edit(&mut info);
    channel.set(key::INFO, info.encode().unwrap());
}

/// Changes one of a channel's commitments.
pub(crate) fn edit_commitment(channel: &mut Tree, name: &[u8], edit: impl FnOnce(&mut Commitment)) {
    let mut found = commitment::decode(channel.value(name).to_vec().into()).unwrap();
    edit(&mut found);
    channel.set(name, commitment::encode(&found).unwrap());
}

/// A path as findings show it.
pub(crate) fn shown(path: &[&[u8]]) -> String {
    let path: Vec<_> = path.iter().map(|name| name.to_vec()).collect();
    migrate::bolt::display_path(&path).to_string()
}
