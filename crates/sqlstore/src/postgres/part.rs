//! The parts of a commit's statement.
//!
//! Sets are numbered from 1 within their batch. Each row that is sent says which set it is of, and
//! the array `ok` says which sets apply.

use std::fmt::Write as _;

use chanstate::key::Kind;

use super::array::array_type;
use super::row::kept;
use super::server::DURABLE;
use crate::row::checksum_change;
use crate::schema::POSTGRES;
use crate::statement::{conflict, list, same_key};
use crate::table::{self, Table};
use crate::value::{Type, Value};

/// What a part of the statement does with the rows that are sent for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    /// Compares versions.
    Guard(Kind),
    /// Deletes rows by key.
    Remove(Kind),
    /// Updates rows that exist, as a guard of their set says.
    Update(Kind),
    /// Inserts rows, or updates those with their keys.
    Put(Kind),
    /// Sets `acked` of packages' updates.
    Ack,
}

impl Part {
    /// The types of its parameters, each for an array. The first is the number of the set.
    pub(crate) fn types(self) -> Vec<Type> {
        let table = self.table();
        let key = kept(table, 0..table.key);
        let set = [Type::Int].into_iter();
        match self {
            Part::Guard(_) => set.chain(key).chain([Type::Int]).collect(),
            Part::Remove(_) | Part::Ack => set.chain(key).collect(),
            Part::Update(_) | Part::Put(_) => {
                // And the checksum.
                set.chain(kept(table, 0..table.columns.len() + 1)).collect()
            }
        }
    }

    fn table(self) -> &'static Table {
        match self {
            Part::Guard(kind) | Part::Remove(kind) | Part::Update(kind) | Part::Put(kind) => {
                table::of_kind(kind)
            }
            Part::Ack => table::of_kind(Kind::PackageUpdate),
        }
    }

    /// The part as a common table expression, with its parameters from `first` on.
    fn expression(self, first: usize, puts: Puts) -> String {
        let table = self.table();
        let Table { name, key, .. } = *table;
        let keys = table.names(0..key);
        // In a select list, since in a from list each array fills a table of its own first.
        let rows = |columns: &str| {
            let array = |(index, ty)| format!("unnest(${}::{})", first + index, array_type(ty));
            let arrays = list(", ", self.types().into_iter().enumerate().map(array));
            let at = match self {
                Part::Guard(_) => format!(", generate_subscripts(${first}::int8[], 1)"),
                _ => String::new(),
            };
            format!("(select {arrays}{at}) u (cs, {columns})")
        };
        let same = || joined(table);
        let columns = || format!("{}, checksum", table.names(0..table.columns.len()));
        let assigned = |from: &str| {
            let rest = table.some(key..table.columns.len()).chain(["checksum"]);
            list(", ", rest.map(|name| format!("{name} = {from}.{name}")))
        };
        let applies = "(select a from ok)[u.cs]";
        match self {
            Part::Guard(_) => format!(
                "{} as (select u.cs, u.at::int8 as at from {} left join {name} t on {} \
                 where coalesce(t.version, 0) <> u.expect)",
                self.name(),
                rows(&format!("{keys}, expect, at")),
                same(),
            ),
            Part::Remove(_) => format!(
                "{} as (delete from {name} t using {} where {applies} and {})",
                self.name(),
                rows(&keys),
                same(),
            ),
            Part::Update(_) => format!(
                "{} as (update {name} t set {} from {} where {applies} and {})",
                self.name(),
                assigned("u"),
                rows(&columns()),
                same(),
            ),
            Part::Put(kind) => {
                let clash = match puts {
                    Puts::New if is_written_once(kind) => String::new(),
                    Puts::New | Puts::Any => format!(
                        " on conflict ({}) do update set {}",
                        conflict(table, &POSTGRES),
                        assigned("excluded"),
                    ),
                };
                format!(
                    "{} as (insert into {name} ({columns}) select {columns} from {} \
                     where {applies}{clash})",
                    self.name(),
                    rows(&columns()),
                    columns = columns(),
                )
            }
            Part::Ack => format!(
                "{} as (update {name} t set acked = true, checksum = t.checksum # {} \
                 from {} where {applies} and {} and not t.acked)",
                self.name(),
                checksum_change(Value::Int(0), Value::Int(1)),
                rows(&keys),
                same(),
            ),
        }
    }

    fn name(self) -> String {
        let verb = match self {
            Part::Guard(_) => "stale",
            Part::Remove(_) => "removed",
            Part::Update(_) => "updated",
            Part::Put(_) => "put",
            Part::Ack => "acked",
        };
        format!("{verb}_{}", self.table().name)
    }
}

/// What a statement takes the rows to be that are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Puts {
    /// Rows of kinds that are normally written once are new: the statement fails if one is not. It
    /// takes less of the server than the other one, which looks for each row first, inserts it
    /// tentatively and then confirms it.
    New,
    /// Any row may be there.
    Any,
}

/// Whether a row of this kind normally stays as it is until it is removed.
fn is_written_once(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Commitment | Kind::Diff | Kind::Htlc | Kind::RevokedState | Kind::PackageUpdate
    )
}

/// Joins rows that are sent, `u`, to those of a table, `t`.
pub(crate) fn joined(table: &Table) -> String {
    same_key(table, &POSTGRES, |_, name| format!("t.{name}"), |_, name| format!("u.{name}"))
}

/// Number of parameters before those of the parts: epoch, sequence number before and after, the
/// checksums of the store's row before and after, the number of sets, and the instance.
pub(crate) const LEADING: usize = 7;

/// The statement for a batch with these parts. It answers with one row: the new sequence number, or
/// null if the batch is not due; and for each guard which of its rows are stale, counted from 1.
///
/// Only one statement can be past `gate` at a time, since it holds the store's row until it is
/// committed, and one that waited there looks at the row anew.
pub(crate) fn statement(parts: &[Part], puts: Puts) -> String {
    let mut text = format!(
        "with gate as (update store set seq = $3, checksum = $5 \
         where id = 1 and epoch = $1 and seq = $2 and checksum = $4 and {DURABLE} and exists \
         (select from lease \
         where id = 1 and epoch = $1 and instance = $7 and until > clock_timestamp()) \
         returning seq)",
    );
    let guards = || parts.iter().filter(|part| matches!(part, Part::Guard(_)));
    let mut first = LEADING + 1;
    // What compares comes before `ok`, what depends on it after; the order is that of `parts`.
    let mut ok = Some(applying(&list(
        " union all ",
        guards().map(|part| format!("select cs from {}", part.name())),
    )));
    for part in parts {
        if !matches!(part, Part::Guard(_))
            && let Some(ok) = ok.take()
        {
            text.push_str(&ok);
        }
        // Writing to a string does not fail.
        let _ = write!(text, ", {}", part.expression(first, puts));
        first += part.types().len();
    }
    text.push_str(&ok.unwrap_or_default());
    text.push_str(" select (select seq from gate)");
    for guard in guards() {
        let _ = write!(text, ", (select array_agg(at) from {})", guard.name());
    }
    text
}

/// The array of sets that apply, none of it if the batch is not due.
///
/// An array, because joining every part with the set of those that apply takes a time that grows with
/// the square of the batch.
fn applying(stale: &str) -> String {
    let stale = match stale {
        "" => "'{}'".to_owned(),
        stale => format!("array({stale})"),
    };
    format!(
        ", ok as materialized (select array(select cs <> all ({stale}::int8[]) \
         from generate_series(1, $6) cs order by cs) a from gate)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_changes_the_last_column() {
        let columns = &table::of_kind(Kind::PackageUpdate).columns;
        assert_eq!(columns.last().unwrap().name, "acked");
    }

    #[test]
    fn a_statement_has_the_parts_that_it_is_made_of() {
        let text = statement(
            &[Part::Guard(Kind::Channel), Part::Put(Kind::Reclaim), Part::Ack],
            Puts::Any,
        );
        let parts = [
            "stale_channel as (select u.cs, u.at::int8 as at from (select unnest($8::int8[]), \
             unnest($9::int8[]), unnest($10::int8[]), generate_subscripts($8::int8[], 1)) \
             u (cs, no, expect, at) left join channel t on t.no = u.no",
            "put_reclaim as (insert into reclaim (no, checksum) select no, checksum \
             from (select unnest($11::int8[]), unnest($12::int8[]), unnest($13::int8[])) \
             u (cs, no, checksum) where (select a from ok)[u.cs] on conflict (no) do update set \
             checksum = excluded.checksum)",
            "(select unnest($14::int8[]), unnest($15::int8[]), unnest($16::int8[]), \
             unnest($17::int8[]), unnest($18::int8[])) u (cs, source, height, list, position)",
        ];
        for part in parts {
            assert!(text.contains(part), "{part}\nis not in\n{text}");
        }
    }

    #[test]
    fn only_rows_that_are_written_once_are_first_taken_to_be_new() {
        let text = |kind, puts| statement(&[Part::Put(kind)], puts);
        assert!(!text(Kind::Htlc, Puts::New).contains("on conflict"));
        assert!(text(Kind::Htlc, Puts::Any).contains("on conflict (no, incoming, id)"));
        assert!(text(Kind::UpdateList, Puts::New).contains("on conflict (no, list)"));
    }

    #[test]
    fn a_row_that_exists_is_updated_by_its_key() {
        let text = statement(&[Part::Update(Kind::LinkNode)], Puts::New);
        let part = "updated_link_node as (update link_node t set version = u.version, \
                    network = u.network, last_seen = u.last_seen, checksum = u.checksum from";
        assert!(text.contains(part), "{text}");
        assert!(
            text.contains("where (select a from ok)[u.cs] and t.node_id = u.node_id)"),
            "{text}"
        );
    }
}
