//! Upgrade steps, oldest first.

use super::dialect::{Dialect, Engine};

/// Leads from the schema version before to `version`. Applied in one transaction with its row in
/// `schema_step`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Schema version that the step leads to.
    pub(crate) version: u32,
    /// What it does.
    pub(crate) name: &'static str,
    pub(crate) texts: &'static [&'static str],
    /// What PostgreSQL has beyond that.
    pub(crate) postgres: &'static [&'static str],
}

/// Every step. Once released, a step is never changed.
pub(crate) const STEPS: &[Step] = &[Step {
    version: 1,
    name: "tables and views",
    texts: &[include_str!("tables.sql"), include_str!("views.sql")],
    postgres: &[include_str!("postgres.sql")],
}];

/// Schema version of this release: the one of every store that it writes.
pub const NEWEST: u32 = STEPS.len() as u32;

impl Step {
    /// The statements for an engine.
    pub(crate) fn sql(&self, dialect: &Dialect) -> String {
        self.texts(dialect).map(|text| dialect.render(text)).collect()
    }

    /// Identifies the text, so that a database with another history is recognized.
    pub(crate) fn digest(&self, dialect: &Dialect) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        self.texts(dialect).for_each(|text| hasher.update(text.as_bytes()));
        hasher.finalize()
    }

    fn texts(&self, dialect: &Dialect) -> impl Iterator<Item = &'static str> {
        let own = match dialect.engine {
            Engine::Sqlite => &[],
            Engine::Postgres => self.postgres,
        };
        self.texts.iter().chain(own).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_counted_up_from_one() {
        let versions: Vec<u32> = STEPS.iter().map(|step| step.version).collect();
        assert_eq!(versions, (1..=NEWEST).collect::<Vec<_>>());
    }
}
