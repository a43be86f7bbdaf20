//! Versions, locks and owners of both stores.

use channelcoord::{Backend, Record, meta_key};
use serde::Serialize;
use sqlstore::SqliteBackend;

use super::check::Check;
use crate::holder;
use crate::lnd::source::{LndSource, VERSIONS};
use crate::opened::{self, Failure, Opened, Quiet};
use crate::text::bytes;
use crate::url::{Engine, StoreUrl};

/// Where lnd's graph names the node itself.
const GRAPH_NODES: &[u8] = b"graph-node";
const OWN_NODE: &[u8] = b"source";

/// What is known of a store, source or target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Side {
    /// The store.
    pub store: String,
    /// Its form.
    pub format: &'static str,
    /// Versions of database, format and server.
    pub version: String,
    /// Its size in bytes; `None` for a target, which is not there yet.
    pub size: Option<u64>,
    /// The node that it says it belongs to.
    pub node: Option<String>,
    /// The network that it says it belongs to.
    pub network: Option<String>,
}

/// Looks at the source.
pub(super) fn source(url: &StoreUrl, store: &Opened) -> Result<Side, Failure> {
    let (node, network) = match store {
        Opened::Lnd(lnd) => (own_node(lnd), None),
        Opened::Store(backend) => owner(url, backend.as_ref())?,
    };
    let version = match store {
        Opened::Lnd(lnd) => lnd_version(lnd),
        Opened::Store(_) => our_version(url)?,
    };
    let (store, size) = (url.to_string(), Some(opened::size(url)?));
    Ok(Side { store, format: url.format(), version, size, node, network })
}

/// Looks at a target that is to be created.
pub(super) fn target(url: &StoreUrl) -> Result<Side, Failure> {
    let (store, version) = (url.to_string(), our_version(url)?);
    Ok(Side { store, format: url.format(), version, ..Side::default() })
}

fn lnd_version(lnd: &LndSource) -> String {
    let known = format!("{} to {} are known", VERSIONS.start(), VERSIONS.end());
    match lnd.version() {
        Some(version) => format!("lnd database version {version}, {known}"),
        None => format!("lnd database without a readable version, {known}"),
    }
}

fn our_version(url: &StoreUrl) -> Result<String, Failure> {
    let schema = format!("schema version {}", sqlstore::SCHEMA_VERSION);
    Ok(match url {
        StoreUrl::File { engine: Engine::LndBolt | Engine::LndSqlite, .. }
        | StoreUrl::LndServer(_) => "lnd's, which is only read".into(),
        StoreUrl::File { engine: Engine::Redb, .. } => {
            format!("redb, format {}", kvstore::FORMAT_VERSION)
        }
        StoreUrl::File { engine: Engine::Sqlite, .. } => format!("SQLite, {schema}"),
        StoreUrl::File { engine: Engine::Archive, .. } => {
            format!("archive, format {}", crate::archive::FORMAT)
        }
        StoreUrl::Server(server) => {
            let version = server.options().server_version();
            let version = version.map_err(|error| Failure::access(url, &error))?;
            format!("PostgreSQL {version}, {schema}")
        }
    })
}

/// The node that lnd's graph calls its own; databases whose graph is elsewhere do not say.
fn own_node(lnd: &LndSource) -> Option<String> {
    let nodes = lnd.bucket(&[GRAPH_NODES], &lnd.damaged()).ok()??;
    let key = nodes.value(OWN_NODE).ok()??;
    (key.len() == 33).then(|| key.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What one of our stores says of its owner.
fn owner(
    url: &StoreUrl,
    backend: &dyn Backend,
) -> Result<(Option<String>, Option<String>), Failure> {
    if let StoreUrl::Server(server) = url {
        let standing = server.options().standing();
        let standing = standing.map_err(|error| Failure::access(url, &error))?;
        return Ok((standing.node, standing.network));
    }
    let records = pollster::block_on(backend.read(&[meta_key("node"), meta_key("network")]));
    let records = records.map_err(|error| Failure::of_backend(url, &error))?;
    let text = |record: Option<&Option<Record>>| match record {
        Some(Some(Record::Meta(meta))) => Some(String::from_utf8_lossy(&meta.value).into_owned()),
        _ => None,
    };
    Ok((text(records.first()), text(records.get(1))))
}

/// Whether nobody writes the source.
pub(super) fn source_use(url: &StoreUrl, quiet: &Result<Quiet, Failure>) -> Check {
    const NAME: &str = "source in use";
    if url.archive().is_some() {
        return Check::ok(NAME, "no, nobody writes an archive");
    }
    match quiet {
        Err(failure) => Check::failed(NAME, failure, &stop_advice(url)),
        Ok(Quiet::AsOf(_)) => {
            Check::ok(NAME, "no lease is held; the store must not have moved when the copy is done")
        }
        Ok(Quiet::AsRead) => {
            Check::ok(NAME, "nobody else has it open; it must not have moved when the copy is done")
        }
        Ok(Quiet::ByReader | Quiet::ByLock(_)) => {
            Check::ok(NAME, "no, and it is locked against writers until the end")
        }
    }
}

fn stop_advice(url: &StoreUrl) -> String {
    let holder = match url {
        StoreUrl::File { engine: Engine::Sqlite, path } => {
            SqliteBackend::lock_path(path).ok().and_then(|lock| holder::of(&lock))
        }
        StoreUrl::File { path, .. } => holder::of(path),
        StoreUrl::Server(_) | StoreUrl::LndServer(_) => None,
    };
    match holder {
        Some(holder) => format!("stop the node, which is {holder}, and keep it stopped"),
        None => "stop the node, and keep it stopped".into(),
    }
}

/// Whether nothing at the target's place is in the way.
pub(super) fn target_place(url: &StoreUrl, place: Result<&'static str, Failure>) -> Check {
    const NAME: &str = "target is new";
    match place {
        Ok(what) => Check::ok(NAME, what),
        Err(failure @ Failure::Usage(_)) if is_lnd(url) => {
            Check::failed(NAME, &failure, "name a target with sqlite:, redb: or postgres://")
        }
        Err(failure @ Failure::Usage(_)) => {
            Check::failed(NAME, &failure, &format!("it is not touched{}", standing(url)))
        }
        Err(failure) => {
            Check::failed(NAME, &failure, "make the place accessible, or name another one")
        }
    }
}

fn is_lnd(url: &StoreUrl) -> bool {
    match url {
        StoreUrl::File { engine, .. } => matches!(engine, Engine::LndBolt | Engine::LndSqlite),
        StoreUrl::LndServer(_) => true,
        StoreUrl::Server(_) => false,
    }
}

/// What is there already, for the operator to recognise.
fn standing(url: &StoreUrl) -> String {
    let of = |node: Option<String>, network: Option<String>| {
        let node = node.map(|node| format!(" of node {node}")).unwrap_or_default();
        let network = network.map(|network| format!(" on {network}")).unwrap_or_default();
        node + &network
    };
    match url {
        StoreUrl::File { path, .. } => {
            let size = std::fs::metadata(path).map(|file| file.len()).unwrap_or_default();
            let holder = holder::of(path).map(|holder| format!(", locked by {holder}"));
            format!(" ({}{})", bytes(size), holder.unwrap_or_default())
        }
        StoreUrl::LndServer(_) => String::new(),
        StoreUrl::Server(server) => match server.options().standing() {
            Ok(found) => {
                let holder = found.holder.map(|(name, _)| format!(", leased by {name}"));
                let (owner, holder) = (of(found.node, found.network), holder.unwrap_or_default());
                format!(" (a store{owner}, {}{holder})", bytes(found.bytes))
            }
            Err(_) => String::new(),
        },
    }
}

/// Whether the versions of both sides are known.
pub(super) fn versions(source: &Result<Side, Failure>, target: &Result<Side, Failure>) -> Check {
    const NAME: &str = "versions";
    match (source, target) {
        (Ok(source), Ok(target)) => {
            Check::ok(NAME, format!("{}; to {}", source.version, target.version))
        }
        (Err(failure), _) | (_, Err(failure)) => {
            Check::failed(NAME, failure, "make the store or its server reachable")
        }
    }
}
