//! Signatures and revocations: each step is stored before its message is sent.

use chanstate::facet::CommitmentStore;
use chanstate::message::{Message, MessageKind, ParsedMessage};
use chanstate::shachain::derive_secret;
use chanstate::transition::{AdvanceTail, AppendRemote, UpdateLocal};
use chanstate::{
    Commitment, Direction, ForwardingPackage, LogUpdate, MilliSatoshi, PendingCommitment, Side,
};

use crate::Error;
use crate::channel::{Channel, find};
use crate::contract::{Signatures, commitment_point, der};
use crate::effect::Effect;
use crate::wire::RevokeAndAck;

impl Channel {
    /// Whether the peer's next commitment would have something new, and may be signed.
    pub(crate) fn is_due(&self) -> bool {
        let news = !self.after_tip().is_empty() || !self.to_acknowledge().is_empty();
        self.ready && self.pending.is_none() && news
    }

    /// Signs the peer's next commitment, with all our updates and those of the peer that we
    /// acknowledged; `None` if there is nothing to sign.
    ///
    /// # Errors
    /// `Store`, `Protocol`.
    pub(crate) async fn sign(
        &mut self,
        store: &dyn CommitmentStore,
    ) -> Result<Option<Message>, Error> {
        if !self.is_due() {
            return Ok(None);
        }
        let updates = self.after_tip().to_vec();
        let contract = &self.contract;
        let commitment =
            contract.next(Side::Remote, &self.remote, &updates, self.to_acknowledge())?;
        let signatures = contract.signatures(&commitment);
        let commit_sig = commitment_signed(contract.id.0, signatures)?;
        let unsigned = self.unsigned.clone();
        let pending = PendingCommitment {
            commitment,
            commit_sig: commit_sig.clone(),
            updates,
            opened_circuits: unsigned.opened,
            closed_circuits: unsigned.closed,
        };
        let append = AppendRemote {
            pending: pending.clone(),
            ack_adds: unsigned.ack_adds,
            ack_settle_fails: unsigned.ack_settle_fails,
        };
        store.append_remote(contract.point, append).await?;
        self.pending = Some(pending);
        self.unsigned = Default::default();
        self.last_was_revoke = false;
        Ok(Some(commit_sig))
    }

    /// Takes the signature of our next commitment and revokes the one before.
    ///
    /// # Errors
    /// `Store`; `Protocol` if it is not the signature of what we expect.
    pub(crate) async fn receive_signature(
        &mut self,
        store: &dyn CommitmentStore,
        signatures: &Signatures,
    ) -> Result<Message, Error> {
        let (ours, theirs) = (self.acknowledged(), self.after_local());
        if ours.is_empty() && theirs.is_empty() {
            return Err(Error::Protocol("signature without an update"));
        }
        let mut commitment = self.contract.next(Side::Local, &self.local, ours, theirs)?;
        if self.contract.signatures(&commitment) != *signatures {
            return Err(Error::Protocol("both sides disagree on a commitment"));
        }
        keep_signatures(&mut commitment, signatures)?;
        let update = UpdateLocal {
            commitment,
            unsigned_acked: self.theirs.clone(),
            total_sent: self.plus_settled(self.total_sent, Direction::Outgoing, theirs)?,
            total_received: self.plus_settled(self.total_received, Direction::Incoming, ours)?,
        };
        let gone = ours.len();
        store.update_local(self.contract.point, update.clone()).await?;
        self.ours.drain(..gone);
        self.local = update.commitment;
        self.total_sent = update.total_sent;
        self.total_received = update.total_received;
        self.last_was_revoke = true;
        self.revocation()
    }

    /// The `revoke_and_ack` for the commitment before our current one.
    pub(crate) fn revocation(&self) -> Result<Message, Error> {
        let (root, height) = (&self.contract.terms.revocation_root, self.local.height.0);
        let revoked = height.checked_sub(1).ok_or(Error::Protocol("nothing to revoke"))?;
        let message = RevokeAndAck {
            channel_id: self.contract.id,
            secret: derive_secret(root, revoked)?,
            next_point: commitment_point(root, height + 1)?,
        };
        message.encode()
    }

    /// Takes the revocation of the peer's commitment. Returns what it locks in.
    ///
    /// # Errors
    /// `Store`, also for a secret that is wrong; `Protocol` if none is due.
    pub(crate) async fn receive_revocation(
        &mut self,
        store: &dyn CommitmentStore,
        message: RevokeAndAck,
    ) -> Result<ForwardingPackage, Error> {
        let due = self.pending.as_ref();
        let pending = due.ok_or(Error::Protocol("revocation without a signature"))?;
        let commitment = pending.commitment.clone();
        let locked_in = commitment.remote_log_index.0 - self.remote.remote_log_index.0;
        let (adds, settle_fails) = sort(&self.theirs[..locked_in as usize]);
        let package = ForwardingPackage::new(self.scid, commitment.height, adds, settle_fails);
        let signed = commitment.local_log_index.0 - self.local.local_log_index.0;
        let [our_output_index, their_output_index] =
            self.contract.mains(Side::Remote, &self.remote);
        let advance = AdvanceTail {
            secret: message.secret,
            next_point: message.next_point,
            package: package.clone(),
            remote_unsigned_local: self.ours[..signed as usize].to_vec(),
            our_output_index,
            their_output_index,
        };
        store.advance_tail(self.contract.point, advance).await?;
        self.theirs.drain(..locked_in as usize);
        self.pending = None;
        self.remote = commitment;
        Ok(package)
    }

    /// Our updates that the peer acknowledged, and our commitment does not have.
    pub(crate) fn acknowledged(&self) -> &[LogUpdate] {
        let acknowledged = self.remote.local_log_index.0 - self.local.local_log_index.0;
        &self.ours[..acknowledged as usize]
    }

    /// A total with what `updates` settle of the HTLCs in one direction.
    fn plus_settled(
        &self,
        total: MilliSatoshi,
        direction: Direction,
        updates: &[LogUpdate],
    ) -> Result<MilliSatoshi, Error> {
        let mut total = total;
        for update in updates {
            if let Effect::Remove(id, Some(_)) = Effect::of(update)? {
                total.0 += find(&self.local, direction, id).map_or(0, |htlc| htlc.terms.amount.0);
            }
        }
        Ok(total)
    }
}

/// Adds and ends among updates; a fee concerns nobody else.
fn sort(updates: &[LogUpdate]) -> (Vec<LogUpdate>, Vec<LogUpdate>) {
    let htlcs = updates.iter().filter(|u| u.message.kind() != MessageKind::UpdateFee).cloned();
    htlcs.partition(|update| update.message.kind() == MessageKind::UpdateAddHtlc)
}

fn commitment_signed(channel_id: [u8; 32], signatures: Signatures) -> Result<Message, Error> {
    let message = ParsedMessage::CommitmentSigned {
        channel_id,
        signature: signatures.commitment,
        htlc_signatures: signatures.htlcs,
        extra: Default::default(),
    };
    Ok(message.encode()?)
}

/// Writes the peer's signatures into our commitment.
fn keep_signatures(commitment: &mut Commitment, signatures: &Signatures) -> Result<(), Error> {
    commitment.commit_sig = der(&signatures.commitment)?;
    let with_output = commitment.htlcs.iter_mut().filter(|htlc| htlc.output_index.is_some());
    for (htlc, signature) in with_output.zip(&signatures.htlcs) {
        htlc.signature = der(signature)?;
    }
    Ok(())
}
