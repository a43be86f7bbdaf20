//! After a reconnect: both sides say what they have, and send again what got lost (BOLT 2,
//! "Message Retransmission").

use bitcoin::secp256k1::PublicKey;
use bytes::Bytes;
use chanstate::message::{DataLoss, Message, ParsedMessage};
use chanstate::shachain::derive_secret;

use crate::channel::Channel;
use crate::contract::commitment_point;
use crate::{Error, Facets};

/// What the peer says in `channel_reestablish`.
pub(crate) struct Standing {
    pub(crate) next_commitment: u64,
    pub(crate) next_revocation: u64,
    pub(crate) data_loss: Option<DataLoss>,
}

impl Channel {
    /// The `channel_reestablish` to send first on a new connection.
    ///
    /// # Errors
    /// `Store`; `Gap` if the peer's last secret is missing.
    pub(crate) async fn reestablish(&self, store: &dyn Facets) -> Result<Message, Error> {
        let Channel { contract, local, remote, .. } = self;
        let last_secret = match remote.height.0.checked_sub(1) {
            None => [0; 32],
            Some(revoked) => {
                let secrets = store.remote_revocation(contract.point).await?.secrets;
                secrets.lookup(revoked).ok_or(Error::Gap("the peer's last secret is missing"))?
            }
        };
        let commit_point = commitment_point(&contract.terms.revocation_root, local.height.0)?;
        let message = ParsedMessage::ChannelReestablish {
            channel_id: contract.id.0,
            next_commitment_number: local.height.0 + 1,
            next_revocation_number: remote.height.0,
            data_loss: Some(DataLoss { last_secret, commit_point }),
            extra: Bytes::new(),
        };
        Ok(message.encode()?)
    }

    /// Takes the peer's `channel_reestablish`. Returns what has to be sent again, in the order in
    /// which it was sent.
    ///
    /// # Errors
    /// `DataLoss` if we lost state, which is stored; `Protocol` if the numbers do not fit.
    pub(crate) async fn receive_reestablish(
        &mut self,
        store: &dyn Facets,
        peer: Standing,
    ) -> Result<Vec<Message>, Error> {
        self.require_current(store, &peer).await?;
        let mut signature = self.lost_signature(peer.next_commitment)?;
        let revocation = self.lost_revocation(peer.next_revocation)?;
        self.ready = true;
        let mut messages = Vec::new();
        if self.last_was_revoke {
            messages.append(&mut signature);
        }
        messages.extend(revocation);
        messages.append(&mut signature);
        Ok(messages)
    }

    /// The pending commitment's updates and signature, unless the peer has them.
    fn lost_signature(&self, next_commitment: u64) -> Result<Vec<Message>, Error> {
        let in_force = self.remote.height.0;
        match &self.pending {
            Some(pending) if next_commitment == in_force + 1 => {
                let updates = pending.updates.iter().map(|update| update.message.clone());
                Ok(updates.chain([pending.commit_sig.clone()]).collect())
            }
            Some(_) if next_commitment == in_force + 2 => Ok(Vec::new()),
            None if next_commitment == in_force + 1 => Ok(Vec::new()),
            _ => Err(Error::Protocol("commitment numbers do not fit")),
        }
    }

    /// Our last revocation, unless the peer has it.
    fn lost_revocation(&self, next_revocation: u64) -> Result<Option<Message>, Error> {
        match self.local.height.0.checked_sub(next_revocation) {
            Some(0) => Ok(None),
            Some(1) => self.revocation().map(Some),
            _ => Err(Error::Protocol("revocation numbers do not fit")),
        }
    }

    /// Finds out whether the peer knows more about us than we do.
    async fn require_current(&self, store: &dyn Facets, peer: &Standing) -> Result<(), Error> {
        let (Some(fields), Some(revoked)) = (&peer.data_loss, peer.next_revocation.checked_sub(1))
        else {
            return Ok(());
        };
        let root = &self.contract.terms.revocation_root;
        if fields.last_secret != derive_secret(root, revoked)? {
            return Err(Error::Protocol("a secret that is not ours"));
        }
        if peer.next_revocation > self.local.height.0 {
            let commit_point: PublicKey = fields.commit_point;
            store.mark_data_loss(self.contract.point, commit_point).await?;
            return Err(Error::DataLoss);
        }
        Ok(())
    }
}
