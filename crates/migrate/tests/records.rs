//! Reading a store ahead of whoever takes its records.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

use async_trait::async_trait;
use channelcoord::{
    Backend, BackendError, Batch, ClaimError, CommitError, Head, MemoryBackend, Record, Seq,
    Settled, Verdict,
};
use chanstate::key::{KeyPart, KeyRange, Kind, RecordKey};
use chanstate::{FinalHtlc, FinalHtlcRecord, HtlcId, ShortChannelId};
use conformance::{Fault, Faulty, MadeToFail};
use migrate::progress::Progress;
use migrate::records::{Ahead, Records};
use migrate::store::{self, StoreJobError};
use migrate::writer::Writer;

/// Most records in a page.
const PAGE: u64 = 4096;

/// Most pages between a store and whoever takes its records: one being read, four that wait, one being
/// taken.
const PAGES: usize = 6;

/// A source of final outcomes alone, numbered from 0, which counts what it hands out.
#[derive(Default)]
struct Counted {
    records: u64,
    /// Scans from this record on fail.
    fails_at: Option<u64>,
    scans: AtomicU64,
    out: Mutex<Out>,
    changed: Condvar,
}

/// What was handed out.
#[derive(Default)]
struct Out {
    /// The record after each page that has records which were not taken.
    pages: VecDeque<u64>,
    /// The record after the last one that was taken.
    taken: u64,
    /// Others of its page were not taken.
    within: bool,
    /// Most pages at a time.
    most: usize,
    /// There is no other page.
    end: bool,
}

impl Counted {
    fn new(records: u64) -> Counted {
        Counted { records, ..Counted::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap()
    }

    /// Waits until the reader is as far ahead as it gets, then takes one record from it.
    fn take_late(&self, ahead: &mut Ahead) -> Option<u64> {
        // Between two pages the taker has none.
        let full = if self.lock().within { PAGES } else { PAGES - 1 };
        let waits = |out: &mut Out| out.pages.len() < full && !out.end;
        drop(self.changed.wait_while(self.lock(), waits).unwrap());
        let record = ahead.next()?.unwrap();
        let mut out = self.lock();
        out.taken += 1;
        out.within = out.pages.front() != Some(&out.taken);
        if !out.within {
            out.pages.pop_front();
        }
        Some(number(&record))
    }
}

fn number(record: &Record) -> u64 {
    match record {
        Record::Channel(chanstate::Record::FinalHtlc(record)) => record.id.0,
        other => panic!("{other:?} was not there"),
    }
}

fn outcome(id: u64) -> Record {
    let outcome = FinalHtlc { settled: true, offchain: true };
    let record = FinalHtlcRecord { scid: ShortChannelId(1), id: HtlcId(id), outcome };
    Record::Channel(chanstate::Record::FinalHtlc(record))
}

fn unavailable() -> BackendError {
    BackendError::Unavailable(Arc::new(MadeToFail))
}

#[async_trait]
impl Backend for Counted {
    async fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Record>, BackendError> {
        self.scans.fetch_add(1, Ordering::SeqCst);
        let first = match range.after.as_deref() {
            _ if range.kind != Kind::FinalHtlc => self.records,
            Some([_, KeyPart::Int(last)]) => last + 1,
            _ => 0,
        };
        let end = self.records.min(first.saturating_add(limit as u64));
        if self.fails_at.is_some_and(|at| (first..end).contains(&at)) {
            return Err(unavailable());
        }
        let mut out = self.lock();
        if first < end {
            out.pages.push_back(end);
            out.most = out.most.max(out.pages.len());
        }
        out.end |= end == self.records && range.kind == Kind::FinalHtlc;
        self.changed.notify_all();
        Ok((first..end).map(outcome).collect())
    }

    async fn claim(&self, _: Option<Seq>) -> Result<Head, ClaimError> {
        Err(unavailable().into())
    }

    async fn release(&self) -> Result<(), BackendError> {
        Ok(())
    }

    async fn commit(&self, _: Batch<'_>) -> Result<Vec<Verdict>, CommitError> {
        Err(CommitError::NotStored(Arc::new(MadeToFail)))
    }

    async fn settle(&self, _: Batch<'_>) -> Result<Settled, BackendError> {
        Err(unavailable())
    }

    async fn read(&self, _: &[RecordKey]) -> Result<Vec<Option<Record>>, BackendError> {
        Err(unavailable())
    }
}

fn ranges() -> [KeyRange; 21] {
    Kind::ALL.map(KeyRange::all)
}

#[test]
fn records_come_in_the_order_of_the_store() {
    let source = Counted::new(20_000);
    let ahead: Vec<_> =
        thread::scope(|scope| Ahead::start(scope, &source, ranges()).map(Result::unwrap).collect());
    let single = Records::new(&source, KeyRange::all(Kind::FinalHtlc)).map(Result::unwrap);
    assert_eq!(ahead, single.collect::<Vec<_>>());
    assert!(ahead.iter().map(number).eq(0..20_000));
}

#[test]
fn ranges_follow_each_other() {
    let source = Counted::new(5_000);
    let behind = |id| {
        let key = outcome(id).key();
        KeyRange::all(Kind::FinalHtlc).after(key)
    };
    let found: Vec<_> = thread::scope(|scope| {
        let ranges = [behind(4_000), KeyRange::all(Kind::Meta), behind(4_990)];
        Ahead::start(scope, &source, ranges).map(|record| number(&record.unwrap())).collect()
    });
    assert!(found.into_iter().eq((4_001..5_000).chain(4_991..5_000)));
}

#[test]
fn a_slow_taker_holds_the_reader_back() {
    let source = Counted::new(100_000);
    let taken = thread::scope(|scope| {
        let mut ahead = Ahead::start(scope, &source, ranges());
        (0..100_000).all(|number| source.take_late(&mut ahead) == Some(number))
    });
    assert!(taken);
    assert_eq!(source.lock().most, PAGES);
}

#[test]
fn an_error_comes_after_the_records_before_it_and_ends_the_reading() {
    let source = Counted { fails_at: Some(50_000), ..Counted::new(100_000) };
    let scans = thread::scope(|scope| {
        let mut ahead = Ahead::start(scope, &source, ranges());
        let mut due = 0;
        let error = loop {
            match ahead.next().unwrap() {
                Ok(record) => assert_eq!(number(&record), due),
                Err(error) => break error,
            }
            due += 1;
        };
        assert!(matches!(error, BackendError::Unavailable(_)), "{error:?}");
        assert!(due <= 50_000 && due > 50_000 - PAGE, "the error came before record {due}");
        assert!(ahead.next().is_none());
        source.scans.load(Ordering::SeqCst)
    });
    assert_eq!(source.scans.load(Ordering::SeqCst), scans);
}

#[test]
fn the_error_is_the_one_of_the_store() {
    let source = Counted { fails_at: Some(0), ..Counted::new(1) };
    let found: Vec<_> =
        thread::scope(|scope| Ahead::start(scope, &source, ranges()).collect::<Vec<_>>());
    assert!(matches!(found[..], [Err(BackendError::Unavailable(_))]), "{found:?}");
}

// If the thread went on, the scope would wait for all records.
#[test]
fn the_reader_ends_when_nobody_takes_any_more() {
    let source = Counted::new(u64::MAX);
    thread::scope(|scope| {
        let mut ahead = Ahead::start(scope, &source, ranges());
        assert_eq!(number(&ahead.next().unwrap().unwrap()), 0);
    });
    assert!(source.lock().most <= PAGES);
}

#[test]
fn a_target_that_fails_ends_the_reading_of_the_source() {
    let source = Counted::new(u64::MAX);
    let target = Faulty::new(Arc::new(MemoryBackend::new()));
    let mut writer = Writer::claim(target.as_ref()).unwrap();
    target.next([None, None, Some(Fault::NotStored)]);
    let copied = store::copy(&source, &mut writer, &Progress::silent());
    assert!(matches!(copied, Err(StoreJobError::Write(_))), "{copied:?}");
}

#[test]
fn a_source_that_fails_ends_the_copy_with_its_error() {
    let source = Counted { fails_at: Some(30_000), ..Counted::new(100_000) };
    let target = MemoryBackend::new();
    let mut writer = Writer::claim(&target).unwrap();
    let copied = store::copy(&source, &mut writer, &Progress::silent());
    assert!(matches!(copied, Err(StoreJobError::Read(BackendError::Unavailable(_)))), "{copied:?}");
}
