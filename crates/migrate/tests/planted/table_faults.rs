//! Faults made from the tables that there are.

use chanstate::key::Kind;

use crate::judge::Names;
use crate::sql::{Column, Edit, Row, Table, Type, Value};

/// One fault.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) name: String,
    pub(crate) edits: Vec<Edit>,
    /// Nothing but what only the store itself knows is changed.
    pub(crate) is_content: bool,
    /// The column changed, if it is one.
    pub(crate) column: Option<String>,
}

/// What a table holds records of; `None` for a table of the store itself. A new table fails here.
pub(crate) fn kind(table: &str) -> Option<Kind> {
    Some(match table {
        "channel" => Kind::Channel,
        "channel_terms" => Kind::Terms,
        "commitment" => Kind::Commitment,
        "commitment_diff" => Kind::Diff,
        "htlc" => Kind::Htlc,
        "update_list" => Kind::UpdateList,
        "secret" => Kind::Secret,
        "mark" => Kind::Mark,
        "revoked_state" => Kind::RevokedState,
        "revoked_commitment" => Kind::RevokedCommitment,
        "package" => Kind::Package,
        "package_update" => Kind::PackageUpdate,
        "close" => Kind::Close,
        "reclaim" => Kind::Reclaim,
        "final_htlc" => Kind::FinalHtlc,
        "opening_state" => Kind::OpeningState,
        "forwarding_policy" => Kind::ForwardingPolicy,
        "link_node" => Kind::LinkNode,
        "link_node_address" => Kind::LinkAddress,
        "meta" => Kind::Meta,
        "lnd_residue" => Kind::Lnd,
        "store" | "epoch" | "schema_step" | "lease" | "identity" | "burnt" => return None,
        other => panic!("say what kind of record {other} holds"),
    })
}

/// How a record is named.
pub(crate) fn name(table: &Table, row: &Row) -> String {
    let parts = row[..table.key].iter().map(|value| match value {
        Value::Int(value) => value.cast_unsigned().to_string(),
        Value::Bool(value) => u8::from(*value).to_string(),
        Value::Blob(bytes) | Value::Text(bytes) => hex(bytes),
        Value::Null => panic!("a key is never null"),
    });
    format!("{:?}/{}", kind(&table.name).unwrap(), parts.collect::<Vec<_>>().join("/"))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Faults of every table of records, with up to `most` changes of each column.
pub(crate) fn all(tables: &[Table], most: usize) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, table) in tables.iter().enumerate().filter(|(_, table)| kind(&table.name).is_some())
    {
        assert_eq!(table.columns.last().unwrap().name, "checksum", "{}", table.name);
        of_columns(index, table, most, &mut faults);
        of_rows(index, table, &mut faults);
    }
    of_channels(tables, &mut faults);
    faults
}

fn of_columns(index: usize, table: &Table, most: usize, faults: &mut Vec<Fault>) {
    for (at, column) in table.columns.iter().enumerate().take(table.columns.len() - 1) {
        let mut chosen: Vec<&Row> = Vec::new();
        let holds = |row: &&Row| row[at] != Value::Null;
        let size = |row: &&Row| match &row[at] {
            Value::Blob(bytes) | Value::Text(bytes) => bytes.len(),
            Value::Int(value) => usize::from(*value != 0),
            _ => 0,
        };
        chosen.extend(table.rows.iter().filter(holds).max_by_key(size));
        chosen.extend(table.rows.iter().filter(holds).min_by_key(size));
        chosen.extend(table.rows.iter().find(|row| !holds(row)));
        chosen.dedup();
        for (number, row) in chosen.into_iter().enumerate() {
            // The first row gets every change, the others one, and where changes are few only the
            // row without a value.
            let most = match number {
                0 => most,
                _ if most == 1 && row[at] != Value::Null => 0,
                _ => 1,
            };
            let mut accepted = 0;
            for (change, value) in changes(column, &row[at]).into_iter().rev() {
                if accepted == most {
                    break;
                }
                let mut changed = row.clone();
                changed[at] = value;
                if changed == *row || at < table.key && table.has_key(&changed) {
                    continue;
                }
                accepted += 1;
                faults.push(Fault {
                    name: format!("{} of {}: {change}", column.name, name(table, row)),
                    edits: vec![Edit {
                        table: index,
                        removed: vec![row.clone()],
                        added: vec![changed],
                    }],
                    is_content: column.name != "version",
                    column: Some(format!("{}.{}", table.name, column.name)),
                });
            }
        }
    }
}

fn changes(column: &Column, value: &Value) -> Vec<(&'static str, Value)> {
    let empty = match column.ty {
        Type::Int => Value::Int(0),
        Type::Bool => Value::Bool(false),
        Type::Blob => Value::Blob(Vec::new()),
        Type::Text => Value::Text(Vec::new()),
    };
    let mut found = match value {
        Value::Null => Vec::new(),
        Value::Int(value) => vec![
            ("one more", Value::Int(value.wrapping_add(1))),
            ("one less", Value::Int(value.wrapping_sub(1))),
            ("a bit", Value::Int(value ^ 4)),
        ],
        Value::Bool(value) => vec![("flag", Value::Bool(!value))],
        Value::Blob(bytes) => {
            let changed = |change: fn(&mut Vec<u8>)| {
                let mut bytes = bytes.clone();
                change(&mut bytes);
                Value::Blob(bytes)
            };
            vec![
                ("first bit", changed(|bytes| bytes.iter_mut().take(1).for_each(|b| *b ^= 1))),
                ("last bit", changed(|bytes| bytes.iter_mut().rev().take(1).for_each(|b| *b ^= 1))),
                (
                    "middle bit",
                    changed(|bytes| {
                        let middle = bytes.len() / 2;
                        bytes.iter_mut().skip(middle).take(1).for_each(|b| *b ^= 0x20);
                    }),
                ),
                ("lost tail", changed(|bytes| bytes.truncate(bytes.len().saturating_sub(1)))),
                ("longer by a zero", changed(|bytes| bytes.push(0))),
                ("turned round", changed(|bytes| bytes.reverse())),
            ]
        }
        Value::Text(text) => vec![("longer", Value::Text([&text[..], b"x"].concat()))],
    };
    found.push(("empty", empty));
    if column.nullable {
        found.push(("null", Value::Null));
    }
    found
}

fn of_rows(index: usize, table: &Table, faults: &mut Vec<Fault>) {
    let fault = |what: &str, removed: Vec<Row>, added: Vec<Row>| Fault {
        name: format!("{what} {}", name(table, removed.iter().chain(&added).next().unwrap())),
        edits: vec![Edit { table: index, removed, added }],
        is_content: true,
        column: None,
    };
    let count = table.rows.len();
    for at in [0, count / 2, count.saturating_sub(1)] {
        faults.extend(table.rows.get(at).map(|row| fault("missing", vec![row.clone()], vec![])));
    }
    let rows = table.rows.iter();
    let extra = rows.rev().find_map(|row| free(table, row, table.key - 1));
    faults.extend(extra.map(|row| fault("extra", vec![], vec![row])));
    // Neighbours under one parent exchange what they hold, then any two rows.
    let parents = [table.key - 1, 0];
    for parent in &parents[..table.key.min(2)] {
        let parent = *parent;
        let pairs = table.rows.windows(2).filter(|pair| pair[0][..parent] == pair[1][..parent]);
        let swapped = pairs.map(|pair| {
            let [one, other] = pair else { panic!("windows of two") };
            let exchanged =
                |key: &Row, rest: &Row| [&key[..table.key], &rest[table.key..]].concat();
            (vec![one.clone(), other.clone()], vec![exchanged(one, other), exchanged(other, one)])
        });
        let content = |rows: &[Row]| {
            let mut rows: Vec<_> = rows.to_vec();
            // The checksum and the version are none.
            rows.iter_mut().for_each(|row| {
                row.pop();
                table.column("version").into_iter().for_each(|at| row[at] = Value::Null);
            });
            rows
        };
        let changed = swapped.filter(|(before, after)| content(before) != content(after));
        faults.extend(changed.take(2).map(|(before, after)| fault("swapped", before, after)));
    }
}

/// A copy of a row under a key that is free.
fn free(table: &Table, row: &Row, at: usize) -> Option<Row> {
    (1..256).find_map(|step| {
        let mut copy = row.clone();
        match &mut copy[at] {
            Value::Int(value) if at == 0 || *value < 100 => {
                *value = value.wrapping_add(step) & 0xff
            }
            Value::Int(value) => *value ^= step,
            Value::Bool(value) => *value = !*value,
            Value::Blob(bytes) if bytes.len() == 33 => {
                // Not every number is a point, but many are.
                *bytes.last_mut()? ^= u8::try_from(step).ok()?;
                bitcoin::secp256k1::PublicKey::from_slice(bytes).ok()?;
            }
            Value::Blob(bytes) if !bytes.is_empty() => bytes[0] ^= u8::try_from(step).ok()?,
            Value::Blob(bytes) | Value::Text(bytes) => bytes.push(b'x'),
            Value::Null => {}
        }
        (!table.has_key(&copy)).then_some(copy)
    })
}

/// Rows of a table to remove and to add in place of some.
type Change<'a> = dyn Fn(&Table, Vec<Row>) -> (Vec<Row>, Vec<Row>) + 'a;

/// Whole channels that are missing or too much.
fn of_channels(tables: &[Table], faults: &mut Vec<Fault>) {
    let channels = tables.iter().find(|table| table.name == "channel").unwrap();
    for row in channels.rows.iter().take(3) {
        let no = &row[0];
        let rows_of = |table: &Table| -> Vec<Row> {
            let Some(at) = table.column("no") else { return Vec::new() };
            table.rows.iter().filter(|row| row[at] == *no).cloned().collect()
        };
        let edits = |change: &Change<'_>| {
            let mut edits = Vec::new();
            for (index, table) in tables.iter().enumerate() {
                let rows = rows_of(table);
                if !rows.is_empty() {
                    let (removed, added) = change(table, rows);
                    edits.push(Edit { table: index, removed, added });
                }
            }
            edits
        };
        let by_number = |table: &Table| table.column("no") == Some(0);
        let missing = edits(&|table, rows| match by_number(table) {
            true => (rows, vec![]),
            false => (vec![], vec![]),
        });
        let extra = edits(&|table, rows| {
            if !by_number(table) {
                return (vec![], vec![]);
            }
            let renamed = rows.into_iter().map(|mut row| {
                row[0] = Value::Int(77_777);
                for unique in ["txid", "channel_id"] {
                    if let Some(at) = table.column(unique)
                        && let Value::Blob(bytes) = &mut row[at]
                    {
                        bytes[0] ^= 0x55;
                    }
                }
                row
            });
            (vec![], renamed.collect())
        });
        for (what, edits) in [("missing", missing), ("extra", extra)] {
            let name = format!("{what} channel {}", name(channels, row));
            faults.push(Fault { name, edits, is_content: true, column: None });
        }
    }
}

impl Fault {
    /// The same fault with checksums that do not give it away.
    pub(crate) fn sealed(&self, tables: &[Table]) -> Fault {
        let mut fault = self.clone();
        for edit in &mut fault.edits {
            let table = &tables[edit.table];
            edit.added = edit.added.drain(..).map(|row| table.sealed(row)).collect();
        }
        fault
    }

    /// What has to be named: every record that differs, up to a few.
    pub(crate) fn names(&self, tables: &[Table]) -> Names {
        let mut names = Vec::new();
        for edit in &self.edits {
            let table = &tables[edit.table];
            for row in edit.removed.iter().chain(&edit.added) {
                let own = vec![name(table, row)];
                if !names.contains(&own) {
                    names.push(own);
                }
            }
        }
        names.truncate(4);
        names
    }

    /// The same for a digest, which names channels.
    pub(crate) fn digest_names(&self, tables: &[Table]) -> Names {
        let mut names = Names::new();
        for edit in &self.edits {
            let table = &tables[edit.table];
            let kind = kind(&table.name).unwrap();
            for row in edit.removed.iter().chain(&edit.added) {
                let points = points(tables, &self.edits, &row[0]);
                names.push(match kind {
                    Kind::Package | Kind::PackageUpdate | Kind::FinalHtlc => {
                        vec!["channel ".into(), "rest".into()]
                    }
                    kind if kind >= Kind::OpeningState => vec!["rest".into()],
                    // Without its row a channel's records belong to nobody.
                    _ if points.is_empty() => vec!["rest".into()],
                    _ => points,
                });
            }
        }
        names.truncate(4);
        names
    }

    /// What an lnd source calls it: the record's name, the channel's, or a part of the path.
    pub(crate) fn names_in_lnd(&self, tables: &[Table]) -> Names {
        let mut any = Vec::new();
        for edit in &self.edits {
            let table = &tables[edit.table];
            for row in edit.removed.iter().chain(&edit.added) {
                any.push(name(table, row));
                any.extend(points(tables, &self.edits, &row[0]));
                any.extend(source(tables, &row[0]));
                for value in &row[..table.key] {
                    match value {
                        Value::Int(value) if value.cast_unsigned() > 1 << 32 => {
                            any.push(format!("{value:016x}"));
                        }
                        Value::Blob(bytes) if table.name == "lnd_residue" => {
                            let path = migrate::lnd::path::from_sort_key(bytes);
                            any.extend(
                                path.map(|path| migrate::bolt::display_path(&path).to_string()),
                            );
                        }
                        Value::Blob(bytes) if !bytes.is_empty() => {
                            any.push(hex(bytes));
                            any.extend(String::from_utf8(bytes.clone()));
                        }
                        _ => {}
                    }
                }
                if table.name == "meta" {
                    any.push("Meta/".into());
                }
            }
        }
        vec![any]
    }
}

/// The short channel id that a channel's packages are kept under, as paths show it.
fn source(tables: &[Table], no: &Value) -> Option<String> {
    let channels = tables.iter().find(|table| table.name == "channel")?;
    let row = channels.rows.iter().find(|row| row[0] == *no)?;
    match &row[channels.column("scid")?] {
        Value::Int(scid) if *scid != 0 => Some(format!("{scid:016x}")),
        _ => None,
    }
}

/// Funding outpoints that a channel's number has, before and after the edits.
fn points(tables: &[Table], edits: &[Edit], no: &Value) -> Vec<String> {
    let at = tables.iter().position(|table| table.name == "channel").unwrap();
    let channels = &tables[at];
    let edited = edits.iter().filter(|edit| edit.table == at).flat_map(|edit| &edit.added);
    let rows = channels.rows.iter().chain(edited).filter(|row| row[0] == *no);
    let (txid, vout) = (channels.column("txid").unwrap(), channels.column("vout").unwrap());
    let point = |row: &Row| match (&row[txid], &row[vout]) {
        (Value::Blob(txid), Value::Int(vout)) => Some(format!("{}:{vout}", hex(txid))),
        _ => None,
    };
    rows.filter_map(point).collect()
}

/// Fails unless every column that may be null is so somewhere, and is not somewhere else.
pub(crate) fn require_every_option(tables: &[Table]) {
    let mut lacks = Vec::new();
    for table in tables.iter().filter(|table| kind(&table.name).is_some()) {
        assert!(!table.rows.is_empty(), "{} is empty", table.name);
        for (at, column) in table.columns.iter().enumerate().filter(|(_, column)| column.nullable) {
            let nulls = table.rows.iter().filter(|row| row[at] == Value::Null).count();
            if nulls == 0 || nulls == table.rows.len() {
                lacks.push(format!("{}.{}: {nulls} null", table.name, column.name));
            }
        }
    }
    assert!(lacks.is_empty(), "{lacks:?}");
}
