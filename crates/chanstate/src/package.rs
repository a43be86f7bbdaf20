//! Forwarding packages: updates of the peer that one revocation locked in.

use bytes::Bytes;

use crate::codec::{Codec, DecodeError, Reader};
use crate::codec_enum;
use crate::commitment::LogUpdate;
use crate::ids::{CommitmentHeight, ShortChannelId};

/// Updates that a revocation of the peer locked in, and how far they were processed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardingPackage {
    /// Short channel id under which the channel ran when the package was written.
    pub source: ShortChannelId,
    /// Height of the peer's commitment that the revocation made current.
    pub height: CommitmentHeight,
    /// `update_add_htlc`, in order.
    pub adds: Vec<LogUpdate>,
    /// Settles and fails, in order.
    pub settle_fails: Vec<LogUpdate>,
    /// Adds that were answered.
    pub ack_filter: Filter,
    /// Settles and fails that reached the incoming channel.
    pub settle_fail_filter: Filter,
    /// Adds that were forwarded; `None` until the package was processed.
    pub forward_filter: Option<Filter>,
}

/// How far a package was processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PackageState {
    /// Not processed yet.
    LockedIn,
    /// Forwarding was decided.
    Processed,
    /// Everything was acknowledged; the package can be removed.
    Completed,
}

impl ForwardingPackage {
    /// A package that nothing was done with yet.
    pub fn new(
        source: ShortChannelId,
        height: CommitmentHeight,
        adds: Vec<LogUpdate>,
        settle_fails: Vec<LogUpdate>,
    ) -> ForwardingPackage {
        // A revocation locks in at most 483 HTLCs of each kind.
        let filter = |updates: &[LogUpdate]| Filter::empty(updates.len().min(0xffff) as u16);
        ForwardingPackage {
            source,
            height,
            ack_filter: filter(&adds),
            settle_fail_filter: filter(&settle_fails),
            adds,
            settle_fails,
            forward_filter: None,
        }
    }

    /// Derives the state from the filters.
    pub fn state(&self) -> PackageState {
        match self.forward_filter {
            None => PackageState::LockedIn,
            Some(_) if self.ack_filter.is_full() && self.settle_fail_filter.is_full() => {
                PackageState::Completed
            }
            Some(_) => PackageState::Processed,
        }
    }
}

/// Which list of a package an update is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PackageList {
    /// Adds.
    Adds = 0,
    /// Settles and fails.
    SettleFails = 1,
}
codec_enum!(PackageList { Adds, SettleFails });

/// Names an add of one's own channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddRef {
    /// Height of the package.
    pub height: CommitmentHeight,
    /// Position among its adds.
    pub index: u16,
}

/// Names a settle or fail in a package of any channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SettleFailRef {
    /// Source of the package.
    pub source: ShortChannelId,
    /// Height of the package.
    pub height: CommitmentHeight,
    /// Position among its settles and fails.
    pub index: u16,
}

/// One bit per update, most significant first; bits after the last one are kept as they came.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filter {
    count: u16,
    bits: Bytes,
}

impl Filter {
    /// A filter over `count` updates with no bit set.
    pub fn empty(count: u16) -> Filter {
        Filter { count, bits: vec![0; bytes_for(count)].into() }
    }

    /// A filter from its stored bits.
    ///
    /// `None` unless `bits` has exactly one bit per update, rounded up to bytes.
    pub fn from_bits(count: u16, bits: Bytes) -> Option<Filter> {
        (bits.len() == bytes_for(count)).then_some(Filter { count, bits })
    }

    /// Number of updates covered.
    pub fn count(&self) -> u16 {
        self.count
    }

    /// The bits, padding included.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// Whether the bit of update `index` is set; false beyond the count.
    pub fn contains(&self, index: u16) -> bool {
        let byte = self.bits.get(usize::from(index / 8)).copied().unwrap_or(0);
        index < self.count && byte & mask(index) != 0
    }

    /// The filter with one more bit set; `None` if `index` is out of range.
    #[must_use]
    pub fn with(&self, index: u16) -> Option<Filter> {
        if index >= self.count {
            return None;
        }
        let mut bits = self.bits.to_vec();
        *bits.get_mut(usize::from(index / 8))? |= mask(index);
        Some(Filter { count: self.count, bits: bits.into() })
    }

    /// Whether every bit is set; true for no updates.
    pub fn is_full(&self) -> bool {
        (0..self.count).all(|index| self.contains(index))
    }
}

impl Codec for Filter {
    fn encode_to(&self, out: &mut Vec<u8>) {
        self.count.encode_to(out);
        self.bits.encode_to(out);
    }

    fn decode_from(reader: &mut Reader) -> Result<Self, DecodeError> {
        let count = u16::decode_from(reader)?;
        let bits = Bytes::decode_from(reader)?;
        Filter::from_bits(count, bits).ok_or_else(|| reader.invalid("filter length"))
    }
}

fn bytes_for(count: u16) -> usize {
    usize::from(count).div_ceil(8)
}

fn mask(index: u16) -> u8 {
    0x80 >> (index % 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_every_size_fill_bit_by_bit() {
        for count in 0..=1000 {
            let mut filter = Filter::empty(count);
            for index in 0..count {
                assert!(!filter.is_full() && !filter.contains(index));
                filter = filter.with(index).unwrap();
                assert!(filter.contains(index));
            }
            assert!(filter.is_full());
            assert_eq!(filter.with(count), None);
        }
    }

    #[test]
    fn a_package_without_updates_completes_with_its_forward_filter() {
        let mut package = ForwardingPackage::new(1.into(), 1.into(), vec![], vec![]);
        assert_eq!(package.state(), PackageState::LockedIn);
        package.forward_filter = Some(Filter::empty(0));
        assert_eq!(package.state(), PackageState::Completed);
    }

    #[test]
    fn padding_bits_are_neither_lost_nor_counted() {
        let filter = Filter::from_bits(1, Bytes::from_static(&[0x7f])).unwrap();
        assert!(!filter.is_full());
        assert_eq!(filter.bits(), &[0x7f]);
    }
}
