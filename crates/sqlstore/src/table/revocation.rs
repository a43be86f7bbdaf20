//! `secret`, `revoked_state` and `revoked_commitment`.

use chanstate::record::{RevokedCommitmentRecord, RevokedStateRecord, SecretRecord};
use chanstate::{RevokedCommitment, RevokedHtlc, RevokedState};

use crate::columns::{columns, encoded};

columns!(SecretRecord { no: "no", slot: "slot", index: "secret_index", secret: "secret" });

columns!(RevokedStateRecord { no: "no", state: "" });

columns!(RevokedState {
    height: "height",
    our_output_index: "our_output_index",
    their_output_index: "their_output_index",
    commit_txid: "txid",
    our_balance: "our_balance",
    their_balance: "their_balance",
    htlcs: "htlcs",
    custom_blob: "custom_blob",
    residue: "residue",
});

columns!(RevokedCommitmentRecord { no: "no", height: "height", revoked: "revoked" });

encoded!(Vec<RevokedHtlc>, RevokedCommitment);
