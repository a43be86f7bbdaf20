//! Revocation secrets: how ours are made, and how the peer's are kept (BOLT 3).
//!
//! Each commitment height has one secret. We derive ours from a seed; the peer reveals its own in
//! height order, and they form a tree in which some are derived from others, so at most 48 need to
//! be stored for all of them.
//!
//! BOLT 3 counts indexes down from 2^48 - 1. Heights count up from 0: the index of height `h` is
//! `2^48 - 1 - h`.
//!
//! Secrets never show up in `Debug` output or in errors.

#[cfg(test)]
mod tests;

use std::fmt;

use bitcoin::hashes::{Hash, sha256};

/// Greatest BOLT 3 index, that of height 0.
pub const MAX_INDEX: u64 = (1 << INDEX_BITS) - 1;

/// Greatest number of buckets in a [`SecretStore`].
pub const MAX_BUCKETS: usize = 48;

/// Number of bits of an index.
const INDEX_BITS: u32 = 48;

/// Derives our secret for a commitment height from the seed.
///
/// Generation of BOLT 3, with the height converted to an index.
///
/// # Errors
///
/// [`ShachainFault::HeightOutOfRange`] from height 2^48 on.
pub fn derive_secret(seed: &[u8; 32], height: u64) -> Result<[u8; 32], ShachainFault> {
    let index = index_of(height)?;
    Ok(derive(*seed, INDEX_BITS, index))
}

/// Converts a commitment height to the index of BOLT 3.
///
/// # Errors
///
/// [`ShachainFault::HeightOutOfRange`] from height 2^48 on.
pub fn index_of(height: u64) -> Result<u64, ShachainFault> {
    MAX_INDEX.checked_sub(height).ok_or(ShachainFault::HeightOutOfRange { height, max: MAX_INDEX })
}

/// One stored secret of the peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// Index of the secret, in BOLT 3's numbering.
    pub index: u64,
    /// The secret.
    pub secret: [u8; 32],
}

impl From<(u64, [u8; 32])> for Bucket {
    fn from((index, secret): (u64, [u8; 32])) -> Self {
        Self { index, secret }
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("index", &format_args!("{:#x}", self.index))
            .finish_non_exhaustive()
    }
}

/// What inserting a secret changes in a [`SecretStore`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotMove {
    /// Number of the bucket that was written.
    pub slot: usize,
    /// Index it now holds.
    pub index: u64,
    /// Index it held before; `None` if the bucket is new.
    pub replaced: Option<u64>,
}

/// The secrets that the peer has revealed, in the compact form of BOLT 3.
///
/// Bucket `i` holds the most recent secret whose index ends in exactly `i` zero bits. A store may
/// come from a damaged source: what it holds is trusted after [`verify`](Self::verify) only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretStore {
    buckets: Vec<Bucket>,
    next_index: u64,
}

impl Default for SecretStore {
    fn default() -> Self {
        Self::new()
    }
}

impl SecretStore {
    /// Creates a store without secrets.
    pub fn new() -> Self {
        Self { buckets: Vec::new(), next_index: MAX_INDEX }
    }

    /// Takes the parts of a stored store as they are.
    ///
    /// # Errors
    ///
    /// [`ShachainFault::TooManyBuckets`] above [`MAX_BUCKETS`]; nothing else is checked here.
    pub fn from_parts(buckets: Vec<Bucket>, next_index: u64) -> Result<Self, ShachainFault> {
        if buckets.len() > MAX_BUCKETS {
            return Err(ShachainFault::TooManyBuckets { max: MAX_BUCKETS, found: buckets.len() });
        }
        Ok(Self { buckets, next_index })
    }

    /// Returns the buckets, number 0 first.
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// Returns the index that the next secret will get.
    pub fn next_index(&self) -> u64 {
        self.next_index
    }

    /// Returns how many secrets were received, which is the height of the next one.
    ///
    /// Zero if the next index is out of range, which [`verify`](Self::verify) reports.
    pub fn secrets_received(&self) -> u64 {
        MAX_INDEX.saturating_sub(self.next_index)
    }

    /// Returns the peer's secret for a commitment height, or `None` if it was not revealed.
    pub fn lookup(&self, height: u64) -> Option<[u8; 32]> {
        let index = index_of(height).ok()?;
        self.buckets.iter().find_map(|bucket| bucket.derive(index))
    }

    /// Checks that the parts fit each other.
    ///
    /// A wrong secret is found if it is derived from another bucket's or another bucket's is
    /// derived from it. A secret that is in no such relation, as that of the only bucket, can only
    /// be checked against a commitment point.
    ///
    /// # Errors
    ///
    /// * [`ShachainFault::NextIndexOutOfRange`]: the next index has more than 48 bits.
    /// * [`ShachainFault::BucketCount`]: the number of buckets is not the bit length of the number
    ///   of secrets received.
    /// * [`ShachainFault::BucketIndex`]: a bucket does not hold the most recent index of its kind.
    /// * [`ShachainFault::BucketSecret`]: a bucket's secret is not the one derived from another
    ///   bucket.
    pub fn verify(&self) -> Result<(), ShachainFault> {
        self.check_next_index()?;
        let expected = bit_length(self.secrets_received());
        if self.buckets.len() != expected {
            return Err(ShachainFault::BucketCount { expected, found: self.buckets.len() });
        }
        for slot in 0..expected {
            self.bucket_in_place(slot)?;
        }
        for (parent_slot, parent) in self.buckets.iter().enumerate() {
            for (slot, bucket) in self.buckets[..parent_slot].iter().enumerate() {
                if parent.derive(bucket.index).is_some_and(|secret| secret != bucket.secret) {
                    return Err(ShachainFault::BucketSecret {
                        bucket: slot,
                        index: bucket.index,
                        parent: parent_slot,
                    });
                }
            }
        }
        Ok(())
    }

    /// Inserts the secret for the next height.
    ///
    /// # Errors
    ///
    /// As [`check_insert`](Self::check_insert); the store is then unchanged.
    pub fn insert(&mut self, secret: [u8; 32]) -> Result<SlotMove, ShachainFault> {
        let (slot, index) = self.check_insert(secret)?;
        let bucket = Bucket { index, secret };
        let replaced = match self.buckets.get_mut(slot) {
            Some(place) => Some(std::mem::replace(place, bucket).index),
            None => {
                self.buckets.push(bucket);
                None
            }
        };
        self.next_index = index - 1;
        Ok(SlotMove { slot, index, replaced })
    }

    /// Checks the secret for the next height and returns the bucket number and index it would get.
    ///
    /// The check of BOLT 3: every lower bucket must be derived from the new secret. Secrets with an
    /// odd index have no lower bucket, so a wrong one is found when a later secret arrives.
    ///
    /// # Errors
    ///
    /// * [`ShachainFault::Rejected`]: a lower bucket is not derived from the secret.
    /// * [`ShachainFault::Exhausted`]: all heights that fit the buckets have been revealed.
    /// * [`ShachainFault::NextIndexOutOfRange`], [`ShachainFault::MissingBucket`],
    ///   [`ShachainFault::BucketIndex`]: the store is damaged.
    pub fn check_insert(&self, secret: [u8; 32]) -> Result<(usize, u64), ShachainFault> {
        self.check_next_index()?;
        let index = self.next_index;
        if index == 0 {
            return Err(ShachainFault::Exhausted);
        }
        let slot = trailing_zeros(index);
        let candidate = Bucket { index, secret };
        for lower in 0..slot as usize {
            let bucket = self.bucket_in_place(lower)?;
            if candidate.derive(bucket.index) != Some(bucket.secret) {
                return Err(ShachainFault::Rejected { index, bucket: lower });
            }
        }
        Ok((slot as usize, index))
    }

    fn check_next_index(&self) -> Result<(), ShachainFault> {
        if self.next_index > MAX_INDEX {
            return Err(ShachainFault::NextIndexOutOfRange {
                max: MAX_INDEX,
                found: self.next_index,
            });
        }
        Ok(())
    }

    /// Returns a bucket that must be there, with the index that it must have.
    fn bucket_in_place(&self, slot: usize) -> Result<&Bucket, ShachainFault> {
        let bucket = self.buckets.get(slot).ok_or(ShachainFault::MissingBucket { bucket: slot })?;
        let expected = expected_index(slot, self.next_index);
        if bucket.index != expected {
            return Err(ShachainFault::BucketIndex { bucket: slot, expected, found: bucket.index });
        }
        Ok(bucket)
    }
}

impl Bucket {
    /// Derives the secret of `index`, or returns `None` if it does not follow from this one.
    ///
    /// A secret yields those whose index differs in its own trailing zeros alone.
    fn derive(&self, index: u64) -> Option<[u8; 32]> {
        let bits = trailing_zeros(self.index);
        ((self.index ^ index) >> bits == 0).then(|| derive(self.secret, bits, index))
    }
}

/// Generation of BOLT 3 from a secret that covers the lowest `bits` bits of the index.
fn derive(mut secret: [u8; 32], bits: u32, index: u64) -> [u8; 32] {
    for bit in (0..bits).rev() {
        if index >> bit & 1 == 1 {
            secret[(bit / 8) as usize] ^= 1 << (bit % 8);
            secret = sha256::Hash::hash(&secret).to_byte_array();
        }
    }
    secret
}

/// Trailing zeros within the bits of an index; the seed's index 0 has all of them.
fn trailing_zeros(index: u64) -> u32 {
    index.trailing_zeros().min(INDEX_BITS)
}

fn bit_length(value: u64) -> usize {
    (u64::BITS - value.leading_zeros()) as usize
}

/// The smallest index above `next_index` that ends in exactly `slot` zero bits.
///
/// Both arguments are in range: `slot` below 48, `next_index` at most [`MAX_INDEX`].
fn expected_index(slot: usize, next_index: u64) -> u64 {
    let unit = 1_u64 << slot;
    let aligned = (next_index + 1).next_multiple_of(unit);
    // An even multiple ends in more zeros; the next multiple is odd.
    aligned | unit
}

/// Why a height, a secret or a [`SecretStore`] is not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShachainFault {
    /// A height has more than 48 bits.
    #[error("commitment height {height} is above {max}")]
    HeightOutOfRange {
        /// The height.
        height: u64,
        /// Greatest height.
        max: u64,
    },
    /// A store has more buckets than indexes have bits.
    #[error("store of {found} secrets is larger than {max}")]
    TooManyBuckets {
        /// Greatest number of buckets.
        max: usize,
        /// Number of buckets.
        found: usize,
    },
    /// The next index has more than 48 bits.
    #[error("next index {found:#x} is above {max:#x}")]
    NextIndexOutOfRange {
        /// Greatest index.
        max: u64,
        /// The next index.
        found: u64,
    },
    /// Every height that fits the buckets has been revealed.
    #[error("all secrets have been received")]
    Exhausted,
    /// The number of buckets does not match the number of secrets received.
    #[error("store holds {found} buckets instead of {expected}")]
    BucketCount {
        /// Buckets that the secrets received fill.
        expected: usize,
        /// Buckets there are.
        found: usize,
    },
    /// A bucket that the next secret is checked against does not exist.
    #[error("bucket {bucket} is missing")]
    MissingBucket {
        /// Number of the bucket.
        bucket: usize,
    },
    /// A bucket holds the secret of another index than it should.
    #[error("bucket {bucket} holds index {found:#x} instead of {expected:#x}")]
    BucketIndex {
        /// Number of the bucket.
        bucket: usize,
        /// Index it should hold.
        expected: u64,
        /// Index it holds.
        found: u64,
    },
    /// Two buckets do not belong to one chain; either may be the wrong one.
    #[error("secret {index:#x} in bucket {bucket} is not derived from bucket {parent}")]
    BucketSecret {
        /// Number of the lower bucket.
        bucket: usize,
        /// Index of its secret.
        index: u64,
        /// Number of the bucket it should be derived from.
        parent: usize,
    },
    /// A new secret does not belong to the chain of the secrets received before.
    #[error("secret {index:#x} does not yield the secret in bucket {bucket}")]
    Rejected {
        /// Index of the new secret.
        index: u64,
        /// Number of the lowest bucket that does not follow from it.
        bucket: usize,
    },
}
