//! How fast `migrate` copies and verifies, against plain insertions of the same rows.
//!
//! `cargo bench -p migrate --bench copy` runs it over a generated store and over `deep.db`, with
//! PostgreSQL if `CHANSTORE_POSTGRES_URL` names a server (`tests/with-postgres cargo bench ...`).
//! `-- --states 2000000 --rounds 3` makes the store large. Each round inserts plainly and copies, one
//! after the other; the last lines are medians of ratios within a round, which is all that can be
//! compared on a machine that does other things too.

#![allow(clippy::expect_used, reason = "a benchmark that fails has nothing to report")]

mod child;
mod generate;
mod plain;

use std::path::{Path, PathBuf};

use clap::Parser;
use kvstore::RedbBackend;
use sqlstore::PostgresOptions;

use crate::child::{Run, Took, migrate};
use crate::generate::Size;
use crate::plain::Inserted;

/// Copies and verifies stores.
#[derive(Clone, Debug, Parser)]
struct Options {
    /// Channels of the generated store.
    #[arg(long, default_value_t = 1000)]
    channels: u64,
    /// Revoked states of the generated store.
    #[arg(long, default_value_t = 100_000)]
    states: u64,
    /// Rounds; the table has their medians.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// What the generated store is made from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Plain insertions into each table of PostgreSQL.
    #[arg(long, default_value_t = 100_000)]
    plain: usize,
    /// Only copies whose name contains this.
    #[arg(default_value = "")]
    filter: String,
    /// As `cargo bench` runs it.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() {
    let options = Options::parse();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let desk = Desk {
        options: options.clone(),
        dir: dir.path().to_owned(),
        server: std::env::var("CHANSTORE_POSTGRES_URL").ok(),
    };
    let redb = desk.path("generated.redb");
    let size = Size { channels: options.channels, states: options.states };
    let store = RedbBackend::create(&redb).expect("the store is created");
    let records = generate::generate(&store, size, options.seed);
    drop(store);
    let bytes = redb.metadata().expect("the store is there").len();
    println!("generated: {size:?}, {records} records, {} MiB in redb", bytes >> 20);

    let deep = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/lnd/deep.db");
    let deep = format!("lnd-bolt:{}", deep.display());
    let generated = format!("redb:{}", redb.display());
    let mut table = Vec::new();
    for (source, from) in [("generated", generated.as_str()), ("deep.db", deep.as_str())] {
        table.extend(desk.measure_all(source, from));
    }
    println!("\n{HEAD}");
    table.iter().for_each(|line| println!("{line}"));
}

const HEAD: &str = "\
| Copy | rows | plain rows/s | copy rows/s | copy to plain | the same by processor time | copy s | verify to copy | peak MiB: copy, verify |
|---|---|---|---|---|---|---|---|---|";

/// Where stores are put.
struct Desk {
    options: Options,
    dir: PathBuf,
    server: Option<String>,
}

/// An engine to copy to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Redb,
    Sqlite,
    Postgres,
}

impl Desk {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn url(&self, engine: Engine, name: &str) -> Option<String> {
        let file = |engine| Some(format!("{engine}:{}", self.path(name).display()));
        match engine {
            Engine::Redb => file("redb"),
            Engine::Sqlite => file("sqlite"),
            Engine::Postgres => {
                self.server.as_ref().map(|server| format!("{server}?schema={name}"))
            }
        }
    }

    /// Copies a store along all engines, each from the copy before.
    fn measure_all(&self, source: &str, from: &str) -> Vec<String> {
        let name = |engine: Engine| format!("{}_{engine:?}", source.replace('.', "_"));
        let mut lines = Vec::new();
        // Plain insertions need the rows as the target keeps them.
        for engine in [Engine::Sqlite, Engine::Postgres] {
            if let Some(to) = self.url(engine, &name(engine).to_lowercase()) {
                migrate(&["copy", "--from", from, "--to", &to]);
            }
        }
        let sqlite = self.url(Engine::Sqlite, &name(Engine::Sqlite).to_lowercase());
        let postgres = self.url(Engine::Postgres, &name(Engine::Postgres).to_lowercase());
        let first = if from.starts_with("lnd") { "lnd" } else { "redb" };
        let sources = [
            (first, Some(from.to_owned()), Engine::Sqlite),
            (first, Some(from.to_owned()), Engine::Postgres),
            ("SQLite", sqlite.clone(), Engine::Redb),
            ("SQLite", sqlite, Engine::Postgres),
            ("PostgreSQL", postgres, Engine::Sqlite),
        ];
        for (by, from, to) in sources {
            let title = format!("{source}: {by} to {to:?}");
            if let (Some(from), true) = (from, title.contains(&self.options.filter))
                && (to != Engine::Postgres || self.server.is_some())
            {
                lines.push(self.measure(&title, source, &from, to));
            }
        }
        lines
    }

    /// Rounds of plain insertions, a copy and its verification.
    fn measure(&self, title: &str, source: &str, from: &str, to: Engine) -> String {
        println!("\n{title}");
        let rounds: Vec<_> = (0..self.options.rounds)
            .map(|_| {
                let round = self.round(source, from, to);
                println!("  {}", round.show());
                round
            })
            .collect();
        let median = |of: fn(&Round) -> f64| {
            let mut values: Vec<_> = rounds.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let most = |of: fn(&Round) -> u64| rounds.iter().map(of).max().unwrap_or(0) >> 20;
        let plain = match to {
            // Another engine than those of SQL has no insertions.
            Engine::Redb => ["-", "-", "-"].map(str::to_owned),
            _ => [
                format!("{:.0}", median(|round| round.plain.per_second())),
                format!("{:.2}", median(|round| round.speed() / round.plain.per_second())),
                match to {
                    // That of the server is not known.
                    Engine::Postgres => "-".to_owned(),
                    _ => format!("{:.2}", median(Round::by_cpu)),
                },
            ],
        };
        format!(
            "| {title} | {:.0} | {} | {:.0} | {} | {} | {:.2} | {:.2} | {}, {} |",
            median(|round| round.records as f64),
            plain[0],
            median(Round::speed),
            plain[1],
            plain[2],
            median(|round| round.copying().wall.as_secs_f64()),
            median(Round::verify_to_copy),
            most(|round| round.copy.peak),
            most(|round| round.verify.peak),
        )
    }

    fn round(&self, source: &str, from: &str, to: Engine) -> Round {
        let plain = self.plain(source, to);
        let url = self.url(to, "target").expect("the engine is there");
        let copy = migrate(&["copy", "--from", from, "--to", &url]);
        let verify = migrate(&["verify", "--from", from, "--to", &url]);
        self.remove(to, "target");
        let records = copy.told["records"].as_u64().expect("the command counts records");
        Round { plain, records, copy, verify }
    }

    fn plain(&self, source: &str, to: Engine) -> Inserted {
        let from = format!("{}_{to:?}", source.replace('.', "_")).to_lowercase();
        let inserted = match to {
            Engine::Redb => return Inserted::default(),
            Engine::Sqlite => {
                plain::sqlite(&self.path(&from), &self.path("plain")).expect("rows are inserted")
            }
            Engine::Postgres => {
                let server = self.server.as_deref().expect("the engine is there");
                let inserted = plain::postgres(server, &from, "plain", self.options.plain);
                inserted.expect("rows are inserted")
            }
        };
        self.remove(to, "plain");
        inserted
    }

    fn remove(&self, engine: Engine, name: &str) {
        if let (Engine::Postgres, Some(server)) = (engine, &self.server) {
            let options = PostgresOptions::new(server).and_then(|options| options.schema(name));
            options.and_then(|options| options.drop_store()).expect("the store is dropped");
            return;
        }
        for suffix in ["", "-wal", "-shm", ".lock"] {
            let removed = std::fs::remove_file(self.path(&format!("{name}{suffix}")));
            assert!(removed.is_ok() || !suffix.is_empty(), "{name} is there");
        }
    }
}

/// One of the rounds.
struct Round {
    plain: Inserted,
    records: u64,
    copy: Run,
    verify: Run,
}

impl Round {
    /// Reading, writing and making durable; neither the check before nor the verification after.
    fn copying(&self) -> Took {
        self.copy.phase("copying") + self.copy.phase("comparing")
    }

    fn verifying(&self) -> Took {
        self.copy.phase("verifying")
    }

    fn verify_to_copy(&self) -> f64 {
        self.verifying().wall.as_secs_f64() / self.copying().wall.as_secs_f64()
    }

    fn speed(&self) -> f64 {
        self.records as f64 / self.copying().wall.as_secs_f64()
    }

    fn by_cpu(&self) -> f64 {
        let speed = self.records as f64 / self.copying().cpu.as_secs_f64();
        speed / self.plain.per_cpu_second()
    }

    fn show(&self) -> String {
        format!(
            "plain {:.0} rows/s, copy {:.0} rows/s; copy {:.1?} ({}), {} MiB; \
             verify {:.1?} ({}), {} MiB; processor time of copying {:.1?}, of verifying {:.1?}",
            self.plain.per_second(),
            self.speed(),
            self.copy.all.wall,
            self.copy.phases(),
            self.copy.peak >> 20,
            self.verify.all.wall,
            self.verify.phases(),
            self.verify.peak >> 20,
            self.copying().cpu,
            self.verifying().cpu,
        )
    }
}
