//! What was offered and how it must end, kept beside both nodes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::rand::{Rng, rngs::StdRng};
use chanstate::{HtlcTerms, MilliSatoshi, ShortChannelId};
use node_core::{
    BAD_ONION, EXPIRY_DELTA, Hop, NOT_FORWARDED, Offer, Outcome, Payments, UNKNOWN_PAYMENT, onion,
    spoiled,
};

use crate::values::bytes32;

/// Smallest payment, in msat. Each node may offer it.
const SMALLEST: u64 = 10;

/// Most hops of a payment.
const MOST_HOPS: usize = 3;

/// Expiry of the last hop.
const LAST_EXPIRY: u32 = 800_000;

/// How a payment is meant to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Settled.
    Settle,
    /// Failed by its receiver, who asked for more, for a later expiry, or for nothing at all.
    Unknown,
    /// Failed by its receiver, who cannot read the onion.
    Malformed,
}

/// A payment back and forth between both nodes.
#[derive(Clone, Debug)]
pub(crate) struct Payment {
    pub(crate) number: u64,
    /// Which node pays; nodes take turns from hop to hop.
    pub(crate) payer: usize,
    pub(crate) hops: Vec<Hop>,
    pub(crate) fate: Fate,
    pub(crate) preimage: [u8; 32],
}

/// What a receiver asks for.
#[derive(Clone, Copy, Debug)]
struct Invoice {
    amount: MilliSatoshi,
    /// The HTLC must not expire before.
    cltv_expiry: u32,
    preimage: [u8; 32],
}

/// Payments and invoices of one node. They survive its stops.
#[derive(Debug, Default)]
pub(crate) struct Wallet {
    invoices: Mutex<HashMap<[u8; 32], Invoice>>,
    ended: Mutex<BTreeMap<u64, Vec<Outcome>>>,
}

/// Every payment of a run.
#[derive(Debug)]
pub(crate) struct Ledger {
    first: u64,
    payments: Vec<Payment>,
    pub(crate) wallets: [Arc<Wallet>; 2],
}

impl Payment {
    /// Hash of the preimage.
    pub(crate) fn hash(&self) -> [u8; 32] {
        sha256::Hash::hash(&self.preimage).to_byte_array()
    }

    /// The channel of the first HTLC, and the HTLC.
    pub(crate) fn first_offer(&self) -> (ShortChannelId, Offer) {
        let Hop { scid, amount, cltv_expiry } = self.hops[0];
        let route = onion(&self.hops[1..], self.number);
        let onion = if self.fate == Fate::Malformed { spoiled(&route) } else { route };
        (scid, Offer { amount, payment_hash: self.hash(), cltv_expiry, onion })
    }

    /// Whether it ended as it was meant to; on the way, a channel may have been full.
    pub(crate) fn may_end(&self, outcome: &Outcome) -> bool {
        let reason = |text: &str| Outcome::Failed(Some(text.to_owned().into()));
        let meant = match self.fate {
            Fate::Settle => Outcome::Settled(self.preimage),
            Fate::Unknown => reason(UNKNOWN_PAYMENT),
            Fate::Malformed if self.hops.len() == 1 => Outcome::Failed(None),
            Fate::Malformed => reason(BAD_ONION),
        };
        *outcome == meant || self.hops.len() > 1 && was_refused(outcome)
    }
}

/// Whether a payment failed because a channel on its way was full.
pub(crate) fn was_refused(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Failed(Some(reason)) if reason == NOT_FORWARDED)
}

impl Wallet {
    /// How a payment ended, each time it was said.
    pub(crate) fn endings(&self, payment: u64) -> Vec<Outcome> {
        lock(&self.ended).get(&payment).cloned().unwrap_or_default()
    }
}

impl Payments for Wallet {
    fn preimage(&self, htlc: &HtlcTerms) -> Option<[u8; 32]> {
        let invoice = lock(&self.invoices).get(&htlc.payment_hash).copied()?;
        let paid = htlc.amount >= invoice.amount && htlc.cltv_expiry >= invoice.cltv_expiry;
        paid.then_some(invoice.preimage)
    }

    fn ended(&self, payment: u64, outcome: Outcome) {
        lock(&self.ended).entry(payment).or_default().push(outcome);
    }
}

impl Ledger {
    /// An empty one; payments are numbered from `first`.
    pub(crate) fn new(first: u64) -> Ledger {
        Ledger { first, payments: Vec::new(), wallets: Default::default() }
    }

    /// Every payment so far.
    pub(crate) fn payments(&self) -> &[Payment] {
        &self.payments
    }

    /// A payment by its number.
    pub(crate) fn payment(&self, number: u64) -> &Payment {
        &self.payments[(number - self.first) as usize]
    }

    /// How a payment ended, each time its payer was told.
    pub(crate) fn endings(&self, payment: &Payment) -> Vec<Outcome> {
        self.wallets[payment.payer].endings(payment.number)
    }

    /// Makes up a payment, and an invoice that it pays if it is to be settled. Returns its number.
    pub(crate) fn draw(&mut self, rng: &mut StdRng, scids: &[ShortChannelId]) -> u64 {
        let number = self.first + self.payments.len() as u64;
        let (payer, length) = (rng.gen_range(0..2), rng.gen_range(1..=MOST_HOPS));
        let fate = match rng.gen_range(0..10) {
            0..7 => Fate::Settle,
            7 | 8 => Fate::Unknown,
            _ => Fate::Malformed,
        };
        let preimage = bytes32("sweep", number);
        let received = match rng.gen_range(0..4) {
            0 => rng.gen_range(SMALLEST..900_000),
            _ => rng.gen_range(1_000_000..60_000_000),
        };
        let hops = (0..length).map(|hop| {
            let after = (length - 1 - hop) as u64;
            Hop {
                scid: scids[rng.gen_range(0..scids.len())],
                amount: MilliSatoshi(received + after * (1_000 + received / 100)),
                cltv_expiry: LAST_EXPIRY + after as u32 * EXPIRY_DELTA,
            }
        });
        let payment = Payment { number, payer, hops: hops.collect(), fate, preimage };
        // What an unknown payment lacks: an amount, blocks, or an invoice.
        let lacking = match fate {
            Fate::Settle => Some((0, 0)),
            Fate::Unknown => [Some((1, 0)), Some((0, 1)), None][(number % 3) as usize],
            Fate::Malformed => None,
        };
        if let Some((amount, blocks)) = lacking {
            let (amount, cltv_expiry) = (MilliSatoshi(received + amount), LAST_EXPIRY + blocks);
            let receiver = &self.wallets[(payer + length) % 2];
            let invoice = Invoice { amount, cltv_expiry, preimage };
            lock(&receiver.invoices).insert(payment.hash(), invoice);
        }
        self.payments.push(payment);
        number
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
