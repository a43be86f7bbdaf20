//! Identifiers, heights and amounts as types of their own.

use std::fmt;

use bitcoin::OutPoint;
use bitcoin::hashes::Hash;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<u64> for $name {
            fn from(value: u64) -> Self {
                Self(value)
            }
        }
    };
}

number! {
    /// A channel's number inside one store: it keys the channel's records.
    ///
    /// Assigned at creation, never reused, different in every store, never shown to callers.
    ChannelNo
}
number! {
    /// The store sequence number of the change that last touched a channel or a link node.
    ///
    /// Never reused, so something deleted and created again does not match an old expectation.
    Version
}
number! {
    /// Number of a commitment of one side, counted up from 0 (BOLT 3).
    CommitmentHeight
}
number! {
    /// `id` of an `update_add_htlc`, counted from 0 for each direction of a channel (BOLT 2).
    HtlcId
}
number! {
    /// Position of an update in one side's update log.
    LogIndex
}
number! {
    /// An amount in thousandths of a satoshi.
    MilliSatoshi
}
number! {
    /// Short channel id: block height << 40 | transaction index << 16 | output index (BOLT 7).
    ShortChannelId
}

impl Version {
    /// The version of a record that does not exist.
    pub const ABSENT: Version = Version(0);
}

impl CommitmentHeight {
    /// The height after this one; `None` at the end of the range.
    pub fn next(self) -> Option<CommitmentHeight> {
        self.0.checked_add(1).map(CommitmentHeight)
    }
}

/// Channel id of BOLT 2: the funding txid with its last two bytes xored with the output index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub [u8; 32]);

impl ChannelId {
    /// Derives the id of a v1 channel from its funding outpoint.
    pub fn from_outpoint(outpoint: OutPoint) -> ChannelId {
        let mut id = outpoint.txid.to_byte_array();
        // BOLT 2 uses the low 16 bits of the index only.
        id[30] ^= (outpoint.vout >> 8) as u8;
        id[31] ^= outpoint.vout as u8;
        ChannelId(id)
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelId({self})")
    }
}

/// Whose commitment: ours (`Local`) or the peer's (`Remote`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Side {
    /// The commitment that we can broadcast.
    Local = 0,
    /// The commitment that the peer can broadcast.
    Remote = 1,
}

/// Direction of an HTLC, seen from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Direction {
    /// Offered by us.
    Outgoing = 0,
    /// Offered by the peer.
    Incoming = 1,
}

/// What identifies an HTLC within its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HtlcKey {
    /// Who offered it.
    pub direction: Direction,
    /// Its id in that direction.
    pub id: HtlcId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_id_xors_the_output_index_into_the_last_two_bytes() {
        let mut txid = [0u8; 32];
        txid[30] = 0xf0;
        let outpoint = OutPoint::new(bitcoin::Txid::from_byte_array(txid), 0x0102);
        let id = ChannelId::from_outpoint(outpoint);
        assert_eq!(&id.0[30..], &[0xf1, 0x02]);
    }
}
