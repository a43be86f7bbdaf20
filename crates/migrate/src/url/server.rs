//! URLs of stores in PostgreSQL.

use std::sync::Arc;

use bitcoin::Network;
use bitcoin::secp256k1::PublicKey;
use sqlstore::PostgresOptions;
use thiserror::Error;
use url::Url;

use super::UrlError;

/// Parameters that a URL may have beside `schema`.
pub(super) const PARAMETERS: [&str; 10] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
];

/// A schema of a PostgreSQL database. Shown without its password.
#[derive(Clone, Debug)]
pub struct ServerUrl {
    options: Box<PostgresOptions>,
    shown: Url,
    schema: String,
}

/// What is wrong with a URL. Nothing of its text is repeated: where a password ends is not known.
#[derive(Debug, Error)]
pub(super) enum Fault {
    #[error("special characters of a password are written as %, followed by two hex digits")]
    Place,
    #[error("parameters are schema, {}", PARAMETERS.join(", "))]
    Parameter,
}

impl ServerUrl {
    /// Takes a URL apart: `postgres://USER@HOST:PORT/DATABASE?schema=NAME`.
    pub(super) fn new(text: &str) -> Result<ServerUrl, UrlError> {
        let mut url: Url = text.parse().map_err(|error| UrlError::Server(Arc::new(error)))?;
        require_plain(&url).map_err(|fault| UrlError::Server(Arc::new(fault)))?;
        let mut schema = "chanstore".to_owned();
        let mut parameters = Vec::new();
        for (name, value) in url.query_pairs().into_owned() {
            match name.as_str() {
                "schema" => schema = value,
                known if PARAMETERS.contains(&known) => parameters.push((name, value)),
                _ => return Err(UrlError::Server(Arc::new(Fault::Parameter))),
            }
        }
        set_parameters(&mut url, &parameters);
        let options = PostgresOptions::new(url.as_str())
            .and_then(|options| options.schema(schema.as_str()))
            .map_err(|error| UrlError::Server(Arc::new(error)))?;
        let shown = without_password(url, parameters);
        Ok(ServerUrl { options: Box::new(options), shown, schema })
    }

    /// Another schema of the same database.
    pub(crate) fn beside(&self, schema: String) -> Result<ServerUrl, sqlstore::OpenError> {
        let options = self.options().schema(schema.as_str())?;
        Ok(ServerUrl { options: Box::new(options), shown: self.shown.clone(), schema })
    }

    /// The same store, to belong to a node and a network when it is created.
    pub(super) fn owned_by(&self, node: Option<PublicKey>, network: Option<Network>) -> ServerUrl {
        let mut options = self.options();
        options = node.into_iter().fold(options, PostgresOptions::node);
        options = network.into_iter().fold(options, PostgresOptions::network);
        ServerUrl { options: Box::new(options), ..self.clone() }
    }

    /// How to open it.
    pub(crate) fn options(&self) -> PostgresOptions {
        PostgresOptions::clone(&self.options)
    }

    /// Its schema.
    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }
}

/// Refuses what a password with characters of another meaning would look like: it would be shown as
/// a part of something else.
pub(super) fn require_plain(url: &Url) -> Result<(), Fault> {
    let database = url.path().strip_prefix('/').unwrap_or_default();
    match url.has_authority() && url.fragment().is_none() && !database.contains(['/', '@', ':']) {
        true => Ok(()),
        false => Err(Fault::Place),
    }
}

pub(super) fn set_parameters(url: &mut Url, parameters: &[(String, String)]) {
    url.set_query(None);
    if !parameters.is_empty() {
        url.query_pairs_mut().extend_pairs(parameters);
    }
}

/// The URL as it is shown.
pub(super) fn without_password(mut url: Url, mut parameters: Vec<(String, String)>) -> Url {
    parameters.retain(|(name, _)| name != "password");
    set_parameters(&mut url, &parameters);
    // Fails where there is no host, and so no password.
    let _ = url.set_password(None);
    url
}

impl std::fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = self.shown.clone();
        shown.query_pairs_mut().append_pair("schema", &self.schema);
        shown.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::chain;

    fn shown(url: &str) -> String {
        ServerUrl::new(url).unwrap().to_string()
    }

    #[test]
    fn a_schema_is_a_parameter_and_shown_also_if_it_is_the_usual_one() {
        let url = "postgres://me@host:7/nodes?sslmode=require&schema=alice";
        assert_eq!(shown(url), url);
        assert_eq!(ServerUrl::new(url).unwrap().schema(), "alice");
        assert_eq!(shown("postgres://host/nodes"), "postgres://host/nodes?schema=chanstore");
        assert_eq!(shown("postgres:///n?host=/run"), "postgres:///n?host=%2Frun&schema=chanstore");
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in [
            "postgres://me:secret@host/nodes?schema=a",
            "postgres://me@host/nodes?password=secret&schema=a",
            "postgres://me:se%40cret@host/nodes?password=secret&schema=a",
        ] {
            assert_eq!(shown(url), "postgres://me@host/nodes?schema=a", "{url}");
            assert!(!format!("{:?}", ServerUrl::new(url).unwrap()).contains("cret"), "{url}");
        }
    }

    #[test]
    fn what_could_be_a_misplaced_password_is_refused_without_showing_it() {
        for url in [
            "postgres:me:secret@host/nodes",
            "postgres:/me:secret@host/nodes",
            "postgres:///me:secret@host/nodes",
            "postgres://me:12/secret@host/nodes",
            "postgres://me:12#secret@host/nodes",
            "postgres://me:12?secret@host/nodes",
            "postgres://me:secret@/nodes",
            "postgres://me:se#cret@host/nodes",
        ] {
            let refused = chain(&ServerUrl::new(url).unwrap_err());
            assert!(!refused.contains("cret"), "{url}: {refused}");
        }
    }

    #[test]
    fn unknown_parameters_and_schemas_that_are_no_names_are_refused() {
        for url in ["postgres://h/n?shema=a", "postgres://h/n?schema=A", "postgres://h/n?schema="] {
            assert!(matches!(ServerUrl::new(url), Err(UrlError::Server(_))), "{url}");
        }
    }
}
