//! One channel's commitment protocol as both sides play it, and what a store must then hold.
//!
//! [`Exchange`] keeps both update logs and computes from them, without any store, the requests that
//! a node core makes and the values that reads must give back. A request is made without a change
//! here; the change follows with [`stored`](Exchange::stored_append) and its kin once the store has
//! taken it.

use std::collections::{BTreeMap, BTreeSet};

use bitcoin::OutPoint;
use bytes::Bytes;
use chanstate::shachain::derive_secret;
use chanstate::transition::{AdvanceTail, AppendRemote, UpdateLocal};
use chanstate::{
    ChannelId, CircuitKey, Commitment, CommitmentHeight, Direction, ForwardingPackage, Htlc,
    HtlcId, HtlcKey, HtlcTerms, LogIndex, LogUpdate, MilliSatoshi, PendingCommitment, RevokedHtlc,
    RevokedState, ShortChannelId, Side,
};

use crate::values;

/// An update in one side's log.
#[derive(Clone, Debug)]
struct Update {
    sent: LogUpdate,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Add(HtlcTerms),
    Settle(HtlcId),
    Fail(HtlcId),
    Fee,
}

/// How an HTLC is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its preimage.
    Settle,
    /// With an error for its sender.
    Fail,
    /// With an error about its onion.
    Malformed,
}

/// A channel between two sides that both keep to the protocol.
#[derive(Clone, Debug)]
pub struct Exchange {
    n: u64,
    /// Funding outpoint.
    pub point: OutPoint,
    /// Channel id.
    pub id: ChannelId,
    /// Short channel id it runs under.
    pub scid: ShortChannelId,
    ours: Vec<Update>,
    theirs: Vec<Update>,
    /// Our commitment.
    pub local: Commitment,
    /// The peer's commitment.
    pub remote: Commitment,
    /// The peer's next commitment, once signed.
    pub pending: Option<PendingCommitment>,
    /// The list of that name.
    pub unsigned_acked: Option<Vec<LogUpdate>>,
    /// The list of that name.
    pub remote_unsigned_local: Option<Vec<LogUpdate>>,
    /// Packages that were not removed.
    pub packages: BTreeMap<CommitmentHeight, ForwardingPackage>,
    /// The peer's revoked states, the oldest first.
    pub revoked: Vec<RevokedState>,
}

impl Exchange {
    /// Channel `n` as [`values::new_channel`] opens it, once it runs under `scid`.
    pub fn new(n: u64, scid: ShortChannelId) -> Exchange {
        Exchange::at(values::outpoint(n), n, scid)
    }

    /// Channel `n`, opened with the funding outpoint `point`.
    pub fn at(point: OutPoint, n: u64, scid: ShortChannelId) -> Exchange {
        Exchange {
            n,
            point,
            id: ChannelId::from_outpoint(point),
            scid,
            ours: Vec::new(),
            theirs: Vec::new(),
            local: values::commitment(n, Side::Local, 0, Vec::new()),
            remote: values::commitment(n, Side::Remote, 0, Vec::new()),
            pending: None,
            unsigned_acked: None,
            remote_unsigned_local: None,
            packages: BTreeMap::new(),
            revoked: Vec::new(),
        }
    }

    /// We offer an HTLC.
    pub fn we_add(&mut self, amount_msat: u64) -> HtlcId {
        offer(&mut self.ours, self.id, Direction::Outgoing, amount_msat)
    }

    /// The peer offers an HTLC.
    pub fn they_add(&mut self, amount_msat: u64) -> HtlcId {
        offer(&mut self.theirs, self.id, Direction::Incoming, amount_msat)
    }

    /// HTLCs of the peer that we may end now: the peer cannot take them back any more.
    pub fn ours_to_end(&self) -> Vec<HtlcId> {
        open(&self.theirs, self.remote.remote_log_index, &self.ours)
    }

    /// HTLCs of ours that the peer may end now.
    pub fn theirs_to_end(&self) -> Vec<HtlcId> {
        open(&self.ours, self.local.local_log_index, &self.theirs)
    }

    /// We end an HTLC of the peer.
    pub fn we_end(&mut self, id: HtlcId, end: End) {
        end_in(&mut self.ours, self.id, id, end);
    }

    /// The peer ends an HTLC of ours.
    pub fn they_end(&mut self, id: HtlcId, end: End) {
        end_in(&mut self.theirs, self.id, id, end);
    }

    /// We change the fee rate.
    pub fn we_set_fee(&mut self) {
        let log_index = self.ours.len() as u64;
        self.ours.push(Update { sent: values::fee(self.id, log_index), what: What::Fee });
    }

    /// We sign the peer's next commitment with everything the peer may know.
    pub fn append(&self) -> AppendRemote {
        let (ours, theirs) = (self.ours.len(), index(self.local.remote_log_index));
        let height = self.remote.height.0 + 1;
        let commitment = self.commitment(Side::Remote, height, ours, theirs);
        let new = &self.ours[index(self.remote.local_log_index)..];
        let circuit = |htlc_id| CircuitKey { scid: self.scid, htlc_id };
        let mut pending = PendingCommitment {
            commit_sig: values::commit_sig(self.id, height, commitment.htlcs.len()),
            commitment,
            updates: sent(new),
            opened_circuits: Vec::new(),
            closed_circuits: Vec::new(),
        };
        for update in new {
            let id = HtlcId(update.sent.message.htlc_id().unwrap_or_default());
            match update.what {
                What::Add(_) => pending.opened_circuits.push(circuit(id)),
                What::Settle(_) | What::Fail(_) => pending.closed_circuits.push(circuit(id)),
                What::Fee => {}
            }
        }
        AppendRemote { pending, ack_adds: Vec::new(), ack_settle_fails: Vec::new() }
    }

    /// The store has taken `append`.
    pub fn stored_append(&mut self, append: &AppendRemote) {
        self.pending = Some(append.pending.clone());
        for add in &append.ack_adds {
            if let Some(package) = self.packages.get_mut(&add.height) {
                package.ack_filter = package.ack_filter.with(add.index).expect("add exists");
            }
        }
    }

    /// The peer revokes; needs a pending commitment.
    pub fn advance(&self) -> AdvanceTail {
        let pending = &self.pending.as_ref().expect("a pending commitment").commitment;
        let locked = index(self.remote.remote_log_index)..index(pending.remote_log_index);
        let locked = sent(&self.theirs[locked]);
        let (adds, others): (Vec<_>, Vec<_>) = locked
            .into_iter()
            .partition(|u| u.message.kind() == chanstate::message::MessageKind::UpdateAddHtlc);
        let ahead = index(self.local.local_log_index)..index(pending.local_log_index);
        let secret = |height| derive_secret(&values::peer_seed(self.n), height);
        AdvanceTail {
            secret: secret(self.remote.height.0).expect("the height is in range"),
            next_point: values::peer_point(self.n, self.remote.height.0 + 2),
            package: ForwardingPackage::new(self.scid, pending.height, adds, others),
            remote_unsigned_local: sent(&self.ours[ahead]),
            our_output_index: Some(0),
            their_output_index: None,
        }
    }

    /// The store has taken `advance`.
    pub fn stored_advance(&mut self, advance: &AdvanceTail) {
        let pending = self.pending.take().expect("a pending commitment").commitment;
        let revoked = std::mem::replace(&mut self.remote, pending);
        self.revoked.push(revoked_state(&revoked, advance));
        self.packages.insert(advance.package.height, advance.package.clone());
        self.remote_unsigned_local = Some(advance.remote_unsigned_local.clone());
        let signed = self.remote.remote_log_index;
        if let Some(updates) = &mut self.unsigned_acked {
            updates.retain(|update| update.log_index >= signed);
        }
    }

    /// The peer signs our next commitment, and we are about to revoke.
    pub fn update(&self) -> UpdateLocal {
        let (ours, theirs) = (index(self.remote.local_log_index), self.theirs.len());
        let commitment = self.commitment(Side::Local, self.local.height.0 + 1, ours, theirs);
        let settled = |adds: &[Update], ends: &[Update]| {
            ends.iter().filter_map(|end| end.settles(adds)).map(|terms| terms.amount.0).sum::<u64>()
        };
        UpdateLocal {
            unsigned_acked: sent(&self.theirs[index(self.remote.remote_log_index)..]),
            total_sent: MilliSatoshi(settled(&self.ours, &self.theirs)),
            total_received: MilliSatoshi(settled(&self.theirs, &self.ours[..ours])),
            commitment,
        }
    }

    /// The store has taken `update`. Returns what it must have returned.
    pub fn stored_update(&mut self, update: &UpdateLocal) -> BTreeMap<HtlcId, bool> {
        self.local = update.commitment.clone();
        self.unsigned_acked = Some(update.unsigned_acked.clone());
        let signed = self.local.local_log_index;
        let Some(updates) = &mut self.remote_unsigned_local else { return BTreeMap::new() };
        let gone: Vec<_> = updates.extract_if(.., |update| update.log_index < signed).collect();
        let finals =
            gone.iter().filter_map(|update| match &self.ours[index(update.log_index)].what {
                What::Settle(id) => Some((*id, true)),
                What::Fail(id) => Some((*id, false)),
                What::Add(_) | What::Fee => None,
            });
        finals.collect()
    }

    /// HTLCs whose records the store needs: those that a commitment, a list, the pending updates
    /// or a package refers to.
    pub fn referenced(&self) -> BTreeSet<HtlcKey> {
        let pending = self.pending.iter();
        let commitments = [&self.local, &self.remote]
            .into_iter()
            .chain(pending.map(|pending| &pending.commitment));
        let mut keys: BTreeSet<HtlcKey> =
            commitments.flat_map(|c| c.htlcs.iter().map(Htlc::key)).collect();
        let ours = self.remote_unsigned_local.iter().flatten();
        let ours = ours.chain(self.pending.iter().flat_map(|pending| &pending.updates));
        keys.extend(ours.filter_map(|update| added(update, Direction::Outgoing)));
        let theirs = self.unsigned_acked.iter().flatten();
        let theirs = theirs.chain(self.packages.values().flat_map(|package| &package.adds));
        keys.extend(theirs.filter_map(|update| added(update, Direction::Incoming)));
        keys
    }

    /// The commitment that contains the first `ours` and `theirs` updates.
    fn commitment(&self, side: Side, height: u64, ours: usize, theirs: usize) -> Commitment {
        let (ours, theirs) = (&self.ours[..ours], &self.theirs[..theirs]);
        let mut live: Vec<_> = in_flight(ours, theirs, Direction::Outgoing)
            .chain(in_flight(theirs, ours, Direction::Incoming))
            .collect();
        live.sort_by_key(|(key, terms)| (terms.cltv_expiry, *key));
        let htlcs = (2..).zip(live).map(|(output, (key, terms))| {
            values::htlc(key.direction, key.id.0, output, terms.clone())
        });
        Commitment {
            local_log_index: LogIndex(ours.len() as u64),
            local_htlc_index: HtlcId(adds(ours)),
            remote_log_index: LogIndex(theirs.len() as u64),
            remote_htlc_index: HtlcId(adds(theirs)),
            ..values::commitment(self.n, side, height, htlcs.collect())
        }
    }
}

impl Update {
    /// The add among `adds` that this update settles.
    fn settles<'a>(&self, adds: &'a [Update]) -> Option<&'a HtlcTerms> {
        let What::Settle(id) = self.what else { return None };
        adds.iter().find_map(|add| match &add.what {
            What::Add(terms) if add.sent.message.htlc_id() == Some(id.0) => Some(terms),
            _ => None,
        })
    }

    fn ends(&self) -> Option<HtlcId> {
        match self.what {
            What::Settle(id) | What::Fail(id) => Some(id),
            What::Add(_) | What::Fee => None,
        }
    }
}

fn offer(log: &mut Vec<Update>, channel: ChannelId, by: Direction, amount_msat: u64) -> HtlcId {
    let id = adds(log);
    let mut terms = values::htlc_terms(2 * id + by as u64, amount_msat);
    terms.log_index = LogIndex(log.len() as u64);
    log.push(Update { sent: values::add(channel, id, &terms), what: What::Add(terms) });
    HtlcId(id)
}

fn end_in(log: &mut Vec<Update>, channel: ChannelId, id: HtlcId, end: End) {
    let log_index = log.len() as u64;
    let (sent, what) = match end {
        End::Settle => (values::fulfill(channel, id.0, log_index), What::Settle(id)),
        End::Fail => (values::fail(channel, id.0, log_index), What::Fail(id)),
        End::Malformed => (values::malformed(channel, id.0, log_index), What::Fail(id)),
    };
    log.push(Update { sent, what });
}

/// Adds below `locked` that nothing in `ends` ends.
fn open(log: &[Update], locked: LogIndex, ends: &[Update]) -> Vec<HtlcId> {
    let ended: BTreeSet<_> = ends.iter().filter_map(Update::ends).collect();
    (0..adds(&log[..index(locked)])).map(HtlcId).filter(|id| !ended.contains(id)).collect()
}

fn in_flight<'a>(
    log: &'a [Update],
    ends: &'a [Update],
    direction: Direction,
) -> impl Iterator<Item = (HtlcKey, &'a HtlcTerms)> {
    let ended: BTreeSet<_> = ends.iter().filter_map(Update::ends).collect();
    let terms = log.iter().filter_map(|update| match &update.what {
        What::Add(terms) => Some(terms),
        _ => None,
    });
    let numbered = (0..).map(HtlcId).zip(terms).filter(move |(id, _)| !ended.contains(id));
    numbered.map(move |(id, terms)| (HtlcKey { direction, id }, terms))
}

fn revoked_state(revoked: &Commitment, advance: &AdvanceTail) -> RevokedState {
    let htlcs = revoked.htlcs.iter().filter_map(|htlc| {
        Some(RevokedHtlc {
            direction: htlc.direction,
            id: Some(htlc.id),
            payment_hash: htlc.terms.payment_hash,
            amount_sat: htlc.terms.amount.0 / 1000,
            cltv_expiry: htlc.terms.cltv_expiry,
            output_index: htlc.output_index? as u16,
            custom_records: custom_records(&htlc.terms.extra),
        })
    });
    RevokedState {
        height: revoked.height,
        our_output_index: advance.our_output_index.map(|index| index as u16),
        their_output_index: advance.their_output_index.map(|index| index as u16),
        commit_txid: revoked.commit_tx.compute_txid(),
        our_balance: Some(revoked.local_balance),
        their_balance: Some(revoked.remote_balance),
        htlcs: htlcs.collect(),
        custom_blob: revoked.custom_blob.clone(),
        residue: Bytes::new(),
    }
}

/// What of an HTLC's records the sender of a payment chose (BOLT 1: types from 65536).
fn custom_records(extra: &Bytes) -> Option<Bytes> {
    let stream = chanstate::tlv::TlvStream::parse(extra).expect("our own records parse");
    let mut custom = chanstate::tlv::TlvStream::new();
    for record in stream.iter().filter(|record| record.ty >= 65_536) {
        custom.insert(record.ty, record.value.clone());
    }
    (!custom.is_empty()).then(|| custom.encode().into())
}

fn added(update: &LogUpdate, direction: Direction) -> Option<HtlcKey> {
    let is_add = update.message.kind() == chanstate::message::MessageKind::UpdateAddHtlc;
    let id = update.message.htlc_id().filter(|_| is_add)?;
    Some(HtlcKey { direction, id: HtlcId(id) })
}

fn adds(log: &[Update]) -> u64 {
    log.iter().filter(|update| matches!(update.what, What::Add(_))).count() as u64
}

fn sent(log: &[Update]) -> Vec<LogUpdate> {
    log.iter().map(|update| update.sent.clone()).collect()
}

fn index(of: LogIndex) -> usize {
    usize::try_from(of.0).expect("logs of tests are short")
}
