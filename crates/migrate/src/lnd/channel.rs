//! The values of one channel bucket, decoded.

use std::collections::BTreeMap;

use bitcoin::ScriptBuf;
use bitcoin::secp256k1::PublicKey;
use bytes::Bytes;
use chanstate::record::{
    ChannelRecord, MarkRecord, RevokedCommitmentRecord, RevokedStateRecord, SecretRecord,
    TermsRecord,
};
use chanstate::transition::Imported;
use chanstate::{ChannelNo, Commitment, LogUpdate, Mark, PendingCommitment, Record, Rejection};
use std::sync::Arc;
use thiserror::Error;

use super::codec::chan_info::ChanInfo;
use super::codec::keys::channel as key;
use super::codec::keys::decode_height;
use super::codec::revocation::RevocationKeys;
use super::codec::{Elsewhere, LndError, commitment, revocation_log, small, update};
use super::tree::{Bucket, Entry, ReadError};

/// Everything of a channel but its logs.
#[derive(Clone, Debug)]
pub struct ChannelParts {
    /// `chan-info-key`.
    pub info: ChanInfo,
    /// `revocation-state-key`.
    pub revocation: RevocationKeys,
    /// Our commitment.
    pub local: Option<Commitment>,
    /// The peer's commitment.
    pub remote: Option<Commitment>,
    /// `commit-diff-key`.
    pub pending: Option<PendingCommitment>,
    /// `unsigned-acked-updates-key`.
    pub unsigned_acked: Option<Vec<LogUpdate>>,
    /// `remote-unsigned-local-updates-key`.
    pub remote_unsigned_local: Option<Vec<LogUpdate>>,
    /// `last-was-revoke`.
    pub last_was_revoke: Option<bool>,
    /// `frozen-chans`.
    pub thaw_height: Option<u32>,
    /// `local-upfront-shutdown-key`.
    pub local_upfront_shutdown: Option<ScriptBuf>,
    /// `remote-upfront-shutdown-key`.
    pub remote_upfront_shutdown: Option<ScriptBuf>,
    /// Data-loss point, closing transactions and shutdown info.
    pub marks: Vec<Mark>,
    /// Keys without a meaning here.
    pub unknown: Vec<Vec<u8>>,
}

/// Why a channel cannot be used: the key at fault and what is wrong with its value.
#[derive(Debug, Error)]
#[error("value of {} cannot be read", key.escape_ascii())]
pub struct ChannelFault {
    /// Key in the channel's bucket.
    pub key: Vec<u8>,
    /// What is wrong.
    #[source]
    pub fault: PartFault,
}

/// What is wrong with a value.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PartFault {
    /// It does not decode.
    #[error("does not decode")]
    Decode(#[from] LndError),
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// Its content differs from the key that names it.
    #[error("{0} differs from the bucket key")]
    Identity(&'static str),
    /// A store cannot hold it.
    #[error("cannot be stored")]
    Storage(#[from] Rejection),
}

/// Values of a bucket by key, sub-buckets left out.
///
/// # Errors
/// If the bucket cannot be read.
pub fn read_values(bucket: &Bucket<'_>) -> Result<BTreeMap<Vec<u8>, Bytes>, ReadError> {
    let mut values = BTreeMap::new();
    for entry in bucket.entries() {
        if let (key, Entry::Value(value)) = entry? {
            values.insert(key, Bytes::from(value));
        }
    }
    Ok(values)
}

impl ChannelParts {
    /// Decodes the values of a channel bucket.
    ///
    /// # Errors
    /// Names the first key whose value is missing or does not decode.
    pub fn decode(mut values: BTreeMap<Vec<u8>, Bytes>) -> Result<ChannelParts, ChannelFault> {
        let mut take = Take(&mut values);
        let parts = ChannelParts {
            info: take.required(key::INFO, ChanInfo::decode)?,
            revocation: take.required(key::REVOCATION_STATE, RevocationKeys::decode)?,
            local: take.optional(key::LOCAL_COMMITMENT, commitment::decode)?,
            remote: take.optional(key::REMOTE_COMMITMENT, commitment::decode)?,
            pending: take.optional(key::COMMIT_DIFF, commitment::decode_diff)?,
            unsigned_acked: take.optional(key::UNSIGNED_ACKED_UPDATES, update::decode_list)?,
            remote_unsigned_local: take
                .optional(key::REMOTE_UNSIGNED_LOCAL_UPDATES, update::decode_list)?,
            last_was_revoke: take.optional(key::LAST_WAS_REVOKE, small::decode_last_was_revoke)?,
            thaw_height: take.optional(key::THAW_HEIGHT, small::decode_thaw_height)?,
            local_upfront_shutdown: take
                .optional(key::LOCAL_UPFRONT_SHUTDOWN, small::decode_upfront_shutdown)?,
            remote_upfront_shutdown: take
                .optional(key::REMOTE_UPFRONT_SHUTDOWN, small::decode_upfront_shutdown)?,
            marks: [
                take.optional(key::SHUTDOWN_INFO, small::decode_shutdown_info)?.map(Mark::Shutdown),
                take.optional(key::DATA_LOSS_POINT, small::decode_public_key)?
                    .map(Mark::DataLossPoint),
                take.optional(key::CLOSING_TX, small::decode_transaction)?
                    .map(Mark::BroadcastCommitment),
                take.optional(key::COOP_CLOSING_TX, small::decode_transaction)?
                    .map(Mark::BroadcastCooperative),
            ]
            .into_iter()
            .flatten()
            .collect(),
            unknown: Vec::new(),
        };
        Ok(ChannelParts { unknown: values.into_keys().collect(), ..parts })
    }

    /// Refuses a channel whose content is of another channel than its keys say.
    ///
    /// # Errors
    /// `Identity`.
    pub fn require_identity(&self, place: &ChannelPlace) -> Result<(), ChannelFault> {
        let info = &self.info;
        let differs = if info.funding_outpoint != place.outpoint {
            "funding outpoint"
        } else if place.peer.is_some_and(|peer| peer != info.peer) {
            "peer"
        } else if place.chain.is_some_and(|chain| chain != info.chain) {
            "chain"
        } else {
            return Ok(());
        };
        Err(ChannelFault { key: key::INFO.to_vec(), fault: PartFault::Identity(differs) })
    }

    /// The parts that lnd keeps of a closed channel.
    #[must_use]
    pub fn archived(self) -> ChannelParts {
        ChannelParts {
            pending: None,
            unsigned_acked: None,
            remote_unsigned_local: None,
            last_was_revoke: None,
            marks: Vec::new(),
            ..self
        }
    }

    /// Takes the parts apart into a new channel's row and the records that belong to it.
    pub fn into_import(self, no: ChannelNo, closed: bool) -> (ChannelRecord, Imported) {
        let (row, terms) = self.info.into_parts(
            no,
            Elsewhere {
                closed,
                local_height: self.local.as_ref().map(|commitment| commitment.height),
                remote_height: self.remote.as_ref().map(|commitment| commitment.height),
                has_pending: self.pending.is_some(),
                last_was_revoke: self.last_was_revoke,
                remote_current_point: self.revocation.current_point,
                remote_next_point: self.revocation.next_point,
                next_secret_index: self.revocation.secrets.next_index(),
                revocation_root: self.revocation.root,
                thaw_height: self.thaw_height,
                local_upfront_shutdown: self.local_upfront_shutdown,
                remote_upfront_shutdown: self.remote_upfront_shutdown,
            },
        );
        let mut others = vec![Record::Terms(TermsRecord { no, terms: Arc::new(terms) })];
        for (slot, bucket) in (0u8..).zip(self.revocation.secrets.buckets()) {
            let (index, secret) = (bucket.index, bucket.secret);
            others.push(Record::Secret(SecretRecord { no, slot, index, secret }));
        }
        let marks = self.marks.into_iter();
        others.extend(marks.map(|mark| Record::Mark(MarkRecord { no, mark })));
        let imported = Imported {
            local: self.local,
            remote: self.remote,
            pending: self.pending,
            unsigned_acked: self.unsigned_acked,
            remote_unsigned_local: self.remote_unsigned_local,
            others,
        };
        (row, imported)
    }
}

/// The keys that lead to a channel bucket. Historical channels are kept by outpoint alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelPlace {
    /// Funding outpoint.
    pub outpoint: bitcoin::OutPoint,
    /// Peer.
    pub peer: Option<PublicKey>,
    /// Chain.
    pub chain: Option<bitcoin::constants::ChainHash>,
}

/// Decodes one entry of a revocation log; `deprecated` tells which of the two.
///
/// # Errors
/// If the height or the value does not decode.
pub fn decode_log_entry(
    no: ChannelNo,
    deprecated: bool,
    key: &[u8],
    value: Bytes,
) -> Result<Record, LndError> {
    let height = decode_height(key)?;
    Ok(if deprecated {
        let revoked = revocation_log::decode_deprecated(value)?;
        Record::RevokedCommitment(RevokedCommitmentRecord { no, height, revoked })
    } else {
        let state = revocation_log::decode(height, value)?;
        Record::RevokedState(RevokedStateRecord { no, state })
    })
}

struct Take<'a>(&'a mut BTreeMap<Vec<u8>, Bytes>);

impl Take<'_> {
    fn optional<T>(
        &mut self,
        key: &[u8],
        decode: impl FnOnce(Bytes) -> Result<T, LndError>,
    ) -> Result<Option<T>, ChannelFault> {
        let value = self.0.remove(key).map(decode).transpose();
        value.map_err(|fault| ChannelFault { key: key.to_vec(), fault: fault.into() })
    }

    fn required<T>(
        &mut self,
        key: &[u8],
        decode: impl FnOnce(Bytes) -> Result<T, LndError>,
    ) -> Result<T, ChannelFault> {
        let missing = || ChannelFault { key: key.to_vec(), fault: PartFault::Missing };
        self.optional(key, decode)?.ok_or_else(missing)
    }
}
