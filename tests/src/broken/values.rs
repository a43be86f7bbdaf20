//! Wrong about what is inside a record.

use std::sync::Arc;

use bitcoin::hashes::Hash;
use bitcoin::{Txid, Witness};
use bytes::Bytes;
use channelcoord::Record;
use chanstate::record::{ChannelRecord, CommitmentRecord, HtlcRecord};
use chanstate::{ChannelStatus, ChannelType, Mark, Side, record};

use super::flaw::Flaw;
use super::sets::of_channel;

type Rows = chanstate::Record;

/// Changes a channel's row.
fn rows(change: fn(&mut ChannelRecord)) -> Flaw {
    Flaw::stores_records(move |record| {
        if let Some(Rows::Channel(row)) = of_channel(record) {
            change(row);
        }
    })
}

/// Changes commitments.
fn commitments(change: fn(&mut CommitmentRecord)) -> Flaw {
    Flaw::stores_records(move |record| {
        if let Some(Rows::Commitment(commitment)) = of_channel(record) {
            change(commitment);
        }
    })
}

/// Changes HTLCs.
fn htlcs(change: fn(&mut HtlcRecord)) -> Flaw {
    Flaw::stores_records(move |record| {
        if let Some(Rows::Htlc(htlc)) = of_channel(record) {
            change(htlc);
        }
    })
}

/// Changes other records of channels.
fn others(change: fn(&mut Rows)) -> Flaw {
    Flaw::stores_records(move |record| {
        if let Some(record) = of_channel(record) {
            change(record);
        }
    })
}

/// A number as a signed column holds it that refuses the sign: without its highest bit.
fn as_63_bits(number: &mut u64) {
    *number &= u64::MAX >> 1;
}

fn as_32_bits(number: &mut u64) {
    *number &= u64::from(u32::MAX);
}

/// Status bits without a name are dropped.
pub(crate) fn drops_unknown_status_bits() -> Flaw {
    rows(|row| {
        row.status = row.status.iter_names().map(|(_, bit)| bit).collect::<ChannelStatus>();
    })
}

/// Channel type bits without a name are dropped.
pub(crate) fn drops_unknown_type_bits() -> Flaw {
    rows(|row| {
        row.channel_type =
            row.channel_type.iter_names().map(|(_, bit)| bit).collect::<ChannelType>();
    })
}

/// Status is kept in a byte.
pub(crate) fn keeps_eight_status_bits() -> Flaw {
    rows(|row| row.status = ChannelStatus::from_bits_retain(row.status.bits() & 0xff))
}

/// A short channel id loses its highest bit.
pub(crate) fn keeps_63_bits_of_a_scid() -> Flaw {
    rows(|row| as_63_bits(&mut row.scid.0))
}

/// A confirmed short channel id loses its highest bit.
pub(crate) fn keeps_63_bits_of_a_confirmed_scid() -> Flaw {
    rows(|row| row.confirmed_scid.iter_mut().for_each(|scid| as_63_bits(&mut scid.0)))
}

/// The source of a package loses its highest bit.
pub(crate) fn keeps_63_bits_of_a_package_source() -> Flaw {
    others(|record| match record {
        Rows::Package(package) => as_63_bits(&mut package.source.0),
        Rows::PackageUpdate(update) => as_63_bits(&mut update.source.0),
        _ => {}
    })
}

/// An amount loses its highest bit.
pub(crate) fn keeps_63_bits_of_a_balance() -> Flaw {
    commitments(|commitment| as_63_bits(&mut commitment.local_balance.0))
}

/// A balance is kept in 32 bits.
pub(crate) fn keeps_32_bits_of_a_balance() -> Flaw {
    commitments(|commitment| as_32_bits(&mut commitment.remote_balance.0))
}

/// A balance is kept in whole satoshi.
pub(crate) fn rounds_balances_to_satoshi() -> Flaw {
    commitments(|commitment| commitment.local_balance.0 -= commitment.local_balance.0 % 1000)
}

/// A total is kept in 32 bits.
pub(crate) fn keeps_32_bits_of_a_total() -> Flaw {
    rows(|row| as_32_bits(&mut row.total_sent.0))
}

/// The time a peer was last seen is kept in 32 bits.
pub(crate) fn keeps_32_bits_of_a_time() -> Flaw {
    Flaw::stores_records(|record| {
        if let Record::LinkNode(linknode::Record::LinkNode(node)) = record {
            as_32_bits(&mut node.last_seen);
        }
    })
}

/// An output index is kept in a byte.
pub(crate) fn keeps_8_bits_of_an_output_index() -> Flaw {
    others(|record| {
        if let Rows::RevokedState(revoked) = record {
            revoked.state.our_output_index.iter_mut().for_each(|index| *index &= 0xff);
        }
    })
}

/// A value ends after 65535 bytes.
pub(crate) fn cuts_long_values() -> Flaw {
    Flaw::stores_records(|record| {
        if let Record::Meta(meta) = record {
            meta.value.truncate(0xffff);
        }
    })
}

/// A value ends before its first zero byte.
pub(crate) fn ends_values_at_a_zero_byte() -> Flaw {
    Flaw::stores_records(|record| {
        if let Record::Meta(meta) = record {
            let zero = meta.value.iter().position(|byte| *byte == 0);
            meta.value.truncate(zero.unwrap_or(meta.value.len()));
        }
    })
}

/// A height of zero is absent.
pub(crate) fn takes_a_height_of_zero_for_none() -> Flaw {
    rows(|row| row.confirmation_height = row.confirmation_height.filter(|height| *height != 0))
}

/// An absent height is zero.
pub(crate) fn takes_no_height_for_zero() -> Flaw {
    rows(|row| {
        row.close_confirmation_height.get_or_insert(0);
    })
}

/// What is absent and what is empty is the same.
pub(crate) fn takes_empty_terms_for_absent() -> Flaw {
    others(|record| {
        if let Rows::Terms(row) = record {
            let terms = Arc::make_mut(&mut row.terms);
            terms.memo = terms.memo.take().filter(|memo| !memo.is_empty());
            terms.local_upfront_shutdown =
                terms.local_upfront_shutdown.take().filter(|script| !script.is_empty());
        }
    })
}

/// An amount of zero is absent.
pub(crate) fn takes_an_amount_of_zero_for_none() -> Flaw {
    others(|record| {
        if let Rows::Terms(row) = record {
            let terms = Arc::make_mut(&mut row.terms);
            terms.initial_local_balance = terms.initial_local_balance.filter(|a| a.0 != 0);
            terms.initial_remote_balance = terms.initial_remote_balance.filter(|a| a.0 != 0);
        }
    })
}

/// An empty list of updates is absent.
pub(crate) fn takes_an_empty_list_for_absent() -> Flaw {
    removing(|record| match record {
        Record::Channel(Rows::UpdateList(list)) => list.updates.is_empty(),
        _ => false,
    })
}

/// An empty value is absent.
pub(crate) fn takes_an_empty_value_for_absent() -> Flaw {
    removing(|record| matches!(record, Record::Meta(meta) if meta.value.is_empty()))
}

/// Removes records instead of writing them.
fn removing(absent: fn(&Record) -> bool) -> Flaw {
    Flaw::stores(move |_, set| {
        let gone = set.puts.iter().filter(|record| absent(record));
        set.removes.extend(gone.map(Record::key));
        set.puts.retain(|record| !absent(record));
    })
}

/// Our commitments are kept as the peer's, and the peer's as ours.
pub(crate) fn swaps_the_sides_of_commitments() -> Flaw {
    commitments(|commitment| {
        commitment.side = match commitment.side {
            Side::Local => Side::Remote,
            Side::Remote => Side::Local,
        };
    })
}

/// Our balance is kept as the peer's, and the peer's as ours.
pub(crate) fn swaps_balances() -> Flaw {
    commitments(|commitment| {
        std::mem::swap(&mut commitment.local_balance, &mut commitment.remote_balance);
    })
}

/// Totals are kept the wrong way round.
pub(crate) fn swaps_totals() -> Flaw {
    rows(|row| std::mem::swap(&mut row.total_sent, &mut row.total_received))
}

/// The HTLCs of a commitment are sorted by id.
pub(crate) fn sorts_the_htlcs_of_a_commitment() -> Flaw {
    commitments(|commitment| commitment.slots.sort_by_key(|slot| (slot.key.id, slot.key.direction)))
}

/// Signatures of HTLCs are not kept.
pub(crate) fn loses_htlc_signatures() -> Flaw {
    commitments(|commitment| {
        commitment.slots.iter_mut().for_each(|slot| slot.signature = Bytes::new());
    })
}

/// Terms that differ from the HTLC's record are not kept.
pub(crate) fn loses_own_terms() -> Flaw {
    commitments(|commitment| commitment.slots.iter_mut().for_each(|slot| slot.own_terms = None))
}

/// TLV records without a meaning are not kept.
pub(crate) fn loses_unknown_tlvs() -> Flaw {
    commitments(|commitment| commitment.unknown_tlvs = Bytes::new())
}

/// Onion packets are not kept.
pub(crate) fn loses_onions() -> Flaw {
    htlcs(|htlc| htlc.terms.onion = vec![0; htlc.terms.onion.len()].into())
}

/// Custom records of HTLCs are not kept.
pub(crate) fn loses_custom_records() -> Flaw {
    htlcs(|htlc| htlc.terms.extra = Bytes::new())
}

/// Transactions are kept without their witnesses.
pub(crate) fn loses_witnesses() -> Flaw {
    others(|record| {
        let tx = match record {
            Rows::Mark(record::MarkRecord { mark: Mark::BroadcastCommitment(tx), .. })
            | Rows::Mark(record::MarkRecord { mark: Mark::BroadcastCooperative(tx), .. }) => tx,
            Rows::Commitment(commitment) => &mut commitment.commit_tx,
            _ => return,
        };
        Arc::make_mut(tx).input.iter_mut().for_each(|input| input.witness = Witness::new());
    })
}

/// Transaction ids are kept in the order in which they are shown.
pub(crate) fn turns_txids_round() -> Flaw {
    others(|record| {
        if let Rows::RevokedState(revoked) = record {
            let mut id = revoked.state.commit_txid.to_byte_array();
            id.reverse();
            revoked.state.commit_txid = Txid::from_byte_array(id);
        }
    })
}

/// Circuits of a pending commitment are not kept.
pub(crate) fn loses_circuits() -> Flaw {
    others(|record| {
        if let Rows::Diff(diff) = record {
            (diff.opened_circuits, diff.closed_circuits) = Default::default();
        }
    })
}

/// Lists of updates come back backwards.
pub(crate) fn turns_update_lists_round() -> Flaw {
    others(|record| match record {
        Rows::UpdateList(list) => list.updates.reverse(),
        Rows::Diff(diff) => diff.updates.reverse(),
        _ => {}
    })
}

/// An HTLC that ended on chain is kept as one that ended in the channel.
pub(crate) fn forgets_that_an_htlc_ended_on_chain() -> Flaw {
    others(|record| {
        if let Rows::FinalHtlc(outcome) = record {
            outcome.outcome.offchain = true;
        }
    })
}

/// What the peer needs to reconnect to a closed channel is not kept.
pub(crate) fn loses_the_reestablish_of_a_summary() -> Flaw {
    others(|record| {
        if let Rows::Close(close) = record {
            close.summary.resume = None;
        }
    })
}

/// Which adds of a package were forwarded is not kept.
pub(crate) fn loses_forward_filters() -> Flaw {
    others(|record| {
        if let Rows::Package(package) = record {
            package.forward_filter = None;
        }
    })
}

/// Of a peer's addresses the first is kept.
pub(crate) fn keeps_one_address() -> Flaw {
    Flaw::stores(|_, set| {
        set.puts.retain(|record| match record {
            Record::LinkNode(linknode::Record::LinkAddress(address)) => address.position == 0,
            _ => true,
        });
    })
}
