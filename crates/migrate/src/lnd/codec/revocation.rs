//! The revocation state of a channel: our root, and what the peer revealed.

use bitcoin::secp256k1::PublicKey;
use bytes::Bytes;
use chanstate::shachain::{Bucket, MAX_BUCKETS, SecretStore};

use super::cursor::Cursor;
use super::error::{LndError, LndFault};
use super::writer::Writer;

const RECORD: &str = "revocation state";

/// The content of `revocation-state-key`.
#[derive(Clone, PartialEq, Eq)]
pub struct RevocationKeys {
    /// Commitment point of the peer's current commitment; its node key in a restored channel.
    pub current_point: PublicKey,
    /// Root that our revocation secrets are derived from. Secret.
    pub root: [u8; 32],
    /// Secrets of the peer's revoked commitments, as they are stored; see [`SecretStore::verify`].
    pub secrets: SecretStore,
    /// Commitment point of the peer's next commitment.
    pub next_point: Option<PublicKey>,
}

impl std::fmt::Debug for RevocationKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The root must not reach a log.
        f.debug_struct("RevocationKeys")
            .field("current_point", &self.current_point)
            .field("secrets", &self.secrets)
            .field("next_point", &self.next_point)
            .finish_non_exhaustive()
    }
}

impl RevocationKeys {
    /// Reads the value of `revocation-state-key`.
    ///
    /// # Errors
    ///
    /// [`LndError`], see there.
    pub fn decode(bytes: Bytes) -> Result<RevocationKeys, LndError> {
        Cursor::whole(RECORD, bytes, |cursor| {
            Ok(RevocationKeys {
                current_point: cursor.point("current revocation point")?,
                root: cursor.array("revocation root")?,
                secrets: read_store(cursor)?,
                next_point: match cursor.remaining() {
                    0 => None,
                    _ => Some(cursor.point("next revocation point")?),
                },
            })
        })
    }

    /// Returns the canonical encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new(RECORD);
        out.bytes(&self.current_point.serialize());
        out.bytes(&self.root);
        write_store(&mut out, &self.secrets);
        if let Some(point) = self.next_point {
            out.bytes(&point.serialize());
        }
        out.finish()
    }
}

fn read_store(cursor: &mut Cursor) -> Result<SecretStore, LndError> {
    const FIELD: &str = "secret store";
    let offset = cursor.offset();
    let count = cursor.u8(FIELD)?;
    let too_many = LndFault::TooManySecrets { max: MAX_BUCKETS, found: count.into() };
    if usize::from(count) > MAX_BUCKETS {
        return Err(cursor.error(FIELD, offset, too_many));
    }
    let mut buckets = Vec::new();
    for _ in 0..count {
        let index = cursor.u64("secret index")?;
        buckets.push(Bucket { index, secret: cursor.array("secret")? });
    }
    let next_index = cursor.u64("next secret index")?;
    SecretStore::from_parts(buckets, next_index).map_err(|_| cursor.error(FIELD, offset, too_many))
}

fn write_store(out: &mut Writer, store: &SecretStore) {
    // A store never has more than 48 buckets.
    out.u8(store.buckets().len().min(MAX_BUCKETS) as u8);
    for bucket in store.buckets() {
        out.u64(bucket.index);
        out.bytes(&bucket.secret);
    }
    out.u64(store.next_index());
}
