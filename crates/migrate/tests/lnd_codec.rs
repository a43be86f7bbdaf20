//! Tests of the lnd byte codec: worked examples, databases that lnd wrote, mutations of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // also in helpers

#[path = "lnd_codec/examples.rs"]
mod examples;
#[path = "lnd_codec/fixtures.rs"]
mod fixtures;
#[path = "lnd_codec/hostile.rs"]
mod hostile;
#[path = "lnd_codec/old_forms.rs"]
mod old_forms;
#[path = "lnd_codec/oracle.rs"]
mod oracle;
#[path = "lnd_codec/oracle_json.rs"]
mod oracle_json;
#[path = "lnd_codec/values.rs"]
mod values;
