//! What update messages do to commitments.

use bitcoin::Amount;
use bitcoin::hashes::{Hash, sha256};
use chanstate::message::ParsedMessage;
use chanstate::{HtlcId, HtlcTerms, LogUpdate};

use crate::Error;

/// What an update does to a commitment.
pub(crate) enum Effect {
    /// The sender offers an HTLC.
    Add(HtlcId, HtlcTerms),
    /// The sender ends an HTLC of the other side: with its preimage, or without.
    Remove(HtlcId, Option<[u8; 32]>),
    /// The sender sets the fee rate.
    Fee(Amount),
}

impl Effect {
    pub(crate) fn of(update: &LogUpdate) -> Result<Effect, Error> {
        if let Some((id, terms)) = update.offered_htlc()? {
            return Ok(Effect::Add(id, terms));
        }
        Ok(match update.message.parse()? {
            ParsedMessage::UpdateFulfillHtlc { id, preimage, .. } => {
                Effect::Remove(HtlcId(id), Some(preimage))
            }
            ParsedMessage::UpdateFailHtlc { id, .. }
            | ParsedMessage::UpdateFailMalformedHtlc { id, .. } => Effect::Remove(HtlcId(id), None),
            ParsedMessage::UpdateFee { feerate_per_kw, .. } => {
                Effect::Fee(Amount::from_sat(feerate_per_kw.into()))
            }
            _ => return Err(Error::Protocol("not an update")),
        })
    }

    /// The HTLC that the update ends.
    pub(crate) fn removes(&self) -> Option<HtlcId> {
        match self {
            Effect::Remove(id, _) => Some(*id),
            Effect::Add(..) | Effect::Fee(_) => None,
        }
    }
}

/// Whether one of the updates ends this HTLC.
pub(crate) fn ends(updates: &[LogUpdate], id: HtlcId) -> Result<bool, Error> {
    for update in updates {
        if Effect::of(update)?.removes() == Some(id) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a preimage has this hash.
pub(crate) fn opens(preimage: &[u8; 32], hash: &[u8; 32]) -> bool {
    sha256::Hash::hash(preimage).as_byte_array() == hash
}
