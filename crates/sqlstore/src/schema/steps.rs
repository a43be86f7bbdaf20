//! Upgrade steps, oldest first.

use super::dialect::Dialect;

/// Leads from the schema version before to `version`. Applied in one transaction with its row in
/// `schema_step`.
#[derive(Debug)]
pub(crate) struct Step {
    /// Schema version that the step leads to.
    pub(crate) version: u32,
    /// What it does.
    pub(crate) name: &'static str,
    texts: &'static [&'static str],
}

/// Every step. Once released, a step is never changed.
pub(crate) const STEPS: &[Step] = &[Step {
    version: 1,
    name: "tables and views",
    texts: &[include_str!("tables.sql"), include_str!("views.sql")],
}];

/// Schema version of this release.
pub(crate) const NEWEST: u32 = STEPS.len() as u32;

impl Step {
    /// The statements for an engine.
    pub(crate) fn sql(&self, dialect: &Dialect) -> String {
        self.texts.iter().map(|text| dialect.render(text)).collect()
    }

    /// Identifies the text, so that a database with another history is recognized.
    pub(crate) fn digest(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        self.texts.iter().for_each(|text| hasher.update(text.as_bytes()));
        hasher.finalize()
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
