//! Closed channels in every form: with and without summary, historical record and open copy.

use bitcoin::Txid;
use bitcoin::hashes::Hash;
use channelcoord::{MemoryBackend, Record as AnyRecord};
use chanstate::key::Kind;
use chanstate::{ChannelStatus, CloseKind, CloseSummary, Record};
use migrate::finding::Severity;
use migrate::lnd::codec::chan_info::ChanInfo;
use migrate::lnd::codec::close;
use migrate::lnd::codec::keys::{self, bucket as top, channel as key};
use migrate::store;

use crate::bolt_writer::{Node, Tree};
use crate::support::{
    base, busy_channel, case, channel, channels, edit_info, find_channel, info_of, pending_channel,
    scan, shown,
};

const CLOSED: [u8; 3] = [0, 1, 1];

/// Keys that lnd archives.
const ARCHIVED: [&[u8]; 7] = [
    key::INFO,
    key::LOCAL_COMMITMENT,
    key::REMOTE_COMMITMENT,
    key::REVOCATION_STATE,
    key::THAW_HEIGHT,
    key::LOCAL_UPFRONT_SHUTDOWN,
    key::REMOTE_UPFRONT_SHUTDOWN,
];

fn summary(info: &ChanInfo) -> Vec<u8> {
    let summary = CloseSummary {
        channel_point: info.funding_outpoint,
        scid: info.scid,
        chain: info.chain,
        closing_txid: Txid::from_byte_array([7; 32]),
        close_height: 800_000,
        peer: info.peer,
        capacity: info.capacity,
        settled_balance: info.capacity,
        time_locked_balance: info.capacity,
        kind: CloseKind::LocalForce,
        pending: true,
        resume: None,
    };
    close::encode(&summary).unwrap()
}

/// The archived form of a channel.
fn archived(channel: &Tree) -> Tree {
    let mut historical = channel.clone();
    historical.nodes.retain(|name, _| ARCHIVED.contains(&name.as_slice()));
    edit_info(&mut historical, |info| info.status |= ChannelStatus::LOCAL_CLOSE_INITIATOR);
    historical
}

/// Closes a channel as lnd does on SQL backends: everything of it stays.
fn close(tree: &mut Tree, place: &[Vec<u8>; 3]) {
    let channel = channel(tree, place).clone();
    let [_, _, point] = place;
    tree.at(&[top::OUTPOINTS]).set(point, CLOSED);
    tree.at(&[top::CLOSED_CHANNELS]).set(point, summary(&info_of(&channel)));
    let historical = Node::Bucket(archived(&channel));
    tree.at(&[top::HISTORICAL_CHANNELS]).nodes.insert(point.clone(), historical);
}

#[test]
fn tombstone_closes_are_sound() {
    for place in channels(&base()) {
        let mut tree = base();
        let before = info_of(channel(&mut tree, &place)).status;
        close(&mut tree, &place);
        let case = case(&tree);
        assert_eq!(case.findings, []);
        let counts = case.checked.counts;
        let found = (counts.open_channels, counts.closed_channels, counts.historical_channels);
        assert_eq!(found, (6, 3, 3));
        assert_eq!((counts.revoked_states, counts.forwarding_packages), (169, 9));
        let backend = case.assert_survives();
        assert_eq!(store::count(&backend).unwrap(), counts);
        let outpoint = keys::decode_outpoint(&place[2]).unwrap();
        let row = scan(&backend, Kind::Channel).into_iter().find_map(|record| match record {
            AnyRecord::Channel(Record::Channel(row)) => {
                (row.funding_outpoint == outpoint).then_some(row)
            }
            _ => None,
        });
        let row = row.unwrap();
        assert_eq!((row.closed, row.status), (true, before | ChannelStatus::LOCAL_CLOSE_INITIATOR));
        let closes = scan(&backend, Kind::Close).into_iter();
        let mut of_channel = closes.filter_map(|record| match record {
            AnyRecord::Channel(Record::Close(close)) => {
                (close.no == row.no).then_some(close.status_before)
            }
            _ => None,
        });
        assert_eq!(of_channel.next(), Some(before));
    }
}

#[test]
fn all_channels_closed() {
    let mut tree = base();
    channels(&base()).iter().for_each(|place| close(&mut tree, place));
    let case = case(&tree);
    assert_eq!(case.findings, []);
    let counts = case.checked.counts;
    let found = (counts.open_channels, counts.closed_channels, counts.historical_channels);
    assert_eq!(found, (0, 9, 9));
    assert_eq!(store::count(&case.assert_survives()).unwrap(), counts);
}

#[test]
fn a_close_that_left_no_open_copy() {
    let mut tree = base();
    let place @ [peer, chain, point] = &busy_channel(&tree);
    close(&mut tree, place);
    // The empty buckets of peer and chain stay.
    tree.at(&[top::OPEN_CHANNELS, peer, chain]).remove(point);
    let case = case(&tree);
    case.assert_sound();
    assert_eq!(case.checked.counts.revoked_states, 45);
    let packages = "packages of a source that is no readable channel";
    case.assert_finds(Severity::Warning, "fwd-packages/", packages);
    assert_eq!(store::count(&case.assert_survives()).unwrap(), case.checked.counts);
}

#[test]
fn a_summary_without_historical_record() {
    for without_copy in [false, true] {
        let mut tree = base();
        let place @ [peer, chain, point] = &busy_channel(&tree);
        close(&mut tree, place);
        tree.at(&[top::HISTORICAL_CHANNELS]).remove(point);
        if without_copy {
            tree.at(&[top::OPEN_CHANNELS, peer, chain]).remove(point);
        }
        let case = case(&tree);
        case.assert_sound();
        let counts = case.checked.counts;
        assert_eq!((counts.closed_channels, counts.historical_channels), (3, 2));
        case.assert_survives();
    }
}

#[test]
fn a_historical_record_without_summary() {
    for without_copy in [false, true] {
        let mut tree = base();
        let place @ [peer, chain, point] = &busy_channel(&tree);
        close(&mut tree, place);
        tree.at(&[top::CLOSED_CHANNELS]).remove(point);
        if without_copy {
            tree.at(&[top::OPEN_CHANNELS, peer, chain]).remove(point);
        }
        let case = case(&tree);
        let place = shown(&[top::HISTORICAL_CHANNELS, point]);
        case.assert_finds(Severity::Inconsistency, &place, "no summary");
        let place = shown(&[top::OUTPOINTS, point]);
        case.assert_finds(Severity::Inconsistency, &place, "closed, but there is no summary");
        assert_eq!((case.checked.inconsistencies, case.checked.damages), (2, 0));
        case.assert_survives();
    }
}

#[test]
fn a_historical_record_of_a_shell() {
    let mut tree = base();
    let place = &busy_channel(&tree);
    close(&mut tree, place);
    // One copy has a funding transaction, the other cannot.
    let historical = tree.at(&[top::HISTORICAL_CHANNELS, &place[2]]);
    edit_info(historical, |info| info.status |= ChannelStatus::RESTORED);
    let first = case(&tree);
    first.assert_finds(Severity::Inconsistency, "historical-chan-bucket/", "has no commitments");
    first.assert_survives();

    let mut tree = base();
    let shell = find_channel(&tree, |info| info.status.contains(ChannelStatus::RESTORED));
    edit_info(channel(&mut tree, &shell), |info| info.initiator = true);
    close(&mut tree, &shell);
    let other = channel(&mut tree, place).value(key::INFO).to_vec();
    let funding = ChanInfo::decode(other.into()).unwrap().funding_tx;
    let historical = tree.at(&[top::HISTORICAL_CHANNELS, &shell[2]]);
    edit_info(historical, |info| {
        info.status = ChannelStatus::empty();
        info.funding_tx = funding;
    });
    let second = case(&tree);
    second.assert_finds(Severity::Inconsistency, "historical-chan-bucket/", "funding transaction");
    second.assert_survives();
}

#[test]
fn indexes_that_disagree_with_a_close() {
    let mut tree = base();
    let place @ [peer, chain, point] = &busy_channel(&tree);
    close(&mut tree, place);
    tree.at(&[top::OUTPOINTS]).set(point, [0, 1, 0]);
    let open = case(&tree);
    let closed = shown(&[top::CLOSED_CHANNELS, point]);
    open.assert_finds(Severity::Inconsistency, &closed, "does not call it closed");
    assert_eq!((open.checked.inconsistencies, open.checked.counts.open_channels), (1, 7));
    open.assert_survives();

    tree.at(&[top::OPEN_CHANNELS, peer, chain]).remove(point);
    let gone = case(&tree);
    let index = shown(&[top::OUTPOINTS, point]);
    gone.assert_finds(Severity::Inconsistency, &index, "open, but there is no such channel");
    gone.assert_survives();

    tree.at(&[top::OUTPOINTS]).remove(point);
    let unknown = case(&tree);
    unknown.assert_finds(Severity::Inconsistency, &closed, "does not call it closed");
    unknown.assert_finds(Severity::Inconsistency, "chan-id-bucket/", "no outpoint has this");
    unknown.assert_survives();
}

#[test]
fn a_summary_of_another_channel() {
    let mut tree = base();
    let point = tree.at(&[top::CLOSED_CHANNELS]).nodes.keys().next().unwrap().clone();
    tree.at(&[top::CLOSED_CHANNELS]).value_mut(&point)[0] ^= 1;
    let case = case(&tree);
    let place = shown(&[top::CLOSED_CHANNELS, &point]);
    case.assert_finds(Severity::Inconsistency, &place, "names channel");
    assert_eq!(case.checked.inconsistencies, 1);
    case.assert_survives();
}

#[test]
fn a_refused_summary_of_a_tombstone_close() {
    let mut tree = base();
    let place = &busy_channel(&tree);
    close(&mut tree, place);
    tree.at(&[top::CLOSED_CHANNELS]).value_mut(&place[2]).pop();
    let case = case(&tree);
    case.assert_finds(Severity::Damage, &shown(&[top::CLOSED_CHANNELS, &place[2]]), "has more");
    // A summary that cannot be read is none that is missing.
    assert_eq!(case.checked.inconsistencies, 0);
    case.assert_survives();
}

#[test]
fn a_historical_record_that_cannot_be_read() {
    let mut tree = base();
    let place = &busy_channel(&tree);
    close(&mut tree, place);
    tree.at(&[top::HISTORICAL_CHANNELS, &place[2]]).remove(key::REVOCATION_STATE);
    let case = case(&tree);
    let fault = shown(&[top::HISTORICAL_CHANNELS, &place[2], key::REVOCATION_STATE]);
    case.assert_finds(Severity::Damage, &fault, "is missing");
    let refused: Vec<_> = case.checked.refused.iter().map(Vec::len).collect();
    assert_eq!((refused, case.checked.inconsistencies), (vec![2], 0));
    assert_eq!(case.checked.counts.historical_channels, 2);
    case.assert_survives();
}

/// Whether the store holds a channel as closed.
fn is_closed(backend: &MemoryBackend, point: &[u8]) -> bool {
    let outpoint = keys::decode_outpoint(point).unwrap();
    let mut rows = scan(backend, Kind::Channel).into_iter();
    let found = rows.find_map(|record| match record {
        AnyRecord::Channel(Record::Channel(row)) => {
            (row.funding_outpoint == outpoint).then_some(row.closed)
        }
        _ => None,
    });
    found.unwrap()
}

#[test]
fn a_closed_channel_whose_index_entry_cannot_be_read() {
    for (summary, historical) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut tree = base();
        let place @ [_, _, point] = &busy_channel(&tree);
        close(&mut tree, place);
        if !summary {
            tree.at(&[top::CLOSED_CHANNELS]).remove(point);
        }
        if !historical {
            tree.at(&[top::HISTORICAL_CHANNELS]).remove(point);
        }
        tree.at(&[top::OUTPOINTS]).set(point, [0, 1, 9]);
        let case = case(&tree);
        case.assert_finds(Severity::Damage, &shown(&[top::OUTPOINTS, point]), "unknown kind 9");
        let closed = summary || historical;
        assert_eq!(case.checked.counts.open_channels, if closed { 6 } else { 7 });
        if closed {
            let what = "cannot be read; taken as closed";
            case.assert_finds(Severity::Inconsistency, "open-chan-bucket/", what);
        }
        assert_eq!(is_closed(&case.assert_survives(), point), closed);
    }
}

#[test]
fn closed_channels_of_an_index_that_cannot_be_read() {
    let mut tree = base();
    let place @ [_, _, point] = &busy_channel(&tree);
    close(&mut tree, place);
    let others: Vec<_> = channels(&tree).into_iter().filter(|other| other != place).collect();
    let mut source = case(&tree);
    source.checked.refused.add(vec![top::OUTPOINTS.to_vec()]);
    let backend = source.assert_survives();
    assert!(is_closed(&backend, point));
    assert!(others.iter().all(|[_, _, point]| !is_closed(&backend, point)));
}

#[test]
fn values_that_lnd_does_not_archive_are_kept_beside_the_records() {
    let mut tree = base();
    let place @ [peer, chain, point] = &pending_channel(&tree);
    let whole = channel(&mut tree, place).clone();
    close(&mut tree, place);
    tree.at(&[top::OPEN_CHANNELS, peer, chain]).remove(point);
    let historical = tree.at(&[top::HISTORICAL_CHANNELS, point]);
    historical.set(key::COMMIT_DIFF, whole.value(key::COMMIT_DIFF).to_vec());
    case(&tree).assert_survives();
}
