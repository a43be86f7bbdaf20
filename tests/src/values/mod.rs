//! Domain values as a node makes them, the same in every run.

mod channel;
mod htlc;
mod records;
pub mod sets;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::secp256k1::ecdsa::Signature;
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bitcoin::{
    Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, absolute,
    transaction,
};
use bytes::Bytes;

pub use channel::{
    commitment, every_type_bit, link_node, new_channel, peer_point, peer_seed, shell, summary,
    terms,
};
pub use htlc::{
    add, add_message, commit_sig, fail, fee, fulfill, htlc, htlc_terms, htlcs_both_ways, malformed,
};
pub use records::Fill;

/// 32 bytes that depend on a label and a number alone.
pub fn bytes32(label: &str, n: u64) -> [u8; 32] {
    let mut engine = sha256::Hash::engine();
    engine.input(label.as_bytes());
    engine.input(&n.to_be_bytes());
    sha256::Hash::from_engine(engine).to_byte_array()
}

/// `len` bytes that depend on a label and a number alone.
pub fn bytes(label: &str, n: u64, len: usize) -> Bytes {
    let blocks = (0..).flat_map(|block: u64| bytes32(label, n ^ (block << 32)));
    blocks.take(len).collect::<Vec<u8>>().into()
}

/// The public key of a secret; 32 bytes of a hash are a secret key with overwhelming probability.
pub fn point_of(secret: [u8; 32]) -> PublicKey {
    let key = SecretKey::from_slice(&secret).expect("a hash is below the order of the curve");
    key.public_key(&Secp256k1::signing_only())
}

/// A key that depends on a label and a number alone.
pub fn key(label: &str, n: u64) -> PublicKey {
    point_of(bytes32(label, n))
}

/// Node id of peer `n`.
pub fn peer(n: u64) -> PublicKey {
    key("node", n)
}

/// Funding outpoint of channel `n`.
pub fn outpoint(n: u64) -> OutPoint {
    OutPoint::new(Txid::from_byte_array(bytes32("funding", n)), (n % 3) as u32)
}

/// Pay-to-witness-public-key-hash script number `n`.
pub fn script(n: u64) -> ScriptBuf {
    let mut bytes = vec![0x00, 0x14];
    bytes.extend_from_slice(&bytes32("script", n)[..20]);
    ScriptBuf::from_bytes(bytes)
}

/// A transaction that spends `from` into `outputs` outputs, without witness.
pub fn tx(from: OutPoint, n: u64, outputs: usize) -> Transaction {
    let output = |i: usize| TxOut {
        value: Amount::from_sat(10_000 + i as u64),
        script_pubkey: script(n.wrapping_add(i as u64)),
    };
    Transaction {
        version: transaction::Version::TWO,
        lock_time: absolute::LockTime::from_consensus(0x2000_0000 | (n as u32 & 0xff_ffff)),
        input: vec![TxIn {
            previous_output: from,
            script_sig: ScriptBuf::new(),
            sequence: Sequence(0x8000_0000 | (n as u32 & 0xff_ffff)),
            witness: Witness::new(),
        }],
        output: (0..outputs).map(output).collect(),
    }
}

/// A signature in DER form; it verifies nothing.
pub fn der_signature(n: u64) -> Bytes {
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&bytes32("r", n));
    compact[32..].copy_from_slice(&bytes32("s", n));
    // The halves stay below the order of the curve.
    compact[0] &= 0x7f;
    compact[32] &= 0x3f;
    let signature = Signature::from_compact(&compact).expect("both halves are in range");
    Bytes::copy_from_slice(&signature.serialize_der())
}
