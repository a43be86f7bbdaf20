//! Histories of a peer that contradict what a store promises.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::peer::{
    Answer, CLOSE_BIT, Channel, Commitment, Node, Packages, Peer, Request, Snapshot, Why,
};
use super::super::{Call, Outcome, explain};

use Answer::{Bits, Done, Refused};
use Request::*;

const NODE: Node = Node { last_seen: 7, ports: Vec::new() };

fn shown(status: u64) -> Snapshot {
    let first = Commitment { height: 0, mark: 0 };
    Snapshot { status, confirmed_at: None, local: first, remote: first }
}

/// A peer with channel 1.
fn peer() -> Peer {
    let (pending, packages) = (None, Packages::default());
    let channel = Channel { shown: shown(0), pending, packages, closed: None };
    Peer {
        new_node: NODE,
        new_channel: channel.clone(),
        first: 1,
        node: Some(NODE),
        channels: BTreeMap::from([(1, Arc::new(channel))]),
        opening_state: None,
    }
}

/// Whether calls have an order, each with its answer and its ticks; the call that has none.
fn explained(calls: &[(Request, Answer, u64, u64)]) -> Result<(), usize> {
    let calls: Vec<_> = calls
        .iter()
        .cloned()
        .map(|(request, answer, start, end)| {
            let outcome = Outcome::Answered(answer);
            Call { client: 0, request, outcome, start, end }
        })
        .collect();
    explain(peer(), &calls).map(drop).map_err(|found| found.call)
}

#[test]
fn bits_set_at_one_time_are_all_kept() {
    let set = |second| [(SetBits(1, 1), Bits(1), 0, 2), (SetBits(1, 2), Bits(second), 1, 3)];
    assert_eq!(explained(&set(3)), Ok(()));
    assert_eq!(explained(&set(2)), Err(1));
}

#[test]
fn one_of_two_gets_a_height() {
    let next = |mark| UpdateLocal(1, Commitment { height: 1, mark });
    let late = Refused(Why::Expected(2));
    assert_eq!(explained(&[(next(1), Done, 0, 2), (next(2), late.clone(), 1, 3)]), Ok(()));
    assert_eq!(explained(&[(next(1), Done, 0, 2), (next(2), Done, 1, 3)]), Err(1));
    let refused = [(next(1), late.clone(), 0, 2), (next(2), late, 1, 3)];
    assert_eq!(explained(&refused), Err(0));
}

#[test]
fn a_channel_is_open_or_closed() {
    let close = (Close(1), Done, 0, 9);
    let summary = (ReadSummary(1), Answer::Summary { resolved: false }, 1, 2);
    let open = (ReadChannel(1), Answer::Channel(shown(0)), 3, 4);
    let closed = (ReadChannel(1), Refused(Why::Closed), 3, 4);
    let none = (ReadSummary(1), Refused(Why::NoSummary), 5, 6);
    assert_eq!(explained(&[summary.clone(), closed.clone(), close.clone()]), Ok(()));
    assert_eq!(explained(&[summary, open, close.clone()]), Err(1), "both");
    assert_eq!(explained(&[closed, none, close.clone()]), Err(1), "neither");
    let halfway = (ReadChannel(1), Answer::Channel(shown(CLOSE_BIT)), 1, 2);
    assert_eq!(explained(&[halfway, close]), Err(0), "open with the status of the close");
}

#[test]
fn a_channel_is_opened_with_its_link_node() {
    let gone = [(Abandon(1), Done, 0, 1), (ReadNode, Answer::Node(None), 2, 3)];
    let open = (Open(2), Done, 4, 9);
    let seen = (ReadChannel(2), Answer::Channel(shown(0)), 5, 6);
    let node = |node| (ReadNode, Answer::Node(node), 7, 8);
    let all = |last| [&gone[..], &[seen.clone(), last, open.clone()]].concat();
    assert_eq!(explained(&all(node(Some(NODE)))), Ok(()));
    assert_eq!(explained(&all(node(None))), Err(3));
}

#[test]
fn a_signature_is_stored_with_its_acknowledgements() {
    let commitment = Commitment { height: 1, mark: 1 };
    let append = (Append(1, commitment, vec![0], vec![3]), Done, 0, 9);
    let heights = (ReadHeights(1), Answer::Heights(0, 0, Some(1)), 1, 2);
    let packages = |adds, ends| {
        let packages = Packages { adds, ends, ..Packages::default() };
        (ReadPackages(1), Answer::Packages(packages), 3, 4)
    };
    let all = |packages| [heights.clone(), packages, append.clone()];
    assert_eq!(explained(&all(packages(1, 8))), Ok(()));
    assert_eq!(explained(&all(packages(1, 0))), Err(1));
    assert_eq!(explained(&all(packages(0, 8))), Err(1));
}

#[test]
fn a_refused_call_is_not_seen() {
    let refused = (SetBits(2, 1), Refused(Why::Unknown), 0, 1);
    let read = |answer| (ReadChannel(2), answer, 2, 3);
    assert_eq!(explained(&[refused.clone(), read(Refused(Why::Unknown))]), Ok(()));
    assert_eq!(explained(&[refused, read(Answer::Channel(shown(1)))]), Err(1));
}
