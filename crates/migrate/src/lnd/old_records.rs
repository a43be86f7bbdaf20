//! Old records of payments and invoices: lnd no longer writes them, and its own move to SQL stopped
//! at them. They are not channel state: `migrate` leaves them where they are, and says so.
//!
//! Reports of such databases: lnd issues 10797, 10979 and 11104. What is looked for follows lnd's
//! code for that move, `payments/db/migration1/sql_migration.go` and `invoices/sql_migration.go`.

use std::collections::HashSet;

use serde::Serialize;

use super::codec::{invoice, payment};
use super::source::{LndSource, Refused};
use super::tree::{Bucket, Entry, ReadError};
use crate::bolt::display_path;
use crate::progress::Progress;

const PAYMENTS: &[u8] = b"payments-root-bucket";
const ATTEMPTS: &[u8] = b"payment-htlcs-bucket";
const DUPLICATES: &[u8] = b"payment-duplicate-bucket";
const ATTEMPT: &[u8] = b"ai";
const INVOICES: &[u8] = b"invoices";
const INVOICE_NUMBER: usize = 4;

/// Places that are named of each kind.
const NAMED: usize = 5;

/// A kind of old record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OldKind {
    /// A payment attempt with the id 0, from before attempts had ids.
    AttemptWithoutId,
    /// A payment attempt with an id that another payment's attempt has.
    SharedAttemptId,
    /// A hop with the total amount of a blinded path, but without the path.
    OrphanedBlindedTotal,
    /// A hop with a blinding point, but without the path.
    OrphanedBlindingPoint,
    /// A payment that was made to a hash that was paid before.
    DuplicatePayment,
    /// An AMP invoice without a state for each payment.
    LegacyAmpInvoice,
    /// A payment or an invoice that cannot be read.
    Unreadable,
}

/// The old records of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OldRecords {
    /// Their kind.
    pub kind: OldKind,
    /// How many.
    pub count: u64,
    /// Where the first of them are.
    pub first: Vec<String>,
}

impl OldKind {
    /// What they are, for several of them.
    pub fn description(self) -> &'static str {
        match self {
            OldKind::AttemptWithoutId => "payment attempts with id 0",
            OldKind::SharedAttemptId => "payment attempts with the id of another one",
            OldKind::OrphanedBlindedTotal => "hops with a blinded total, but no encrypted data",
            OldKind::OrphanedBlindingPoint => "hops with a blinding point, but no encrypted data",
            OldKind::DuplicatePayment => "payments to a hash that was paid before",
            OldKind::LegacyAmpInvoice => "AMP invoices without AMP state",
            OldKind::Unreadable => "payments or invoices that cannot be read",
        }
    }
}

/// Looks for old records in what belongs to payments and invoices, and counts these as progress.
/// Memory grows by the id of each payment attempt.
///
/// # Errors
/// If the database cannot be read. What is damaged is counted.
pub fn find(source: &LndSource, progress: &Progress) -> Result<Vec<OldRecords>, ReadError> {
    let damaged = source.damaged();
    let (found, ids) = (Vec::new(), HashSet::new());
    let mut search = Search { damaged: &damaged, progress, found, ids };
    if let Some(payments) = source.bucket(&[PAYMENTS], &damaged)? {
        search.each(&payments, Search::payment)?;
    }
    if let Some(invoices) = source.bucket(&[INVOICES], &damaged)? {
        search.each(&invoices, Search::invoice)?;
    }
    Ok(search.found)
}

struct Search<'a> {
    /// Buckets that are not to be entered.
    damaged: &'a Refused,
    progress: &'a Progress,
    found: Vec<OldRecords>,
    /// Ids of attempts.
    ids: HashSet<u64>,
}

impl Search<'_> {
    fn count(&mut self, kind: OldKind, number: u64, path: impl FnOnce() -> Vec<Vec<u8>>) {
        if number == 0 {
            return;
        }
        let at = self.found.iter().position(|found| found.kind == kind);
        let at = at.unwrap_or_else(|| {
            self.found.push(OldRecords { kind, count: 0, first: Vec::new() });
            self.found.len() - 1
        });
        if let Some(found) = self.found.get_mut(at) {
            found.count += number;
            if found.first.len() < NAMED {
                found.first.push(display_path(&path()).to_string());
            }
        }
    }

    /// Hands the entries of a bucket to `visit`. Damage ends the bucket and is counted.
    fn each<'f>(
        &mut self,
        bucket: &Bucket<'f>,
        visit: fn(&mut Self, &Bucket<'f>, Vec<u8>, Entry<'f>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        if self.damaged.refuses(bucket) {
            self.count(OldKind::Unreadable, 1, || bucket.path());
            return Ok(());
        }
        for entry in bucket.entries() {
            match entry.and_then(|(name, entry)| visit(self, bucket, name, entry)) {
                Ok(()) => {}
                Err(ReadError::Damaged(damage)) => {
                    self.count(OldKind::Unreadable, 1, || damage.path);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn payment<'f>(
        &mut self,
        _: &Bucket<'f>,
        _: Vec<u8>,
        entry: Entry<'f>,
    ) -> Result<(), ReadError> {
        let Entry::Bucket(payment) = entry else { return Ok(()) };
        self.progress.add(1);
        self.each(&payment, |search, _, name, entry| match (name.as_slice(), entry) {
            (ATTEMPTS, Entry::Bucket(attempts)) => search.each(&attempts, Self::attempt),
            (DUPLICATES, Entry::Bucket(duplicates)) => {
                search.each(&duplicates, |search, duplicates, name, _| {
                    search.count(OldKind::DuplicatePayment, 1, || below(duplicates, &name));
                    Ok(())
                })
            }
            _ => Ok(()),
        })
    }

    fn attempt<'f>(
        &mut self,
        attempts: &Bucket<'f>,
        name: Vec<u8>,
        entry: Entry<'f>,
    ) -> Result<(), ReadError> {
        let (Some(id), Entry::Value(value)) = (name.strip_prefix(ATTEMPT), entry) else {
            return Ok(());
        };
        let path = || below(attempts, &name);
        match id.try_into().map(u64::from_be_bytes) {
            Ok(0) => self.count(OldKind::AttemptWithoutId, 1, path),
            Ok(id) if !self.ids.insert(id) => self.count(OldKind::SharedAttemptId, 1, path),
            Ok(_) => {}
            Err(_) => self.count(OldKind::Unreadable, 1, path),
        }
        match payment::decode_orphans(value.into()) {
            Ok(orphans) => {
                self.count(OldKind::OrphanedBlindedTotal, orphans.totals, path);
                self.count(OldKind::OrphanedBlindingPoint, orphans.points, path);
            }
            Err(_) => self.count(OldKind::Unreadable, 1, path),
        }
        Ok(())
    }

    fn invoice<'f>(
        &mut self,
        invoices: &Bucket<'f>,
        name: Vec<u8>,
        entry: Entry<'f>,
    ) -> Result<(), ReadError> {
        // Beside the invoices are indexes, and HTLCs under a longer key.
        let Entry::Value(value) = entry else { return Ok(()) };
        if name.len() != INVOICE_NUMBER {
            return Ok(());
        }
        self.progress.add(1);
        let path = || below(invoices, &name);
        match invoice::decode_is_legacy_amp(value.into()) {
            Ok(legacy) => self.count(OldKind::LegacyAmpInvoice, legacy.into(), path),
            Err(_) => self.count(OldKind::Unreadable, 1, path),
        }
        Ok(())
    }
}

fn below(bucket: &Bucket<'_>, name: &[u8]) -> Vec<Vec<u8>> {
    let mut path = bucket.path();
    path.push(name.to_vec());
    path
}
