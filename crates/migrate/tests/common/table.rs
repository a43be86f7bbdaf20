//! lnd's table in PostgreSQL, as lnd makes it.
#![allow(dead_code, reason = "no file of tests needs all of it")]

use crate::database::Database;
use crate::kv::KvRow;

/// Statements with which lnd makes its table.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS public.channeldb_kv
(
    key BYTEA NOT NULL,
    value BYTEA,
    parent_id BIGINT,
    id BIGSERIAL PRIMARY KEY,
    sequence BIGINT,
    CONSTRAINT channeldb_kv_parent FOREIGN KEY (parent_id)
        REFERENCES public.channeldb_kv (id)
        ON UPDATE NO ACTION
        ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS channeldb_kv_p
    ON public.channeldb_kv (parent_id);
CREATE UNIQUE INDEX IF NOT EXISTS channeldb_kv_up
    ON public.channeldb_kv
    (parent_id, key) WHERE parent_id IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS channeldb_kv_unp
    ON public.channeldb_kv (key) WHERE parent_id IS NULL;
";

/// Rows of one statement that fills the table.
const TOGETHER: usize = 500;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn number(value: Option<i64>) -> String {
    value.map_or("null".into(), |value| value.to_string())
}

pub(crate) fn values(row: &KvRow) -> String {
    let value = row.value.as_deref().map_or("null".into(), |value| format!("'\\x{}'", hex(value)));
    let (key, parent, sequence) = (hex(&row.key), number(row.parent), number(row.sequence));
    format!("('\\x{key}', {value}::bytea, {parent}::bigint, {}, {sequence}::bigint)", row.id)
}

/// Makes the table and fills it.
pub(crate) fn fill(database: &Database, rows: &[KvRow]) {
    database.run(SCHEMA);
    // Rows may come before their parents.
    database.run("alter table channeldb_kv drop constraint channeldb_kv_parent");
    for rows in rows.chunks(TOGETHER) {
        let rows: Vec<_> = rows.iter().map(values).collect();
        let columns = "key, value, parent_id, id, sequence";
        database.run(&format!("insert into channeldb_kv ({columns}) values {}", rows.join(",")));
    }
    database.run(
        "alter table channeldb_kv add constraint channeldb_kv_parent foreign key (parent_id) \
         references public.channeldb_kv (id) on update no action on delete cascade",
    );
}
