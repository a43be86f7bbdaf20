//! Sights of a backend that contradict what it promises.

use std::collections::BTreeMap;

use channelcoord::Seq;
use chanstate::{ChannelNo, Version};

use super::super::versions::{Row, Seen, fault};

/// One channel at a version with a content, seen while the store was at `seq`.
fn seen(seq: u64, version: u64, content: u8) -> Seen<u8> {
    let row = Row { version: Version(version), content, closed_alike: true };
    let seq = Seq(seq);
    Seen { before: seq, rows: BTreeMap::from([(ChannelNo(1), row)]), after: seq }
}

#[test]
fn versions_that_grow_are_no_fault() {
    assert_eq!(fault(&[seen(1, 1, b'a'), seen(1, 1, b'a'), seen(3, 2, b'b')]), None);
}

#[test]
fn versions_that_go_back_are_a_fault() {
    assert!(fault(&[seen(2, 2, b'b'), seen(2, 1, b'a')]).is_some());
}

#[test]
fn a_version_with_two_contents_is_a_fault() {
    assert!(fault(&[seen(1, 1, b'a'), seen(1, 1, b'b')]).is_some());
}

#[test]
fn a_sequence_number_that_goes_back_is_a_fault() {
    assert!(fault(&[seen(2, 1, b'a'), seen(1, 1, b'a')]).is_some());
}

#[test]
fn a_row_that_goes_is_a_fault() {
    let gone = Seen { rows: BTreeMap::new(), ..seen(1, 1, b'a') };
    assert!(fault(&[seen(1, 1, b'a'), gone]).is_some());
}

#[test]
fn a_row_at_odds_with_its_summary_is_a_fault() {
    let mut odd = seen(1, 1, b'a');
    odd.rows.values_mut().for_each(|row| row.closed_alike = false);
    assert!(fault(&[odd]).is_some());
}
