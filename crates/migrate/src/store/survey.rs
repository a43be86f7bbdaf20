//! One pass over a store: digests, counts, damage.

use std::sync::mpsc::SyncSender;

use bitcoin::OutPoint;
use channelcoord::{Backend, BackendError};
use chanstate::key::{Kind, RecordKey};

use super::digest::{Digester, StoreDigest};
use super::directory::Directory;
use super::is_content;
use super::through::{Item, Through};
use crate::progress::Progress;

/// What a pass over a store found.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The digests; `None` if something cannot be read.
    pub digest: Option<StoreDigest>,
    /// Records of each kind, by the kind's number, damaged ones included.
    counts: [u64; Kind::ALL.len() + 1],
    /// Records that cannot be read.
    pub damaged: u64,
    directory: Directory,
}

impl Survey {
    /// Number of records of a kind.
    pub fn count(&self, kind: Kind) -> u64 {
        self.counts[kind as usize]
    }

    /// Funding outpoint of the channel that the record of this name belongs to.
    pub fn channel_of(&self, record: &str) -> Option<OutPoint> {
        self.directory.point_of(&RecordKey::parse(record)?)
    }

    /// Number of records.
    pub fn records(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Reads every record once, in key order and in flat memory but for a running digest of each
/// channel. Each damaged record goes to `damaged`, with its name and what is wrong.
///
/// # Errors
/// Those of the store, damage excepted.
pub fn survey(
    backend: &dyn Backend,
    progress: &Progress,
    damaged: &mut dyn FnMut(String, String),
) -> Result<Survey, BackendError> {
    pass(backend, |page| {
        progress.add(page.len());
        for item in page {
            let name = item.name();
            if let Err(what) = item.content {
                damaged(name, what);
            }
        }
        true
    })
}

/// As [`survey`], handing the pages of records to another thread.
pub(super) fn send(
    backend: &dyn Backend,
    pages: &SyncSender<Vec<Item>>,
) -> Result<Survey, BackendError> {
    // Nobody takes them any more when the other side failed.
    pass(backend, |page| pages.send(page).is_ok())
}

fn pass(
    backend: &dyn Backend,
    mut take: impl FnMut(Vec<Item>) -> bool,
) -> Result<Survey, BackendError> {
    let (mut digester, mut counts, mut damaged) = (Digester::default(), [0; _], 0);
    for kind in Kind::ALL {
        for page in Through::new(backend, kind) {
            let mut page = page?;
            page.retain(|item| item.content.as_ref().map_or(true, is_content));
            for item in &page {
                counts[kind as usize] += 1;
                match &item.content {
                    Ok(record) => digester.add(record),
                    Err(_) => damaged += 1,
                }
            }
            if !take(page) {
                break;
            }
        }
    }
    let (digest, directory) = digester.finish_with_directory();
    Ok(Survey { digest: (damaged == 0).then_some(digest), counts, damaged, directory })
}
