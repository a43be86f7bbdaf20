//! Names the first field in which two records differ. Secrets are named, not shown.

use std::fmt::Debug;

use channelcoord::Record as AnyRecord;
use chanstate::record::{CommitmentRecord, HtlcSlot, UpdateRef};
use chanstate::{ChannelConfig, ChannelTerms, CloseSummary, HtlcTerms, Record};

/// Characters of a value shown at most.
const SHOWN: usize = 160;

/// The first of the fields that differ.
macro_rules! first_of {
    ($ours:expr, $theirs:expr, [$($field:ident),* $(,)?]) => {{
        let (ours, theirs) = ($ours, $theirs);
        let none: Option<String> = None;
        none$(.or_else(|| values(stringify!($field), &ours.$field, &theirs.$field)))*
    }};
}

/// Names the first field that differs.
pub(super) fn first_difference(source: &AnyRecord, target: &AnyRecord) -> String {
    let found = match (source, target) {
        (AnyRecord::Channel(source), AnyRecord::Channel(target)) => of_channel(source, target),
        (AnyRecord::LinkNode(source), AnyRecord::LinkNode(target)) => of_link_node(source, target),
        (AnyRecord::Meta(source), AnyRecord::Meta(target)) => {
            first_of!(source, target, [name, value])
        }
        (AnyRecord::Lnd(source), AnyRecord::Lnd(target)) => {
            first_of!(source, target, [path, residue])
        }
        _ => None,
    };
    found.unwrap_or_else(|| "differs in a field that is not shown".into())
}

fn of_channel(source: &Record, target: &Record) -> Option<String> {
    match (source, target) {
        (Record::Channel(source), Record::Channel(target)) => first_of!(
            source,
            target,
            [
                funding_outpoint,
                channel_id,
                peer,
                chain,
                closed,
                pending,
                channel_type,
                status,
                scid,
                confirmed_scid,
                confirmation_height,
                close_confirmation_height,
                local_height,
                remote_height,
                has_pending,
                last_was_revoke,
                total_sent,
                total_received,
                remote_current_point,
                remote_next_point,
                next_secret_index,
            ]
        ),
        (Record::Terms(source), Record::Terms(target)) => terms(&source.terms, &target.terms),
        (Record::Commitment(source), Record::Commitment(target)) => commitment(source, target),
        (Record::Diff(source), Record::Diff(target)) => first_of!(source, target, [commit_sig])
            .or_else(|| updates(&source.updates, &target.updates))
            .or_else(|| first_of!(source, target, [opened_circuits, closed_circuits])),
        (Record::Htlc(source), Record::Htlc(target)) => htlc_terms(&source.terms, &target.terms),
        (Record::UpdateList(source), Record::UpdateList(target)) => {
            updates(&source.updates, &target.updates)
        }
        (Record::Secret(source), Record::Secret(target)) => first_of!(source, target, [index])
            .or_else(|| hidden("secret", source.secret == target.secret)),
        (Record::Mark(source), Record::Mark(target)) => first_of!(source, target, [mark]),
        (Record::RevokedState(source), Record::RevokedState(target)) => {
            first_of!(source, target, [state])
        }
        (Record::RevokedCommitment(source), Record::RevokedCommitment(target)) => {
            first_of!(source, target, [revoked])
        }
        (Record::Package(source), Record::Package(target)) => {
            first_of!(source, target, [no, forward_filter])
        }
        (Record::PackageUpdate(source), Record::PackageUpdate(target)) => {
            update(&source.update, &target.update).or_else(|| first_of!(source, target, [acked]))
        }
        (Record::Close(source), Record::Close(target)) => {
            first_of!(source, target, [status_before])
                .or_else(|| summary(&source.summary, &target.summary))
        }
        (Record::FinalHtlc(source), Record::FinalHtlc(target)) => {
            first_of!(source, target, [outcome])
        }
        (Record::OpeningState(source), Record::OpeningState(target)) => {
            first_of!(source, target, [value])
        }
        (Record::ForwardingPolicy(source), Record::ForwardingPolicy(target)) => {
            first_of!(source, target, [policy])
        }
        _ => None,
    }
}

fn of_link_node(source: &linknode::Record, target: &linknode::Record) -> Option<String> {
    match (source, target) {
        (linknode::Record::LinkNode(source), linknode::Record::LinkNode(target)) => {
            first_of!(source, target, [network, last_seen])
        }
        (linknode::Record::LinkAddress(source), linknode::Record::LinkAddress(target)) => {
            first_of!(source, target, [address])
        }
        _ => None,
    }
}

fn terms(source: &ChannelTerms, target: &ChannelTerms) -> Option<String> {
    first_of!(
        source,
        target,
        [initiator, channel_flags, confirmations_required, funding_broadcast_height, capacity]
    )
    .or_else(|| within("local_config", config(&source.local_config, &target.local_config)))
    .or_else(|| within("remote_config", config(&source.remote_config, &target.remote_config)))
    .or_else(|| hidden("revocation_root", source.revocation_root == target.revocation_root))
    .or_else(|| {
        first_of!(
            source,
            target,
            [
                revocation_root_locator,
                funding_tx,
                initial_local_balance,
                initial_remote_balance,
                memo,
                tapscript_root,
                custom_blob,
                thaw_height,
                local_upfront_shutdown,
                remote_upfront_shutdown,
                unknown_tlvs,
            ]
        )
    })
}

fn config(source: &ChannelConfig, target: &ChannelConfig) -> Option<String> {
    first_of!(
        source,
        target,
        [
            dust_limit,
            max_pending_amount,
            channel_reserve,
            min_htlc,
            max_accepted_htlcs,
            csv_delay,
            multisig_key,
            revocation_base_point,
            payment_base_point,
            delay_base_point,
            htlc_base_point,
        ]
    )
}

fn commitment(source: &CommitmentRecord, target: &CommitmentRecord) -> Option<String> {
    first_of!(
        source,
        target,
        [
            local_log_index,
            local_htlc_index,
            remote_log_index,
            remote_htlc_index,
            local_balance,
            remote_balance,
            commit_fee,
            fee_per_kw,
            commit_tx,
            commit_sig,
        ]
    )
    .or_else(|| each("slots", &source.slots, &target.slots, slot))
    .or_else(|| first_of!(source, target, [custom_blob, unknown_tlvs]))
}

fn slot(source: &HtlcSlot, target: &HtlcSlot) -> Option<String> {
    first_of!(source, target, [key, output_index, signature, own_terms])
}

fn htlc_terms(source: &HtlcTerms, target: &HtlcTerms) -> Option<String> {
    first_of!(source, target, [log_index, amount, payment_hash, cltv_expiry, onion, extra])
}

fn updates(source: &[UpdateRef], target: &[UpdateRef]) -> Option<String> {
    each("updates", source, target, update)
}

fn update(source: &UpdateRef, target: &UpdateRef) -> Option<String> {
    first_of!(source, target, [log_index, body])
}

fn summary(source: &CloseSummary, target: &CloseSummary) -> Option<String> {
    first_of!(
        source,
        target,
        [
            channel_point,
            scid,
            chain,
            closing_txid,
            close_height,
            peer,
            capacity,
            settled_balance,
            time_locked_balance,
            kind,
            pending,
        ]
    )
    .or_else(|| match (&source.resume, &target.resume) {
        (Some(source), Some(target)) => {
            first_of!(source, target, [remote_current_point, remote_next_point])
                .or_else(|| {
                    within("local_config", config(&source.local_config, &target.local_config))
                })
                .or_else(|| first_of!(source, target, [reestablish]))
        }
        (source, target) => values("resume", &source.is_some(), &target.is_some()),
    })
}

fn within(name: &str, found: Option<String>) -> Option<String> {
    found.map(|found| format!("{name}.{found}"))
}

fn each<T>(
    name: &str,
    source: &[T],
    target: &[T],
    difference: impl Fn(&T, &T) -> Option<String>,
) -> Option<String> {
    let mut pairs = source.iter().zip(target).enumerate();
    let found = pairs.find_map(|(at, (source, target))| {
        difference(source, target).map(|found| format!("{name}[{at}].{found}"))
    });
    found.or_else(|| values(&format!("number of {name}"), &source.len(), &target.len()))
}

fn values<T: PartialEq + Debug>(name: &str, source: &T, target: &T) -> Option<String> {
    (source != target).then(|| {
        let (source, target) = (format!("{source:?}"), format!("{target:?}"));
        let (ours, theirs) = (cut(&source), cut(&target));
        if ours == theirs {
            return format!("{name} differs");
        }
        format!("{name} is {ours} in the source, {theirs} in the target")
    })
}

fn hidden(name: &str, equal: bool) -> Option<String> {
    (!equal).then(|| format!("{name} differs, which is secret"))
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(SHOWN).and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}
