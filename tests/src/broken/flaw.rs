//! What a broken backend does differently, call by call.

use channelcoord::{
    Backend, BackendError, Batch, ChangeSet, ClaimError, CommitError, Head, Record, Seq, Settled,
    Subject, Verdict,
};
use chanstate::Version;
use chanstate::key::{KeyRange, RecordKey};
use pollster::block_on;

use super::sets;

/// The sound backend that a flaw stands in front of. Calls block.
pub(crate) struct Inner<'a>(pub(crate) &'a dyn Backend);

pub(crate) type Found = Result<Vec<Option<Record>>, BackendError>;
pub(crate) type Scanned = Result<Vec<Record>, BackendError>;
pub(crate) type Committed = Result<Vec<Verdict>, CommitError>;

type Opened = Box<dyn Fn() + Send + Sync>;
type Claim = Box<dyn Fn(&Inner<'_>, Option<Seq>) -> Result<Head, ClaimError> + Send + Sync>;
type Release = Box<dyn Fn(&Inner<'_>) -> Result<(), BackendError> + Send + Sync>;
type Commit = Box<dyn Fn(&Inner<'_>, Batch<'_>) -> Committed + Send + Sync>;
type Settle = Box<dyn Fn(&Inner<'_>, Batch<'_>) -> Result<Settled, BackendError> + Send + Sync>;
type Read = Box<dyn Fn(&Inner<'_>, &[RecordKey]) -> Found + Send + Sync>;
type Scan = Box<dyn Fn(&Inner<'_>, &KeyRange, usize) -> Scanned + Send + Sync>;

/// Every call of a backend. What a flaw does not replace is passed on.
pub(crate) struct Flaw {
    /// The place is opened by a new process: what the one before kept in memory is gone.
    pub(crate) opened: Opened,
    pub(crate) claim: Claim,
    pub(crate) release: Release,
    pub(crate) commit: Commit,
    pub(crate) settle: Settle,
    pub(crate) read: Read,
    pub(crate) scan: Scan,
}

impl Default for Flaw {
    fn default() -> Flaw {
        Flaw {
            opened: Box::new(|| ()),
            claim: Box::new(|inner, at_least| inner.claim(at_least)),
            release: Box::new(|inner| inner.release()),
            commit: Box::new(|inner, batch| inner.commit(batch)),
            settle: Box::new(|inner, batch| inner.settle(batch)),
            read: Box::new(|inner, keys| inner.read(keys)),
            scan: Box::new(|inner, range, limit| inner.scan(range, limit)),
        }
    }
}

impl Flaw {
    pub(super) fn claims(
        claim: impl Fn(&Inner<'_>, Option<Seq>) -> Result<Head, ClaimError> + Send + Sync + 'static,
    ) -> Flaw {
        Flaw { claim: Box::new(claim), ..Flaw::default() }
    }

    pub(super) fn commits(
        commit: impl Fn(&Inner<'_>, Batch<'_>) -> Committed + Send + Sync + 'static,
    ) -> Flaw {
        Flaw { commit: Box::new(commit), ..Flaw::default() }
    }

    pub(super) fn settles(
        settle: impl Fn(&Inner<'_>, Batch<'_>) -> Result<Settled, BackendError> + Send + Sync + 'static,
    ) -> Flaw {
        Flaw { settle: Box::new(settle), ..Flaw::default() }
    }

    pub(super) fn reads(
        read: impl Fn(&Inner<'_>, &[RecordKey]) -> Found + Send + Sync + 'static,
    ) -> Flaw {
        Flaw { read: Box::new(read), ..Flaw::default() }
    }

    pub(super) fn scans(
        scan: impl Fn(&Inner<'_>, &KeyRange, usize) -> Scanned + Send + Sync + 'static,
    ) -> Flaw {
        Flaw { scan: Box::new(scan), ..Flaw::default() }
    }

    /// Changes the verdicts of a commit.
    pub(super) fn answers(answer: fn(Batch<'_>, Vec<Verdict>) -> Vec<Verdict>) -> Flaw {
        Flaw::commits(move |inner, batch| Ok(answer(batch, inner.commit(batch)?)))
    }

    /// Changes what is stored of a set whose guards hold. The set comes without its guards, as
    /// puts, removals and acknowledgements.
    pub(super) fn stores(
        store: impl Fn(&Inner<'_>, &mut ChangeSet) + Send + Sync + 'static,
    ) -> Flaw {
        Flaw::commits(move |inner, batch| {
            let change = |set: &ChangeSet| match inner.stale(set) {
                true => set.clone(),
                false => {
                    let mut set = sets::unguarded(set);
                    store(inner, &mut set);
                    set
                }
            };
            let sets: Vec<_> = batch.sets.iter().map(change).collect();
            inner.commit(Batch { sets: &sets, ..batch })
        })
    }

    /// Changes every record that is stored.
    pub(super) fn stores_records(store: impl Fn(&mut Record) + Send + Sync + 'static) -> Flaw {
        Flaw::stores(move |_, set| set.puts.iter_mut().for_each(&store))
    }

    /// Applies a set if `holds` says so of each of its guards: how many come before it, whether it
    /// is of a channel, the version expected and the version found.
    pub(super) fn guards(holds: fn(usize, bool, Version, Version) -> bool) -> Flaw {
        Flaw::commits(move |inner, batch| {
            let change = |set: &ChangeSet| {
                let fits = set.guards().enumerate().all(|(nth, (subject, expected))| {
                    let of_channel = matches!(subject, Subject::Channel(_));
                    holds(nth, of_channel, expected, inner.version(&subject.key()))
                });
                if fits { sets::unguarded(set) } else { set.clone() }
            };
            let sets: Vec<_> = batch.sets.iter().map(change).collect();
            inner.commit(Batch { sets: &sets, ..batch })
        })
    }
}

impl Inner<'_> {
    pub(super) fn claim(&self, at_least: Option<Seq>) -> Result<Head, ClaimError> {
        block_on(self.0.claim(at_least))
    }

    pub(super) fn release(&self) -> Result<(), BackendError> {
        block_on(self.0.release())
    }

    pub(super) fn commit(&self, batch: Batch<'_>) -> Committed {
        block_on(self.0.commit(batch))
    }

    pub(super) fn settle(&self, batch: Batch<'_>) -> Result<Settled, BackendError> {
        block_on(self.0.settle(batch))
    }

    pub(super) fn read(&self, keys: &[RecordKey]) -> Found {
        block_on(self.0.read(keys))
    }

    pub(super) fn scan(&self, range: &KeyRange, limit: usize) -> Scanned {
        block_on(self.0.scan(range, limit))
    }

    /// Fails if the backend takes no calls any more.
    pub(super) fn alive(&self) -> Result<(), BackendError> {
        self.read(&[]).map(drop)
    }

    /// A single record; none also if it cannot be read.
    pub(super) fn get(&self, key: &RecordKey) -> Option<Record> {
        self.read(std::slice::from_ref(key)).ok()?.pop()?
    }

    /// Every record of a range; none if they cannot be read.
    pub(super) fn all(&self, range: &KeyRange) -> Vec<Record> {
        self.scan(range, MANY).unwrap_or_default()
    }

    pub(super) fn version(&self, key: &RecordKey) -> Version {
        self.get(key).and_then(|record| record.version()).unwrap_or(Version::ABSENT)
    }

    /// The first subject that has another version than the set expects.
    pub(super) fn conflict(&self, set: &ChangeSet) -> Option<Subject> {
        let stale = |(subject, expected): &(Subject, _)| self.version(&subject.key()) != *expected;
        set.guards().find(stale).map(|(subject, _)| subject)
    }

    pub(super) fn stale(&self, set: &ChangeSet) -> bool {
        self.conflict(set).is_some()
    }

    /// Where the store stands: asking about a batch that lies far ahead tells.
    pub(super) fn head(&self) -> Head {
        let ahead = Batch { epoch: Default::default(), before: Seq(u64::MAX), sets: &[] };
        match self.settle(ahead) {
            Ok(Settled::Stored(_, head) | Settled::NotStored(head)) => head,
            Err(_) => Head::default(),
        }
    }
}

/// More records than a case stores.
pub(super) const MANY: usize = 1_000_000;
