//! What both sides of a channel compute: the next commitment, its transaction, its signatures.

use std::sync::Arc;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::secp256k1::ecdsa::Signature;
use bitcoin::secp256k1::{PublicKey, Secp256k1, SecretKey};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use bytes::Bytes;
use chanstate::shachain::derive_secret;
use chanstate::{
    ChannelId, ChannelTerms, Commitment, CommitmentHeight, Direction, Htlc, HtlcId, LogIndex,
    LogUpdate, MilliSatoshi, Side,
};

use crate::Error;
use crate::effect::Effect;

/// Weights of BOLT 3, without anchors.
const COMMITMENT_WEIGHT: u64 = 724;
const HTLC_WEIGHT: u64 = 172;
const TIMEOUT_WEIGHT: u64 = 663;
const SUCCESS_WEIGHT: u64 = 703;

/// What does not change while a channel lives.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Contract {
    pub(crate) id: ChannelId,
    pub(crate) point: OutPoint,
    pub(crate) terms: Arc<ChannelTerms>,
}

/// Balances in msat on the way from one commitment to the next, before the fee.
struct Funds {
    ours: i128,
    theirs: i128,
}

/// The signatures of one `commitment_signed`.
#[derive(PartialEq)]
pub(crate) struct Signatures {
    pub(crate) commitment: [u8; 64],
    /// Of the HTLC transactions, in output order.
    pub(crate) htlcs: Vec<[u8; 64]>,
}

impl Funds {
    fn of(&mut self, ours: bool) -> &mut i128 {
        if ours { &mut self.ours } else { &mut self.theirs }
    }
}

impl Contract {
    /// The commitment of `side` that follows `from` with more updates of both sides.
    pub(crate) fn next(
        &self,
        side: Side,
        from: &Commitment,
        ours: &[LogUpdate],
        theirs: &[LogUpdate],
    ) -> Result<Commitment, Error> {
        let mut next = from.clone();
        next.height = from.height.next().ok_or(Error::Protocol("no height left"))?;
        next.commit_sig = Bytes::new();
        let mut funds =
            Funds { ours: from.local_balance.0.into(), theirs: from.remote_balance.0.into() };
        *funds.of(self.terms.initiator) += msat(from.commit_fee);
        for update in ours {
            let log_index = advance(&mut next.local_log_index, update)?;
            self.apply(&mut next, &mut funds, Direction::Outgoing, log_index)?;
        }
        for update in theirs {
            let log_index = advance(&mut next.remote_log_index, update)?;
            self.apply(&mut next, &mut funds, Direction::Incoming, log_index)?;
        }
        self.finish(side, next, funds)
    }

    fn apply(
        &self,
        next: &mut Commitment,
        funds: &mut Funds,
        sender: Direction,
        update: &LogUpdate,
    ) -> Result<(), Error> {
        let we_send = sender == Direction::Outgoing;
        match Effect::of(update)? {
            Effect::Add(id, terms) => {
                let due =
                    if we_send { &mut next.local_htlc_index } else { &mut next.remote_htlc_index };
                if id != *due {
                    return Err(Error::Protocol("HTLC id out of order"));
                }
                due.0 += 1;
                *funds.of(we_send) -= i128::from(terms.amount.0);
                let (output_index, signature) = (None, Bytes::new());
                next.htlcs.push(Htlc { direction: sender, id, output_index, signature, terms });
            }
            Effect::Remove(id, preimage) => {
                let found = next.htlcs.iter().position(|h| h.direction != sender && h.id == id);
                let at = found.ok_or(Error::Protocol("unknown HTLC ended"))?;
                let htlc = next.htlcs.remove(at);
                // A settle pays whoever ends the HTLC, a failure whoever offered it.
                *funds.of(we_send == preimage.is_some()) += i128::from(htlc.terms.amount.0);
            }
            Effect::Fee(_) if we_send != self.terms.initiator => {
                return Err(Error::Protocol("fee set by the side that does not pay it"));
            }
            Effect::Fee(rate) => next.fee_per_kw = rate,
        }
        Ok(())
    }

    /// Takes the fee, gives HTLCs their outputs, and checks that everything adds up.
    fn finish(
        &self,
        side: Side,
        mut next: Commitment,
        mut funds: Funds,
    ) -> Result<Commitment, Error> {
        let rate = next.fee_per_kw.to_sat();
        next.htlcs.sort_by_key(|h| (h.terms.cltv_expiry, self.opener_offers(h), h.id));
        let with_output = next.htlcs.iter().filter(|h| !self.is_dust(side, rate, h)).count() as u64;
        next.commit_fee =
            Amount::from_sat(rate * (COMMITMENT_WEIGHT + HTLC_WEIGHT * with_output) / 1000);
        *funds.of(self.terms.initiator) -= msat(next.commit_fee);
        let balance = |msat| u64::try_from(msat).map_err(|_| Error::Protocol("negative balance"));
        next.local_balance = MilliSatoshi(balance(funds.ours)?);
        next.remote_balance = MilliSatoshi(balance(funds.theirs)?);
        let in_flight: i128 = next.htlcs.iter().map(|h| i128::from(h.terms.amount.0)).sum();
        if funds.ours + funds.theirs + in_flight + msat(next.commit_fee)
            != msat(self.terms.capacity)
        {
            return Err(Error::Protocol("amounts do not add up to the capacity"));
        }
        let mains = self.mains(side, &next);
        let mut outputs: u32 = mains.iter().map(|output| u32::from(output.is_some())).sum();
        for htlc in &mut next.htlcs {
            let dust = self.is_dust(side, rate, htlc);
            htlc.output_index = (!dust).then_some(outputs);
            htlc.signature = Bytes::new();
            outputs += u32::from(!dust);
        }
        next.commit_tx = Arc::new(self.transaction(side, &next));
        Ok(next)
    }

    /// The first commitment of a channel without HTLCs.
    fn first(&self, side: Side, fee_per_kw: Amount) -> Result<Commitment, Error> {
        let initial = |balance: Option<MilliSatoshi>| i128::from(balance.unwrap_or_default().0);
        let funds = Funds {
            ours: initial(self.terms.initial_local_balance),
            theirs: initial(self.terms.initial_remote_balance),
        };
        let commit_tx = Arc::new(spend(self.point, 0, Vec::new()));
        let blank = Commitment {
            height: CommitmentHeight(0),
            local_log_index: LogIndex(0),
            local_htlc_index: HtlcId(0),
            remote_log_index: LogIndex(0),
            remote_htlc_index: HtlcId(0),
            local_balance: MilliSatoshi(0),
            remote_balance: MilliSatoshi(0),
            commit_fee: Amount::ZERO,
            fee_per_kw,
            commit_tx,
            commit_sig: Bytes::new(),
            htlcs: Vec::new(),
            custom_blob: None,
            unknown_tlvs: Bytes::new(),
        };
        self.finish(side, blank, funds)
    }

    /// Positions of our and of the peer's own output; `None` for dust.
    pub(crate) fn mains(&self, side: Side, commitment: &Commitment) -> [Option<u32>; 2] {
        let dust = self.dust_limit(side).to_sat() * 1000;
        let ours = commitment.local_balance.0 >= dust;
        let theirs = commitment.remote_balance.0 >= dust;
        // The opener's output comes first.
        let initiator = self.terms.initiator;
        let at = |here: bool, first: bool, other: bool| here.then(|| u32::from(!first && other));
        [at(ours, initiator, theirs), at(theirs, !initiator, ours)]
    }

    /// What `commitment_signed` carries for a commitment: hashes of all that both sides must agree
    /// on.
    pub(crate) fn signatures(&self, commitment: &Commitment) -> Signatures {
        let txid = commitment.commit_tx.compute_txid().to_byte_array();
        let mut content = txid.to_vec();
        let mut put = |number: u64| content.extend_from_slice(&number.to_be_bytes());
        let sides = [
            (
                commitment.local_balance.0,
                commitment.local_log_index.0,
                commitment.local_htlc_index.0,
            ),
            (
                commitment.remote_balance.0,
                commitment.remote_log_index.0,
                commitment.remote_htlc_index.0,
            ),
        ];
        let [opener, other] = if self.terms.initiator { sides } else { [sides[1], sides[0]] };
        for (balance, log_index, htlc_index) in [opener, other] {
            [balance, log_index, htlc_index].into_iter().for_each(&mut put);
        }
        [commitment.height.0, commitment.commit_fee.to_sat(), commitment.fee_per_kw.to_sat()]
            .into_iter()
            .for_each(&mut put);
        for htlc in &commitment.htlcs {
            [u64::from(self.opener_offers(htlc)), htlc.id.0, htlc.terms.amount.0]
                .into_iter()
                .for_each(&mut put);
        }
        for htlc in &commitment.htlcs {
            content.extend_from_slice(&htlc.terms.payment_hash);
            content.extend_from_slice(sha256::Hash::hash(&htlc.terms.onion).as_byte_array());
        }
        let outputs = commitment.htlcs.iter().filter_map(|htlc| htlc.output_index);
        let of_output = |output: u32| signature(&[&content, &output.to_be_bytes()]);
        Signatures { commitment: signature(&[&content]), htlcs: outputs.map(of_output).collect() }
    }

    fn transaction(&self, side: Side, commitment: &Commitment) -> Transaction {
        let mut outputs = Vec::new();
        let balances = [commitment.local_balance, commitment.remote_balance];
        let mut mains: Vec<_> =
            self.mains(side, commitment).into_iter().zip(balances).zip([true, false]).collect();
        mains.sort_by_key(|((output, _), _)| *output);
        for ((output, balance), ours) in mains {
            if output.is_some() {
                let parts = [u8::from(ours == self.terms.initiator), self.owner(side)];
                let script = self.script(b"main", &parts, commitment.height);
                outputs.push(TxOut { value: sat(balance), script_pubkey: script });
            }
        }
        for htlc in commitment.htlcs.iter().filter(|htlc| htlc.output_index.is_some()) {
            let mut parts = vec![u8::from(self.opener_offers(htlc)), self.owner(side)];
            parts.extend_from_slice(&htlc.terms.payment_hash);
            parts.extend_from_slice(&htlc.terms.cltv_expiry.to_be_bytes());
            let script = self.script(b"htlc", &parts, commitment.height);
            outputs.push(TxOut { value: sat(htlc.terms.amount), script_pubkey: script });
        }
        spend(self.point, commitment.height.0, outputs)
    }

    /// A pay-to-witness-script-hash output script that stands for what `parts` say.
    fn script(&self, label: &[u8], parts: &[u8], height: CommitmentHeight) -> ScriptBuf {
        let hash = hash(&[label, &self.id.0, parts, &height.0.to_be_bytes()]);
        ScriptBuf::from_bytes([[0x00, 0x20].as_slice(), &hash].concat())
    }

    /// Whether the opener's commitment is meant, the same number on both sides.
    fn owner(&self, side: Side) -> u8 {
        u8::from((side == Side::Local) == self.terms.initiator)
    }

    fn opener_offers(&self, htlc: &Htlc) -> bool {
        (htlc.direction == Direction::Outgoing) == self.terms.initiator
    }

    fn dust_limit(&self, side: Side) -> Amount {
        match side {
            Side::Local => self.terms.local_config.dust_limit,
            Side::Remote => self.terms.remote_config.dust_limit,
        }
    }

    /// Whether an HTLC is not worth an output in a commitment of `side` (BOLT 3).
    fn is_dust(&self, side: Side, fee_rate: u64, htlc: &Htlc) -> bool {
        let offered = (side == Side::Local) == (htlc.direction == Direction::Outgoing);
        let weight = if offered { TIMEOUT_WEIGHT } else { SUCCESS_WEIGHT };
        htlc.terms.amount.0 / 1000 < self.dust_limit(side).to_sat() + fee_rate * weight / 1000
    }
}

/// The first commitment of a channel that opens with these terms, ours or the peer's.
///
/// # Errors
/// `Protocol` if the initial balances are not the capacity, or do not pay the fee.
pub fn first_commitment(
    point: OutPoint,
    terms: &ChannelTerms,
    side: Side,
    fee_per_kw: Amount,
) -> Result<Commitment, Error> {
    let (id, terms) = (ChannelId::from_outpoint(point), Arc::new(terms.clone()));
    Contract { id, point, terms }.first(side, fee_per_kw)
}

/// The commitment point of a height, from the root of revocation secrets.
///
/// # Errors
/// `Secret` for a height that has none.
pub fn commitment_point(root: &[u8; 32], height: u64) -> Result<PublicKey, Error> {
    let secret = derive_secret(root, height)?;
    let key = SecretKey::from_slice(&secret).map_err(|_| Error::Protocol("secret is no key"))?;
    Ok(key.public_key(&Secp256k1::signing_only()))
}

/// What HTLC outputs add to the fee of a commitment.
pub(crate) fn htlc_fee(fee_per_kw: Amount, outputs: u64) -> Amount {
    // A fee is rounded down as a whole.
    Amount::from_sat((fee_per_kw.to_sat() * HTLC_WEIGHT * outputs).div_ceil(1000))
}

/// A signature as commitments keep it.
pub(crate) fn der(compact: &[u8; 64]) -> Result<Bytes, Error> {
    let signature = Signature::from_compact(compact);
    let signature = signature.map_err(|_| Error::Protocol("malformed signature"))?;
    Ok(Bytes::copy_from_slice(&signature.serialize_der()))
}

/// Checks that an update is the next one of its log.
fn advance<'a>(index: &mut LogIndex, update: &'a LogUpdate) -> Result<&'a LogUpdate, Error> {
    if update.log_index != *index {
        return Err(Error::Gap("updates do not follow each other"));
    }
    index.0 += 1;
    Ok(update)
}

fn spend(point: OutPoint, height: u64, output: Vec<TxOut>) -> Transaction {
    // Lock time and sequence carry the height, as in BOLT 3.
    let low = |bits: u64| (bits & 0xff_ffff) as u32;
    let input = TxIn {
        previous_output: point,
        script_sig: ScriptBuf::new(),
        sequence: Sequence(0x8000_0000 | low(height >> 24)),
        witness: Witness::new(),
    };
    let lock_time = LockTime::from_consensus(0x2000_0000 | low(height));
    Transaction { version: Version::TWO, lock_time, input: vec![input], output }
}

/// 64 bytes that depend on the content alone and have the form of a compact signature.
fn signature(content: &[&[u8]]) -> [u8; 64] {
    let halves = [b"r".as_slice(), b"s"].map(|half| hash(&[&[half], content].concat()));
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&halves[0]);
    signature[32..].copy_from_slice(&halves[1]);
    // Both halves stay below the order of the curve.
    signature[0] &= 0x7f;
    signature[32] &= 0x3f;
    signature
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut engine = sha256::Hash::engine();
    parts.iter().for_each(|part| engine.input(part));
    sha256::Hash::from_engine(engine).to_byte_array()
}

fn msat(amount: Amount) -> i128 {
    i128::from(amount.to_sat()) * 1000
}

fn sat(amount: MilliSatoshi) -> Amount {
    Amount::from_sat(amount.0 / 1000)
}
