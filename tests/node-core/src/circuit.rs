//! Which HTLC an HTLC of ours was offered for.
//!
//! A circuit has to outlive the pending commitment that opened it: the package that brings the
//! settle or fail names the outgoing HTLC by its id, and nothing else in the store leads from there
//! to the incoming one. A pending commitment lists its circuits itself, stored in one step with
//! the HTLCs; before it is retired, each gets a record of its own, which lives until the package
//! with its end is removed. So a record may exist too long, but never too late, and none is wrong:
//! ids of HTLCs in a stored commitment are not used again.
//!
//! The records are opening states, the one place in the facets for values of the caller's own.

use bytes::Bytes;
use chanstate::facet::ChannelSetupStore;
use chanstate::message::MessageKind;
use chanstate::{CircuitKey, HtlcId, PendingCommitment, ShortChannelId};

use crate::Error;

/// The circuits that a pending commitment opens: each HTLC that it adds, and what for.
pub(crate) fn opened_by(
    scid: ShortChannelId,
    pending: &PendingCommitment,
) -> impl Iterator<Item = (CircuitKey, CircuitKey)> + '_ {
    let adds = pending.updates.iter().filter(|u| u.message.kind() == MessageKind::UpdateAddHtlc);
    let outgoing = adds
        .filter_map(move |add| Some(CircuitKey { scid, htlc_id: HtlcId(add.message.htlc_id()?) }));
    outgoing.zip(pending.opened_circuits.iter().copied())
}

/// Keeps a circuit, unless it is kept already: a node that stops between two circuits must not
/// begin with the first one again and again.
pub(crate) async fn save(
    store: &dyn ChannelSetupStore,
    outgoing: CircuitKey,
    incoming: CircuitKey,
) -> Result<(), Error> {
    if find(store, outgoing).await? != Some(incoming) {
        store.save_opening_state(record_key(outgoing), bytes_of(incoming).into()).await?;
    }
    Ok(())
}

/// Finds a circuit.
pub(crate) async fn find(
    store: &dyn ChannelSetupStore,
    outgoing: CircuitKey,
) -> Result<Option<CircuitKey>, Error> {
    let stored = store.opening_state(record_key(outgoing)).await?;
    stored.map(|bytes| parse(&bytes).ok_or(Error::Gap("malformed circuit"))).transpose()
}

/// Forgets a circuit, if there is one.
pub(crate) async fn forget(
    store: &dyn ChannelSetupStore,
    outgoing: CircuitKey,
) -> Result<(), Error> {
    // A read is cheap, a needless removal is a commit.
    if find(store, outgoing).await?.is_some() {
        store.delete_opening_state(record_key(outgoing)).await?;
    }
    Ok(())
}

fn record_key(outgoing: CircuitKey) -> Bytes {
    [b"circuit ".as_slice(), &bytes_of(outgoing)].concat().into()
}

fn bytes_of(circuit: CircuitKey) -> Vec<u8> {
    [circuit.scid.0.to_be_bytes(), circuit.htlc_id.0.to_be_bytes()].concat()
}

fn parse(bytes: &[u8]) -> Option<CircuitKey> {
    let (scid, rest) = bytes.split_first_chunk()?;
    let htlc_id = rest.try_into().ok()?;
    let (scid, htlc_id) = (u64::from_be_bytes(*scid), u64::from_be_bytes(htlc_id));
    Some(CircuitKey { scid: ShortChannelId(scid), htlc_id: HtlcId(htlc_id) })
}
