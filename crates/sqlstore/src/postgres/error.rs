//! Causes of failures, and what a failure says about what was stored.

use std::sync::Arc;
use std::time::Duration;

use channelcoord::BackendError;
use chanstate::Cause;
use thiserror::Error;

use crate::fault::Missing;
use crate::open::OpenError;
use crate::row::Damage;

/// A failure on the way to the server and back.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// The server refused, or the connection broke.
    #[error("{doing} failed")]
    Engine {
        /// What was being done.
        doing: &'static str,
        #[source]
        source: sqlx::Error,
    },
    /// There is no connection.
    #[error("no connection")]
    Unconnected(#[source] Box<Fault>),
    /// No answer came.
    #[error("{doing}: no answer within {waited:?}")]
    Late {
        /// What was being done.
        doing: &'static str,
        /// For how long.
        waited: Duration,
    },
    /// The server does not have a setting that the store relies on.
    #[error("{name} is {found} instead of {expected}")]
    Setting {
        /// Its name.
        name: &'static str,
        /// What is needed.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// The server only follows another one.
    #[error("the server is a standby")]
    Standby,
    /// A row is not as it was written.
    #[error("damaged record {record}")]
    Damaged {
        /// Names the record.
        record: String,
        #[source]
        damage: Damage,
    },
    /// A row that a store always has is gone.
    #[error("damaged record {record}")]
    Gone {
        /// Names the record.
        record: String,
        #[source]
        missing: Missing,
    },
}

/// What a failure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Nothing was stored, and the same would fail again.
    Refused,
    /// Nothing was stored, and it may go better next time.
    Again,
    /// The connection is gone, and whether anything was stored cannot be told from it.
    Lost,
}

impl Fault {
    /// Says what was being done.
    pub(crate) fn doing(doing: &'static str) -> impl FnOnce(sqlx::Error) -> Fault {
        move |source| Fault::Engine { doing, source }
    }

    pub(crate) fn gone(record: impl ToString) -> Fault {
        Fault::Gone { record: record.to_string(), missing: Missing }
    }

    /// Whether the server undid a statement because it had a row already.
    pub(crate) fn is_duplicate(&self) -> bool {
        let Fault::Engine { source: sqlx::Error::Database(error), .. } = self else { return false };
        error.code().as_deref() == Some("23505")
    }

    /// What it says.
    pub(crate) fn class(&self) -> Class {
        match self {
            Fault::Engine { source: sqlx::Error::Database(error), .. } => {
                class_of(error.code().as_deref().unwrap_or_default())
            }
            Fault::Engine {
                source: sqlx::Error::Encode(_) | sqlx::Error::Configuration(_),
                ..
            } => Class::Refused,
            Fault::Engine { .. } | Fault::Late { .. } => Class::Lost,
            // Nothing was sent.
            Fault::Unconnected(fault) if fault.class() == Class::Lost => Class::Again,
            Fault::Unconnected(fault) => fault.class(),
            // A failover may still be under way.
            Fault::Standby => Class::Again,
            Fault::Setting { .. } | Fault::Damaged { .. } | Fault::Gone { .. } => Class::Refused,
        }
    }

    /// As the failure of a read.
    pub(crate) fn reading(self) -> BackendError {
        match self {
            Fault::Damaged { record, damage } => {
                BackendError::Corrupt { record, cause: Arc::new(damage) }
            }
            Fault::Gone { record, missing } => {
                BackendError::Corrupt { record, cause: Arc::new(missing) }
            }
            other => BackendError::Unavailable(other.cause()),
        }
    }

    /// As a cause.
    pub(crate) fn cause(self) -> Cause {
        Arc::new(self)
    }

    /// As the failure of a read of a table; the server may have found its own file damaged.
    pub(crate) fn reading_table(self, table: &str) -> BackendError {
        let code = match &self {
            Fault::Engine { source: sqlx::Error::Database(error), .. } => error.code(),
            _ => None,
        };
        match code.as_deref() {
            Some("XX001" | "XX002") => {
                BackendError::Corrupt { record: table.to_owned(), cause: self.cause() }
            }
            _ => self.reading(),
        }
    }
}

impl From<Fault> for OpenError {
    fn from(fault: Fault) -> OpenError {
        match fault {
            Fault::Setting { name, expected, found } => {
                OpenError::Setting { name, expected: expected.to_owned(), found }
            }
            Fault::Unconnected(fault) if matches!(*fault, Fault::Setting { .. }) => (*fault).into(),
            other => OpenError::Engine(other.cause()),
        }
    }
}

/// Classes by SQLSTATE, see appendix A of PostgreSQL's manual.
fn class_of(code: &str) -> Class {
    match code {
        // Serialization failure, deadlock, lock not available, query canceled by an operator.
        "40001" | "40P01" | "55P03" | "57014" => Class::Again,
        // A standby that is about to be promoted, or a primary that stopped to be one.
        "25006" => Class::Again,
        // Too many connections.
        "53300" => Class::Again,
        // The server ends the session: shut down, crashed, starting, idle too long, a transaction too
        // long, connection trouble. The work is undone, but a session that ends while it waits for
        // a standby has committed before.
        _ if code.starts_with("57P") || code.starts_with("08") || code == "25P04" => Class::Lost,
        _ => Class::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_undid_for_certain_is_refused_or_tried_again() {
        for code in ["40001", "40P01", "57014", "53300", "25006"] {
            assert_eq!(class_of(code), Class::Again, "{code}");
        }
        for code in ["57P01", "57P02", "57P03", "08006", "08P01"] {
            assert_eq!(class_of(code), Class::Lost, "{code}");
        }
        for code in ["53100", "23505", "22003", "42P01", "54000", ""] {
            assert_eq!(class_of(code), Class::Refused, "{code}");
        }
    }

    #[test]
    fn a_broken_connection_says_nothing() {
        let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(Fault::doing("committing")(broken.into()).class(), Class::Lost);
        let late = Fault::Late { doing: "committing", waited: Duration::ZERO };
        assert_eq!(late.class(), Class::Lost);
    }
}
