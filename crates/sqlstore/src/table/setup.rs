//! `final_htlc`, `opening_state` and `forwarding_policy`.

use chanstate::{
    FinalHtlc, FinalHtlcRecord, ForwardingPolicy, ForwardingPolicyRecord, OpeningStateRecord,
};

use crate::columns::columns;

columns!(FinalHtlcRecord { scid: "scid", id: "id", outcome: "" });

columns!(FinalHtlc { settled: "settled", offchain: "offchain" });

columns!(OpeningStateRecord { key: "key", value: "value" });

columns!(ForwardingPolicyRecord { channel_id: "channel_id", policy: "" });

columns!(ForwardingPolicy {
    min_htlc: "min_htlc",
    max_htlc: "max_htlc",
    base_fee: "base_fee",
    fee_rate: "fee_rate",
    time_lock_delta: "time_lock_delta",
});
