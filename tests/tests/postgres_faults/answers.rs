//! Answers that say less than what was done: a row that is there already, and answers that are lost,
//! cannot be read, or are of a server that ends.

use std::time::Duration;

use channelcoord::{ChangeSet, CommitError, Record, Settled, Subject, Verdict};
use chanstate::key::RecordKey;
use chanstate::record::HtlcRecord;
use chanstate::{ChannelNo, Direction, HtlcId, MilliSatoshi};
use conformance::values::htlc_terms;
use conformance::values::sets::{changing, creating, putting};
use conformance::{Claimed, InPostgres};
use pollster::block_on;

use crate::cuts::{behind, points};
use crate::proxy::{Cut, Proxy, Spoil, Way};
use crate::server::{Server, wait_until};

/// An HTLC of channel 1.
fn htlc(id: u64, amount: u64) -> HtlcRecord {
    let (no, direction) = (ChannelNo(1), Direction::Incoming);
    HtlcRecord { no, direction, id: HtlcId(id), terms: htlc_terms(id, amount) }
}

/// A store with two channels, behind a proxy.
struct Line<'a> {
    proxy: &'a Proxy,
    store: Claimed<'a>,
    /// Of channel 1.
    version: u64,
    rounds: u64,
}

/// What the store said of a batch in the end, and whether it had to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    Stored,
    FoundStored,
    NotStored,
}

impl<'a> Line<'a> {
    fn new(proxy: &'a Proxy, place: &'a InPostgres) -> Line<'a> {
        let mut store = block_on(Claimed::new(place));
        let version = block_on(store.apply(creating(1, "one"))).0;
        block_on(store.apply(creating(2, "two")));
        block_on(store.apply(putting([record(htlc(0, 1))])));
        Line { proxy, store, version, rounds: 1 }
    }

    /// Two sets: one that changes channel 1, with an HTLC that is new and, if wanted, one that is not;
    /// and one that does not know channel 2 as it is.
    fn sets(&mut self, duplicate: bool) -> Vec<ChangeSet> {
        self.rounds += 1;
        let n = self.rounds;
        let mut applies = changing(1, self.version, &format!("applies {n}"));
        applies.puts.push(record(htlc(n, n)));
        if duplicate {
            applies.puts.push(record(htlc(0, n)));
        }
        let stale = changing(2, u64::MAX >> 1, &format!("stale {n}"));
        self.store.stamped(vec![applies, stale])
    }

    /// Commits sets and finds out what became of them.
    fn commit(&mut self, sets: &[ChangeSet]) -> Came {
        let batch = self.store.batch(sets);
        let (came, verdicts) = match block_on(self.store.backend.commit(batch)) {
            Ok(verdicts) => (Came::Stored, verdicts),
            Err(CommitError::NotStored(_)) => return Came::NotStored,
            Err(CommitError::Unknown(_)) => {
                match block_on(self.store.backend.settle(batch)).unwrap() {
                    Settled::NotStored(head) => {
                        self.store.head = head;
                        return Came::NotStored;
                    }
                    Settled::Stored(verdicts, _) => (Came::FoundStored, verdicts),
                }
            }
            Err(fenced) => panic!("{fenced:?}"),
        };
        let [Verdict::Applied, Verdict::Conflict(subject)] = verdicts[..] else {
            panic!("{verdicts:?}")
        };
        assert_eq!(subject, Subject::Channel(ChannelNo(2)));
        self.version = batch.before.0 + 1;
        self.store.head.seq = batch.last();
        came
    }

    /// Commits a batch and holds what is stored against what the store said of it.
    fn round(&mut self, duplicate: bool) -> Came {
        let sets = self.sets(duplicate);
        let came = self.commit(&sets);
        let stored = came != Came::NotStored;
        let n = self.rounds;
        assert_eq!(self.amount(n), stored.then_some(n), "{came:?}");
        if duplicate {
            assert_eq!(self.amount(0) == Some(n), stored, "{came:?}");
        }
        assert_eq!(block_on(self.store.has(&format!("applies {n}"))), stored, "{came:?}");
        assert!(!block_on(self.store.has(&format!("stale {n}"))));
        came
    }

    fn amount(&self, id: u64) -> Option<u64> {
        let key = RecordKey::htlc(ChannelNo(1), htlc(id, 0).key());
        let found = block_on(self.store.get(&key))?;
        let Record::Channel(chanstate::Record::Htlc(HtlcRecord { terms, .. })) = found else {
            panic!("{found:?}")
        };
        let MilliSatoshi(amount) = terms.amount;
        Some(amount)
    }

    /// Messages of a batch.
    fn measure(&mut self, duplicate: bool) -> [usize; 2] {
        assert_eq!(self.round(duplicate), Came::Stored);
        let never = Cut { way: Way::ToServer, after: usize::MAX, inside: false, fresh: false };
        self.proxy.set(Some(never));
        assert_eq!(self.round(duplicate), Came::Stored);
        self.proxy.passed()
    }

    /// Cuts the connection of a batch with a duplicate everywhere; returns what came.
    fn sweep(&mut self) -> Vec<Came> {
        let (once, twice) = (self.measure(false), self.measure(true));
        assert!(twice[0] >= 2 * once[0], "{once:?} {twice:?}: the batch was not sent again");
        let mut all = Vec::new();
        for (n, cut) in (1..).zip(points(twice, false)) {
            // The connection knows both statements.
            self.proxy.set(None);
            assert_eq!(self.round(true), Came::Stored, "before {cut:?}");
            self.proxy.set(Some(cut));
            all.push(self.round(true));
            wait_until("the cut", || self.proxy.cuts() == n);
        }
        all
    }

    /// Closes the store, and opens it where it was left.
    fn end(self) {
        let seq = self.store.head.seq;
        assert_eq!(block_on(self.store.crash()).head.seq, seq);
    }
}

fn record(htlc: HtlcRecord) -> Record {
    Record::Channel(chanstate::Record::Htlc(htlc))
}

#[test]
fn a_batch_with_a_row_that_is_there_is_stored_once_wherever_it_is_cut() {
    let proxy = Proxy::new(Server::shared().socket());
    let place = behind(&proxy);
    let mut line = Line::new(&proxy, &place);
    let came = line.sweep();
    assert!(came.iter().all(|came| *came == Came::Stored), "{came:?}");
    line.end();
}

#[test]
fn what_is_said_of_a_batch_with_a_row_that_is_there_is_so_wherever_it_is_cut() {
    let proxy = Proxy::new(Server::shared().socket());
    let place = behind(&proxy).with(|options| options.patience(Duration::ZERO));
    let mut line = Line::new(&proxy, &place);
    let came = line.sweep();
    for met in [Came::Stored, Came::FoundStored, Came::NotStored] {
        assert!(came.contains(&met), "{met:?} is not in {came:?}");
    }
    line.end();
}

/// Spoils the answers to batches that are stored; the store finds them stored by itself.
fn spoilt(spoil: Spoil) {
    let proxy = Proxy::new(Server::shared().socket());
    let place = behind(&proxy);
    let mut line = Line::new(&proxy, &place);
    for duplicate in [false, true] {
        assert_eq!(line.round(duplicate), Came::Stored);
        proxy.spoil(spoil);
        assert_eq!(line.round(duplicate), Came::Stored);
        assert!(proxy.is_spoilt());
    }
    line.end();
}

/// As [`spoilt`], but the store does not try again: it says that it does not know.
fn spoilt_without_patience(spoil: Spoil) {
    let proxy = Proxy::new(Server::shared().socket());
    let place = behind(&proxy).with(|options| options.patience(Duration::ZERO));
    let mut line = Line::new(&proxy, &place);
    for duplicate in [false, true] {
        assert_eq!(line.round(duplicate), Came::Stored);
        proxy.spoil(spoil);
        assert_eq!(line.round(duplicate), Came::FoundStored);
        assert!(proxy.is_spoilt());
    }
    line.end();
}

#[test]
fn a_batch_whose_answer_cannot_be_read_is_found_stored() {
    spoilt(Spoil::Unreadable);
    spoilt_without_patience(Spoil::Unreadable);
}

#[test]
fn a_batch_whose_answer_has_no_row_is_found_stored() {
    spoilt(Spoil::NoRow);
    spoilt_without_patience(Spoil::NoRow);
}

/// A disk that is full when the commit is in the log already: the server finds it there when it
/// starts again.
#[test]
fn a_batch_at_which_the_server_ends_is_found_stored() {
    spoilt(Spoil::Panic);
    spoilt_without_patience(Spoil::Panic);
}
