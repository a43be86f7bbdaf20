//! Causes of failures, and what a failure says about what was stored.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use channelcoord::BackendError;
use chanstate::Cause;
use sqlx::postgres::{PgDatabaseError, PgSeverity};
use thiserror::Error;

use crate::fault::{Missing, Shut};
use crate::open::OpenError;
use crate::row::Damage;

/// A failure on the way to the server and back.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// The server refused.
    #[error("{doing} failed")]
    Refused {
        /// What was being done.
        doing: &'static str,
        #[source]
        answer: Answer,
    },
    /// The connection broke.
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
    /// The store was released meanwhile.
    #[error(transparent)]
    Shut(#[from] Shut),
}

/// What the server said, but for its detail, hint and context: these quote rows and parameters, and
/// causes end up in logs.
#[derive(Debug, Error)]
#[error("{message} (SQLSTATE {code})")]
pub(crate) struct Answer {
    /// The server ended the session, or itself.
    ended: bool,
    code: String,
    message: String,
    table: Option<String>,
    constraint: Option<String>,
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
        move |source| match source {
            sqlx::Error::Database(error) => {
                let severity =
                    error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
                let answer = Answer {
                    ended: matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic)),
                    code: error.code().unwrap_or_default().into_owned(),
                    message: error.message().to_owned(),
                    table: error.table().map(str::to_owned),
                    constraint: error.constraint().map(str::to_owned),
                };
                Fault::Refused { doing, answer }
            }
            source => Fault::Engine { doing, source },
        }
    }

    pub(crate) fn gone(record: impl ToString) -> Fault {
        Fault::Gone { record: record.to_string(), missing: Missing }
    }

    /// Whether the server undid a statement because it had a row already.
    pub(crate) fn is_duplicate(&self) -> bool {
        self.code() == Some("23505")
    }

    /// What it says.
    pub(crate) fn class(&self) -> Class {
        match self {
            // A server that fails while it commits, such as on a full disk, says why and ends. It may
            // find the commit in its log when it starts again.
            Fault::Refused { answer, .. } if answer.ended => Class::Lost,
            Fault::Refused { answer, .. } => class_of(&answer.code),
            Fault::Engine {
                source: sqlx::Error::Encode(_) | sqlx::Error::Configuration(_),
                ..
            } => Class::Refused,
            Fault::Engine { .. } | Fault::Late { .. } => Class::Lost,
            // Nothing was sent.
            Fault::Unconnected(fault) => match fault.code().map_or(fault.class(), class_of) {
                Class::Lost => Class::Again,
                class => class,
            },
            // A failover may still be under way.
            Fault::Standby => Class::Again,
            Fault::Setting { .. } | Fault::Damaged { .. } | Fault::Gone { .. } | Fault::Shut(_) => {
                Class::Refused
            }
        }
    }

    /// What the server calls it, if it was the server that refused.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Fault::Refused { answer, .. } => Some(&answer.code),
            _ => None,
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
        match self.code() {
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
            Fault::Unconnected(fault) => match (*fault).into() {
                OpenError::Engine(cause) => OpenError::Engine(Arc::new(Unconnected(cause))),
                other => other,
            },
            Fault::Refused { ref answer, .. } if answer.code.starts_with("28") => {
                OpenError::Denied(fault.cause())
            }
            Fault::Engine { ref source, .. } if is_tls(source) => OpenError::Tls(fault.cause()),
            other => OpenError::Engine(other.cause()),
        }
    }
}

/// Whether no secure connection could be made. What the handshake finds wrong comes as invalid data.
fn is_tls(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => error.kind() == io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// There is no connection, and this is why.
#[derive(Debug, Error)]
#[error("no connection")]
struct Unconnected(#[source] Cause);

/// Classes by SQLSTATE, see appendix A of PostgreSQL's manual.
fn class_of(code: &str) -> Class {
    match code {
        // Serialization failure, deadlock, lock not available.
        "40001" | "40P01" | "55P03" => Class::Again,
        // A standby that is about to be promoted, or a primary that stopped to be one.
        "25006" => Class::Again,
        // Too many connections.
        "53300" => Class::Again,
        // The server ends the session: shut down, crashed, starting, idle too long, a transaction too
        // long, connection trouble. The work is undone, but a session that ends while it waits for
        // a standby has committed before. So has a statement that is canceled while it waits there, if
        // whatever stands between makes an error of it; and the last one says so itself.
        "57014" | "40003" => Class::Lost,
        _ if code.starts_with("57P") || code.starts_with("08") || code == "25P04" => Class::Lost,
        _ => Class::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_undid_for_certain_is_refused_or_tried_again() {
        for code in ["40001", "40P01", "55P03", "53300", "25006"] {
            assert_eq!(class_of(code), Class::Again, "{code}");
        }
        for code in ["57P01", "57P02", "57P03", "08006", "08P01", "57014", "40003"] {
            assert_eq!(class_of(code), Class::Lost, "{code}");
        }
        for code in ["53100", "23505", "22003", "42P01", "54000", ""] {
            assert_eq!(class_of(code), Class::Refused, "{code}");
        }
    }

    #[test]
    fn who_ends_the_session_undid_nothing_for_certain() {
        let answer = |ended, code: &str| Fault::Refused {
            doing: "committing",
            answer: Answer {
                ended,
                code: code.to_owned(),
                message: String::new(),
                table: None,
                constraint: None,
            },
        };
        for code in ["53100", "58030", "XX000", "40001", "53300", "28P01"] {
            assert_eq!(answer(true, code).class(), Class::Lost, "{code}");
            assert_eq!(answer(false, code).class(), class_of(code), "{code}");
        }
        // Where nothing was sent, it is the code that says whether it may go better next time.
        let connecting = |code| Fault::Unconnected(Box::new(answer(true, code))).class();
        assert_eq!(connecting("28P01"), Class::Refused);
        assert_eq!(connecting("53300"), Class::Again);
        assert_eq!(connecting("57P03"), Class::Again);
    }

    #[test]
    fn a_broken_connection_says_nothing() {
        let broken = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(Fault::doing("committing")(broken.into()).class(), Class::Lost);
        let late = Fault::Late { doing: "committing", waited: Duration::ZERO };
        assert_eq!(late.class(), Class::Lost);
    }
}
