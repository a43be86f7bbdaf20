//! Statement texts, generated from the description of a table.
//!
//! Parameters are numbered, and first mentioned in ascending order.

use std::ops::Range;

use crate::schema::{Dialect, LongKeys};
use crate::table::Table;

/// The statements of one table.
#[derive(Debug)]
pub(crate) struct Statements {
    /// Selects a row by its key.
    pub(crate) get: String,
    /// Inserts a row or updates the one with its key. Changes nothing if an indexed column differs.
    pub(crate) upsert: String,
    /// As `upsert`, but rewrites indexed columns too. Only for tables that have some.
    pub(crate) replace: Option<String>,
    /// Selects the version of a row by its key. Only for tables that have one.
    pub(crate) version: Option<String>,
    /// Deletes a row by its key.
    pub(crate) delete: String,
    /// Selects rows in key order, by the number of key columns that are given.
    pub(crate) scans: Vec<Scan>,
}

/// Statements that select the rows whose keys start alike. Parameters: the values of the first key
/// columns, what is said below, and the greatest number of rows.
#[derive(Debug)]
pub(crate) struct Scan {
    /// All of them. For a table with a wide key and no prefix: those whose first column lies between
    /// two values.
    pub(crate) all: String,
    /// Those after the values of the other key columns. For a table with a wide key and no prefix:
    /// of these, those whose first column is at most a value.
    pub(crate) after: String,
}

impl Statements {
    /// Generates the statements of `table`.
    pub(crate) fn new(table: &Table, dialect: &Dialect) -> Statements {
        let text = Text { table, dialect };
        Statements {
            get: text.get(),
            upsert: text.upsert(table.indexed),
            replace: (!table.indexed.is_empty()).then(|| text.upsert(&[])),
            version: text.version(),
            delete: format!("delete from {} where {}", table.name, text.same_key()),
            scans: (0..table.key).map(|given| text.scan(given)).collect(),
        }
    }
}

struct Text<'a> {
    table: &'a Table,
    dialect: &'a Dialect,
}

impl Text<'_> {
    fn get(&self) -> String {
        format!("{} where {}", self.select(), self.same_key())
    }

    fn upsert(&self, indexed: &[&str]) -> String {
        let count = self.table.columns.len();
        let values = self.parameters(1..count + 2);
        let names = self.table.columns.iter().skip(self.table.key).map(|column| &*column.name);
        let updated = names.filter(|name| !indexed.contains(name)).chain(["checksum"]);
        let updated = list(", ", updated.map(|name| format!("{name} = excluded.{name}")));
        let same =
            indexed.iter().map(|name| format!("{}.{name} = excluded.{name}", self.table.name));
        let same = if indexed.is_empty() { String::new() } else { list(" and ", same) };
        let guard = if same.is_empty() { "" } else { " where " };
        format!(
            "insert into {} ({}, checksum) values ({values}) \
             on conflict ({}) do update set {updated}{guard}{same}",
            self.table.name,
            self.table.names(0..count),
            conflict(self.table, self.dialect),
        )
    }

    fn version(&self) -> Option<String> {
        let Table { name, columns, key, .. } = self.table;
        let versioned = columns.iter().any(|column| column.name == "version");
        versioned.then(|| format!("select version from {name} where {}", self.equal(0..*key)))
    }

    fn scan(&self, given: usize) -> Scan {
        if self.table.wide && given == 0 { self.wide_scan() } else { self.plain_scan(given) }
    }

    fn plain_scan(&self, given: usize) -> Scan {
        let key = self.table.key;
        let prefix = self.equal(0..given);
        let after = match self.long_keys() {
            // An index leads to those that begin alike, the comparison goes on from there.
            Some(LongKeys { start, .. }) => {
                let (name, number) = (self.table.names(0..1), self.dialect.parameter(1));
                format!("{} >= {} and {name} > {number}", start(&name), start(&number))
            }
            None => self.after(given..key, given + 1),
        };
        let joined = if given == 0 { after } else { format!("{prefix} and {after}") };
        let prefix = if given == 0 { prefix } else { format!(" where {prefix}") };
        Scan {
            all: format!("{}{prefix}{}", self.select(), self.page(given + 1)),
            after: format!("{} where {joined}{}", self.select(), self.page(key + 1)),
        }
    }

    /// Two halves, since numbers from 2^63 are stored as negative ones and sort last. Without a lower
    /// bound on the first column alone, the engine seeks by the whole key.
    fn wide_scan(&self) -> Scan {
        let key = self.table.key;
        let first = self.table.names(0..1);
        let (low, high) = (self.dialect.parameter(1), self.dialect.parameter(2));
        let last = self.dialect.parameter(key + 1);
        let between = format!("{first} >= {low} and {first} <= {high}");
        let after = format!("{} and {first} <= {last}", self.after(0..key, 1));
        Scan {
            all: format!("{} where {between}{}", self.select(), self.page(3)),
            after: format!("{} where {after}{}", self.select(), self.page(key + 2)),
        }
    }

    fn select(&self) -> String {
        let names = self.table.names(0..self.table.columns.len());
        format!("select {names}, checksum from {}", self.table.name)
    }

    fn page(&self, limit: usize) -> String {
        let key = self.table.names(0..self.table.key);
        let start = self.long_keys().map_or(String::new(), |long| (long.start)(&key) + ", ");
        format!(" order by {start}{key} limit {}", self.dialect.parameter(limit))
    }

    /// The whole key equal to the first parameters.
    fn same_key(&self) -> String {
        let number = |index: usize, _: &str| self.dialect.parameter(index + 1);
        same_key(self.table, self.dialect, |_, column| column.to_owned(), number)
    }

    fn long_keys(&self) -> Option<LongKeys> {
        self.dialect.long_keys.filter(|_| self.table.long)
    }

    /// Key columns equal to the parameters with their numbers.
    fn equal(&self, columns: Range<usize>) -> String {
        let equal = |(index, name): (usize, &str)| {
            format!("{name} = {}", self.dialect.parameter(index + 1))
        };
        list(" and ", self.table.some(columns).enumerate().map(equal))
    }

    /// Key columns after the parameters from `first` on.
    fn after(&self, columns: Range<usize>, first: usize) -> String {
        let parameters = self.parameters(first..first + columns.len());
        format!("({}) > ({parameters})", self.table.names(columns))
    }

    fn parameters(&self, numbers: Range<usize>) -> String {
        list(", ", numbers.map(|number| self.dialect.parameter(number)))
    }
}

/// Says that two keys of a table are the same; each is given as an expression for every key column,
/// by position and name.
pub(crate) fn same_key(
    table: &Table,
    dialect: &Dialect,
    one: impl Fn(usize, &str) -> String,
    other: impl Fn(usize, &str) -> String,
) -> String {
    let same = |(index, column): (usize, &str)| {
        let (one, other) = (one(index, column), other(index, column));
        match dialect.long_keys.filter(|_| table.long) {
            Some(LongKeys { digest, .. }) => {
                format!("{} = {} and {one} = {other}", digest(&one), digest(&other))
            }
            None => format!("{one} = {other}"),
        }
    };
    list(" and ", table.some(0..table.key).enumerate().map(same))
}

/// What an insertion must not have twice.
pub(crate) fn conflict(table: &Table, dialect: &Dialect) -> String {
    let key = table.names(0..table.key);
    match dialect.long_keys.filter(|_| table.long) {
        Some(LongKeys { digest, .. }) => format!("({})", digest(&key)),
        None => key,
    }
}

/// Joins items.
pub(crate) fn list(separator: &str, items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(separator)
}

#[cfg(test)]
mod tests {
    use chanstate::key::Kind;

    use super::*;
    use crate::schema::SQLITE;
    use crate::table;

    #[test]
    fn statements_of_a_table_with_a_wide_key() {
        let statements = Statements::new(table::of_kind(Kind::FinalHtlc), &SQLITE);
        let select = "select scid, id, settled, offchain, checksum from final_htlc";
        assert_eq!(statements.get, format!("{select} where scid = ?1 and id = ?2"));
        assert_eq!(statements.delete, "delete from final_htlc where scid = ?1 and id = ?2");
        assert_eq!(
            statements.upsert,
            "insert into final_htlc (scid, id, settled, offchain, checksum) \
             values (?1, ?2, ?3, ?4, ?5) on conflict (scid, id) do update set \
             settled = excluded.settled, offchain = excluded.offchain, checksum = excluded.checksum"
        );
        assert_eq!(statements.replace, None);
        let [none, scid] = &statements.scans[..] else { panic!("{statements:?}") };
        let order = "order by scid, id limit";
        assert_eq!(none.all, format!("{select} where scid >= ?1 and scid <= ?2 {order} ?3"));
        assert_eq!(
            none.after,
            format!("{select} where (scid, id) > (?1, ?2) and scid <= ?3 {order} ?4")
        );
        assert_eq!(scid.all, format!("{select} where scid = ?1 {order} ?2"));
        assert_eq!(scid.after, format!("{select} where scid = ?1 and (id) > (?2) {order} ?3"));
    }

    #[test]
    fn a_channel_row_keeps_its_indexed_columns() {
        let statements = Statements::new(table::of_kind(Kind::Channel), &SQLITE);
        assert!(!statements.upsert.contains("txid = excluded.txid,"));
        assert!(statements.upsert.ends_with(
            " where channel.txid = excluded.txid and channel.vout = excluded.vout \
             and channel.channel_id = excluded.channel_id"
        ));
        assert!(statements.replace.unwrap().contains("txid = excluded.txid,"));
    }

    #[test]
    fn parameters_are_first_mentioned_in_ascending_order() {
        for kind in Kind::ALL {
            let Statements { get, upsert, replace, version, delete, scans } =
                Statements::new(table::of_kind(kind), &SQLITE);
            let scans = scans.into_iter().flat_map(|scan| [scan.all, scan.after]);
            for text in [get, upsert, delete].into_iter().chain(replace).chain(version).chain(scans)
            {
                let numbers = text.split('?').skip(1).map(|rest| {
                    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
                    rest[..end].parse::<usize>().unwrap()
                });
                let mut seen = 0;
                for number in numbers {
                    assert!(number <= seen + 1, "{text}");
                    seen = seen.max(number);
                }
            }
        }
    }
}
