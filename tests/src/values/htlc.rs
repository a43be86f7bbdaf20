//! HTLCs and the messages about them.

use bytes::Bytes;
use chanstate::message::{Message, ONION_LEN, ParsedMessage};
use chanstate::tlv::TlvStream;
use chanstate::{ChannelId, Direction, Htlc, HtlcId, HtlcTerms, LogIndex, LogUpdate, MilliSatoshi};

use super::{bytes, bytes32, der_signature, key};

/// Outputs below are left out of a commitment.
const DUST_MSAT: u64 = 546_000;

/// Terms of HTLC number `n`. Every third has a blinding point, every fifth a custom record.
pub fn htlc_terms(n: u64, amount_msat: u64) -> HtlcTerms {
    let mut extra = TlvStream::new();
    if n % 3 == 2 {
        extra.insert(0, key("blinding", n).serialize().to_vec());
    }
    if n % 5 == 4 {
        extra.insert(65_537 + n, bytes("custom", n, 40));
    }
    HtlcTerms {
        log_index: LogIndex(n),
        amount: MilliSatoshi(amount_msat),
        payment_hash: bytes32("payment", n),
        cltv_expiry: 800_000 + n as u32,
        onion: bytes("onion", n, ONION_LEN),
        extra: extra.encode().into(),
    }
}

/// An HTLC in our commitment at output `output_index`; dust has no output and no signature.
pub fn htlc(direction: Direction, id: u64, output_index: u32, terms: HtlcTerms) -> Htlc {
    let dust = terms.amount.0 < DUST_MSAT;
    Htlc {
        direction,
        id: HtlcId(id),
        output_index: (!dust).then_some(output_index),
        signature: if dust { Bytes::new() } else { der_signature(terms.log_index.0) },
        terms,
    }
}

/// `n` HTLCs in each direction.
pub fn htlcs_both_ways(n: u64) -> Vec<Htlc> {
    let both = [Direction::Outgoing, Direction::Incoming];
    let numbered = (0..n).flat_map(|id| both.map(|direction| (direction, id)));
    let htlcs = numbered.zip(2..).map(|((direction, id), output)| {
        // Dust among them has no output.
        let amount = if id % 7 == 6 { 1_000 } else { 1_000_000 + id };
        htlc(direction, id, output, htlc_terms(2 * id + direction as u64, amount))
    });
    htlcs.collect()
}

/// The `update_add_htlc` of an HTLC.
pub fn add_message(channel: ChannelId, id: u64, terms: &HtlcTerms) -> Message {
    let HtlcTerms { log_index: _, amount, payment_hash, cltv_expiry, onion, extra } = terms.clone();
    encode(&ParsedMessage::UpdateAddHtlc {
        channel_id: channel.0,
        id,
        amount_msat: amount.0,
        payment_hash,
        cltv_expiry,
        onion,
        extra,
    })
}

/// An add at the log index of its terms.
pub fn add(channel: ChannelId, id: u64, terms: &HtlcTerms) -> LogUpdate {
    LogUpdate { log_index: terms.log_index, message: add_message(channel, id, terms) }
}

/// A settle of HTLC `id`.
pub fn fulfill(channel: ChannelId, id: u64, log_index: u64) -> LogUpdate {
    update(
        log_index,
        &ParsedMessage::UpdateFulfillHtlc {
            channel_id: channel.0,
            id,
            preimage: bytes32("preimage", id),
            extra: Bytes::new(),
        },
    )
}

/// A fail of HTLC `id`.
pub fn fail(channel: ChannelId, id: u64, log_index: u64) -> LogUpdate {
    update(
        log_index,
        &ParsedMessage::UpdateFailHtlc {
            channel_id: channel.0,
            id,
            reason: bytes("reason", id, 292),
            extra: Bytes::new(),
        },
    )
}

/// A fail of HTLC `id` whose onion could not be read.
pub fn malformed(channel: ChannelId, id: u64, log_index: u64) -> LogUpdate {
    update(
        log_index,
        &ParsedMessage::UpdateFailMalformedHtlc {
            channel_id: channel.0,
            id,
            sha256_of_onion: bytes32("onion hash", id),
            failure_code: 0xc005,
            extra: Bytes::new(),
        },
    )
}

/// A change of the fee rate.
pub fn fee(channel: ChannelId, log_index: u64) -> LogUpdate {
    update(
        log_index,
        &ParsedMessage::UpdateFee {
            channel_id: channel.0,
            feerate_per_kw: 253 + log_index as u32,
            extra: Bytes::new(),
        },
    )
}

/// A `commitment_signed` with signatures for `htlcs` HTLCs.
pub fn commit_sig(channel: ChannelId, n: u64, htlcs: usize) -> Message {
    let signature = |n: u64| {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&bytes32("sig r", n));
        signature[32..].copy_from_slice(&bytes32("sig s", n));
        signature
    };
    encode(&ParsedMessage::CommitmentSigned {
        channel_id: channel.0,
        signature: signature(n),
        htlc_signatures: (0..htlcs as u64).map(|i| signature(n ^ (i << 20))).collect(),
        extra: Bytes::new(),
    })
}

fn update(log_index: u64, message: &ParsedMessage) -> LogUpdate {
    LogUpdate { log_index: LogIndex(log_index), message: encode(message) }
}

fn encode(message: &ParsedMessage) -> Message {
    message.encode().expect("the fields are in range")
}
