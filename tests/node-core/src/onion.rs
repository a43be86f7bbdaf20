//! Onions that hide nothing: the hops after the receiver's, in clear text.

use bitcoin::hashes::{Hash, sha256};
use bytes::Bytes;
use chanstate::{MilliSatoshi, ONION_LEN, ShortChannelId};

/// First byte of an onion that can be read (BOLT 4).
const VERSION: u8 = 0;

/// Bytes before the hops: the version and how many there are.
const HEAD: usize = 2;

/// In the number of hops: the last one's onion cannot be read.
const SPOILED: u8 = 0x80;

/// Bytes of a hop.
const HOP: usize = 20;

/// What a forwarding node is to offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// On which channel.
    pub scid: ShortChannelId,
    /// Which amount.
    pub amount: MilliSatoshi,
    /// Until which block height.
    pub cltv_expiry: u32,
}

/// What an onion tells its receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Instruction {
    /// Offer the next HTLC with the onion that is left.
    Forward(Hop, Bytes),
    /// The payment ends here.
    Receive,
    /// It cannot be read.
    Unreadable,
}

/// An onion with the hops after its receiver's, at most 68. `salt` tells equal routes apart.
pub fn onion(hops: &[Hop], salt: u64) -> Bytes {
    let mut bytes = vec![VERSION, hops.len() as u8];
    for hop in hops {
        bytes.extend_from_slice(&hop.scid.0.to_be_bytes());
        bytes.extend_from_slice(&hop.amount.0.to_be_bytes());
        bytes.extend_from_slice(&hop.cltv_expiry.to_be_bytes());
    }
    let mut block = sha256::Hash::hash(&salt.to_be_bytes());
    while bytes.len() < ONION_LEN {
        bytes.extend_from_slice(block.as_byte_array());
        block = sha256::Hash::hash(block.as_byte_array());
    }
    bytes.truncate(ONION_LEN);
    bytes.into()
}

/// The onion such that its last receiver cannot read it.
pub fn spoiled(onion: &Bytes) -> Bytes {
    let mut bytes = onion.to_vec();
    bytes.iter_mut().skip(1).take(1).for_each(|hops| *hops |= SPOILED);
    bytes.into()
}

impl Instruction {
    /// Reads an onion.
    pub(crate) fn of(onion: &Bytes) -> Instruction {
        match onion.split_first_chunk::<HEAD>() {
            Some(([VERSION, 0], _)) => Instruction::Receive,
            Some(([VERSION, SPOILED], _)) => Instruction::Unreadable,
            Some(([VERSION, hops], rest)) => peel(*hops, rest).unwrap_or(Instruction::Unreadable),
            _ => Instruction::Unreadable,
        }
    }
}

fn peel(hops: u8, rest: &[u8]) -> Option<Instruction> {
    let (scid, after) = rest.split_first_chunk()?;
    let (amount, after) = after.split_first_chunk()?;
    let (cltv_expiry, after) = after.split_first_chunk()?;
    let hop = Hop {
        scid: ShortChannelId(u64::from_be_bytes(*scid)),
        amount: MilliSatoshi(u64::from_be_bytes(*amount)),
        cltv_expiry: u32::from_be_bytes(*cltv_expiry),
    };
    // The onion keeps its length.
    let left = [&[VERSION, hops - 1], after, &[0; HOP]].concat();
    Some(Instruction::Forward(hop, left.into()))
}
