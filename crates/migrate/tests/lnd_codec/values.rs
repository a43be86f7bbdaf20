//! Every kind of value behind one function, and the key listings of databases.

use std::fmt::Debug;
use std::io::Read;
use std::path::{Path, PathBuf};

use bitcoin::hex::FromHex;
use bitcoin::secp256k1::PublicKey;
use bytes::Bytes;
use chanstate::CommitmentHeight;
use migrate::lnd::codec::chan_info::ChanInfo;
use migrate::lnd::codec::revocation::RevocationKeys;
use migrate::lnd::codec::{
    LndError, close, commitment, keys, link_node, package, residue, revocation_log, small, update,
};

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    ChanInfo,
    Commitment,
    CommitDiff,
    RevocationState,
    UpfrontShutdown,
    ThawHeight,
    LastWasRevoke,
    PublicKey,
    Transaction,
    ShutdownInfo,
    UpdateList,
    LogEntry,
    DeprecatedEntry,
    CloseSummary,
    OutpointStatus,
    LinkNode,
    FinalHtlc,
    ForwardingPolicy,
    Filter,
    Update,
    DbVersion,
    OptionalMigrations,
    ChannelId,
    OpeningState,
}

impl Kind {
    pub(crate) const ALL: [Kind; 24] = [
        Kind::ChanInfo,
        Kind::Commitment,
        Kind::CommitDiff,
        Kind::RevocationState,
        Kind::UpfrontShutdown,
        Kind::ThawHeight,
        Kind::LastWasRevoke,
        Kind::PublicKey,
        Kind::Transaction,
        Kind::ShutdownInfo,
        Kind::UpdateList,
        Kind::LogEntry,
        Kind::DeprecatedEntry,
        Kind::CloseSummary,
        Kind::OutpointStatus,
        Kind::LinkNode,
        Kind::FinalHtlc,
        Kind::ForwardingPolicy,
        Kind::Filter,
        Kind::Update,
        Kind::DbVersion,
        Kind::OptionalMigrations,
        Kind::ChannelId,
        Kind::OpeningState,
    ];

    /// Names the value at a key; `None` in buckets that are not channel state.
    pub(crate) fn of(path: &[Bytes], key: &[u8]) -> Option<Kind> {
        let in_bucket = |name: &[u8]| path.last().is_some_and(|last| last == name);
        Some(match (path.first()?.as_ref(), path.len()) {
            (keys::bucket::OPEN_CHANNELS, 5) if in_bucket(keys::channel::REVOCATION_LOG) => {
                Kind::LogEntry
            }
            (keys::bucket::OPEN_CHANNELS, 5) if in_bucket(keys::channel::DEPRECATED_LOG) => {
                Kind::DeprecatedEntry
            }
            (keys::bucket::OPEN_CHANNELS, 4) | (keys::bucket::HISTORICAL_CHANNELS, 2) => {
                Kind::of_channel_key(key)
            }
            (keys::bucket::PACKAGES, 3) => Kind::Filter,
            (keys::bucket::PACKAGES, 4) => Kind::Update,
            (keys::bucket::CLOSED_CHANNELS, 1) => Kind::CloseSummary,
            (keys::bucket::OUTPOINTS, 1) => Kind::OutpointStatus,
            (keys::bucket::CHANNEL_IDS, 1) => Kind::ChannelId,
            (keys::bucket::LINK_NODES, 1) => Kind::LinkNode,
            (keys::bucket::FINAL_HTLCS, 2) => Kind::FinalHtlc,
            (keys::bucket::OPENING_STATES, 1) => Kind::OpeningState,
            (keys::bucket::FORWARDING_POLICIES, 1) => Kind::ForwardingPolicy,
            (keys::bucket::METADATA, 1) if key == keys::metadata::DB_VERSION => Kind::DbVersion,
            (keys::bucket::METADATA, 1) => Kind::OptionalMigrations,
            _ => return None,
        })
    }

    fn of_channel_key(key: &[u8]) -> Kind {
        match key {
            keys::channel::INFO => Kind::ChanInfo,
            keys::channel::LOCAL_COMMITMENT | keys::channel::REMOTE_COMMITMENT => Kind::Commitment,
            keys::channel::REVOCATION_STATE => Kind::RevocationState,
            keys::channel::LOCAL_UPFRONT_SHUTDOWN | keys::channel::REMOTE_UPFRONT_SHUTDOWN => {
                Kind::UpfrontShutdown
            }
            keys::channel::THAW_HEIGHT => Kind::ThawHeight,
            keys::channel::COMMIT_DIFF => Kind::CommitDiff,
            keys::channel::UNSIGNED_ACKED_UPDATES
            | keys::channel::REMOTE_UNSIGNED_LOCAL_UPDATES => Kind::UpdateList,
            keys::channel::LAST_WAS_REVOKE => Kind::LastWasRevoke,
            keys::channel::DATA_LOSS_POINT => Kind::PublicKey,
            keys::channel::CLOSING_TX | keys::channel::COOP_CLOSING_TX => Kind::Transaction,
            keys::channel::SHUTDOWN_INFO => Kind::ShutdownInfo,
            other => panic!("unknown channel key {}", String::from_utf8_lossy(other)),
        }
    }
}

/// One key of a database.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) path: Vec<Bytes>,
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
}

/// Where the databases are.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/lnd").join(name)
}

/// All keys of a database with their values.
pub(crate) fn leaves(listing: &Path) -> Vec<Leaf> {
    let file = std::fs::File::open(listing).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines
        .filter(|line| line.get("value").is_some())
        .map(|line| Leaf {
            path: line["path"]
                .as_array()
                .unwrap()
                .iter()
                .map(|part| hex(part.as_str().unwrap()))
                .collect(),
            key: hex(line["key"].as_str().unwrap()),
            value: hex(line["value"].as_str().unwrap()),
        })
        .collect()
}

/// Bytes from hexadecimal digits; white space does not count.
pub(crate) fn hex(text: &str) -> Bytes {
    let digits: String = text.split_whitespace().collect();
    Vec::from_hex(&digits).unwrap().into()
}

/// Decodes, encodes and compares a value. Returns the length of the residue that it took.
pub(crate) fn round_trip(kind: Kind, key: &[u8], value: &Bytes) -> Result<usize, LndError> {
    match kind {
        Kind::ChanInfo => check(value, ChanInfo::decode, |v| v.encode().unwrap()),
        Kind::Commitment => check(value, commitment::decode, |v| commitment::encode(v).unwrap()),
        Kind::CommitDiff => {
            check(value, commitment::decode_diff, |v| commitment::encode_diff(v).unwrap())
        }
        Kind::RevocationState => check(value, RevocationKeys::decode, RevocationKeys::encode),
        Kind::UpfrontShutdown => check(value, small::decode_upfront_shutdown, |v| {
            small::encode_upfront_shutdown(v).unwrap()
        }),
        Kind::ThawHeight => {
            check(value, small::decode_thaw_height, |v| small::encode_thaw_height(*v))
        }
        Kind::LastWasRevoke => {
            check(value, small::decode_last_was_revoke, |v| small::encode_last_was_revoke(*v))
        }
        Kind::PublicKey => check(value, small::decode_public_key, small::encode_public_key),
        Kind::Transaction => {
            check(value, small::decode_transaction, |v| small::encode_transaction(v))
        }
        Kind::ShutdownInfo => {
            check(value, small::decode_shutdown_info, small::encode_shutdown_info)
        }
        Kind::UpdateList => check(value, update::decode_list, |v| update::encode_list(v).unwrap()),
        Kind::LogEntry => check_log_entry(value),
        Kind::DeprecatedEntry => check(value, revocation_log::decode_deprecated, |v| {
            revocation_log::encode_deprecated(v).unwrap()
        }),
        Kind::CloseSummary => check(value, close::decode, |v| close::encode(v).unwrap()),
        Kind::OutpointStatus => {
            check(value, small::decode_outpoint_status, |v| small::encode_outpoint_status(*v))
        }
        Kind::LinkNode => {
            let node_id = PublicKey::from_slice(key).unwrap();
            let decode = |bytes| link_node::decode(node_id, bytes).map(|stored| stored.node);
            check(value, decode, |v| link_node::encode(v).unwrap())
        }
        Kind::FinalHtlc => check(value, small::decode_final_htlc, |v| small::encode_final_htlc(*v)),
        Kind::ForwardingPolicy => {
            check(value, small::decode_forwarding_policy, small::encode_forwarding_policy)
        }
        Kind::Filter => check(value, package::decode_filter, package::encode_filter),
        Kind::Update => check(value, update::decode, |v| update::encode(v).unwrap()),
        Kind::DbVersion => check(value, small::decode_db_version, |v| small::encode_db_version(*v)),
        Kind::OptionalMigrations => check(value, small::decode_optional_migrations, |v| {
            small::encode_optional_migrations(v)
        }),
        // Empty, and opaque.
        Kind::ChannelId | Kind::OpeningState => Ok(0),
    }
}

fn check<T: PartialEq + Debug>(
    stored: &Bytes,
    decode: impl Fn(Bytes) -> Result<T, LndError>,
    encode: impl Fn(&T) -> Vec<u8>,
) -> Result<usize, LndError> {
    let value = decode(stored.clone())?;
    let canonical = encode(&value);
    assert_eq!(decode(canonical.clone().into()).unwrap(), value, "canonical means the same");
    let Some(residue) = residue::between(&canonical, stored) else {
        return Ok(0);
    };
    assert_eq!(residue::apply(&canonical, &residue).unwrap(), stored[..]);
    Ok(residue.len())
}

/// As [`check`]; a revoked state holds its residue.
fn check_log_entry(stored: &Bytes) -> Result<usize, LndError> {
    let height = CommitmentHeight(7);
    let mut state = revocation_log::decode(height, stored.clone())?;
    assert_eq!(revocation_log::encode(&state).unwrap(), stored[..]);
    let len = state.residue.len();
    state.residue = Bytes::new();
    let canonical = revocation_log::encode(&state).unwrap();
    assert_eq!(revocation_log::decode(height, canonical.into()).unwrap(), state);
    Ok(len)
}
