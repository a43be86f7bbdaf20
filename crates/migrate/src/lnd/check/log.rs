//! The revocation logs of a channel: every entry, and that none is missing.

use chanstate::{ChannelNo, CommitmentHeight};

use super::super::channel::decode_log_entry;
use super::super::codec::keys::{channel as key, decode_height};
use super::super::path::Path;
use super::Checker;
use super::walk::{NOT_A_VALUE, join};
use crate::finding::chain;
use crate::lnd::tree::{Bucket, Entries, Entry, ReadError};

/// Heights that a finding names.
const NAMED: usize = 5;

impl<'a> Checker<'a, '_> {
    /// Checks both logs together; `remote_height` is the first height that is not revoked.
    pub(super) fn logs(
        &mut self,
        channel: &Bucket<'a>,
        remote_height: Option<CommitmentHeight>,
    ) -> Result<(), ReadError> {
        let mut current = Log::open(self, channel, key::REVOCATION_LOG, false)?;
        let mut deprecated = Log::open(self, channel, key::DEPRECATED_LOG, true)?;
        let mut coverage = Coverage::new(remote_height);
        loop {
            // Both logs are sorted, so going on with the lower one meets heights in order.
            let log = match (current.next, deprecated.next) {
                (None, None) => break,
                (Some(a), Some(b)) if b < a => &mut deprecated,
                (None, Some(_)) => &mut deprecated,
                (Some(_), _) => &mut current,
            };
            if let Some(height) = log.next {
                coverage.see(height);
            }
            log.advance(self)?;
        }
        let place = join(&channel.path(), key::REVOCATION_LOG);
        let complete = !current.refused && !deprecated.refused;
        if let Some(gap) = coverage.gap().filter(|_| complete) {
            self.inconsistency(&place, gap);
        }
        if let Some(excess) = coverage.excess() {
            self.inconsistency(&place, excess);
        }
        Ok(())
    }
}

/// One log, read entry by entry.
struct Log<'a> {
    entries: Option<Entries<'a>>,
    path: Path,
    deprecated: bool,
    /// Height of the entry that was read last.
    next: Option<CommitmentHeight>,
    /// Its pages are damaged.
    refused: bool,
}

impl<'a> Log<'a> {
    fn open(
        checker: &mut Checker<'a, '_>,
        channel: &Bucket<'a>,
        name: &[u8],
        deprecated: bool,
    ) -> Result<Log<'a>, ReadError> {
        let path = join(&channel.path(), name);
        let refused = checker.is_refused(&path);
        let bucket = channel.bucket(name)?.filter(|_| !refused);
        let entries = bucket.map(|bucket| bucket.entries());
        let mut log = Log { entries, path, deprecated, next: None, refused };
        log.advance(checker)?;
        Ok(log)
    }

    /// Checks the next entry that has a height. One without is damage, but its state may be one
    /// of those looked for.
    fn advance(&mut self, checker: &mut Checker<'a, '_>) -> Result<(), ReadError> {
        self.next = None;
        while let Some((name, entry)) =
            self.entries.as_mut().and_then(Iterator::next).transpose()?
        {
            let height = decode_height(&name);
            let fault = match entry {
                Entry::Bucket(_) if checker.is_refused(&join(&self.path, &name)) => None,
                Entry::Bucket(_) => Some(NOT_A_VALUE.to_owned()),
                Entry::Value(value) => {
                    let decoded =
                        decode_log_entry(ChannelNo(1), self.deprecated, &name, value.into());
                    checker.progress.add(1);
                    checker.checked.counts.revoked_states += u64::from(decoded.is_ok());
                    decoded.err().map(|error| chain(&error))
                }
            };
            if let Some(fault) = fault {
                let what = format!("{fault}; this revoked state is lost, breach remedy in danger");
                checker.damage(join(&self.path, &name), what);
            }
            if let Ok(height) = height {
                self.next = Some(height);
                break;
            }
        }
        Ok(())
    }
}

/// Which revoked heights have an entry.
pub(crate) struct Coverage {
    remote_height: Option<CommitmentHeight>,
    /// The lowest height not yet seen.
    due: u64,
    missing: u64,
    first_missing: Vec<u64>,
    beyond: u64,
    first_beyond: Option<CommitmentHeight>,
}

impl Coverage {
    /// Nothing was seen yet; `remote_height` is the first height that is not revoked.
    pub(crate) fn new(remote_height: Option<CommitmentHeight>) -> Coverage {
        Coverage {
            remote_height,
            due: 0,
            missing: 0,
            first_missing: Vec::new(),
            beyond: 0,
            first_beyond: None,
        }
    }

    fn end(&self) -> u64 {
        self.remote_height.map_or(0, |height| height.0)
    }

    /// Notes an entry. Heights come in order.
    pub(crate) fn see(&mut self, height: CommitmentHeight) {
        if height.0 >= self.end() {
            self.beyond += 1;
            self.first_beyond.get_or_insert(height);
        }
        self.miss(height.0.min(self.end()));
        self.due = self.due.max(height.0.saturating_add(1));
    }

    /// Notes that nothing was seen from the height due up to `end`.
    fn miss(&mut self, end: u64) {
        let missing = self.due..end;
        self.missing += missing.end.saturating_sub(missing.start);
        let room = NAMED.saturating_sub(self.first_missing.len());
        self.first_missing.extend(missing.take(room));
    }

    /// Tells which entries are missing.
    pub(crate) fn gap(&mut self) -> Option<String> {
        self.miss(self.end());
        let named: Vec<_> = self.first_missing.iter().map(u64::to_string).collect();
        let and_more = if self.missing > named.len() as u64 { ", ..." } else { "" };
        let states = if self.missing == 1 { "height" } else { "heights" };
        (self.missing > 0).then(|| {
            format!(
                "no entry for {} of {} revoked {states} ({}{and_more}), breach remedy in danger",
                self.missing,
                self.end(),
                named.join(", ")
            )
        })
    }

    /// Tells which entries are too many.
    pub(crate) fn excess(&self) -> Option<String> {
        let first = self.first_beyond?;
        Some(match self.remote_height {
            None => format!("{} entries of a channel without commitments", self.beyond),
            Some(remote) => format!(
                "{} entries from height {first} on, the peer's commitment {remote} is not revoked",
                self.beyond
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage(remote: u64, seen: &[u64]) -> (Option<String>, Option<String>) {
        let mut coverage = Coverage::new(Some(remote.into()));
        seen.iter().for_each(|height| coverage.see((*height).into()));
        (coverage.gap(), coverage.excess())
    }

    #[test]
    fn complete_logs_have_no_gap() {
        assert_eq!(coverage(0, &[]), (None, None));
        assert_eq!(coverage(3, &[0, 1, 1, 2]), (None, None));
    }

    #[test]
    fn gaps_are_counted_and_the_first_named() {
        let (gap, excess) = coverage(1 << 62, &[0, 2, 5, 6]);
        assert!(gap.unwrap().contains("(1, 3, 4, 7, 8, ...)"));
        assert_eq!(excess, None);
        assert!(coverage(2, &[0]).0.unwrap().starts_with("no entry for 1 of 2 revoked height (1)"));
    }

    #[test]
    fn entries_of_states_in_force_are_too_many() {
        let (gap, excess) = coverage(2, &[0, 1, 2, 7]);
        assert_eq!(gap, None);
        assert!(excess.unwrap().starts_with("2 entries from height 2 on"));
        // A state in force does not stand in for the revoked ones below.
        assert!(coverage(2, &[5]).0.unwrap().contains("(0, 1)"));
    }
}
