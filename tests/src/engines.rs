//! Places on the engines that come with the workspace.

#[cfg(feature = "postgres")]
pub use on_postgres::InPostgres;
#[cfg(feature = "redb")]
pub use on_redb::InRedb;
#[cfg(feature = "sqlite")]
pub use on_sqlite::InSqlite;

#[cfg(feature = "postgres")]
mod on_postgres {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{SystemTime, UNIX_EPOCH};

    use channelcoord::Backend;
    use sqlstore::{OpenError, PostgresOptions};
    use sqlx::postgres::PgConnectOptions;
    use sqlx::{ConnectOptions, raw_sql};
    use tokio::runtime::Builder;

    use crate::place::{Place, Unusable};

    /// Names the server that tests may use.
    const URL: &str = "CHANSTORE_POSTGRES_URL";

    /// A schema of a PostgreSQL database, dropped at the end.
    #[derive(Debug)]
    pub struct InPostgres {
        url: String,
        schema: String,
        options: PostgresOptions,
    }

    impl Default for InPostgres {
        fn default() -> Self {
            let url = std::env::var(URL);
            let url =
                url.unwrap_or_else(|_| panic!("{URL} names no server; see tests/with-postgres"));
            InPostgres::on_server(&url).expect("the URL can be used")
        }
    }

    impl InPostgres {
        /// A new schema on the server at `url`.
        ///
        /// # Errors
        /// The URL's.
        pub fn on_server(url: &str) -> Result<InPostgres, Unusable> {
            static MADE: AtomicU64 = AtomicU64::new(0);
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            // Other processes may work in the same database.
            let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
            let schema = format!("place_{time:x}_{}_{number}", std::process::id());
            let options = PostgresOptions::new(url)?.schema(schema.as_str())?;
            Ok(InPostgres { url: url.to_owned(), schema, options })
        }

        /// The same place, opened with other options from now on.
        #[must_use]
        pub fn with(mut self, set: impl FnOnce(PostgresOptions) -> PostgresOptions) -> InPostgres {
            self.options = set(self.options.clone());
            self
        }

        /// What it is opened with.
        pub fn options(&self) -> &PostgresOptions {
            &self.options
        }

        /// The schema.
        pub fn schema(&self) -> &str {
            &self.schema
        }

        /// Runs statements in the schema.
        fn run(&self, sql: &'static str) -> Result<(), Unusable> {
            let options: PgConnectOptions = self.url.parse()?;
            let options = options.options([("search_path", &self.schema)]);
            let running = async move {
                let mut connection = options.connect().await?;
                raw_sql(sql).execute(&mut connection).await
            };
            // On a thread of its own: the caller's may belong to another runtime.
            let thread = std::thread::spawn(|| -> Result<(), Unusable> {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(running)?;
                Ok(())
            });
            thread.join().unwrap_or_else(|_| Err("the statement panicked".into()))
        }
    }

    impl Place for InPostgres {
        fn open(&self) -> Result<Arc<dyn Backend>, Unusable> {
            Ok(Arc::new(self.options.clone().open()?))
        }

        fn set_newer(&self, newer: bool) -> Result<bool, Unusable> {
            self.run(match newer {
                true => {
                    "insert into schema_step (version, name, digest, applied_at) \
                     select max(version) + 1, 'newer', 0, 0 from schema_step"
                }
                false => "delete from schema_step where name = 'newer'",
            })?;
            Ok(true)
        }
    }

    impl Drop for InPostgres {
        fn drop(&mut self) {
            let dropped = self.options.clone().drop_store();
            // What is left behind is in the way of nobody.
            if let Err(error) = dropped
                && !matches!(error, OpenError::Absent(_))
            {
                eprintln!("the schema was not dropped: {error:?}");
            }
        }
    }
}

#[cfg(feature = "redb")]
mod on_redb {
    use std::path::{Path, PathBuf};

    use kvstore::RedbBackend;
    use redb::{Database, TableDefinition};

    use crate::place::{InDirectory, Unusable};

    /// A file of the engine redb.
    pub type InRedb = InDirectory<RedbBackend>;

    impl Default for InRedb {
        fn default() -> Self {
            InDirectory::new(|dir| RedbBackend::open(file(dir)), set_newer)
        }
    }

    impl InRedb {
        /// A file in a new directory in `parent`.
        ///
        /// # Errors
        /// The file system's.
        pub fn redb_in(parent: &Path) -> Result<InRedb, Unusable> {
            InDirectory::within(parent, |dir| RedbBackend::open(file(dir)), set_newer)
        }
    }

    fn set_newer(dir: &Path, newer: bool) -> Result<(), Unusable> {
        let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("store");
        let (key, value) = kvstore::kv::format_row(1 + u32::from(newer));
        let write = Database::open(file(dir))?.begin_write()?;
        write.open_table(table)?.insert(&key[..], &value[..])?;
        Ok(write.commit()?)
    }

    fn file(dir: &Path) -> PathBuf {
        dir.join("channels.redb")
    }
}

#[cfg(feature = "sqlite")]
mod on_sqlite {
    use std::path::{Path, PathBuf};

    use rusqlite::Connection;
    use sqlstore::SqliteBackend;

    use crate::place::{InDirectory, Unusable};

    /// A file of the engine SQLite.
    pub type InSqlite = InDirectory<SqliteBackend>;

    impl Default for InSqlite {
        fn default() -> Self {
            InDirectory::new(|dir| SqliteBackend::open(file(dir)), set_newer)
        }
    }

    impl InSqlite {
        /// A file in a new directory in `parent`.
        ///
        /// # Errors
        /// The file system's.
        pub fn sqlite_in(parent: &Path) -> Result<InSqlite, Unusable> {
            InDirectory::within(parent, |dir| SqliteBackend::open(file(dir)), set_newer)
        }
    }

    fn set_newer(dir: &Path, newer: bool) -> rusqlite::Result<()> {
        let db = Connection::open(file(dir))?;
        let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        db.pragma_update(None, "user_version", if newer { version + 1 } else { version - 1 })
    }

    fn file(dir: &Path) -> PathBuf {
        dir.join("channels.sqlite")
    }
}
