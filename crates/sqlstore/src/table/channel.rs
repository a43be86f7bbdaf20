//! `channel`.

use bitcoin::OutPoint;
use chanstate::record::ChannelRecord;

use crate::columns::columns;

columns!(OutPoint { txid: "txid", vout: "vout" });

columns!(ChannelRecord {
    no: "no",
    version: "version",
    funding_outpoint: "",
    channel_id: "channel_id",
    peer: "peer",
    chain: "chain",
    closed: "closed",
    pending: "pending",
    channel_type: "type",
    status: "status",
    scid: "scid",
    confirmed_scid: "confirmed_scid",
    confirmation_height: "confirmation_height",
    close_confirmation_height: "close_confirmation_height",
    local_height: "local_height",
    remote_height: "remote_height",
    has_pending: "has_pending",
    last_was_revoke: "last_was_revoke",
    total_sent: "total_sent",
    total_received: "total_received",
    remote_current_point: "remote_current_point",
    remote_next_point: "remote_next_point",
    next_secret_index: "next_secret_index",
});
