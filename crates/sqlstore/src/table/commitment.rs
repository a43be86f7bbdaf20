//! `commitment`, `commitment_diff`, `htlc` and `update_list`.

use chanstate::record::{
    CommitmentRecord, DiffRecord, HtlcRecord, HtlcSlot, UpdateListRecord, UpdateRef,
};
use chanstate::{CircuitKey, HtlcTerms};

use crate::columns::{columns, encoded};

columns!(CommitmentRecord {
    no: "no",
    side: "side",
    height: "height",
    local_log_index: "local_log_index",
    local_htlc_index: "local_htlc_index",
    remote_log_index: "remote_log_index",
    remote_htlc_index: "remote_htlc_index",
    local_balance: "local_balance",
    remote_balance: "remote_balance",
    commit_fee: "commit_fee",
    fee_per_kw: "fee_per_kw",
    commit_tx: "commit_tx",
    commit_sig: "commit_sig",
    slots: "slots",
    custom_blob: "custom_blob",
    unknown_tlvs: "unknown_tlvs",
});

columns!(DiffRecord {
    no: "no",
    commit_sig: "commit_sig",
    updates: "updates",
    opened_circuits: "opened_circuits",
    closed_circuits: "closed_circuits",
});

columns!(HtlcRecord { no: "no", direction: "incoming", id: "id", terms: "" });

columns!(HtlcTerms {
    log_index: "log_index",
    amount: "amount",
    payment_hash: "payment_hash",
    cltv_expiry: "cltv_expiry",
    onion: "onion",
    extra: "extra",
});

columns!(UpdateListRecord { no: "no", list: "list", updates: "updates" });

encoded!(Vec<HtlcSlot>, Vec<UpdateRef>, Vec<CircuitKey>);
