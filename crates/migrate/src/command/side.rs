//! The two stores of a transfer, held so that nobody else writes them.

use channelcoord::{Backend, ChangeSet, Head, Seq, Stage, Transfer};
use chanstate::codec::Codec;

use super::begun::part;
use super::site::Site;
use crate::identity::Identity;
use crate::opened::{self, Failure, Opened, Quiet};
use crate::url::{Engine, StoreUrl};
use crate::writer::{WriteError, Writer};

/// A store of ours, claimed. Given back when it is dropped.
pub(super) struct Side {
    pub(super) url: StoreUrl,
    pub(super) part: Option<Transfer>,
    store: Box<dyn Backend>,
    head: Head,
}

impl Side {
    /// Opens and claims the store at a place: no node can have it until it is given back.
    pub(super) fn take(site: &dyn Site) -> Result<Side, Failure> {
        let url = site.url().clone();
        let store = site.open()?;
        let head = pollster::block_on(store.claim(None));
        let head = head.map_err(|error| Failure::access(&url, &error))?;
        let mut side = Side { url, part: None, store, head };
        side.part = part(&side.url, side.store.as_ref())?;
        Ok(side)
    }

    pub(super) fn seq(&self) -> Seq {
        self.head.seq
    }

    /// What it is told by, as it stands.
    pub(super) fn identity(&self) -> Result<Identity, Failure> {
        Identity::of_store(self.store.as_ref(), self.head.seq)
            .map_err(|error| Failure::of_backend(&self.url, &error))
    }

    /// Writes its part in a transfer durably, or takes it away.
    pub(super) fn set_part(&mut self, part: Option<Transfer>) -> Result<(), Failure> {
        let set = match &part {
            Some(part) => {
                ChangeSet { puts: vec![Transfer::to_record(part)], ..ChangeSet::default() }
            }
            None => ChangeSet { removes: vec![Transfer::key()], ..ChangeSet::default() },
        };
        self.commit(set).map_err(|error| Failure::access(&self.url, &error))?;
        self.part = part;
        Ok(())
    }

    fn commit(&mut self, set: ChangeSet) -> Result<(), WriteError> {
        let mut writer = Writer::at(self.store.as_ref(), self.head);
        writer.add(set)?;
        writer.flush()?;
        self.head = writer.head();
        Ok(())
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // What was written is durable; a store that cannot be given back is free when its lease ends.
        let _ = pollster::block_on(self.store.release());
    }
}

/// The source of a transfer.
pub(super) enum Source {
    /// Of ours: sealed by its part in the transfer.
    Store(Box<Side>),
    /// lnd's database, or an archive: left as it is.
    ReadOnly(Box<ReadOnly>),
}

/// A source that is not written.
pub(super) struct ReadOnly {
    url: StoreUrl,
    opened: Opened,
    /// Nobody had it open when it was taken, and lnd cannot open a bbolt file meanwhile.
    quiet: Quiet,
}

/// What became of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sealed {
    /// By this transfer.
    Here,
    /// Not at all.
    No,
}

impl Source {
    /// Opens the source at a place so that nobody else writes it.
    pub(super) fn take(site: &dyn Site) -> Result<Source, Failure> {
        let url = site.url();
        if matches!(url, StoreUrl::Server(_))
            || matches!(url, StoreUrl::File { engine: Engine::Redb | Engine::Sqlite, .. })
        {
            return Ok(Source::Store(Box::new(Side::take(site)?)));
        }
        let opened = opened::open(url, false)?;
        let quiet = Quiet::of(url, &opened)?;
        Ok(Source::ReadOnly(Box::new(ReadOnly { url: url.clone(), opened, quiet })))
    }

    pub(super) fn url(&self) -> &StoreUrl {
        match self {
            Source::Store(side) => &side.url,
            Source::ReadOnly(source) => &source.url,
        }
    }

    /// Refuses a store that is not the source of `target`'s content as it was copied; says whether
    /// the transfer sealed it already.
    pub(super) fn require(&self, target: &Transfer, source: &Identity) -> Result<Sealed, Failure> {
        let url = self.url();
        let found = match self {
            Source::ReadOnly(source) => {
                let found = Identity::of(&source.url, &source.opened)?;
                // To read all of it takes a while, and not every lnd is kept out.
                source.quiet.confirm(&source.url, &source.opened)?;
                found
            }
            Source::Store(side) => match &side.part {
                Some(part) if part.stage == Stage::Moved && part.id == target.id => {
                    return self.require_newest(part, target, source).map(|()| Sealed::Here);
                }
                Some(part) => match part.stage {
                    Stage::Active { .. } => side.identity()?,
                    Stage::Moved => {
                        return Err(Failure::Content(format!("{url} was moved to {}", part.other)));
                    }
                    Stage::Complete => {
                        return Err(Failure::Content(format!(
                            "{url} is not in use itself: activate it as a copy of {} and copy again",
                            part.other
                        )));
                    }
                    Stage::Filling | Stage::Differing => {
                        return Err(Failure::Content(format!(
                            "{url} is no whole copy of {}",
                            part.other
                        )));
                    }
                },
                None => side.identity()?,
            },
        };
        match found == *source {
            true => Ok(Sealed::No),
            false => Err(Failure::Content(format!(
                "{url} is not the store that was copied, or was written since; nothing was changed"
            ))),
        }
    }

    /// Refuses an older state of the copy that the source was moved to, such as one that was restored:
    /// the newer one may be in use. A source is sealed after its copy is active; a copy that is not
    /// was taken back last, and knows where the source will stand.
    fn require_newest(
        &self,
        part: &Transfer,
        target: &Transfer,
        source: &Identity,
    ) -> Result<(), Failure> {
        match target.stage == Stage::Complete && self.seq_unsealed() != Some(source.seq) {
            false => Ok(()),
            true => Err(Failure::Content(format!(
                "{} was moved to {} when that was activated, and this is the copy as it was before: \
                 use the one that was activated",
                self.url(),
                part.other
            ))),
        }
    }

    /// Keeps every node from opening the source, and says where its content went. lnd's databases
    /// are left as they are.
    pub(super) fn seal(&mut self, target: &Transfer, to: &StoreUrl) -> Result<(), Failure> {
        let Source::Store(side) = self else { return Ok(()) };
        // What it was before is kept, to be put back.
        let detail = side.part.as_ref().map_or_else(Vec::new, Transfer::to_bytes).into();
        let moved = Transfer { id: target.id, stage: Stage::Moved, other: to.to_string(), detail };
        side.set_part(Some(moved))
    }

    /// Makes the source what it was before it was sealed.
    pub(super) fn unseal(&mut self) -> Result<(), Failure> {
        let Source::Store(side) = self else { return Ok(()) };
        let Some(part) = side.part.as_ref().filter(|part| part.stage == Stage::Moved) else {
            return Ok(());
        };
        let before = match part.detail.is_empty() {
            true => None,
            false => {
                let before = Transfer::from_bytes(part.detail.clone());
                Some(before.map_err(|error| Failure::content(&side.url, &error))?)
            }
        };
        side.set_part(before)
    }

    /// Sequence number of the source once it is unsealed.
    pub(super) fn seq_unsealed(&self) -> Option<u64> {
        match self {
            Source::Store(side) => Some(side.seq().0 + 1),
            Source::ReadOnly(_) => None,
        }
    }
}
