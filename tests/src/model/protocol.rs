//! What the calls of the commitment protocol and of forwarding packages do.

use std::collections::BTreeSet;

use bitcoin::OutPoint;
use bitcoin::secp256k1::PublicKey;
use chanstate::message::MessageKind;
use chanstate::transition::{AdvanceTail, AppendRemote, UpdateLocal};
use chanstate::{
    AddRef, ChannelStatus, Commitment, CommitmentHeight, Filter, FinalHtlc, ForwardingPackage,
    Htlc, LogIndex, LogUpdate, MilliSatoshi, ONION_LEN, Rejection, SettleFailRef, ShortChannelId,
};

use super::call::Answer;
use super::channel::ModelChannel;
use super::rules::{Taken, changed, require_htlc_id};
use super::state::Model;
use crate::values;

impl Model {
    /// Our next commitment: the next height, and nothing goes back.
    pub(super) fn update_local(&mut self, point: OutPoint, update: &UpdateLocal) -> Taken {
        let options = self.options;
        let channel = self.usable(point)?;
        let (next, view) = (&update.commitment, &channel.view);
        require_next(channel.exchange.local.height, next.height)?;
        require_total("total sent", view.total_sent, update.total_sent)?;
        require_total("total received", view.total_received, update.total_received)?;
        require_htlcs(&next.htlcs)?;
        require_forward(&channel.exchange.local, next)?;
        require_updates(&update.unsigned_acked)?;

        let finals = channel.exchange.stored_update(update);
        channel.view.local_commitment = Some(next.clone());
        channel.view.last_was_revoke = Some(true);
        channel.view.total_sent = update.total_sent;
        channel.view.total_received = update.total_received;
        let scid = channel.view.scid;
        if options.store_final_htlcs {
            self.finals.extend(finals.iter().map(|(id, settled)| {
                ((scid, *id), FinalHtlc { settled: *settled, offchain: true })
            }));
        }
        Ok((Answer::Finals(finals), true))
    }

    /// The peer's next commitment: none may be pending but an equal one, which still brings its
    /// acknowledgements. Those in packages of other channels are looked at before anything else.
    pub(super) fn append_remote(&mut self, point: OutPoint, append: &AppendRemote) -> Taken {
        self.require_ends(&append.ack_settle_fails)?;
        let channel = self.usable(point)?;
        let (next, height) = (&append.pending.commitment, channel.exchange.remote.height);
        let pending = channel.exchange.pending.as_ref();
        let again = pending == Some(&append.pending);
        match pending {
            Some(_) if again => {}
            Some(pending) => {
                let height = pending.commitment.height;
                return Err(Rejection::PendingCommitment { height }.into());
            }
            None => require_next(height, next.height)?,
        }
        require_adds(channel, &append.ack_adds)?;
        if !again {
            require_htlcs(&next.htlcs)?;
            require_updates(&append.pending.updates)?;
            require_forward(&channel.exchange.remote, next)?;
            channel.view.last_was_revoke = Some(false);
        }
        channel.exchange.stored_append(append);
        let packages = &channel.exchange.packages;
        let acks = append.ack_adds.iter().any(|add| packages.contains_key(&add.height));
        let ends = self.set_ends(&append.ack_settle_fails);
        changed(!again || acks || ends)
    }

    /// The peer revokes: its secret fits its point and its earlier secrets, and the package is of
    /// this channel and of the new height. No other channel has packages under that source.
    pub(super) fn advance_tail(&mut self, point: OutPoint, advance: &AdvanceTail) -> Taken {
        if !self.channels.contains_key(&point) {
            return Err(Rejection::UnknownChannel(point).into());
        }
        let source = Rejection::PackageSource { found: advance.package.source };
        let others = self.open_channels().filter(|other| other.exchange.point != point);
        let packages = others.flat_map(|other| other.exchange.packages.values());
        if packages.into_iter().any(|package| package.source == advance.package.source) {
            return Err(source.into());
        }
        let options = self.options;
        let channel = self.usable(point)?;
        let revocation = &channel.view.revocation;
        let pending = channel.exchange.pending.as_ref().ok_or(Rejection::NoPendingCommitment)?;
        let next = revocation.next_point.ok_or(Rejection::NoNextPoint)?;
        if values::point_of(advance.secret) != revocation.current_point {
            return Err(Rejection::WrongSecret.into());
        }
        let mut revealed = channel.clone();
        revealed.reveal(advance.secret)?;
        let (expected, found) = (pending.commitment.height, advance.package.height);
        if expected != found {
            return Err(Rejection::Height { expected, found }.into());
        }
        let own = [Some(channel.view.scid), channel.view.confirmed_scid];
        if !own.contains(&Some(advance.package.source)) {
            return Err(source.into());
        }
        for index in [advance.our_output_index, advance.their_output_index].into_iter().flatten() {
            if index >= 0xffff {
                return Err(Rejection::OutputIndex(index).into());
            }
        }
        require_package(&advance.package)?;
        require_updates(&advance.remote_unsigned_local)?;

        *channel = revealed;
        channel.exchange.stored_advance(advance);
        if options.no_revocation_log_amounts
            && let Some(state) = channel.exchange.revoked.last_mut()
        {
            (state.our_balance, state.their_balance) = (None, None);
        }
        channel.view.remote_commitment = Some(channel.exchange.remote.clone());
        channel.view.revocation.current_point = next;
        channel.view.revocation.next_point = Some(advance.next_point);
        changed(true)
    }

    /// The next point is set once.
    pub(super) fn insert_next_revocation(&mut self, point: OutPoint, next: PublicKey) -> Taken {
        let revocation = &mut self.usable(point)?.view.revocation;
        match revocation.next_point {
            Some(stored) if stored != next => Err(Rejection::NextPointSet.into()),
            stored => {
                revocation.next_point = Some(next);
                changed(stored.is_none())
            }
        }
    }

    /// Acknowledges adds of a channel's packages: all of them or none.
    pub(super) fn ack_adds(&mut self, point: OutPoint, adds: &[AddRef]) -> Taken {
        let channel = self.open(point)?;
        require_adds(channel, adds)?;
        let mut found = false;
        for add in adds {
            if let Some(package) = channel.exchange.packages.get_mut(&add.height) {
                set(&mut package.ack_filter, add.index);
                found = true;
            }
        }
        changed(found)
    }

    /// Acknowledges settles and fails in packages of any channel: all of them or none.
    pub(super) fn ack_settle_fails(&mut self, ends: &[SettleFailRef]) -> Taken {
        self.require_ends(ends)?;
        changed(self.set_ends(ends))
    }

    /// The first filter stays.
    pub(super) fn set_forward_filter(
        &mut self,
        point: OutPoint,
        height: CommitmentHeight,
        filter: Filter,
    ) -> Taken {
        let packages = &mut self.open(point)?.exchange.packages;
        let package = packages.get_mut(&height).ok_or(Rejection::UnknownPackage { height })?;
        require_filter(&filter, &package.adds)?;
        let first = package.forward_filter.is_none();
        package.forward_filter.get_or_insert(filter);
        changed(first)
    }

    /// A channel that may exchange commitments.
    fn usable(&mut self, point: OutPoint) -> Result<&mut ModelChannel, Rejection> {
        let channel = self.open(point)?;
        match channel.view.status {
            status if status.contains(ChannelStatus::RESTORED) => Err(Rejection::Restored),
            status if !status.is_empty() => Err(Rejection::NotActive { status }),
            _ => Ok(channel),
        }
    }

    /// The package of an open channel that a settle or fail is in.
    fn package(
        &mut self,
        source: ShortChannelId,
        height: CommitmentHeight,
    ) -> Option<&mut ForwardingPackage> {
        let open = self.channels.values_mut().filter(|channel| !channel.is_closed());
        let mut packages = open.filter_map(|channel| channel.exchange.packages.get_mut(&height));
        packages.find(|package| package.source == source)
    }

    fn require_ends(&mut self, ends: &[SettleFailRef]) -> Result<(), Rejection> {
        ends.iter().try_for_each(|end| match self.package(end.source, end.height) {
            Some(package) => require_index(package, &package.settle_fails, end.index),
            None => Ok(()),
        })
    }

    /// Tells whether there was any.
    fn set_ends(&mut self, ends: &[SettleFailRef]) -> bool {
        let mut found = false;
        for end in ends {
            if let Some(package) = self.package(end.source, end.height) {
                set(&mut package.settle_fail_filter, end.index);
                found = true;
            }
        }
        found
    }
}

fn set(filter: &mut Filter, index: u16) {
    *filter = filter.with(index).expect("the index was looked at");
}

fn require_adds(channel: &ModelChannel, adds: &[AddRef]) -> Result<(), Rejection> {
    adds.iter().try_for_each(|add| match channel.exchange.packages.get(&add.height) {
        Some(package) => require_index(package, &package.adds, add.index),
        None => Ok(()),
    })
}

fn require_index(
    package: &ForwardingPackage,
    updates: &[LogUpdate],
    index: u16,
) -> Result<(), Rejection> {
    let (source_scid, height, count) = (package.source, package.height, updates.len() as u16);
    if index < count {
        return Ok(());
    }
    Err(Rejection::AckOutOfRange { source_scid, height, index, count })
}

fn require_next(current: CommitmentHeight, found: CommitmentHeight) -> Result<(), Rejection> {
    let expected = CommitmentHeight(current.0 + 1);
    if expected == found { Ok(()) } else { Err(Rejection::Height { expected, found }) }
}

fn require_total(
    what: &'static str,
    stored: MilliSatoshi,
    found: MilliSatoshi,
) -> Result<(), Rejection> {
    if found >= stored { Ok(()) } else { Err(Rejection::TotalWentBack { what, stored, found }) }
}

fn require_forward(stored: &Commitment, next: &Commitment) -> Result<(), Rejection> {
    let indexes = [
        ("local log index", stored.local_log_index.0, next.local_log_index.0),
        ("remote log index", stored.remote_log_index.0, next.remote_log_index.0),
        ("local HTLC index", stored.local_htlc_index.0, next.local_htlc_index.0),
        ("remote HTLC index", stored.remote_htlc_index.0, next.remote_htlc_index.0),
    ];
    match indexes.into_iter().find(|(_, stored, found)| found < stored) {
        None => Ok(()),
        Some((what, stored, found)) => {
            let (stored, found) = (LogIndex(stored), LogIndex(found));
            Err(Rejection::IndexWentBack { what, stored, found })
        }
    }
}

/// An HTLC appears once, with an id that fits and a whole onion.
pub(super) fn require_htlcs(htlcs: &[Htlc]) -> Result<(), Rejection> {
    let mut seen = BTreeSet::new();
    for htlc in htlcs {
        if !seen.insert(htlc.key()) {
            return Err(Rejection::DuplicateHtlc { id: htlc.id });
        }
        require_htlc_id(htlc.id)?;
        match htlc.terms.onion.len() {
            ONION_LEN => {}
            len => return Err(Rejection::OnionLength { id: htlc.id, len }),
        }
    }
    Ok(())
}

/// Only updates of a channel are stored in its lists.
fn require_updates(updates: &[LogUpdate]) -> Result<(), Rejection> {
    let stray = updates.iter().find(|update| !is_update(update.message.kind()));
    stray.map_or(Ok(()), |stray| Err(Rejection::Message { ty: stray.message.ty() }))
}

fn is_update(kind: MessageKind) -> bool {
    use MessageKind::*;
    matches!(
        kind,
        UpdateAddHtlc | UpdateFulfillHtlc | UpdateFailHtlc | UpdateFailMalformedHtlc | UpdateFee
    )
}

/// Filters cover the updates, and adds are kept apart from the others.
fn require_package(package: &ForwardingPackage) -> Result<(), Rejection> {
    let lists = [
        (&package.ack_filter, &package.adds, true),
        (&package.settle_fail_filter, &package.settle_fails, false),
    ];
    for (filter, updates, adds) in lists {
        require_filter(filter, updates)?;
        let is_add = |update: &&LogUpdate| update.message.kind() == MessageKind::UpdateAddHtlc;
        if let Some(stray) = updates.iter().find(|update| is_add(update) != adds) {
            return Err(Rejection::Message { ty: stray.message.ty() });
        }
    }
    Ok(())
}

fn require_filter(filter: &Filter, updates: &[LogUpdate]) -> Result<(), Rejection> {
    let (expected, found) = (updates.len(), usize::from(filter.count()));
    if expected == found { Ok(()) } else { Err(Rejection::PackageFilter { expected, found }) }
}
