//! Two stores against each other, record by record.

use std::cmp::Ordering;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use bitcoin::OutPoint;
use channelcoord::{Backend, BackendError, Record};
use chanstate::Record as ChannelRecordKind;
use chanstate::key::{Kind, RecordKey};

use super::directory::Directory;
use super::fields::first_difference;
use super::survey::{self, Survey};
use super::through::Item;
use super::unversioned;
use crate::progress::Progress;

/// Pages of each side that wait, beside the one in use and the one that is read.
const AHEAD: usize = 1;

/// One record in which two stores differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Names the record.
    pub record: String,
    /// Funding outpoint of the channel that it belongs to.
    pub channel: Option<OutPoint>,
    /// What differs.
    pub what: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.record, self.what)?;
        match &self.channel {
            Some(channel) => write!(f, " [channel {channel}]"),
            None => Ok(()),
        }
    }
}

/// What a comparison found beside the differences.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Places that were compared.
    pub compared: u64,
    /// The source.
    pub source: Survey,
    /// The target.
    pub target: Survey,
}

/// Reads a record of the target whatever its checksum says; `None` if that does not help.
pub type Reread<'a> = dyn FnMut(&RecordKey) -> Option<Record> + 'a;

/// Compares every record both ways; versions are left out. Damaged records are differences. Both
/// sides are read by a thread of their own; memory stays flat but for a few words and a running
/// digest for each channel.
///
/// # Errors
/// Those of the stores, damage excepted.
pub fn compare(
    source: &dyn Backend,
    target: &dyn Backend,
    reread: &mut Reread<'_>,
    progress: &Progress,
    report: &mut dyn FnMut(Difference),
) -> Result<Comparison, BackendError> {
    thread::scope(|scope| {
        let ((ours, our_pages), (theirs, their_pages)) = (sync_channel(AHEAD), sync_channel(AHEAD));
        let source = scope.spawn(move || survey::send(source, &ours));
        let target = scope.spawn(move || survey::send(target, &theirs));
        let mut comparer = Comparer {
            source: Side::new(our_pages),
            target: Side::new(their_pages),
            directory: Directory::default(),
            reread,
            report,
            progress,
            compared: 0,
        };
        comparer.run();
        let compared = comparer.compared;
        // A side that fails ends early, and what is left of the other is not waited for.
        drop(comparer);
        let result = |side: thread::ScopedJoinHandle<'_, _>| {
            side.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        Ok(Comparison { compared, source: result(source)?, target: result(target)? })
    })
}

/// The records of one store, one ahead.
struct Side {
    pages: Receiver<Vec<Item>>,
    page: std::vec::IntoIter<Item>,
    next: Option<Item>,
    /// The kind that damage cut short.
    cut: Option<Kind>,
}

impl Side {
    fn new(pages: Receiver<Vec<Item>>) -> Side {
        let mut side = Side { pages, page: Vec::new().into_iter(), next: None, cut: None };
        side.take();
        side
    }

    /// The record that was next.
    fn take(&mut self) -> Option<Item> {
        let next = loop {
            match self.page.next() {
                Some(item) => break Some(item),
                None => match self.pages.recv() {
                    Ok(page) => self.page = page.into_iter(),
                    Err(_) => break None,
                },
            }
        };
        std::mem::replace(&mut self.next, next)
    }
}

struct Comparer<'a, 'r> {
    source: Side,
    target: Side,
    directory: Directory,
    reread: &'a mut Reread<'r>,
    report: &'a mut dyn FnMut(Difference),
    progress: &'a Progress,
    compared: u64,
}

impl Comparer<'_, '_> {
    fn run(&mut self) {
        loop {
            let order = match (&self.source.next, &self.target.next) {
                (None, None) => return,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(source), Some(target)) => before(source, target),
            };
            self.compared += 1;
            self.progress.add(1);
            let source = order.is_le().then(|| self.source.take()).flatten();
            let target = order.is_ge().then(|| self.target.take()).flatten();
            for item in [&source, &target].into_iter().flatten() {
                self.enter(item);
            }
            match (source, target) {
                (Some(source), Some(target)) => self.pair(source, target),
                (Some(source), None) => self.single(source, "source"),
                (None, Some(target)) => self.single(target, "target"),
                (None, None) => {}
            }
        }
    }

    /// Notes what the channels are called.
    fn enter(&mut self, item: &Item) {
        if let Ok(Record::Channel(ChannelRecordKind::Channel(row))) = &item.content
            && self.directory.point(row.no).is_none()
        {
            self.directory.add(row);
        }
    }

    fn pair(&mut self, source: Item, target: Item) {
        let what = match (&source.content, &target.content) {
            (Ok(_), Ok(_)) => {
                let (Ok(ours), Ok(theirs)) = (source.content, target.content) else { return };
                let (ours, theirs) = (unversioned(ours), unversioned(theirs));
                if ours == theirs {
                    return;
                }
                let what = first_difference(&ours, &theirs);
                return self.tell(source.key.as_ref(), source.kind, what);
            }
            (Err(what), _) => format!("in the source: {what}"),
            (Ok(ours), Err(what)) => {
                let mut what = format!("in the target: {what}");
                let theirs = target.key.as_ref().and_then(|key| (self.reread)(key));
                if let Some(theirs) = theirs.map(unversioned) {
                    let ours = unversioned(ours.clone());
                    if ours != theirs {
                        what = format!("{what}; {}", first_difference(&ours, &theirs));
                    }
                }
                what
            }
        };
        self.tell(source.key.as_ref(), source.kind, what);
    }

    fn single(&mut self, item: Item, side: &str) {
        let what = match item.content {
            Ok(_) => {
                // Nobody knows whether the other side has it behind its damage.
                let other = if side == "source" { &self.target } else { &self.source };
                if other.cut == Some(item.kind) {
                    return;
                }
                format!("only in the {side}")
            }
            Err(what) => {
                if item.key.is_none() {
                    let own = if side == "source" { &mut self.source } else { &mut self.target };
                    own.cut = Some(item.kind);
                }
                format!("in the {side}: {what}")
            }
        };
        self.tell(item.key.as_ref(), item.kind, what);
    }

    fn tell(&mut self, key: Option<&RecordKey>, kind: Kind, what: String) {
        let channel = key.and_then(|key| self.directory.point_of(key));
        let record = key.map_or_else(|| format!("{kind:?}"), RecordKey::to_string);
        (self.report)(Difference { record, channel, what });
    }
}

/// Which of two records comes first. Damage that hides its key comes before what is left of its kind.
fn before(source: &Item, target: &Item) -> Ordering {
    let by_key = match (&source.key, &target.key) {
        (None, _) => Ordering::Less,
        (_, None) => Ordering::Greater,
        (Some(source), Some(target)) => source.parts.cmp(&target.parts),
    };
    source.kind.cmp(&target.kind).then(by_key)
}
