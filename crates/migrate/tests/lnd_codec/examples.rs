//! Values written out by hand from what lnd's code produces, in both directions.

use bitcoin::hashes::Hash;
use bytes::Bytes;
use chanstate::message::ParsedMessage;
use chanstate::{
    ChannelStatus, ChannelType, CloseKind, CommitmentHeight, Filter, LogIndex, MilliSatoshi,
    ShortChannelId, shachain,
};
use linknode::{Address, Network};
use migrate::lnd::codec::chan_info::ChanInfo;
use migrate::lnd::codec::revocation::RevocationKeys;
use migrate::lnd::codec::{
    close, commitment, keys, link_node, package, revocation_log, small, update,
};

use super::values::{Kind, hex, round_trip};

const LOCAL_CONFIG: &str = "
    0000000000000162 000000003b023380 0000000000000409 0000000000000001 01e3 0090
    00000000 00000001 01 028d7500dd4c12685d1f568b4c2b5048e8534b873319f3a8daa612b469132ec7f7
    00000001 00000002 01 02466d7fcae563e5cb09a0d1870bb580344804617879a14949cf22285f1bae3f27
    00000003 00000003 01 03e11f40af6b41f494bfbc27c47a178ce572e8b8ca687cc67e1298514861ac5e48
    00000004 00000004 01 0219ce4d0ef6710afaf62a5edd8e739bd05198823e7e66f05df41cd8f410bcb665
    00000002 00000005 01 0223da3838ba0217e0f3ed6bc2df5dc81b200311692b562ae00f6334187bc2611f";

/// chan-info of a leased taproot channel that the peer opened.
pub(crate) fn chan_info() -> Bytes {
    hex(&format!(
        "fd146a6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f
        02c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c000000002
        0aae600000020001 00 00 76 00000005 0003 01
        029c1f585aa80762f9f4458f6806978b7befb46c7b68af82d399630793ff1a2b50
        00000000000f4240 0000000000000008 0000000000000002
        {LOCAL_CONFIG}
        0000000000000162 000000003b023380 0000000000000419 0000000000000001 01e3 0090
        00000000 00000001 01 036930f46dd0b16d866d59d1054aa63298b357499cd1862ef16f3f55f1cafceb82
        00000001 00000002 01 0290999dbbf43034bffb1dd53eac1eb4c33a4ea1c4f48ba585cfde3830840f0555
        00000003 00000003 01 023c72addb4fdf09af94f0c94d7fe92a386a7e70cf8a1d85916386bb2535c7b1b1
        00000004 00000004 01 02407cba6352eaeb9354dc75ca26396785b27a85cfd4d58575de440902292d662a
        00000002 00000005 01 02b21db47a75ceee5c010f69f66d48d5a017e4e2f46b47b496ddf03498c26e1cec
        01 08 000000050000004d   02 08 0000000000002328   03 08 0000000000000bb8
        04 08 0000000000000000   08 04 00000000"
    ))
}

/// A revocation log entry without HTLCs.
pub(crate) const LOG_ENTRY: &str = "34 00020000 0102ffff
    02209fd7fcbe18ed13ce40e174a6489e1aeb77145f012309bc748327c599d167afe5
    0303fd2328 0403fd0bb8";

/// A close summary without sync message.
pub(crate) fn close_summary() -> Bytes {
    hex(&format!(
        "05c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0 00000005
        0aae600000050001 6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f6f
        cc00000000000000000000000000000000000000000000000000000000000000 000aaf28
        029ac20335eb38768d2052be1dbbc3c8f6178407458e51e6b4ad22f1d91758895b
        00000000000f4240 0000000000000009 0000000000000003 04 00
        01 02eec7245d6b7d2ccb30380bfbe2a3648cd7a942653f5aa340edcea1f283686619
        {LOCAL_CONFIG} 00 00"
    ))
}

/// A link node with one address of every type.
pub(crate) const LINK_NODE: &str = "
    d9b4bef9 031428f3a3532ff4f1cac70f7292bfad06d1037f800ee8839b56ebba917a22e900
    000000006b0068c1 00000006
    00 7f000001 2607
    01 20010db8000000000000000000000001 0050
    02 d9b547af8f8795428b8c 2607
    03 adadec040be047f9658668b11a504f3155001f231a37f54c4476c07fb4cc139ed7e303 2608
    04 0004 77010203
    05 0b 6578616d706c652e636f6d 01bb";

/// A local commitment without HTLCs.
pub(crate) fn commitment() -> Bytes {
    let signature = "30".repeat(71);
    hex(&format!(
        "0000000000000000 0000000000000000 0000000000000000 0000000000000000 0000000000000000
        0000000000002328 0000000000000bb8 0000000000000226 00000000000000fd
        02000000 01 02c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0 02000000
        00 34120080 02 e803000000000000 16 00140707070707070707070707070707070707070707
        d007000000000000 22 00200808080808080808080808080808080808080808080808080808080808080808
        efcdab20 47 {signature} 0000"
    ))
}

fn canonical(kind: Kind, key: &[u8], value: &Bytes) {
    assert_eq!(round_trip(kind, key, value).unwrap(), 0);
}

#[test]
fn chan_info_of_a_leased_taproot_channel() {
    let stored = chan_info();
    assert_eq!(stored.len(), 684);
    canonical(Kind::ChanInfo, &[], &stored);
    let info = ChanInfo::decode(stored).unwrap();
    assert_eq!(info.channel_type.bits(), 0x146a);
    assert!(info.channel_type.contains(ChannelType::LEASE | ChannelType::TAPROOT_FINAL));
    assert_eq!(info.status.bits(), 0x76);
    assert!(info.status.contains(ChannelStatus::LOCAL_DATA_LOSS));
    assert_eq!((info.funding_broadcast_height, info.confirmations_required), (5, 3));
    assert_eq!((info.pending, info.initiator, info.channel_flags), (false, false, 1));
    assert_eq!(info.funding_tx, None);
    // The reserve comes after the maximum in flight.
    assert_eq!(info.local_config.dust_limit.to_sat(), 354);
    assert_eq!(info.local_config.max_pending_amount, MilliSatoshi(990_000_000));
    assert_eq!(info.local_config.channel_reserve.to_sat(), 1033);
    assert_eq!(info.local_config.htlc_base_point.locator.family, 2);
    assert_eq!(info.initial_local_balance, Some(MilliSatoshi(9000)));
    assert_eq!(info.confirmed_scid, Some(ShortChannelId(0)));
    assert_eq!(info.confirmation_height, Some(0));
    assert_eq!((info.memo, info.close_confirmation_height), (None, None));
}

#[test]
fn revocation_state_with_one_secret() {
    let stored = hex("
        0324653eac434488002cc06bbfb7f10fe18991e35f9fe4302dbea6d2353dc0ab1c
        5151515151515151515151515151515151515151515151515151515151515151
        01 0000ffffffffffff f821e26e20505a60493e6840d89f0cd4d97054a4b2007b45bdc64e59ff75b016
        0000fffffffffffe
        027f31ebc5462c1fdce1b737ecff52d37d75dea43ce11c74d25aa297165faa2007");
    assert_eq!(stored.len(), 147);
    canonical(Kind::RevocationState, &[], &stored);
    let keys = RevocationKeys::decode(stored).unwrap();
    assert_eq!(keys.root, [0x51; 32]);
    keys.secrets.verify().unwrap();
    assert_eq!(keys.secrets.secrets_received(), 1);
    assert_eq!(keys.secrets.lookup(0), shachain::derive_secret(&[0x99; 32], 0).ok());
    assert!(keys.next_point.is_some());
    assert!(!format!("{keys:?}").contains("51, 51"), "the root is a secret");
}

#[test]
fn revocation_log_entry_without_htlcs() {
    let stored = hex(LOG_ENTRY);
    assert_eq!(stored.len(), 53);
    canonical(Kind::LogEntry, &[], &stored);
    let state = revocation_log::decode(CommitmentHeight(3), stored).unwrap();
    assert_eq!(state.height, CommitmentHeight(3));
    assert_eq!((state.our_output_index, state.their_output_index), (Some(0), None));
    assert_eq!(state.commit_txid.to_byte_array()[0], 0x9f);
    assert_eq!(state.our_balance, Some(MilliSatoshi(9000)));
    assert_eq!(state.their_balance, Some(MilliSatoshi(3000)));
    assert!(state.htlcs.is_empty() && state.residue.is_empty());
}

#[test]
fn local_commitment_without_htlcs() {
    let stored = commitment();
    assert_eq!(stored.len(), 271);
    canonical(Kind::Commitment, &[], &stored);
    canonical(Kind::DeprecatedEntry, &[], &stored);
    let commitment = commitment::decode(stored).unwrap();
    assert_eq!(commitment.height, CommitmentHeight(0));
    assert_eq!(commitment.local_balance, MilliSatoshi(9000));
    assert_eq!((commitment.commit_fee.to_sat(), commitment.fee_per_kw.to_sat()), (550, 253));
    assert_eq!(commitment.commit_tx.input[0].previous_output.vout, 2);
    assert_eq!(commitment.commit_sig, vec![0x30; 71]);
}

#[test]
fn close_summary_of_a_remote_force_close() {
    let stored = close_summary();
    assert_eq!(stored.len(), 453);
    canonical(Kind::CloseSummary, &[], &stored);
    let summary = close::decode(stored).unwrap();
    assert_eq!(summary.kind, CloseKind::RemoteForce);
    assert_eq!((summary.pending, summary.close_height), (false, 700_200));
    let resume = summary.resume.unwrap();
    assert_eq!((resume.remote_next_point, resume.reestablish), (None, None));
}

#[test]
fn update_of_a_forwarding_package() {
    let chan_id = "c0".repeat(31) + "c1";
    let stored = hex(&format!(
        "0000000000000003 0051 0082 01{} 0000000000000004
        0400000000000000000000000000000000000000000000000000000000000000 fe00010002 01 08",
        &chan_id[2..]
    ));
    canonical(Kind::Update, &[], &stored);
    let update = update::decode(stored).unwrap();
    assert_eq!(update.log_index, LogIndex(3));
    let ParsedMessage::UpdateFulfillHtlc { id, preimage, extra, .. } =
        update.message.parse().unwrap()
    else {
        panic!("not an update_fulfill_htlc");
    };
    assert_eq!((id, preimage[0], extra), (4, 4, hex("fe00010002 01 08")));
}

#[test]
fn link_node_with_every_kind_of_address() {
    let stored = hex(LINK_NODE);
    assert_eq!(stored.len(), 148);
    let node_id = hex("031428f3a3532ff4f1cac70f7292bfad06d1037f800ee8839b56ebba917a22e900");
    canonical(Kind::LinkNode, &node_id, &stored);
    let node_id = keys::decode_node_id(&node_id).unwrap();
    let stored = link_node::decode(node_id, stored).unwrap();
    assert_eq!((stored.node.network, stored.identity_key), (Network::MAINNET, node_id));
    let hosts: Vec<_> = stored.node.addresses.iter().map(Address::to_string).collect();
    assert_eq!(
        hosts,
        [
            "127.0.0.1:9735",
            "[2001:db8::1]:80",
            "3g2upl4pq6kufc4m.onion:9735",
            "vww6ybal4bd7szmgncyruucpgfkqahzddi37ktceo3ah7ngmcopnpyyd.onion:9736",
            "opaque:77010203",
            "example.com:443",
        ]
    );
}

#[test]
fn small_values() {
    canonical(Kind::ThawHeight, &[], &hex("0001e240"));
    assert_eq!(small::decode_thaw_height(hex("0001e240")).unwrap(), 123_456);

    canonical(Kind::Filter, &[], &hex("000a 8040"));
    let filter = Filter::empty(10).with(0).and_then(|filter| filter.with(9)).unwrap();
    assert_eq!(package::decode_filter(hex("000a 8040")).unwrap(), filter);

    for (stored, status) in
        [("000100", small::OutpointStatus::Open), ("000101", small::OutpointStatus::Closed)]
    {
        canonical(Kind::OutpointStatus, &[], &hex(stored));
        assert_eq!(small::decode_outpoint_status(hex(stored)).unwrap(), status);
    }

    let shutdown = hex(&format!("00 22 5120 {} 01 01 01", "03".repeat(32)));
    canonical(Kind::ShutdownInfo, &[], &shutdown);
    assert!(small::decode_shutdown_info(shutdown).unwrap().local_initiator);

    let fee = hex(&format!("0000000000000000 0026 0086 {} 000000fd", "00".repeat(32)));
    canonical(Kind::Update, &[], &fee);
    canonical(Kind::UpdateList, &[], &hex("0000"));

    // Bitcoin's lengths are little-endian.
    let script = hex(&format!("fdfd00 {}", "51".repeat(253)));
    canonical(Kind::UpfrontShutdown, &[], &script);
    assert_eq!(small::decode_upfront_shutdown(script).unwrap().len(), 253);
}

#[test]
fn names_of_keys() {
    assert_eq!(keys::commitment(chanstate::Side::Local).last(), Some(&0));
    assert_eq!(keys::commitment(chanstate::Side::Remote).last(), Some(&1));
    let key = hex(&format!("{}01020304", "ab".repeat(32)));
    let outpoint = keys::decode_outpoint(&key).unwrap();
    assert_eq!(outpoint.vout, 0x0102_0304);
    assert_eq!(keys::encode_outpoint(&outpoint), key[..]);
}
