//! Tables of a database and their rows, the same for both engines.

/// A value in a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Bool(bool),
    Blob(Vec<u8>),
    Text(Vec<u8>),
}

pub(crate) type Row = Vec<Value>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Int,
    Bool,
    Blob,
    Text,
}

#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: Type,
    pub(crate) nullable: bool,
}

/// A table. Its first columns are the key, its last one is the checksum.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) key: usize,
    pub(crate) rows: Vec<Row>,
}

/// A database as its operator sees it.
pub(crate) trait Shell {
    /// Every table with its rows in the order of their keys, but for tables with columns of types
    /// that no record has.
    fn tables(&mut self) -> Vec<Table>;

    /// Runs statements, all or none.
    fn run(&mut self, statements: &str) -> Result<(), String>;

    /// A value in a statement.
    fn literal(&self, value: &Value) -> String;
}

/// The columns of a key, to sort by.
pub(crate) fn order(key: usize) -> String {
    (1..=key).map(|at| at.to_string()).collect::<Vec<_>>().join(", ")
}

/// Rows taken out of a table and put into it.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) table: usize,
    pub(crate) removed: Vec<Row>,
    pub(crate) added: Vec<Row>,
}

impl Edit {
    fn sql(&self, tables: &[Table], shell: &dyn Shell) -> String {
        let table = &tables[self.table];
        let mut sql = String::new();
        for row in &self.removed {
            let same = |(column, value): (&Column, &Value)| {
                format!("\"{}\" = {}", column.name, shell.literal(value))
            };
            let key = table.columns.iter().zip(row).take(table.key).map(same);
            let key = key.collect::<Vec<_>>().join(" and ");
            sql.push_str(&format!("delete from \"{}\" where {key};", table.name));
        }
        for row in &self.added {
            let values = row.iter().map(|value| shell.literal(value)).collect::<Vec<_>>();
            let values = values.join(", ");
            sql.push_str(&format!("insert into \"{}\" values ({values});", table.name));
        }
        sql
    }

    fn undone(&self) -> Edit {
        let Edit { table, removed, added } = self.clone();
        Edit { table, removed: added, added: removed }
    }
}

/// Plants edits, or says why the engine does not take them.
pub(crate) fn plant(edits: &[Edit], tables: &[Table], shell: &mut dyn Shell) -> Result<(), String> {
    let sql: String = edits.iter().map(|edit| edit.sql(tables, shell)).collect();
    shell.run(&sql)
}

/// Takes them back.
pub(crate) fn pull(edits: &[Edit], tables: &[Table], shell: &mut dyn Shell) {
    let sql: String = edits.iter().map(|edit| edit.undone().sql(tables, shell)).collect();
    shell.run(&sql).unwrap();
}

impl Table {
    /// A row with the checksum that belongs to it.
    pub(crate) fn sealed(&self, mut row: Row) -> Row {
        let mut hasher = crc32fast::Hasher::new_with_initial(crc32fast::hash(self.name.as_bytes()));
        let checksum = row.len() - 1;
        for (at, value) in row[..checksum].iter().enumerate() {
            // A name, although PostgreSQL keeps it as bytes.
            let is_text = matches!(value, Value::Text(_)) || self.name == "meta" && at == 0;
            let (tag, bytes) = match value {
                Value::Null => (0, None),
                Value::Int(value) => (1, Some(value.to_le_bytes().to_vec())),
                Value::Bool(value) => (1, Some(i64::from(*value).to_le_bytes().to_vec())),
                Value::Blob(bytes) | Value::Text(bytes) => {
                    let tag = if is_text { 3 } else { 2 };
                    (tag, Some([&(bytes.len() as u64).to_le_bytes()[..], bytes].concat()))
                }
            };
            hasher.update(&[tag]);
            hasher.update(&bytes.unwrap_or_default());
        }
        row[checksum] = Value::Int(hasher.finalize().into());
        row
    }

    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    pub(crate) fn has_key(&self, row: &Row) -> bool {
        self.rows.iter().any(|other| other[..self.key] == row[..self.key])
    }
}
