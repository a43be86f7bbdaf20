use std::sync::Arc;

use bitcoin::Amount;

use super::fixtures::*;
use crate::change::{ChannelChange, Record};
use crate::close::{CloseKind, Closer, ShutdownInfo};
use crate::error::Rejection;
use crate::flags::ChannelStatus;
use crate::ids::ShortChannelId;
use crate::state::ChannelState;
use crate::transition::*;

type Rule = fn(&ChannelState) -> Result<Option<ChannelChange>, Rejection>;

/// Rules that ask for no status, each with a request of its own.
fn rules() -> [Rule; 12] {
    [
        |state| set_confirmation_height(state, 0),
        |state| set_close_confirmation_height(state, Some(0)),
        |state| mark_open(state, ShortChannelId(0)),
        |state| set_confirmed_scid(state, ShortChannelId(0)),
        |state| negotiate_scid_alias(state),
        |state| apply_status(state, ChannelStatus::COOP_BROADCASTED),
        |state| mark_data_loss(state, public([4; 32])),
        |state| mark_broadcast_commitment(state, Arc::clone(&tx()), Closer::Local),
        |state| mark_broadcast_cooperative(state, Arc::clone(&tx()), Closer::Remote),
        |state| store_shutdown(state, info(true)),
        |state| store_shutdown(state, info(false)),
        |state| mark_data_loss(state, public([5; 32])),
    ]
}

fn tx() -> Arc<bitcoin::Transaction> {
    commitment(0, vec![]).commit_tx
}

fn info(local_initiator: bool) -> ShutdownInfo {
    ShutdownInfo { script: bitcoin::ScriptBuf::new(), local_initiator }
}

#[test]
fn a_rule_changes_once_what_it_asks_for() {
    for (n, rule) in rules().into_iter().enumerate() {
        for state in [fresh(), shell(), with_row(|row| row.status = ChannelStatus::BORKED)] {
            let change = rule(&state).unwrap();
            assert_eq!(rule(&state).unwrap(), change, "rule {n}");
            let state = after(&state, &change.expect("it is not so yet"));
            assert_eq!(rule(&state), Ok(None), "rule {n}");
        }
    }
}

#[test]
fn a_closed_channel_does_not_change() {
    let closed = with_row(|row| (row.closed, row.scid) = (true, ShortChannelId(0)));
    let refusal = Rejection::AlreadyClosed(point());
    for rule in rules() {
        assert_eq!(rule(&closed), Err(refusal.clone()));
    }
    let cleared = clear_status(&closed, ChannelStatus::BORKED);
    assert_eq!(cleared, Err(refusal.clone()));
    let summary = abandon_summary(&closed, 1);
    assert_eq!(close(&closed, summary, ChannelStatus::empty()), Err(refusal));
}

#[test]
fn initiators_and_kinds_of_closing_transactions_add_up() {
    let mut state = fresh();
    for (rule, status) in [(rules()[7], 0b10_0010), (rules()[8], 0b111_0010)] {
        state = after(&state, &rule(&state).unwrap().unwrap());
        assert_eq!(state.row().status.bits(), status);
    }
}

#[test]
fn a_mark_is_written_without_its_bit_and_the_bit_without_its_mark() {
    let rule = rules()[6];
    let marked = after(&fresh(), &rule(&fresh()).unwrap().unwrap());
    let cleared = clear_status(&marked, ChannelStatus::LOCAL_DATA_LOSS).unwrap().unwrap();
    let change = rule(&after(&marked, &cleared)).unwrap().unwrap();
    assert!(matches!(change.puts(), [Record::Channel(_)]));
    let change = rules()[11](&marked).unwrap().unwrap();
    assert!(matches!(change.puts(), [Record::Channel(_), Record::Mark(_)]));
}

#[test]
fn the_restored_bit_does_not_move() {
    let (restored, borked) = (ChannelStatus::RESTORED, ChannelStatus::BORKED);
    let refusal = Err(Rejection::RestoredBit);
    assert_eq!(apply_status(&fresh(), restored | borked), refusal);
    assert_eq!(clear_status(&fresh(), restored), Ok(None));
    assert_eq!(clear_status(&shell(), restored | borked), refusal);
    assert_eq!(apply_status(&shell(), restored), Ok(None));
    let status = |change: Option<ChannelChange>| after(&shell(), &change.unwrap()).row().status;
    let both = apply_status(&shell(), restored | borked).unwrap();
    assert_eq!(status(both), restored | borked | ChannelStatus::LOCAL_DATA_LOSS);
    let cleared = clear_status(&shell(), ChannelStatus::LOCAL_DATA_LOSS).unwrap();
    assert_eq!(status(cleared), restored);
}

#[test]
fn a_close_completes_its_own_summary() {
    let state = with_row(|row| row.status = ChannelStatus::BORKED);
    let summary = abandon_summary(&state, 77);
    let change = close(&state, summary.clone(), ChannelStatus::LOCAL_DATA_LOSS).unwrap();
    let again = close(&state, summary.clone(), ChannelStatus::LOCAL_DATA_LOSS).unwrap();
    assert_eq!(again, change);
    let [Record::Channel(row), Record::Close(close_record), Record::Reclaim(_)] = change.puts()
    else {
        panic!("a close writes row, summary and job");
    };
    assert!(row.closed && row.status == ChannelStatus::BORKED | ChannelStatus::LOCAL_DATA_LOSS);
    assert_eq!(close_record.status_before, ChannelStatus::BORKED);
    let resume = close_record.summary.resume.as_ref().unwrap();
    assert_eq!(resume.remote_next_point, Some(public(secret(1))));

    let mut other = summary;
    other.channel_point.vout = 1;
    let refusal = Rejection::SummaryOfOther { found: other.channel_point };
    assert_eq!(close(&state, other, ChannelStatus::empty()), Err(refusal));
}

#[test]
fn an_abandoned_channel_counts_whole_satoshis() {
    let mut new = new_channel();
    new.local_commitment.local_balance.0 = 1_999;
    let state = created(&open(1.into(), &new).unwrap());
    let summary = abandon_summary(&state, 77);
    assert_eq!((summary.kind, summary.pending), (CloseKind::Abandoned, false));
    assert_eq!((summary.settled_balance, summary.close_height), (Amount::from_sat(1), 77));
    assert_eq!(abandon_summary(&shell(), 77).settled_balance, Amount::ZERO);
}

#[test]
fn a_full_close_is_noted_once() {
    let state = fresh();
    let mut summary = abandon_summary(&state, 77);
    summary.pending = true;
    let change = close(&state, summary, ChannelStatus::empty()).unwrap();
    let [Record::Channel(row), Record::Close(record), _] = change.puts() else { panic!() };
    let open = mark_fully_closed(state.row(), record);
    assert_eq!(open, Err(Rejection::NotClosed(point())));
    let noted = mark_fully_closed(row, record).unwrap();
    assert_eq!(mark_fully_closed(row, record).unwrap(), noted);
    let noted = noted.unwrap();
    let [_, Record::Close(record)] = noted.puts() else { panic!() };
    assert_eq!(mark_fully_closed(row, record), Ok(None));
}
