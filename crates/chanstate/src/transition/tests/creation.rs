use super::fixtures::*;
use crate::change::{ChannelChange, Record};
use crate::channel::NewChannel;
use crate::error::Rejection;
use crate::ids::{CommitmentHeight, HtlcId, Version};
use crate::key::Kind;
use crate::transition::{Imported, import, open};

fn opened(edit: impl FnOnce(&mut NewChannel)) -> Result<ChannelChange, Rejection> {
    let mut new = new_channel();
    edit(&mut new);
    open(1.into(), &new)
}

#[test]
fn a_request_gives_one_change_and_no_other() {
    let edit = |new: &mut NewChannel| {
        new.local_commitment.htlcs = (0..20).map(|id| htlc(IN, id)).collect();
        new.remote_commitment.htlcs = (0..20).map(|id| htlc(IN, id)).collect();
    };
    let change = opened(edit).unwrap();
    assert_eq!(opened(edit).unwrap(), change);
    assert_eq!(change.expect(), Version::ABSENT);
    assert_eq!(htlc_traffic(&change), (20, 0));
}

#[test]
fn first_commitments_must_be_storable() {
    const LAST: u64 = i64::MAX as u64;
    let last = opened(|new| {
        new.local_commitment.height = CommitmentHeight(LAST);
        new.remote_commitment.htlcs = vec![htlc(IN, LAST)];
    });
    assert!(last.is_ok());
    let found = LAST + 1;
    let high = opened(|new| new.local_commitment.height = CommitmentHeight(found));
    assert_eq!(high, Err(Rejection::TooLarge { what: "commitment height", found }));
    let high = opened(|new| new.remote_commitment.htlcs = vec![htlc(IN, found)]);
    assert_eq!(high, Err(Rejection::TooLarge { what: "HTLC id", found }));
    let twice = opened(|new| new.local_commitment.htlcs = vec![htlc(IN, 1), htlc(IN, 1)]);
    assert_eq!(twice, Err(Rejection::DuplicateHtlc { id: HtlcId(1) }));
    let short = opened(|new| {
        new.local_commitment.htlcs = vec![htlc(IN, 1)];
        new.local_commitment.htlcs[0].terms.onion.truncate(9);
    });
    assert_eq!(short, Err(Rejection::OnionLength { id: HtlcId(1), len: 9 }));
}

/// An import equals the channel that was led to the same state.
#[test]
fn an_imported_channel_equals_one_led_there() {
    let state = fresh();
    let mut update = local(1, vec![htlc(IN, 0), htlc(OUT, 0)]);
    update.unsigned_acked = vec![add(0), fee()];
    let update = crate::transition::update_local(&state, Default::default(), &update).unwrap();
    let state = after(&state, &update.change);
    let pending = append(1, vec![htlc(IN, 0), htlc(OUT, 1)], vec![add(1)]);
    let change = crate::transition::append_remote(&state, &pending).unwrap().unwrap();
    let state = after(&state, &change);

    let imported = Imported {
        local: Some(state.commitment(state.local().unwrap()).unwrap()),
        remote: Some(state.commitment(state.remote().unwrap()).unwrap()),
        pending: state.pending_commitment().unwrap(),
        unsigned_acked: Some(vec![add(0), fee()]),
        remote_unsigned_local: None,
        others: vec![Record::Terms(crate::record::TermsRecord {
            no: 1.into(),
            terms: state.terms().unwrap().clone(),
        })],
    };
    let change = import(state.row().clone(), imported.clone()).unwrap();
    assert_eq!(created(&change), state);
    let parents = change.puts().iter().position(|record| record.kind() == Kind::Channel);
    assert_eq!(parents, Some(0));

    let mut odd = imported;
    odd.remote_unsigned_local = Some(vec![no_update()]);
    assert_eq!(import(state.row().clone(), odd), Err(Rejection::Message { ty: 132 }));
}
