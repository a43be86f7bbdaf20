//! What the backend shows of channels while a store writes to it.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use channelcoord::{Backend, Record, Seq, Store};
use chanstate::key::{KeyRange, Kind, RecordKey};
use chanstate::record::ChannelRecord;
use chanstate::{ChannelNo, Version};

/// More channels than a case opens.
const ALL: usize = 100_000;

/// The rows of all channels, read between two readings of the store's sequence number.
#[derive(Clone, Debug)]
pub(crate) struct Seen<C = ChannelRecord> {
    pub(crate) before: Seq,
    pub(crate) rows: BTreeMap<ChannelNo, Row<C>>,
    pub(crate) after: Seq,
}

/// What is looked at of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row<C = ChannelRecord> {
    pub(crate) version: Version,
    pub(crate) content: C,
    /// Whether the channel had a summary when row and summary were read together.
    pub(crate) closed_alike: bool,
}

/// Looks at all rows again and again, and once more when everything is `done`.
pub(crate) async fn watch(
    store: Store,
    backend: Arc<dyn Backend>,
    done: Arc<AtomicBool>,
) -> Vec<Seen> {
    let mut seen = Vec::new();
    loop {
        let last = done.load(Ordering::SeqCst);
        seen.push(look(&store, backend.as_ref()).await);
        if last {
            return seen;
        }
        tokio::task::yield_now().await;
    }
}

/// Looks at all rows.
pub(crate) async fn look(store: &Store, backend: &dyn Backend) -> Seen {
    let before = store.seq();
    let rows = backend.scan(&KeyRange::all(Kind::Channel), ALL).await.expect("a scan");
    let rows = rows.into_iter().filter_map(row);
    let rows = with_summaries(backend, rows.collect()).await;
    Seen { before, rows, after: store.seq() }
}

/// Notes for each row whether it agrees with the channel's summary, both read in one call.
async fn with_summaries(
    backend: &dyn Backend,
    rows: Vec<ChannelRecord>,
) -> BTreeMap<ChannelNo, Row> {
    let keys = |row: &ChannelRecord| {
        [Kind::Channel, Kind::Close].map(|kind| RecordKey::single(kind, row.no))
    };
    let keys: Vec<_> = rows.iter().flat_map(keys).collect();
    let records = backend.read(&keys).await.expect("a read");
    let alike = records.chunks(2).map(|pair| {
        let again = pair[0].clone().and_then(row).expect("a row does not go");
        again.closed == pair[1].is_some()
    });
    let rows = rows.into_iter().zip(alike).map(|(content, closed_alike)| {
        (content.no, Row { version: content.version, content, closed_alike })
    });
    rows.collect()
}

fn row(record: Record) -> Option<ChannelRecord> {
    match record {
        Record::Channel(chanstate::Record::Channel(row)) => Some(row),
        _ => None,
    }
}

/// What is wrong with what one watcher saw, in its order.
pub(crate) fn fault<C: PartialEq + Debug>(seen: &[Seen<C>]) -> Option<String> {
    let mut newest = Seq(0);
    let mut rows: BTreeMap<ChannelNo, &Row<C>> = BTreeMap::new();
    for now in seen {
        if now.before < newest || now.after < now.before {
            return Some(format!("the sequence number went back from {newest:?}: {now:?}"));
        }
        newest = now.after;
        if let Some(gone) = rows.keys().find(|no| !now.rows.contains_key(no)) {
            return Some(format!("the row of {gone:?} is gone"));
        }
        for (no, row) in &now.rows {
            if !row.closed_alike {
                return Some(format!("row and summary of {no:?} disagree"));
            }
            if let Some(before) = rows.insert(*no, row).filter(|before| !follows(before, row)) {
                return Some(format!("version or row went back: {before:?} to {row:?}"));
            }
        }
    }
    None
}

/// A version is never lower than before, and stands for one content.
fn follows<C: PartialEq>(before: &Row<C>, row: &Row<C>) -> bool {
    row.version > before.version || (row.version == before.version && row.content == before.content)
}
