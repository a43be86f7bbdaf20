use super::fixtures::*;
use crate::change::Record;
use crate::commitment::LogUpdate;
use crate::error::Rejection;
use crate::ids::{CommitmentHeight, HtlcId, LogIndex, MilliSatoshi, Side};
use crate::key::{Kind, RecordKey};
use crate::record::ListKind;
use crate::state::StateFault;
use crate::transition::{Options, Refusal, UpdateLocal};

const PLAIN: Options = Options { no_revocation_log_amounts: false, store_final_htlcs: false };

fn refused(request: &UpdateLocal) -> Rejection {
    update_local(&fresh(), PLAIN, request).unwrap_err()
}

#[test]
fn unusable_channels_are_refused() {
    for (state, refusal) in unusable() {
        assert_eq!(update_local(&state, PLAIN, &local(1, vec![])), Err(refusal));
    }
    let bare = update_local(&bare(), PLAIN, &local(1, vec![]));
    assert_eq!(bare, Err(Rejection::NoCommitments));
}

#[test]
fn a_request_gives_one_change_and_no_other() {
    let mut request = local(1, vec![htlc(IN, 0), htlc(IN, 1), htlc(OUT, 4)]);
    request.unsigned_acked = vec![add(0), add(1), fee()];
    let update = update_local(&fresh(), PLAIN, &request).unwrap();
    assert_eq!(update_local(&fresh(), PLAIN, &request).unwrap(), update);
}

#[test]
fn only_the_next_height_is_accepted() {
    let expected = CommitmentHeight(1);
    for found in [0, 2, u64::MAX].map(CommitmentHeight) {
        assert_eq!(refused(&local(found.0, vec![])), Rejection::Height { expected, found });
    }
    assert!(update_local(&fresh(), PLAIN, &local(1, vec![])).is_ok());
}

#[test]
fn totals_stay_or_grow() {
    let state = with_row(|row| {
        (row.total_sent, row.total_received) = (MilliSatoshi(10), MilliSatoshi(20));
    });
    let totals = |sent, received| {
        let mut request = local(1, vec![]);
        (request.total_sent, request.total_received) = (MilliSatoshi(sent), MilliSatoshi(received));
        update_local(&state, PLAIN, &request).map(drop)
    };
    assert_eq!(totals(10, 20), Ok(()));
    assert_eq!(totals(11, u64::MAX), Ok(()));
    let went_back = |what, stored, found| {
        let (stored, found) = (MilliSatoshi(stored), MilliSatoshi(found));
        Err(Rejection::TotalWentBack { what, stored, found })
    };
    assert_eq!(totals(9, 20), went_back("total sent", 10, 9));
    assert_eq!(totals(10, 19), went_back("total received", 20, 19));
}

#[test]
fn indexes_stay_or_grow() {
    let mut back = local(1, vec![]);
    back.commitment.local_log_index = 4.into();
    let (stored, found) = (LogIndex(5), LogIndex(4));
    let refusal = Rejection::IndexWentBack { what: "local log index", stored, found };
    assert_eq!(refused(&back), refusal);
}

#[test]
fn unusable_htlcs_and_messages_are_refused() {
    let mut short = htlc(IN, 2);
    short.terms.onion.truncate(1365);
    let refusal = Rejection::OnionLength { id: HtlcId(2), len: 1365 };
    assert_eq!(refused(&local(1, vec![short])), refusal);
    let twice = local(1, vec![htlc(IN, 2), htlc(IN, 2)]);
    assert_eq!(refused(&twice), Rejection::DuplicateHtlc { id: HtlcId(2) });
    let found = 1 << 63;
    let refusal = Rejection::TooLarge { what: "HTLC id", found };
    assert_eq!(refused(&local(1, vec![htlc(IN, found)])), refusal);
    let mut request = local(1, vec![]);
    request.unsigned_acked = vec![no_update()];
    assert_eq!(refused(&request), Rejection::Message { ty: 132 });
}

/// A channel whose peer has not signed two settles of ours, at log indexes 5 and 6.
fn with_settles() -> crate::state::ChannelState {
    let state = signed(vec![htlc(IN, 0), htlc(IN, 1)]);
    let mut request = advance(0, empty_package());
    let at =
        |log_index: u64, update: LogUpdate| LogUpdate { log_index: log_index.into(), ..update };
    request.remote_unsigned_local = vec![at(5, settle(0)), at(6, settle(1))];
    after(&state, &advance_tail(&state, PLAIN, &request).unwrap())
}

#[test]
fn a_settle_is_final_once_its_index_is_contained() {
    let state = with_settles();
    for (index, ids) in [(5, vec![]), (6, vec![0]), (7, vec![0, 1])] {
        let mut request = local(1, vec![]);
        request.commitment.local_log_index = LogIndex(index);
        let update = update_local(&state, PLAIN, &request).unwrap();
        assert_eq!(update.finals, ids.iter().map(|id| (HtlcId(*id), true)).collect());
        let left = after(&state, &update.change);
        let left = left.list(ListKind::RemoteUnsignedLocal).map(<[_]>::len);
        assert_eq!(left, Some(2 - ids.len()));
        let finals = |change: &crate::ChannelChange| {
            change.puts().iter().filter(|r| matches!(r, Record::FinalHtlc(_))).count()
        };
        assert_eq!(finals(&update.change), 0);
        let options = Options { store_final_htlcs: true, ..PLAIN };
        let update = update_local(&state, options, &request).unwrap();
        assert_eq!(finals(&update.change), ids.len());
    }
}

#[test]
fn a_list_that_does_not_change_is_not_written() {
    let lists = |change: &crate::ChannelChange| {
        change.puts().iter().filter(|r| r.kind() == Kind::UpdateList).count()
    };
    let first = update_local(&fresh(), PLAIN, &local(1, vec![])).unwrap().change;
    assert_eq!(lists(&first), 1, "an empty list is not an absent one");
    let second = update_local(&after(&fresh(), &first), PLAIN, &local(2, vec![])).unwrap().change;
    assert_eq!(lists(&second), 0);
}

#[test]
fn an_htlc_goes_with_its_last_reference() {
    let first = update_local(&fresh(), PLAIN, &local(1, vec![htlc(IN, 0), htlc(IN, 1)]));
    let state = after(&fresh(), &first.unwrap().change);
    let mut request = local(2, vec![htlc(IN, 1)]);
    let change = update_local(&state, PLAIN, &request).unwrap().change;
    assert_eq!(htlc_traffic(&change), (0, 1));
    request.unsigned_acked = vec![add(0)];
    let change = update_local(&state, PLAIN, &request).unwrap().change;
    assert_eq!(htlc_traffic(&change), (0, 0));
    let state = after(&state, &change);
    assert_eq!(state.references(htlc(IN, 0).key()), 1);
    let change = update_local(&state, PLAIN, &local(3, vec![])).unwrap().change;
    assert_eq!(htlc_traffic(&change), (0, 2));
    assert_eq!(after(&state, &change).htlcs().count(), 0);
}

#[test]
fn a_missing_commitment_is_damage() {
    let mut state = fresh();
    let key = RecordKey::commitment(state.row().no, Side::Local, 0.into());
    state.remove(&key);
    let refused = crate::transition::update_local(&state, PLAIN, &local(1, vec![]));
    assert_eq!(refused, Err(Refusal::Damaged(StateFault::Missing(key))));
}
