//! What a store is opened with.

use std::fmt;
use std::ops::RangeBounds;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::Network;
use bitcoin::secp256k1::{PublicKey, rand};
use channelcoord::RecordRef;
use chanstate::Cause;
use sqlx::postgres::PgConnectOptions;
use thiserror::Error;

use super::size;
use crate::open::OpenError;
use crate::schema::{STEPS, Step};
use crate::verdict::fits;

/// Longest name that PostgreSQL keeps whole.
const LONGEST_NAME: usize = 63;

/// Which store to open, and how to treat its server.
#[derive(Clone)]
pub struct PostgresOptions {
    pub(crate) server: PgConnectOptions,
    pub(crate) schema: String,
    pub(crate) instance: String,
    pub(crate) node: Option<PublicKey>,
    pub(crate) network: Option<Network>,
    pub(crate) lease: Duration,
    pub(crate) takeover: Duration,
    pub(crate) connect: Duration,
    pub(crate) statement: Duration,
    pub(crate) patience: Duration,
    pub(crate) readers: u32,
    pub(crate) largest: usize,
    /// The steps that a schema has to go through; tests have others.
    pub(crate) steps: &'static [Step],
}

impl PostgresOptions {
    /// A server and database by URL: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with parameters
    /// such as `sslmode` and `sslrootcert`. What is missing is taken from the environment, as `psql`
    /// does.
    ///
    /// # Errors
    /// `Option` if it is no such URL.
    pub fn new(url: &str) -> Result<PostgresOptions, OpenError> {
        let server = PgConnectOptions::from_str(url)
            .map_err(|error| OpenError::Option { option: "URL", cause: Arc::new(error) })?;
        Ok(PostgresOptions {
            server,
            schema: "chanstore".to_owned(),
            instance: random_instance(),
            node: None,
            network: None,
            lease: Duration::from_secs(30),
            takeover: Duration::ZERO,
            connect: Duration::from_secs(10),
            statement: Duration::from_secs(30),
            patience: Duration::from_secs(60),
            readers: 4,
            largest: size::USUAL,
            steps: STEPS,
        })
    }

    /// The schema that holds the store, so that several nodes can share a database: a lower-case
    /// letter or underscore, then these or digits. `chanstore` if it is not set.
    ///
    /// # Errors
    /// `Option` if it is no such name.
    pub fn schema(self, schema: impl Into<String>) -> Result<PostgresOptions, OpenError> {
        let schema = schema.into();
        let start = |c: char| c.is_ascii_lowercase() || c == '_';
        let plain = schema.starts_with(start)
            && schema.chars().all(|c| start(c) || c.is_ascii_digit())
            && schema.len() <= LONGEST_NAME
            && !schema.starts_with("pg_");
        match plain {
            true => Ok(PostgresOptions { schema, ..self }),
            false => Err(OpenError::Option { option: "schema", cause: Arc::new(BadName(schema)) }),
        }
    }

    /// The node instance that opens the store. The same instance takes the store over at once, also
    /// after a crash; another one is refused while the lease runs. Keep the name between starts, and
    /// give each installation its own. A random one if it is not set.
    #[must_use]
    pub fn instance(self, instance: impl Into<String>) -> PostgresOptions {
        // PostgreSQL has no NUL in its texts.
        PostgresOptions { instance: instance.into().replace('\0', "\u{fffd}"), ..self }
    }

    /// The node whose store it is: kept in the store when it is first named, checked from then on.
    #[must_use]
    pub fn node(self, node: PublicKey) -> PostgresOptions {
        PostgresOptions { node: Some(node), ..self }
    }

    /// The network of the node: kept in the store when it is first named, checked from then on.
    #[must_use]
    pub fn network(self, network: Network) -> PostgresOptions {
        PostgresOptions { network: Some(network), ..self }
    }

    /// How long a claim lasts unless it is renewed, which happens three times as often: 30 s if it is
    /// not set. A process that stood still for longer is fenced.
    #[must_use]
    pub fn lease(self, lease: Duration) -> PostgresOptions {
        // At least what a timer can keep apart.
        PostgresOptions { lease: lease.max(Duration::from_millis(30)), ..self }
    }

    /// How long a claim waits for the lease of another instance to end: not at all if it is not set.
    #[must_use]
    pub fn takeover(self, takeover: Duration) -> PostgresOptions {
        PostgresOptions { takeover, ..self }
    }

    /// How long making one connection may take: 10 s if it is not set.
    #[must_use]
    pub fn connect_timeout(self, connect: Duration) -> PostgresOptions {
        PostgresOptions { connect, ..self }
    }

    /// How long the answer to one statement may take before the connection counts as lost: 30 s if
    /// it is not set. The server is never asked to stop working on it. Opening is bound by it too, and
    /// so is each step of an upgrade.
    #[must_use]
    pub fn statement_timeout(self, statement: Duration) -> PostgresOptions {
        PostgresOptions { statement, ..self }
    }

    /// How long a call goes on with new connections before it fails: 60 s if it is not set.
    #[must_use]
    pub fn patience(self, patience: Duration) -> PostgresOptions {
        PostgresOptions { patience, ..self }
    }

    /// Most connections for reads: 4 if it is not set. Two more are for commits and the lease.
    #[must_use]
    pub fn readers(self, readers: u32) -> PostgresOptions {
        PostgresOptions { readers: readers.max(1), ..self }
    }

    /// Most bytes that one commit sends to the server, which needs a multiple of it in memory: 512 MiB
    /// if it is not set, 960 MiB at most. Change sets that are larger together are committed one by
    /// one; one that is larger alone is refused.
    #[must_use]
    pub fn largest_commit(self, bytes: usize) -> PostgresOptions {
        PostgresOptions { largest: bytes.min(size::MOST), ..self }
    }

    /// The steps that lead to some schema versions.
    pub(crate) fn steps(&self, versions: impl RangeBounds<u32>) -> Vec<&'static Step> {
        self.steps.iter().filter(|step| versions.contains(&step.version)).collect()
    }

    /// The newest schema version.
    pub(crate) fn newest(&self) -> u32 {
        self.steps.iter().map(|step| step.version).max().unwrap_or_default()
    }

    /// Whether a record fits, into the columns of its table and into a commit. A commit refuses the
    /// sets with records that do not; this asks before anything is written, and without the server.
    ///
    /// # Errors
    /// What is too large.
    pub fn fits(&self, record: RecordRef<'_>) -> Result<(), Cause> {
        fits(record)?;
        size::require_fitting(record, self.largest).map_err(|error| Arc::new(error) as Cause)
    }

    /// Where the store is, without secrets.
    pub(crate) fn name(&self) -> String {
        let Self { server, schema, .. } = self;
        let database = server.get_database().unwrap_or(server.get_username());
        match server.get_socket() {
            Some(socket) => format!("schema {schema} of {database} at {}", socket.display()),
            None => format!(
                "schema {schema} of {database} at {}:{}",
                server.get_host(),
                server.get_port()
            ),
        }
    }
}

// The server's options hold the password.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresOptions").field(&self.name()).finish()
    }
}

/// A name that would have to be quoted.
#[derive(Debug, Error)]
#[error("{0:?} is no plain name")]
struct BadName(String);

fn random_instance() -> String {
    rand::random::<[u8; 16]>().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> PostgresOptions {
        PostgresOptions::new("postgres://me:secret@host:7/nodes").unwrap()
    }

    #[test]
    fn a_schema_has_a_plain_name() {
        for good in ["a", "_", "node_1"] {
            assert_eq!(options().schema(good).unwrap().schema, good);
        }
        let long = "a".repeat(LONGEST_NAME + 1);
        for bad in ["", "1a", "A", "a-b", "a b", "a\"b", "ä", "pg_temp", &long] {
            let refused = options().schema(bad).unwrap_err();
            assert!(matches!(refused, OpenError::Option { option: "schema", .. }), "{bad}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", options());
        assert_eq!(shown, "PostgresOptions(\"schema chanstore of nodes at host:7\")");
    }

    #[test]
    fn a_record_over_the_largest_commit_does_not_fit() {
        let record = |len| {
            let value = vec![0; len].into();
            channelcoord::Record::Meta(channelcoord::MetaRecord { name: "a".into(), value })
        };
        let options = options().largest_commit(1000);
        assert!(options.fits(record(500).as_ref()).is_ok());
        let misfit = options.fits(record(1000).as_ref()).unwrap_err();
        assert!(misfit.to_string().contains("1000 at most"), "{misfit}");
    }

    #[test]
    fn instances_are_told_apart() {
        assert_ne!(options().instance, options().instance);
    }
}
