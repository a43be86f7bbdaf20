//! Faults in every table of PostgreSQL.

use sqlx::Row as _;

use crate::database::{Database, Shell as Connection};
use crate::judge::{Judge, digest, nameless, open};
use crate::sql::{Column, Shell, Table, Type, Value, order};
use crate::trial::Trial;
use crate::{base, table_faults};

/// Changes of a column: each takes a few round trips to the server.
const CHANGES: usize = 2;

struct Postgres(Connection);

impl Postgres {
    fn table(&mut self, name: String) -> Option<Table> {
        let sql = format!(
            "select column_name::text, data_type::text, is_nullable = 'YES' \
             from information_schema.columns where table_schema = 'store' \
             and table_name = '{name}' order by ordinal_position"
        );
        let mut columns = Vec::new();
        for row in self.0.rows(&sql) {
            let ty = match row.get::<String, _>(1).as_str() {
                "bigint" => Type::Int,
                "boolean" => Type::Bool,
                "bytea" => Type::Blob,
                "text" => Type::Text,
                other if table_faults::kind(&name).is_some() => panic!("{name}: {other}"),
                _ => return None,
            };
            columns.push(Column { name: row.get(0), ty, nullable: row.get(2) });
        }
        let sql = format!(
            "select coalesce(max(indnkeyatts), 1)::int8 from pg_index \
             where indrelid = 'store.{name}'::regclass and indisprimary"
        );
        let key = usize::try_from(self.0.rows(&sql)[0].get::<i64, _>(0)).unwrap();
        let sql = format!("select * from store.\"{name}\" order by {}", order(key));
        let rows = self.0.rows(&sql).into_iter().map(|row| {
            let value = |(at, column): (usize, &Column)| match column.ty {
                Type::Int => row.get::<Option<i64>, _>(at).map(Value::Int),
                Type::Bool => row.get::<Option<bool>, _>(at).map(Value::Bool),
                Type::Blob => row.get::<Option<Vec<u8>>, _>(at).map(Value::Blob),
                Type::Text => row.get::<Option<String>, _>(at).map(|text| Value::Text(text.into())),
            };
            columns.iter().enumerate().map(|column| value(column).unwrap_or(Value::Null)).collect()
        });
        let rows = rows.collect();
        Some(Table { name, columns, key, rows })
    }
}

impl Shell for Postgres {
    fn tables(&mut self) -> Vec<Table> {
        let names = "select tablename::text from pg_tables where schemaname = 'store' order by 1";
        let names: Vec<String> = self.0.rows(names).iter().map(|row| row.get(0)).collect();
        names.into_iter().filter_map(|name| self.table(name)).collect()
    }

    fn run(&mut self, statements: &str) -> Result<(), String> {
        self.0.try_run(statements)
    }

    fn literal(&self, value: &Value) -> String {
        match value {
            Value::Null => "null".into(),
            Value::Int(value) => format!("({value})"),
            Value::Bool(value) => value.to_string(),
            Value::Blob(bytes) => format!("'\\x{}'::bytea", table_faults::hex(bytes)),
            Value::Text(bytes) => {
                format!("convert_from('\\x{}'::bytea, 'UTF8')", table_faults::hex(bytes))
            }
        }
    }
}

#[test]
fn every_fault_in_a_copy_of_a_store_is_found() {
    let database = Database::new();
    let content = base::content();
    base::fill(&database.options("store").create().unwrap(), &content);
    let mut shell = Postgres(database.another_shell());
    // Foreign keys are not enforced, as after a restore.
    shell.run("set search_path = store; set session_replication_role = replica").unwrap();
    let tables = shell.tables();
    table_faults::require_every_option(&tables);
    let (from, source) = nameless(base::in_memory(&content));
    let expected = digest(&from, &source, None).0.unwrap();
    let (to, target) = open(&database.url("store"));
    assert_eq!(digest(&to, &target, None).0.unwrap(), expected);
    let mut judge = Judge::new(from, source, &to, &target);
    let mut trial = Trial { shell: &mut shell, tables: &tables, judge: &mut judge };
    trial.run(CHANGES, false, &mut |judge| judge(&to, &target));
    judge.conclude("PostgreSQL against a store");
}
