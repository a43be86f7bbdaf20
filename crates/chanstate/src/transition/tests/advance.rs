use super::fixtures::*;
use crate::change::Record;
use crate::error::Rejection;
use crate::ids::{CommitmentHeight, MilliSatoshi, ShortChannelId, Side};
use crate::key::{Kind, RecordKey};
use crate::package::{Filter, ForwardingPackage};
use crate::record::ListKind;
use crate::state::{ChannelState, StateFault};
use crate::transition::{
    AdvanceTail, Options, Refusal, insert_next_revocation, set_confirmed_scid,
};

const PLAIN: Options = Options { no_revocation_log_amounts: false, store_final_htlcs: false };

fn request() -> AdvanceTail {
    advance(0, empty_package())
}

fn refused(request: &AdvanceTail) -> Rejection {
    advance_tail(&signed(vec![]), PLAIN, request).unwrap_err()
}

#[test]
fn unusable_channels_are_refused() {
    for (state, refusal) in unusable() {
        assert_eq!(advance_tail(&state, PLAIN, &request()), Err(refusal.clone()));
        assert_eq!(insert_next_revocation(&state, public(secret(1))), Err(refusal));
    }
    assert_eq!(advance_tail(&bare(), PLAIN, &request()), Err(Rejection::NoCommitments));
}

#[test]
fn a_request_gives_one_change_and_no_other() {
    let state = signed(vec![htlc(IN, 0), htlc(OUT, 1)]);
    let adds = vec![add(0)];
    let request = advance(0, ForwardingPackage::new(SCID, 1.into(), adds, vec![settle(4)]));
    let change = advance_tail(&state, PLAIN, &request).unwrap();
    assert_eq!(advance_tail(&state, PLAIN, &request).unwrap(), change);
}

#[test]
fn a_pending_commitment_and_a_next_point_are_needed() {
    let nothing = advance_tail(&fresh(), PLAIN, &request());
    assert_eq!(nothing, Err(Rejection::NoPendingCommitment));
    let state = with_row(|row| row.remote_next_point = None);
    let change = append_remote(&state, &append(1, vec![], vec![])).unwrap().unwrap();
    let state = after(&state, &change);
    assert_eq!(advance_tail(&state, PLAIN, &request()), Err(Rejection::NoNextPoint));
    let change = insert_next_revocation(&state, public(secret(1))).unwrap().unwrap();
    assert!(advance_tail(&after(&state, &change), PLAIN, &request()).is_ok());
}

#[test]
fn the_next_point_is_set_once() {
    let next = public(secret(1));
    assert_eq!(insert_next_revocation(&fresh(), next), Ok(None));
    let other = insert_next_revocation(&fresh(), public(secret(2)));
    assert_eq!(other, Err(Rejection::NextPointSet));
}

#[test]
fn the_secret_must_be_that_of_the_current_point() {
    for wrong in [[0; 32], [0xff; 32], secret(1)] {
        let request = AdvanceTail { secret: wrong, ..request() };
        assert_eq!(refused(&request), Rejection::WrongSecret);
    }
}

#[test]
fn the_secret_must_agree_with_earlier_ones() {
    let made_up = [5; 32];
    let mut new = new_channel();
    new.remote_next_point = Some(public(made_up));
    let mut state = created(&crate::transition::open(1.into(), &new).unwrap());
    for (height, secret) in [(0, secret(0)), (1, made_up)] {
        let change = append_remote(&state, &append(height + 1, vec![], vec![])).unwrap().unwrap();
        state = after(&state, &change);
        let mut package = empty_package();
        package.height = CommitmentHeight(height + 1);
        let request = AdvanceTail { secret, ..advance(height, package) };
        match advance_tail(&state, PLAIN, &request) {
            Ok(change) => state = after(&state, &change),
            Err(refusal) => {
                assert!(matches!(refusal, Rejection::Secret(_)) && height == 1, "{refusal:?}");
                return;
            }
        }
    }
    panic!("the second secret was accepted");
}

#[test]
fn the_package_is_of_the_new_height() {
    for found in [0, 2].map(CommitmentHeight) {
        let mut request = request();
        request.package.height = found;
        let expected = CommitmentHeight(1);
        assert_eq!(refused(&request), Rejection::Height { expected, found });
    }
}

#[test]
fn the_package_is_of_the_channel() {
    let other = ShortChannelId(5);
    let mut request = request();
    request.package.source = other;
    assert_eq!(refused(&request), Rejection::PackageSource { found: other });
    let state = signed(vec![]);
    let change = set_confirmed_scid(&state, other).unwrap().unwrap();
    assert!(advance_tail(&after(&state, &change), PLAIN, &request).is_ok());
}

#[test]
fn filters_cover_their_updates() {
    let package = || ForwardingPackage::new(SCID, 1.into(), vec![add(0)], vec![settle(4)]);
    let with = |edit: fn(&mut ForwardingPackage, Filter), count| {
        let mut package = package();
        edit(&mut package, Filter::empty(count));
        advance_tail(&signed(vec![htlc(IN, 0)]), PLAIN, &advance(0, package)).map(drop)
    };
    let filters: [fn(&mut ForwardingPackage, Filter); 3] = [
        |package, filter| package.ack_filter = filter,
        |package, filter| package.settle_fail_filter = filter,
        |package, filter| package.forward_filter = Some(filter),
    ];
    for edit in filters {
        assert_eq!(with(edit, 1), Ok(()));
        for found in [0, 2] {
            let refusal = Rejection::PackageFilter { expected: 1, found: usize::from(found) };
            assert_eq!(with(edit, found), Err(refusal));
        }
    }
}

#[test]
fn updates_are_in_the_list_of_their_kind() {
    for (adds, others, ty) in [
        (vec![settle(0)], vec![], 130),
        (vec![], vec![add(0)], 128),
        (vec![], vec![no_update()], 132),
    ] {
        let package = ForwardingPackage::new(SCID, 1.into(), adds, others);
        assert_eq!(refused(&advance(0, package)), Rejection::Message { ty });
    }
    let mut odd = request();
    odd.remote_unsigned_local = vec![no_update()];
    assert_eq!(refused(&odd), Rejection::Message { ty: 132 });
}

#[test]
fn output_indexes_end_below_65535() {
    let with = |ours, theirs| {
        let request =
            AdvanceTail { our_output_index: ours, their_output_index: theirs, ..request() };
        advance_tail(&signed(vec![]), PLAIN, &request).map(drop)
    };
    assert_eq!(with(Some(65_534), Some(65_534)), Ok(()));
    assert_eq!(with(Some(65_535), None), Err(Rejection::OutputIndex(65_535)));
    assert_eq!(with(None, Some(65_536)), Err(Rejection::OutputIndex(65_536)));
}

/// The state after height 0 was revoked, with `htlc` in height 1, whose revocation is next.
fn revoking(htlc: crate::Htlc) -> ChannelState {
    let state = signed(vec![htlc]);
    let state = after(&state, &advance_tail(&state, PLAIN, &request()).unwrap());
    let change = append_remote(&state, &append(2, vec![], vec![])).unwrap().unwrap();
    after(&state, &change)
}

#[test]
fn htlc_output_indexes_end_below_65535_too() {
    for (output, accepted) in [(None, true), (Some(65_534), true), (Some(65_535), false)] {
        let mut htlc = htlc(IN, 0);
        htlc.output_index = output;
        let package = ForwardingPackage::new(SCID, 2.into(), vec![], vec![]);
        let result = advance_tail(&revoking(htlc), PLAIN, &advance(1, package));
        assert_eq!(result.is_ok(), accepted);
        if let Ok(change) = result {
            let logged = change.puts().iter().find_map(|record| match record {
                Record::RevokedState(revoked) => Some(revoked.state.htlcs.len()),
                _ => None,
            });
            assert_eq!(logged, Some(output.iter().count()), "dust has no output to take");
        }
    }
}

#[test]
fn the_revoked_state_is_the_stored_one() {
    let mut odd = htlc(IN, 0);
    odd.terms.amount = MilliSatoshi(1_999);
    odd.terms.extra = vec![0x00, 0x00, 0xfe, 0x00, 0x01, 0x00, 0x01, 0x01, 0x07].into();
    let package = || ForwardingPackage::new(SCID, 2.into(), vec![], vec![]);
    for amounts in [true, false] {
        let options = Options { no_revocation_log_amounts: !amounts, ..PLAIN };
        let state = revoking(odd.clone());
        let change = advance_tail(&state, options, &advance(1, package())).unwrap();
        let state = change.puts().iter().find_map(|record| match record {
            Record::RevokedState(revoked) => Some(&revoked.state),
            _ => None,
        });
        let state = state.unwrap();
        let stored = commitment(1, vec![]);
        assert_eq!(state.height, CommitmentHeight(1));
        assert_eq!(state.commit_txid, stored.commit_tx.compute_txid());
        assert_eq!(state.our_balance, amounts.then_some(stored.local_balance));
        assert_eq!(state.their_balance, amounts.then_some(stored.remote_balance));
        assert_eq!(state.htlcs[0].amount_sat, 1);
        let custom: &[u8] = &[0xfe, 0x00, 0x01, 0x00, 0x01, 0x01, 0x07];
        assert_eq!(state.htlcs[0].custom_records.as_deref(), Some(custom));
    }
}

#[test]
fn the_peers_updates_stay_until_a_commitment_signed_for_it_has_them() {
    let state = fresh();
    let mut request = local(1, vec![]);
    request.unsigned_acked = vec![add(5), settle(6)];
    let state = after(&state, &update_local(&state, PLAIN, &request).unwrap().change);
    for (index, left) in [(5, 2), (6, 1), (7, 0)] {
        let mut append = append(1, vec![], vec![]);
        append.pending.commitment.remote_log_index = index.into();
        let change = append_remote(&state, &append).unwrap().unwrap();
        let state = after(&state, &change);
        let change = advance_tail(&state, PLAIN, &advance(0, empty_package())).unwrap();
        let state = after(&state, &change);
        assert_eq!(state.list(ListKind::UnsignedAcked).map(<[_]>::len), Some(left));
        assert_eq!(state.list(ListKind::RemoteUnsignedLocal), Some(&[][..]));
        // The add at index 5 is the only one with a record.
        assert_eq!(state.htlcs().count(), usize::from(left == 2));
    }
}

#[test]
fn a_damaged_state_is_no_fault_of_the_request() {
    let damaged =
        |state: &ChannelState, request: &AdvanceTail| match crate::transition::advance_tail(
            state, PLAIN, request,
        ) {
            Err(Refusal::Damaged(fault)) => fault,
            other => panic!("not damaged: {other:?}"),
        };
    let mut state = signed(vec![]);
    let no = state.row().no;
    let parts = [
        RecordKey::single(Kind::Diff, no),
        RecordKey::commitment(no, Side::Remote, 1.into()),
        RecordKey::commitment(no, Side::Remote, 0.into()),
    ];
    for part in parts {
        state.remove(&part);
        assert_eq!(damaged(&state, &request()), StateFault::Missing(part));
    }

    // The peer revokes height 1, whose secret yields that of height 0.
    let state = packed(1, 0);
    let change = append_remote(&state, &append(2, vec![], vec![])).unwrap().unwrap();
    let state = after(&state, &change);
    let request = advance(1, ForwardingPackage::new(SCID, 2.into(), vec![], vec![]));
    assert!(advance_tail(&state, PLAIN, &request).is_ok());
    let mut without = state.clone();
    without.remove(&RecordKey::of(Kind::Secret, [no.0, 0]));
    assert!(matches!(damaged(&without, &request), StateFault::Secrets(_)));
    let mut without = state;
    let key = RecordKey::htlc(no, htlc(IN, 0).key());
    without.remove(&key);
    assert_eq!(damaged(&without, &request), StateFault::Missing(key));
}
