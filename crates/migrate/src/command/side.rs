//! The two stores of a transfer, held so that nobody else writes them.

use channelcoord::{Backend, ChangeSet, Head, Seq, Stage, Transfer};
use chanstate::codec::Codec;

use super::begun::part;
use super::site::Site;
use crate::identity::Identity;
use crate::lnd::tombstone::{Home, Session, TombstoneError};
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
    /// lnd's, locked to be sealed or unsealed by its tombstone.
    Lnd(Box<Marked>),
    /// lnd's database, or an archive: left as it is.
    ReadOnly(Box<ReadOnly>),
}

/// A database of lnd's that may be written.
pub(super) struct Marked {
    url: StoreUrl,
    session: Session,
    /// Text of the tombstone.
    text: Option<String>,
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
    /// Opens the source of `target` at a place so that nobody else writes it. lnd's is locked to be
    /// written only if it is to be sealed or is sealed.
    pub(super) fn take(site: &dyn Site, target: &Transfer, seal: bool) -> Result<Source, Failure> {
        let url = site.url();
        if matches!(url, StoreUrl::Server(_))
            || matches!(url, StoreUrl::File { engine: Engine::Redb | Engine::Sqlite, .. })
        {
            return Ok(Source::Store(Box::new(Side::take(site)?)));
        }
        if let Some(home) = Home::of(url)
            && (seal || is_marked(url, target)?)
        {
            let failed = |error| marking(url, &error);
            let session = Session::open(home).map_err(failed)?;
            let text = session.text().map_err(failed)?;
            return Ok(Source::Lnd(Box::new(Marked { url: url.clone(), session, text })));
        }
        // What another tool marked is told by its identity.
        let opened = opened::open(url, true)?;
        let quiet = Quiet::of(url, &opened)?;
        Ok(Source::ReadOnly(Box::new(ReadOnly { url: url.clone(), opened, quiet })))
    }

    pub(super) fn url(&self) -> &StoreUrl {
        match self {
            Source::Store(side) => &side.url,
            Source::Lnd(marked) => &marked.url,
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
            Source::Lnd(marked) => match &marked.text {
                Some(text) if is_of(text, target) => return self.require_newest(target, source),
                Some(text) => {
                    return Err(Failure::Content(format!(
                        "{url} was migrated away before ({text})"
                    )));
                }
                None => marked.session.identity().map_err(|error| marking(url, &error))?,
            },
            Source::Store(side) => match &side.part {
                Some(part) if part.stage == Stage::Moved && part.id == target.id => {
                    return self.require_newest(target, source);
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

    /// Refuses a source that cannot be sealed, before anything is changed.
    pub(super) fn require_sealable(&self, target: &Transfer, to: &StoreUrl) -> Result<(), Failure> {
        match self {
            Source::Lnd(marked) if marked.text.is_none() => {
                let room = marked.session.require_room(&text(target, to));
                room.map_err(|error| marking(&marked.url, &error))
            }
            _ => Ok(()),
        }
    }

    /// Refuses an older state of the copy that the source was moved to, such as one that was restored:
    /// the newer one may be in use. A source is sealed after its copy is active; a copy that is not
    /// was taken back last, and knows what the source will be told by.
    fn require_newest(&self, target: &Transfer, source: &Identity) -> Result<Sealed, Failure> {
        match target.stage == Stage::Complete && self.identity_unsealed(source)? != *source {
            false => Ok(Sealed::Here),
            true => Err(Failure::Content(format!(
                "{} was moved when its copy was activated, and this is the copy as it was before: use \
                 the one that was activated",
                self.url(),
            ))),
        }
    }

    /// Keeps every node from opening the source, and says where its content went. What is only read
    /// is left as it is. Returns whether it was sealed.
    pub(super) fn seal(self, target: &Transfer, to: &StoreUrl) -> Result<bool, Failure> {
        match self {
            Source::Store(mut side) => {
                // What it was before is kept, to be put back.
                let detail = side.part.as_ref().map_or_else(Vec::new, Transfer::to_bytes).into();
                let (id, other) = (target.id, to.to_string());
                side.set_part(Some(Transfer { id, stage: Stage::Moved, other, detail }))?;
                Ok(true)
            }
            Source::Lnd(marked) => {
                let Marked { url, session, .. } = *marked;
                session.write(&text(target, to)).map_err(|error| marking(&url, &error))?;
                Ok(true)
            }
            Source::ReadOnly(_) => Ok(false),
        }
    }

    /// Makes the source, which `target` sealed, what it was before.
    pub(super) fn unseal(self) -> Result<(), Failure> {
        let mut side = match self {
            Source::Store(side) => side,
            Source::Lnd(marked) => {
                let Marked { url, session, .. } = *marked;
                return session.remove().map(drop).map_err(|error| marking(&url, &error));
            }
            Source::ReadOnly(_) => return Ok(()),
        };
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

    /// What the source, which was `copied`, will be told by once it is unsealed.
    pub(super) fn identity_unsealed(&self, copied: &Identity) -> Result<Identity, Failure> {
        match self {
            Source::Store(side) => Ok(Identity { seq: side.seq().0 + 1, ..copied.clone() }),
            Source::Lnd(marked) => {
                let found = marked.session.identity_unmarked();
                found.map_err(|error| marking(&marked.url, &error))
            }
            Source::ReadOnly(_) => Ok(copied.clone()),
        }
    }
}

/// The tombstone of a transfer.
fn text(target: &Transfer, to: &StoreUrl) -> String {
    format!("moved to {to} by chanstore {}", signature(target))
}

/// What tells the tombstone of a transfer from that of any other, and of other tools.
fn signature(target: &Transfer) -> String {
    format!("(transfer {})", target.id)
}

fn is_of(text: &str, target: &Transfer) -> bool {
    text.ends_with(&signature(target))
}

/// Whether a database of lnd's has the tombstone of a transfer.
fn is_marked(url: &StoreUrl, target: &Transfer) -> Result<bool, Failure> {
    Ok(match opened::open(url, true)? {
        Opened::Lnd(source) => source.tombstone().is_some_and(|text| is_of(text, target)),
        Opened::Store(_) => false,
    })
}

/// Sorts a failure to mark a database.
fn marking(url: &StoreUrl, error: &TombstoneError) -> Failure {
    match error.is_content() {
        true => Failure::content(url, error),
        false => Failure::access(url, error),
    }
}
