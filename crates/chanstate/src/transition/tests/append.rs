use super::fixtures::*;
use crate::error::Rejection;
use crate::ids::{CommitmentHeight, HtlcId, LogIndex, Side};
use crate::key::{Kind, RecordKey};
use crate::package::AddRef;
use crate::state::StateFault;
use crate::transition::{AppendRemote, Refusal};

const REMOTE: Side = Side::Remote;

fn refused(request: &AppendRemote) -> Rejection {
    append_remote(&fresh(), request).unwrap_err()
}

#[test]
fn unusable_channels_are_refused() {
    for (state, refusal) in unusable() {
        assert_eq!(append_remote(&state, &append(1, vec![], vec![])), Err(refusal));
    }
    let bare = append_remote(&bare(), &append(1, vec![], vec![]));
    assert_eq!(bare, Err(Rejection::NoCommitments));
}

#[test]
fn a_request_gives_one_change_and_no_other() {
    let request = append(1, vec![htlc(OUT, 0), htlc(OUT, 1), htlc(IN, 0)], vec![add(0), add(1)]);
    let change = append_remote(&fresh(), &request).unwrap();
    assert!(change.is_some());
    assert_eq!(append_remote(&fresh(), &request).unwrap(), change);
}

#[test]
fn an_equal_pending_commitment_changes_nothing() {
    let state = signed(vec![htlc(OUT, 0)]);
    let same = append(1, vec![htlc(OUT, 0)], vec![]);
    assert_eq!(append_remote(&state, &same), Ok(None));
    let pending = Err(Rejection::PendingCommitment { height: CommitmentHeight(1) });
    assert_eq!(append_remote(&state, &append(1, vec![], vec![])), pending);
    assert_eq!(append_remote(&state, &append(2, vec![htlc(OUT, 0)], vec![])), pending);
    let mut other = same;
    other.pending.updates = vec![add(0)];
    assert_eq!(append_remote(&state, &other), pending);
}

#[test]
fn only_the_next_height_is_accepted() {
    let expected = CommitmentHeight(1);
    for found in [0, 2, u64::MAX].map(CommitmentHeight) {
        let refusal = Rejection::Height { expected, found };
        assert_eq!(refused(&append(found.0, vec![], vec![])), refusal);
    }
}

#[test]
fn heights_end_below_2_63() {
    const LAST: u64 = i64::MAX as u64;
    let at = |height: u64| {
        let mut new = new_channel();
        new.remote_commitment.height = CommitmentHeight(height);
        created(&crate::transition::open(1.into(), &new).unwrap())
    };
    assert!(append_remote(&at(LAST - 1), &append(LAST, vec![], vec![])).is_ok());
    let refusal = Rejection::TooLarge { what: "commitment height", found: LAST + 1 };
    assert_eq!(append_remote(&at(LAST), &append(LAST + 1, vec![], vec![])), Err(refusal));
}

#[test]
fn indexes_stay_or_grow() {
    let went_back =
        |what| Rejection::IndexWentBack { what, stored: LogIndex(5), found: LogIndex(4) };
    let request = || append(1, vec![], vec![]);
    let mut back = request();
    back.pending.commitment.local_log_index = 4.into();
    assert_eq!(refused(&back), went_back("local log index"));
    let mut back = request();
    back.pending.commitment.remote_log_index = 4.into();
    assert_eq!(refused(&back), went_back("remote log index"));
    let mut back = request();
    back.pending.commitment.local_htlc_index = 4.into();
    assert_eq!(refused(&back), went_back("local HTLC index"));
    let mut back = request();
    back.pending.commitment.remote_htlc_index = 4.into();
    assert_eq!(refused(&back), went_back("remote HTLC index"));
    let mut forth = request();
    forth.pending.commitment.remote_htlc_index = 6.into();
    assert!(append_remote(&fresh(), &forth).is_ok());
}

#[test]
fn acknowledged_adds_must_exist_unless_their_package_is_gone() {
    let state = packed(2, 3);
    let ack = |height, index| {
        let mut request = append(2, vec![], vec![]);
        request.ack_adds = vec![AddRef { height: CommitmentHeight(height), index }];
        append_remote(&state, &request).map(|change| change.is_some())
    };
    assert_eq!(ack(1, 1), Ok(true));
    let height = CommitmentHeight(1);
    let refusal = Rejection::AckOutOfRange { source_scid: SCID, height, index: 2, count: 2 };
    assert_eq!(ack(1, 2), Err(refusal));
    assert_eq!(ack(2, 9), Ok(true));
}

#[test]
fn onions_have_their_length() {
    for (len, accepted) in [(0, false), (1365, false), (1366, true), (1367, false)] {
        let mut odd = htlc(OUT, 3);
        odd.terms.onion = vec![0; len].into();
        let result = append_remote(&fresh(), &append(1, vec![odd], vec![]));
        match result {
            Ok(_) => assert!(accepted),
            Err(refusal) => {
                assert_eq!(refusal, Rejection::OnionLength { id: HtlcId(3), len });
                assert!(!accepted);
            }
        }
    }
}

#[test]
fn an_htlc_appears_once_in_each_direction() {
    let both = append(1, vec![htlc(OUT, 3), htlc(IN, 3)], vec![]);
    assert!(append_remote(&fresh(), &both).is_ok());
    let twice = append(1, vec![htlc(OUT, 3), htlc(IN, 3), htlc(OUT, 3)], vec![]);
    assert_eq!(refused(&twice), Rejection::DuplicateHtlc { id: HtlcId(3) });
}

#[test]
fn htlc_ids_end_below_2_63() {
    const LAST: u64 = i64::MAX as u64;
    let too_large = Rejection::TooLarge { what: "HTLC id", found: LAST + 1 };
    assert!(append_remote(&fresh(), &append(1, vec![htlc(OUT, LAST)], vec![])).is_ok());
    assert_eq!(refused(&append(1, vec![htlc(OUT, LAST + 1)], vec![])), too_large);
    assert!(append_remote(&fresh(), &append(1, vec![], vec![add(LAST), settle(LAST)])).is_ok());
    assert_eq!(refused(&append(1, vec![], vec![add(LAST + 1)])), too_large);
    assert_eq!(refused(&append(1, vec![], vec![settle(LAST + 1)])), too_large);
}

#[test]
fn only_updates_are_updates() {
    assert_eq!(refused(&append(1, vec![], vec![no_update()])), Rejection::Message { ty: 132 });
    assert!(append_remote(&fresh(), &append(1, vec![], vec![fee()])).is_ok());
    let mut cut = add(0);
    cut.message = crate::message::Message::new(cut.message.as_bytes().slice(..100)).unwrap();
    assert_eq!(refused(&append(1, vec![], vec![cut])), Rejection::Message { ty: 128 });
}

#[test]
fn an_htlc_is_written_once() {
    let state = fresh();
    let many: Vec<_> = (0..400).map(|id| htlc(OUT, id)).collect();
    let first =
        update_local(&state, crate::transition::Options::default(), &local(1, many.clone()));
    let state = after(&state, &first.unwrap().change);
    let mut more = many;
    more.push(htlc(OUT, 400));
    let change = append_remote(&state, &append(1, more, vec![add(400)])).unwrap().unwrap();
    assert_eq!(htlc_traffic(&change), (1, 0));
}

#[test]
fn acknowledgements_of_an_equal_pending_commitment_are_checked() {
    let state = packed(2, 3);
    let mut request = append(2, vec![], vec![]);
    let state = after(&state, &append_remote(&state, &request).unwrap().unwrap());
    let ack = |index| AddRef { height: CommitmentHeight(1), index };
    request.ack_adds = vec![ack(1)];
    assert_eq!(append_remote(&state, &request), Ok(None));
    request.ack_adds = vec![ack(2)];
    let height = CommitmentHeight(1);
    let refusal = Rejection::AckOutOfRange { source_scid: SCID, height, index: 2, count: 2 };
    assert_eq!(append_remote(&state, &request), Err(refusal));
}

#[test]
fn a_pending_commitment_with_a_part_missing_is_damage() {
    let no = fresh().row().no;
    for part in [RecordKey::single(Kind::Diff, no), RecordKey::commitment(no, REMOTE, 1.into())] {
        let mut state = signed(vec![]);
        state.remove(&part);
        let damaged = Err(Refusal::Damaged(StateFault::Missing(part.clone())));
        for height in [1, 2] {
            let request = append(height, vec![], vec![]);
            assert_eq!(crate::transition::append_remote(&state, &request), damaged);
        }
        assert_eq!(state.pending_commitment(), Err(StateFault::Missing(part)));
    }
}

#[test]
fn a_missing_commitment_is_damage() {
    let mut state = fresh();
    let key = RecordKey::commitment(state.row().no, REMOTE, 0.into());
    state.remove(&key);
    let refused = crate::transition::append_remote(&state, &append(1, vec![], vec![]));
    assert_eq!(refused, Err(Refusal::Damaged(StateFault::Missing(key))));
}

#[test]
fn a_pending_commitment_without_its_htlcs_is_damage() {
    let mut state = signed(vec![htlc(OUT, 0)]);
    let key = RecordKey::htlc(state.row().no, htlc(OUT, 0).key());
    state.remove(&key);
    let request = append(1, vec![htlc(OUT, 0)], vec![]);
    let refused = crate::transition::append_remote(&state, &request);
    assert_eq!(refused, Err(Refusal::Damaged(StateFault::Missing(key))));
}

#[test]
fn a_pending_commitment_of_another_height_is_damage() {
    for height in [None, Some(1.into()), Some(7.into())] {
        let state = signed(vec![]);
        let mut row = state.row().clone();
        row.remote_height = height;
        let state = after(&state, &crate::change::ChannelChange::new(row));
        assert_eq!(state.pending(), Err(StateFault::Pending));
    }
}
