//! URLs of lnd's databases in PostgreSQL.

use std::sync::Arc;

use thiserror::Error;
use url::Url;

use super::UrlError;
use super::server::{PARAMETERS, require_plain, set_parameters, without_password};
use crate::lnd::tree::sql::Place;

/// What lnd makes its tables in.
const SCHEMA: &str = "public";

/// lnd's namespace for channel state. Its table is called so, with `_kv` behind it.
const PREFIX: &str = "channeldb";

/// Longest name that PostgreSQL keeps whole.
const LONGEST_NAME: usize = 63;

/// lnd's table in a PostgreSQL database. Shown without its password.
#[derive(Clone, Debug)]
pub struct LndServerUrl {
    place: Place,
    shown: Url,
    schema: String,
    prefix: String,
}

/// What is wrong with a URL. Nothing of its text is repeated: where a password ends is not known.
#[derive(Debug, Error)]
enum Fault {
    #[error("no database is named")]
    Url,
    #[error("schema and prefix are names of 1 to {LONGEST_NAME} bytes")]
    Name,
    #[error("parameters are prefix, schema, {}", PARAMETERS.join(", "))]
    Parameter,
}

impl LndServerUrl {
    /// Takes a URL apart: `lnd-postgres://USER@HOST:PORT/DATABASE?prefix=NAME&schema=NAME`.
    pub(super) fn new(text: &str) -> Result<LndServerUrl, UrlError> {
        let fault = |fault: Fault| UrlError::LndServer(Arc::new(fault));
        // The rules of URLs depend on schemes that they know.
        let text = text.strip_prefix("lnd-").ok_or_else(|| fault(Fault::Url))?;
        let mut url: Url = text.parse().map_err(|error| UrlError::LndServer(Arc::new(error)))?;
        require_plain(&url).map_err(|fault| UrlError::LndServer(Arc::new(fault)))?;
        let (mut schema, mut prefix) = (SCHEMA.to_owned(), PREFIX.to_owned());
        let mut parameters = Vec::new();
        for (name, value) in url.query_pairs().into_owned() {
            match name.as_str() {
                "schema" => schema = value,
                "prefix" => prefix = value,
                known if PARAMETERS.contains(&known) => parameters.push((name, value)),
                _ => return Err(fault(Fault::Parameter)),
            }
        }
        let is_name = |name: &str| (1..=LONGEST_NAME).contains(&name.len()) && !name.contains('\0');
        if !is_name(&schema) || !is_name(&prefix) || !is_name(&format!("{prefix}_kv")) {
            return Err(fault(Fault::Name));
        }
        set_parameters(&mut url, &parameters);
        let place = Place::new(url.as_str(), &schema, &prefix)
            .map_err(|error| UrlError::LndServer(Arc::new(error)))?;
        let shown = without_password(url, parameters);
        Ok(LndServerUrl { place, shown, schema, prefix })
    }

    /// Where the table is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }
}

impl std::fmt::Display for LndServerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = self.shown.clone();
        for (name, value, usual) in
            [("prefix", &self.prefix, PREFIX), ("schema", &self.schema, SCHEMA)]
        {
            if value != usual {
                shown.query_pairs_mut().append_pair(name, value);
            }
        }
        write!(f, "lnd-{shown}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::chain;

    fn shown(url: &str) -> String {
        LndServerUrl::new(url).unwrap().to_string()
    }

    #[test]
    fn lnd_s_own_names_are_the_usual_ones() {
        let plain = "lnd-postgres://lnd@host:7/lnd?sslmode=require";
        assert_eq!(shown(plain), plain);
        assert_eq!(
            shown("lnd-postgres://h/lnd?prefix=channeldb&schema=public"),
            "lnd-postgres://h/lnd"
        );
        let other = "lnd-postgres://h/lnd?prefix=other&schema=node+1";
        assert_eq!(shown(other), other);
    }

    #[test]
    fn a_password_is_never_shown() {
        for url in
            ["lnd-postgres://me:secret@host/lnd", "lnd-postgres://me@host/lnd?password=secret"]
        {
            assert_eq!(shown(url), "lnd-postgres://me@host/lnd");
            assert!(!format!("{:?}", LndServerUrl::new(url).unwrap()).contains("secret"), "{url}");
        }
        for url in ["lnd-postgres:me:secret@host/lnd", "lnd-postgres://me:12/secret@host/lnd"] {
            assert!(!chain(&LndServerUrl::new(url).unwrap_err()).contains("secret"), "{url}");
        }
    }

    #[test]
    fn unknown_parameters_and_empty_names_are_refused() {
        for url in [
            "lnd-postgres://h/n?table=a",
            "lnd-postgres://h/n?prefix=",
            "lnd-postgres://h/n?schema=",
        ] {
            assert!(matches!(LndServerUrl::new(url), Err(UrlError::LndServer(_))), "{url}");
        }
    }
}
