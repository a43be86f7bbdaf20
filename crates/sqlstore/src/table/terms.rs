//! `channel_terms`.

use std::sync::Arc;

use chanstate::record::TermsRecord;
use chanstate::{ChannelConfig, ChannelTerms, KeyDescriptor, KeyLocator};

use crate::columns::{Column, Columns, columns};
use crate::row::{Damage, Misread, RowReader, RowWriter};

columns!(TermsRecord { no: "no", terms: "" });

columns!(ChannelTerms {
    initiator: "initiator",
    channel_flags: "channel_flags",
    confirmations_required: "confirmations_required",
    funding_broadcast_height: "funding_broadcast_height",
    capacity: "capacity",
    local_config: "local_",
    remote_config: "remote_",
    revocation_root: "revocation_root",
    revocation_root_locator: "revocation_root_",
    funding_tx: "funding_tx",
    initial_local_balance: "initial_local_balance",
    initial_remote_balance: "initial_remote_balance",
    memo: "memo",
    tapscript_root: "tapscript_root",
    custom_blob: "custom_blob",
    thaw_height: "thaw_height",
    local_upfront_shutdown: "local_upfront_shutdown",
    remote_upfront_shutdown: "remote_upfront_shutdown",
    unknown_tlvs: "unknown_tlvs",
});

columns!(ChannelConfig {
    dust_limit: "dust_limit",
    max_pending_amount: "max_pending",
    channel_reserve: "reserve",
    min_htlc: "min_htlc",
    max_accepted_htlcs: "max_htlcs",
    csv_delay: "csv_delay",
    multisig_key: "multisig_",
    revocation_base_point: "revocation_",
    payment_base_point: "payment_",
    delay_base_point: "delay_",
    htlc_base_point: "htlc_",
});

columns!(KeyDescriptor { locator: "", public_key: "pubkey" });

columns!(KeyLocator { family: "family", index: "index" });

impl Columns for Option<KeyLocator> {
    fn describe(name: &str, out: &mut Vec<Column>) {
        let first = out.len();
        KeyLocator::describe(name, out);
        out.iter_mut().skip(first).for_each(|column| column.null = true);
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        self.map(|locator| locator.family).write(row);
        self.map(|locator| locator.index).write(row);
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, Damage> {
        match (row.take_option()?, row.take_option()?) {
            (Some(family), Some(index)) => Ok(Some(KeyLocator { family, index })),
            (None, None) => Ok(None),
            _ => Err(row.damage(Misread::Type)),
        }
    }
}

impl Columns for Arc<ChannelTerms> {
    fn describe(name: &str, out: &mut Vec<Column>) {
        ChannelTerms::describe(name, out);
    }

    fn write(&self, row: &mut RowWriter<'_>) {
        self.as_ref().write(row);
    }

    fn read(row: &mut RowReader<'_>) -> Result<Self, Damage> {
        ChannelTerms::read(row).map(Arc::new)
    }
}
