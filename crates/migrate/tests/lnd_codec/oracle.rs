//! What is decoded is what lnd's own decoders say.

use std::collections::HashMap;
use std::path::Path;

use bytes::Bytes;
use chanstate::CommitmentHeight;
use migrate::lnd::codec::chan_info::ChanInfo;
use migrate::lnd::codec::revocation::RevocationKeys;
use migrate::lnd::codec::{close, commitment, keys, link_node, revocation_log, small, update};
use serde_json::{Value, json};

use super::oracle_json as described;
use super::values::{data, hex, leaves};

/// A database as paths of hexadecimal names to values.
struct Database(HashMap<String, Bytes>);

impl Database {
    fn open(listing: &Path) -> Database {
        let path = |path: &[Bytes], key: &Bytes| {
            let parts: Vec<_> = path.iter().chain([key]).map(|part| described::hex(part)).collect();
            parts.join("/")
        };
        Database(leaves(listing).into_iter().map(|l| (path(&l.path, &l.key), l.value)).collect())
    }

    fn get(&self, parts: &[&str], key: &[u8]) -> Option<Bytes> {
        let key = described::hex(key);
        self.0.get(&[parts, &[&key]].concat().join("/")).cloned()
    }
}

/// Fields of the oracle that come from keys or are derived.
const NOT_DECODED: &[&str] = &[
    "peer_key",
    "chain_key",
    "outpoint",
    "channel_id",
    "key_outpoint",
    "source_scid",
    "height",
    "state",
    "scid",
    "htlc_id",
    "secrets_by_height",
    "revocation_log_bucket_missing",
];

/// Requires that `oracle` has every field of `decoded`, and adds to the number of fields compared.
fn compare(at: &str, decoded: &Value, oracle: &Value, fields: &mut usize) {
    match (decoded, oracle) {
        (Value::Object(decoded), Value::Object(oracle)) => {
            // A message is compared by the hash of its bytes.
            let is_message = oracle.contains_key("raw_sha256");
            for name in oracle.keys().filter(|name| !decoded.contains_key(*name)) {
                let known = is_message || NOT_DECODED.contains(&name.as_str());
                assert!(known, "{at}: {name} not compared");
            }
            for (name, value) in decoded {
                let other = oracle.get(name).unwrap_or_else(|| panic!("{at}: no {name}"));
                compare(&format!("{at}.{name}"), value, other, fields);
            }
        }
        (Value::Array(decoded), Value::Array(oracle)) => {
            assert_eq!(decoded.len(), oracle.len(), "{at}");
            decoded.iter().zip(oracle).enumerate().for_each(|(index, (value, other))| {
                compare(&format!("{at}[{index}]"), value, other, fields);
            });
        }
        _ => {
            assert_eq!(decoded, oracle, "{at}");
            *fields += 1;
        }
    }
}

fn outpoint_key(oracle: &Value) -> String {
    let index = oracle["index"].as_u64().unwrap();
    format!("{}{index:08x}", oracle["txid"].as_str().unwrap())
}

/// Everything stored of a channel, described like the oracle's entry.
fn channel(db: &Database, parts: &[&str], oracle: &Value) -> Value {
    let get = |key: &[u8]| db.get(parts, key);
    let tx = |key: &[u8]| {
        let tx = get(key).map(|value| small::decode_transaction(value).unwrap());
        tx.map(|tx| described::hex(&small::encode_transaction(&tx)))
    };
    let script = |key: &[u8]| {
        let script = get(key).map(|value| small::decode_upfront_shutdown(value).unwrap());
        script.map(|script| described::hex(script.as_bytes()))
    };
    let commitment = |key: &[u8]| {
        get(key).map(|value| described::commitment(&commitment::decode(value).unwrap()))
    };
    let updates =
        |key: &[u8]| get(key).map(|value| described::updates(&update::decode_list(value).unwrap()));
    let info = ChanInfo::decode(get(keys::channel::INFO).unwrap()).unwrap();
    let mut entry = described::chan_info(&info);
    let revocation = RevocationKeys::decode(get(keys::channel::REVOCATION_STATE).unwrap()).unwrap();
    let rest = json!({
        "thaw_height":
            get(keys::channel::THAW_HEIGHT).map(|v| small::decode_thaw_height(v).unwrap()),
        "last_was_revoke": get(keys::channel::LAST_WAS_REVOKE)
            .is_some_and(|v| small::decode_last_was_revoke(v).unwrap()),
        "local_upfront_shutdown": script(keys::channel::LOCAL_UPFRONT_SHUTDOWN),
        "remote_upfront_shutdown": script(keys::channel::REMOTE_UPFRONT_SHUTDOWN),
        "local_commitment": commitment(keys::channel::LOCAL_COMMITMENT),
        "remote_commitment": commitment(keys::channel::REMOTE_COMMITMENT),
        "revocation_state": described::revocation_state(&revocation),
        "commit_diff": get(keys::channel::COMMIT_DIFF)
            .map(|v| described::commit_diff(&commitment::decode_diff(v).unwrap())),
        "unsigned_acked_updates": updates(keys::channel::UNSIGNED_ACKED_UPDATES),
        "remote_unsigned_local_updates": updates(keys::channel::REMOTE_UNSIGNED_LOCAL_UPDATES),
        "data_loss_commit_point": get(keys::channel::DATA_LOSS_POINT)
            .map(|v| described::hex(&small::decode_public_key(v).unwrap().serialize())),
        "closing_tx": tx(keys::channel::CLOSING_TX),
        "coop_closing_tx": tx(keys::channel::COOP_CLOSING_TX),
        "shutdown_info": get(keys::channel::SHUTDOWN_INFO).map(|v| {
            let info = small::decode_shutdown_info(v).unwrap();
            let script = described::hex(info.script.as_bytes());
            json!({ "script": script, "local_initiator": info.local_initiator })
        }),
        "revocation_log": log(db, parts, oracle, "revocation_log", |height, value| {
            described::revoked_state(&revocation_log::decode(height, value).unwrap())
        }),
        "deprecated_revocation_log": log(db, parts, oracle, "deprecated_revocation_log", |h, v| {
            let revoked = revocation_log::decode_deprecated(v).unwrap();
            json!({ "height": h.0, "commitment": described::commitment(&revoked.commitment) })
        }),
    });
    entry.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    entry
}

/// The entries of a log at the heights that the oracle has.
fn log(
    db: &Database,
    parts: &[&str],
    oracle: &Value,
    name: &str,
    describe: impl Fn(CommitmentHeight, Bytes) -> Value,
) -> Value {
    let bucket = match name {
        "revocation_log" => keys::channel::REVOCATION_LOG,
        _ => keys::channel::DEPRECATED_LOG,
    };
    let bucket = described::hex(bucket);
    let entries = oracle[name].as_array().unwrap().iter().map(|entry| {
        let height = entry["height"].as_u64().unwrap();
        let value = db.get(&[parts, &[&bucket]].concat(), &height.to_be_bytes()).unwrap();
        describe(CommitmentHeight(height), value)
    });
    entries.collect()
}

pub(crate) fn compare_database(listing: &Path, oracle: &Path) -> usize {
    let db = Database::open(listing);
    let oracle: Value = serde_json::from_slice(&std::fs::read(oracle).unwrap()).unwrap();
    let oracle = &oracle["decoded"];
    let list = |name: &str| oracle[name].as_array().unwrap().iter().enumerate();
    let top = |name: &[u8]| described::hex(name);
    let mut fields = 0;

    for (index, entry) in list("open_channels") {
        let outpoint = outpoint_key(&entry["outpoint"]);
        let peer = entry["peer_key"].as_str().unwrap();
        let chain = entry["chain_key"].as_str().unwrap();
        let parts = [&top(keys::bucket::OPEN_CHANNELS), peer, chain, &outpoint];
        let decoded = channel(&db, &parts, entry);
        compare(&format!("open_channels[{index}]"), &decoded, entry, &mut fields);
    }
    for (index, entry) in list("historical_channels") {
        let outpoint = outpoint_key(&entry["outpoint"]);
        let parts = [&*top(keys::bucket::HISTORICAL_CHANNELS), &*outpoint];
        let decoded = channel(&db, &parts, entry);
        compare(&format!("historical_channels[{index}]"), &decoded, entry, &mut fields);
    }
    for (index, entry) in list("closed_channels") {
        let key = hex(&outpoint_key(&entry["key_outpoint"]));
        let value = db.get(&[&top(keys::bucket::CLOSED_CHANNELS)], &key).unwrap();
        let decoded = described::close_summary(&close::decode(value).unwrap());
        compare(&format!("closed_channels[{index}]"), &decoded, entry, &mut fields);
    }
    for (index, entry) in list("link_nodes") {
        let key = hex(entry["key"].as_str().unwrap());
        let value = db.get(&[&top(keys::bucket::LINK_NODES)], &key).unwrap();
        let stored = link_node::decode(keys::decode_node_id(&key).unwrap(), value).unwrap();
        let decoded = described::link_node(&stored.node, &stored.identity_key);
        compare(&format!("link_nodes[{index}]"), &decoded, entry, &mut fields);
    }
    for (index, entry) in list("forwarding_packages") {
        compare(&format!("packages[{index}]"), &package(&db, entry), entry, &mut fields);
    }
    for (index, entry) in list("final_htlcs") {
        let scid = format!("{:016x}", entry["scid"].as_u64().unwrap());
        let id = entry["htlc_id"].as_u64().unwrap().to_be_bytes();
        let value = db.get(&[&top(keys::bucket::FINAL_HTLCS), &scid], &id).unwrap();
        let outcome = small::decode_final_htlc(value).unwrap();
        let decoded = json!({ "settled": outcome.settled, "offchain": outcome.offchain });
        compare(&format!("final_htlcs[{index}]"), &decoded, entry, &mut fields);
    }
    for (index, entry) in list("forwarding_policies") {
        let key = hex(entry["channel_id"].as_str().unwrap());
        let value = db.get(&[&top(keys::bucket::FORWARDING_POLICIES)], &key).unwrap();
        let policy = small::decode_forwarding_policy(value).unwrap();
        let decoded = json!({
            "min_htlc_out_msat": policy.min_htlc.0,
            "max_htlc_msat": policy.max_htlc.0,
            "base_fee_msat": policy.base_fee.0,
            "fee_rate": policy.fee_rate,
            "time_lock_delta": policy.time_lock_delta,
        });
        compare(&format!("forwarding_policies[{index}]"), &decoded, entry, &mut fields);
    }
    for (index, entry) in list("outpoint_index") {
        let key = hex(&outpoint_key(&entry["outpoint"]));
        let value = db.get(&[&top(keys::bucket::OUTPOINTS)], &key).unwrap();
        let closed = small::decode_outpoint_status(value).unwrap() == small::OutpointStatus::Closed;
        compare(&format!("outpoints[{index}]"), &json!({ "closed": closed }), entry, &mut fields);
    }
    let version = db.get(&[&top(keys::bucket::METADATA)], keys::metadata::DB_VERSION).unwrap();
    let version = small::decode_db_version(version).unwrap();
    compare("db_version", &json!(version), &oracle["db_version"], &mut fields);
    let migrations = db.get(&[&top(keys::bucket::METADATA)], keys::metadata::OPTIONAL_MIGRATIONS);
    let migrations = migrations.map(|value| small::decode_optional_migrations(value).unwrap());
    compare("migrations", &json!(migrations), &oracle["optional_migrations"], &mut fields);
    fields
}

fn package(db: &Database, oracle: &Value) -> Value {
    let source = format!("{:016x}", oracle["source_scid"].as_u64().unwrap());
    let height = format!("{:016x}", oracle["height"].as_u64().unwrap());
    let top = described::hex(keys::bucket::PACKAGES);
    let parts = [&*top, &*source, &*height];
    let updates = |bucket: &[u8]| {
        let bucket = described::hex(bucket);
        let parts = [&parts[..], &[&*bucket]].concat();
        let stored = (0u16..).map_while(|index| db.get(&parts, &index.to_be_bytes()));
        let updates: Vec<_> = stored.map(|value| update::decode(value).unwrap()).collect();
        described::updates(&updates)
    };
    let filter = |key: &[u8]| {
        let filter = db.get(&parts, key);
        filter.map(|value| {
            let filter = migrate::lnd::codec::package::decode_filter(value).unwrap();
            described::hex(&[&filter.count().to_be_bytes(), filter.bits()].concat())
        })
    };
    json!({
        "adds": updates(keys::package::ADDS),
        "settle_fails": updates(keys::package::SETTLE_FAILS),
        "ack_filter": filter(keys::package::ACK_FILTER),
        "settle_fail_filter": filter(keys::package::SETTLE_FAIL_FILTER),
        "fwd_filter": filter(keys::package::FORWARD_FILTER),
    })
}

#[test]
fn current_databases_mean_what_lnd_says() {
    for name in ["node", "damaged/base", "empty"] {
        let fields =
            compare_database(&data(&format!("{name}.kv.jsonl.gz")), &data(&format!("{name}.json")));
        println!("{name}: {fields} fields equal");
    }
}

#[test]
fn old_databases_mean_what_lnd_says() {
    for name in ["legacy", "legacy31"] {
        let fields =
            compare_database(&data(&format!("{name}.kv.jsonl.gz")), &data(&format!("{name}.json")));
        println!("{name}: {fields} fields equal");
    }
}
