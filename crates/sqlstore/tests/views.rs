//! What operators read.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use bitcoin::Amount;
use channelcoord::Record;
use chanstate::record::{ChannelRecord, CommitmentRecord, PackageUpdateRecord};
use chanstate::{
    ChannelNo, ChannelStatus, CloseKind, CommitmentHeight, Direction, Filter, MilliSatoshi,
    PackageList, Record as Part, ShortChannelId, Side,
};
use rusqlite::types::Value;
use support::Fixture;
use support::records::{
    channel, close, commitment, htlc, link_addresses, link_node, package, package_update, point,
    terms, txid,
};

const SCID: u64 = 700_000 << 40 | 12 << 16 | 1;

/// Rows of a view, each value as text.
fn rows(store: &Fixture, sql: &str) -> Vec<Vec<String>> {
    let shell = store.shell();
    let mut statement = shell.prepare(sql).unwrap();
    let count = statement.column_count();
    let text = |value| match value {
        Value::Null => "null".to_owned(),
        Value::Integer(value) => value.to_string(),
        Value::Text(text) => text,
        other => panic!("{other:?}"),
    };
    let rows = statement.query_map([], |row| (0..count).map(|i| row.get(i).map(text)).collect());
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

fn put(store: &mut Fixture, parts: impl IntoIterator<Item = Part>) {
    store.put(parts.into_iter().map(Record::Channel));
}

/// An open channel, a restored one that is not usable, and a closed one.
fn three_channels() -> Fixture {
    let mut store = Fixture::new();
    let restored = ChannelRecord {
        status: ChannelStatus::RESTORED | ChannelStatus::LOCAL_DATA_LOSS,
        scid: ShortChannelId(0),
        confirmed_scid: Some(ShortChannelId(u64::MAX)),
        local_height: None,
        remote_height: None,
        ..channel(2)
    };
    let closed = ChannelRecord { closed: true, ..channel(3) };
    let mut older = commitment(1, Side::Local, 3);
    older.local_balance = MilliSatoshi(1);
    let theirs =
        CommitmentRecord { local_balance: MilliSatoshi(2), ..commitment(1, Side::Remote, 4) };
    put(
        &mut store,
        [
            Part::Channel(channel(1)),
            Part::Channel(restored),
            Part::Channel(closed),
            Part::Terms(terms(1)),
            Part::Terms(terms(2)),
            Part::Terms(terms(3)),
            Part::Commitment(older),
            Part::Commitment(commitment(1, Side::Local, 4)),
            Part::Commitment(theirs),
            Part::Commitment(commitment(3, Side::Local, 4)),
            Part::Htlc(htlc(1, Direction::Incoming, 7)),
            Part::Htlc(htlc(1, Direction::Outgoing, 8)),
            Part::Htlc(htlc(1, Direction::Outgoing, 9)),
            Part::Htlc(htlc(3, Direction::Incoming, 1)),
            Part::Close(close(3)),
        ],
    );
    store
}

#[test]
fn channels() {
    let store = three_channels();
    let rows = rows(
        &store,
        "select channel_point, channel_id, peer, short_channel_id, confirmed_short_channel_id, \
         state, status, status_names, initiator, capacity_sat, local_balance_msat, \
         remote_balance_msat, total_sent_msat, total_received_msat, local_height, remote_height, \
         commitment_pending, confirmation_height from channels order by channel_point",
    );
    let channel_id = channel(1).channel_id.to_string();
    let peer = point(7).to_string();
    let open = [
        &format!("{}:1", txid(1)),
        &*channel_id,
        &peer,
        "700000x12x1",
        "null",
        "open",
        "0",
        "",
        "1",
        "5000000",
        "3000000000",
        "1999000000",
        "1000",
        "2000",
        "4",
        "5",
        "0",
        "700000",
    ];
    assert_eq!(rows[0], open);
    let restored = &rows[1];
    assert_eq!(restored[0], format!("{}:1", txid(2)));
    assert_eq!(
        restored[3..8],
        ["null", "16777215x16777215x65535", "unusable", "12", "local-data-loss restored "]
    );
    assert_eq!(restored[10..12], ["null", "null"]);
    assert_eq!(rows.len(), 2);
}

#[test]
fn balances() {
    let store = three_channels();
    let rows = rows(&store, "select * from balances");
    let expected = [
        &format!("{}:1", txid(1)),
        &point(7).to_string(),
        "5000000",
        "3000000000",
        "1999000000",
        "60000",
        "30000",
        // Our reserve is in our configuration, the peer's in its own.
        "10003",
        "20003",
        "970",
        "253",
    ];
    assert_eq!(rows, [expected]);
}

#[test]
fn htlcs_in_flight() {
    let store = three_channels();
    let rows = rows(&store, "select * from htlcs_in_flight order by htlc_id");
    let row = |direction: &str, id: &str| {
        let point = format!("{}:1", txid(1));
        let hash = "05".repeat(32);
        [&*point, &support::records::point(7).to_string(), direction, id, "30000", &hash, "700144"]
            .map(str::to_owned)
    };
    assert_eq!(rows, [row("incoming", "7"), row("outgoing", "8"), row("outgoing", "9")]);
}

#[test]
fn closed_channels() {
    let mut store = three_channels();
    let mut abandoned = close(2);
    abandoned.summary.closing_txid = bitcoin::hashes::Hash::all_zeros();
    abandoned.summary.scid = ShortChannelId(0);
    abandoned.summary.kind = CloseKind::Other(9);
    abandoned.summary.pending = false;
    abandoned.summary.settled_balance = Amount::ZERO;
    put(&mut store, [Part::Close(abandoned)]);
    let rows = rows(&store, "select * from closed_channels order by kind desc");
    let peer = point(7).to_string();
    let forced = [
        &format!("{}:1", txid(3)),
        "700000x12x1",
        &peer,
        "local force",
        &txid(100).to_string(),
        "710000",
        "5000000",
        "3000000",
        "11",
        "1",
        "borked ",
    ];
    let gone = [
        &format!("{}:1", txid(2)),
        "null",
        &peer,
        "kind 9",
        "null",
        "710000",
        "5000000",
        "0",
        "11",
        "0",
        "borked ",
    ];
    assert_eq!(rows, [forced, gone]);
}

#[test]
fn forwarding_packages() {
    let mut store = Fixture::new();
    put(&mut store, [Part::Channel(channel(1))]);
    let mut packages = Vec::new();
    for (height, forwarded, acked) in [(0, false, false), (1, true, false), (2, true, true)] {
        let mut package = package(SCID, height, Some(1));
        package.no = (height != 2).then_some(ChannelNo(1));
        package.forward_filter = forwarded.then(|| Filter::empty(2));
        packages.push(Part::Package(package));
        let updates =
            [(PackageList::Adds, 0), (PackageList::Adds, 1), (PackageList::SettleFails, 0)];
        packages.extend(updates.map(|(list, index)| {
            let update = package_update(SCID, height, list, index);
            let acked = acked || list == PackageList::Adds && index == 1;
            Part::PackageUpdate(PackageUpdateRecord { acked, ..update })
        }));
    }
    put(&mut store, packages);
    let rows = rows(&store, "select * from forwarding_packages order by height");
    let point = format!("{}:1", txid(1));
    let row = |height, point, state, adds_acked, others_acked| {
        ["700000x12x1", height, point, state, "2", adds_acked, "1", others_acked].map(str::to_owned)
    };
    assert_eq!(
        rows,
        [
            row("0", &point, "locked in", "1", "0"),
            row("1", &point, "processed", "1", "0"),
            row("2", "null", "completed", "2", "1"),
        ]
    );
}

#[test]
fn peers_and_their_addresses() {
    let mut store = three_channels();
    let records = [link_node(7), link_node(8)].map(linknode::Record::LinkNode);
    let addresses = link_addresses(7).into_iter().map(linknode::Record::LinkAddress);
    store.put(records.into_iter().chain(addresses).map(Record::LinkNode));
    let peers = rows(&store, "select * from peers order by addresses");
    let row = |number, numbers: [&str; 4]| {
        let id = point(number).to_string();
        let mut row = vec![id, 0xdab5_bffa_u32.to_string(), "1700000000".to_owned()];
        row.extend(numbers.map(str::to_owned));
        row
    };
    assert_eq!(peers, [row(8, ["0", "0", "0", "0"]), row(7, ["6", "2", "1", "10000000"])]);

    let addresses = rows(&store, "select kind, host, port from peer_addresses order by position");
    assert_eq!(addresses.len(), 6);
    assert_eq!(addresses[0], ["ipv4", "127.0.0.1", "9735"]);
    assert_eq!(addresses[1], ["ipv6", "::1", "0"]);
    assert!(addresses[3][1].ends_with(".onion"));
    assert_eq!(addresses[5], ["opaque", "", "null"]);
}

#[test]
fn a_channel_waiting_for_confirmation() {
    let mut store = Fixture::new();
    let pending = ChannelRecord {
        pending: true,
        scid: ShortChannelId(0),
        local_height: Some(CommitmentHeight(0)),
        ..channel(1)
    };
    put(&mut store, [Part::Channel(pending)]);
    let rows = rows(&store, "select state, short_channel_id from channels");
    assert_eq!(rows, [["pending", "null"]]);
}
