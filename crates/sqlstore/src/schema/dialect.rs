//! What differs between SQL engines in otherwise shared texts.

use std::fmt::Write as _;

/// An engine whose schema has parts of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// Words and expressions of one engine.
#[derive(Debug)]
pub(crate) struct Dialect {
    /// The engine.
    pub(crate) engine: Engine,
    /// Replacement of each plain token, braces included.
    words: &'static [(&'static str, &'static str)],
    /// Lower-case hex of a blob expression.
    hex: fn(&str) -> String,
    /// A blob of so many zeros.
    zeros: fn(usize) -> String,
    /// What stands before the number of a parameter.
    ///
    /// SQLite reads `$1` as a name, numbered by its first appearance; `?1` is a number.
    placeholder: &'static str,
    /// How keys of any length are found and sorted, if an index does not take them as they are.
    pub(crate) long_keys: Option<LongKeys>,
}

/// Expressions that an engine indexes in place of a long key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LongKeys {
    /// Tells keys apart.
    pub(crate) digest: fn(&str) -> String,
    /// Sorts them, but for those that begin alike.
    pub(crate) start: fn(&str) -> String,
}

/// SQLite.
pub(crate) const SQLITE: Dialect = Dialect {
    engine: Engine::Sqlite,
    words: &[
        ("{int}", "integer"),
        ("{bool}", "integer"),
        ("{blob}", "blob"),
        ("{text}", "text"),
        ("{strict}", "strict"),
        // Rows in the order of the primary key, without a separate index. Measured for `commitment`
        // too: a lone commit of a small commitment writes 29 kB instead of 41 kB.
        ("{strict_clustered}", "strict, without rowid"),
    ],
    hex: |blob| format!("lower(hex({blob}))"),
    zeros: |count| format!("x'{}'", "00".repeat(count)),
    placeholder: "?",
    long_keys: None,
};

/// PostgreSQL.
pub(crate) const POSTGRES: Dialect = Dialect {
    engine: Engine::Postgres,
    words: &[
        ("{int}", "bigint"),
        ("{bool}", "boolean"),
        ("{blob}", "bytea"),
        ("{text}", "text"),
        ("{strict}", ""),
        ("{strict_clustered}", ""),
    ],
    hex: |blob| format!("encode({blob}, 'hex')"),
    zeros: |count| format!("'\\x{}'::bytea", "00".repeat(count)),
    placeholder: "$",
    long_keys: Some(LongKeys {
        digest: |key| format!("sha256({key})"),
        start: |key| format!("substr({key}, 1, 1000)"),
    }),
};

/// Bits of a channel's status, with the names that views show.
const STATUS_NAMES: [(u64, &str); 7] = [
    (1 << 0, "borked"),
    (1 << 1, "commitment-broadcasted"),
    (1 << 2, "local-data-loss"),
    (1 << 3, "restored"),
    (1 << 4, "coop-broadcasted"),
    (1 << 5, "local-close-initiator"),
    (1 << 6, "remote-close-initiator"),
];

impl Dialect {
    /// Replaces the tokens of a schema text.
    pub(crate) fn render(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len() * 2);
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            out.push_str(before);
            let Some((token, after)) = after.split_once('}') else {
                // Left as it is: the engine reports it as a syntax error.
                out.push('{');
                rest = after;
                continue;
            };
            out.push_str(&self.replacement(token));
            rest = after;
        }
        out.push_str(rest);
        out
    }

    /// Parameter `number` of a statement, from 1.
    pub(crate) fn parameter(&self, number: usize) -> String {
        format!("{}{number}", self.placeholder)
    }

    fn replacement(&self, token: &str) -> String {
        match token.split_once(':') {
            Some(("hex", blob)) => (self.hex)(blob),
            Some(("scid", scid)) => scid_text(scid),
            Some(("status", status)) => status_names(status),
            Some(("zeros", count)) => (self.zeros)(count.parse().unwrap_or_default()),
            _ => {
                let token = format!("{{{token}}}");
                let word = self.words.iter().find(|(name, _)| *name == token);
                word.map_or(token.clone(), |(_, word)| (*word).to_owned())
            }
        }
    }
}

/// A short channel id as `blockxtxxoutput`. Shifts keep the sign, hence the masks.
fn scid_text(scid: &str) -> String {
    format!(
        "((({scid} >> 40) & 16777215) || 'x' || (({scid} >> 16) & 16777215) || 'x' || ({scid} & 65535))"
    )
}

fn status_names(status: &str) -> String {
    let mut out = String::from("(''");
    for (bit, name) in STATUS_NAMES {
        // Writing to a string does not fail.
        let _ = write!(out, " || case when ({status} & {bit}) <> 0 then '{name} ' else '' end");
    }
    out.push(')');
    out
}

#[cfg(test)]
mod tests {
    use chanstate::ChannelStatus;

    use super::*;

    #[test]
    fn tokens_are_replaced_and_others_left() {
        let text = SQLITE.render("a {int}, {hex:c.x} {unknown}");
        assert_eq!(text, "a integer, lower(hex(c.x)) {unknown}");
    }

    #[test]
    fn every_status_bit_has_a_name() {
        let bits: Vec<u64> = STATUS_NAMES.iter().map(|(bit, _)| *bit).collect();
        let named: Vec<u64> =
            ChannelStatus::all().iter_names().map(|(_, flag)| flag.bits()).collect();
        assert_eq!(bits, named);
    }
}
