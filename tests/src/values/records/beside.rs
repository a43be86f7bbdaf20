//! Records beside channels.

use bytes::Bytes;
use chanstate::{
    ChannelId, FinalHtlc, FinalHtlcRecord, ForwardingPolicy, ForwardingPolicyRecord, HtlcId,
    OpeningStateRecord, Version,
};
use linknode::{Address, LinkAddressRecord, LinkNodeRecord};

use super::{Fill, Filled};
use crate::values::key;

impl Filled {
    pub(super) fn final_htlc(self) -> FinalHtlcRecord {
        let outcome = FinalHtlc { settled: self.most(), offchain: !self.most() };
        FinalHtlcRecord { scid: self.scid(), id: HtlcId(self.key_number()), outcome }
    }

    pub(super) fn opening_state(self) -> OpeningStateRecord {
        let key = match self.keys {
            Fill::Absent => Bytes::from_static(b"key"),
            Fill::Least => Bytes::new(),
            Fill::Most => vec![0xff; 300].into(),
        };
        OpeningStateRecord { key, value: self.blob() }
    }

    pub(super) fn policy(self) -> ForwardingPolicyRecord {
        let policy = ForwardingPolicy {
            min_htlc: self.msat(),
            max_htlc: self.msat(),
            base_fee: self.msat(),
            fee_rate: self.n64(),
            time_lock_delta: self.n32(),
        };
        ForwardingPolicyRecord { channel_id: ChannelId(self.key_bytes32()), policy }
    }

    pub(super) fn link_node(self) -> LinkNodeRecord {
        LinkNodeRecord {
            node_id: key("node of a fill", self.key_number()),
            version: Version(self.n64().max(1)),
            network: self.n32(),
            last_seen: self.n64(),
        }
    }

    pub(super) fn addresses(self) -> Vec<LinkAddressRecord> {
        let byte = self.n8();
        let addresses = vec![
            Address::Ipv4 { ip: [byte; 4].into(), port: self.n16() },
            Address::Ipv6 { ip: [byte; 16].into(), port: self.n16() },
            Address::TorV2 { service: [byte; 10], port: self.n16() },
            Address::TorV3 { service: [byte; 35], port: self.n16() },
            // 0xff is no text.
            Address::Dns { host: vec![0xff; usize::from(byte)].into(), port: self.n16() },
            Address::Opaque(vec![byte; usize::from(self.n16())].into()),
        ];
        let node_id = self.link_node().node_id;
        let first = if self.key_most() { u32::MAX - 5 } else { 0 };
        let positions = first..=u32::MAX;
        let record = |(position, address)| LinkAddressRecord { node_id, position, address };
        positions.zip(addresses).map(record).collect()
    }
}
