//! Messages that no record contains, and what messages have in common.

use bitcoin::secp256k1::PublicKey;
use chanstate::ChannelId;
use chanstate::message::{Message, ParsedMessage};

use crate::Error;

/// Type of `revoke_and_ack` (BOLT 2).
const REVOKE_AND_ACK: u16 = 133;

/// `revoke_and_ack`: revokes the sender's commitment and acknowledges the next one.
pub(crate) struct RevokeAndAck {
    /// The channel.
    pub(crate) channel_id: ChannelId,
    /// Secret of the revoked commitment.
    pub(crate) secret: [u8; 32],
    /// Commitment point after the next one.
    pub(crate) next_point: PublicKey,
}

impl RevokeAndAck {
    pub(crate) fn encode(&self) -> Result<Message, Error> {
        let mut body = self.channel_id.0.to_vec();
        body.extend_from_slice(&self.secret);
        body.extend_from_slice(&self.next_point.serialize());
        Ok(ParsedMessage::Unknown { ty: REVOKE_AND_ACK, body: body.into() }.encode()?)
    }

    /// The message, if it is one of this type.
    pub(crate) fn of(ty: u16, body: &[u8]) -> Result<Option<RevokeAndAck>, Error> {
        if ty != REVOKE_AND_ACK {
            return Ok(None);
        }
        let short = Error::Protocol("revoke_and_ack too short");
        let Some((channel_id, rest)) = body.split_first_chunk() else { return Err(short) };
        let Some((secret, rest)) = rest.split_first_chunk() else { return Err(short) };
        let Some((point, _)) = rest.split_first_chunk::<33>() else { return Err(short) };
        let next_point = PublicKey::from_slice(point)
            .map_err(|_| Error::Protocol("revoke_and_ack without a point"))?;
        Ok(Some(RevokeAndAck { channel_id: ChannelId(*channel_id), secret: *secret, next_point }))
    }
}

/// The channel that a message of the channel protocol is about; it stands behind the type.
pub(crate) fn channel_of(message: &Message) -> Result<ChannelId, Error> {
    let id = message.as_bytes().get(2..).and_then(<[u8]>::first_chunk);
    id.copied().map(ChannelId).ok_or(Error::Protocol("message without a channel"))
}
