//! An upgrade, for which there has to be a release of tomorrow. Needs the server that
//! `CHANSTORE_POSTGRES_URL` names.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use channelcoord::{
    Backend, Batch, ChangeSet, CommitError, Epoch, Head, MetaRecord, Record, Seq, Verdict,
};
use pollster::block_on;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row};
use tokio::runtime::{Builder, Runtime};

use super::{PostgresBackend, PostgresOptions};
use crate::open::OpenError;
use crate::schema::{NEWEST, STEPS, Step};

/// The steps of a release that is newer than this one.
static TOMORROW: [Step; 2] = [
    STEPS[0],
    Step {
        version: NEWEST + 1,
        name: "of tomorrow",
        texts: &["alter table meta add column tomorrow {int};"],
        postgres: &[],
    },
];

/// Sessions that wait for a lock and change the store in the operator's search path.
fn waiting(runtime: &Runtime, connection: &mut PgConnection) -> i64 {
    thread::sleep(Duration::from_millis(2));
    // The operator is in a transaction, which sees one moment of them otherwise.
    run(runtime, connection, "select pg_stat_clear_snapshot()");
    let text = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
                and application_name = 'chanstore commit ' || current_schema()";
    number(runtime, connection, text)
}

fn run(runtime: &Runtime, connection: &mut PgConnection, sql: &str) {
    runtime.block_on(sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection)).unwrap();
}

fn number(runtime: &Runtime, connection: &mut PgConnection, sql: &str) -> i64 {
    runtime.block_on(sqlx::query(AssertSqlSafe(sql)).fetch_one(connection)).unwrap().get(0)
}

fn commit(backend: &PostgresBackend, head: Head) -> Result<Vec<Verdict>, CommitError> {
    let record = MetaRecord { name: "a".into(), value: "value".into() };
    let sets = [ChangeSet { puts: vec![Record::Meta(record)], ..ChangeSet::default() }];
    block_on(backend.commit(Batch { epoch: head.epoch, before: head.seq, sets: &sets }))
}

/// A store of this release, its holder, and an operator's connection.
struct Today {
    options: PostgresOptions,
    holder: PostgresBackend,
    head: Head,
    runtime: Runtime,
    connection: PgConnection,
}

impl Today {
    fn new(name: &str) -> Today {
        let url = std::env::var("CHANSTORE_POSTGRES_URL").expect("a server is named");
        let options = PostgresOptions::new(&url).unwrap();
        let options = options.schema(format!("upgrade_{name}_{}", std::process::id())).unwrap();
        let options = options.instance("holder");
        let holder = options.clone().create().unwrap();
        let head = block_on(holder.claim(None)).unwrap();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let server = options.server.clone().options([("search_path", options.schema.as_str())]);
        let connection = runtime.block_on(server.connect()).unwrap();
        Today { options, holder, head, runtime, connection }
    }

    /// Opens the store with these steps, beside whatever comes next.
    fn open_beside(&self, steps: &'static [Step]) -> Receiver<Result<(), OpenError>> {
        self.open_as_beside("holder", steps)
    }

    /// As another instance.
    fn open_as_beside(
        &self,
        instance: &str,
        steps: &'static [Step],
    ) -> Receiver<Result<(), OpenError>> {
        let options = PostgresOptions { steps, ..self.options.clone() }.instance(instance);
        let (sender, opened) = channel();
        thread::spawn(move || drop(sender.send(options.open().map(drop))));
        opened
    }

    /// Waits until so many sessions wait for a lock.
    fn await_waiting(&mut self, count: i64, opened: &Receiver<Result<(), OpenError>>) {
        while waiting(&self.runtime, &mut self.connection) < count {
            assert!(opened.try_recv().is_err(), "it did not wait");
        }
    }

    fn tomorrow(&self) -> PostgresOptions {
        PostgresOptions { steps: &TOMORROW, ..self.options.clone() }
    }

    fn commit(&mut self) -> Result<Vec<Verdict>, CommitError> {
        let verdicts = commit(&self.holder, self.head)?;
        self.head.seq.0 += 1;
        Ok(verdicts)
    }

    fn run(&mut self, sql: &str) {
        run(&self.runtime, &mut self.connection, sql);
    }

    fn number(&mut self, sql: &str) -> i64 {
        number(&self.runtime, &mut self.connection, sql)
    }

    fn version(&mut self) -> i64 {
        self.number("select max(version) from schema_step")
    }
}

impl Drop for Today {
    fn drop(&mut self) {
        let _ = self.tomorrow().drop_store();
    }
}

#[test]
fn an_upgrade_is_refused_while_another_instance_holds_the_store() {
    let mut today = Today::new("refused");
    let refused = today.tomorrow().instance("other").open().unwrap_err();
    let OpenError::Held { by, remaining } = refused else { panic!("{refused:?}") };
    assert_eq!(by, "holder");
    assert!(remaining > Duration::ZERO && remaining <= Duration::from_secs(30));
    assert_eq!(today.version(), i64::from(NEWEST));
    // It goes on under its claim.
    today.commit().unwrap();
    block_on(today.holder.release()).unwrap();
    today.tomorrow().instance("other").open().unwrap();
    assert_eq!(today.version(), i64::from(NEWEST) + 1);
}

#[test]
fn an_upgrade_is_refused_if_a_lease_is_renewed_meanwhile() {
    let mut today = Today::new("renewed");
    // A lease that has run out, of somebody who renews it when we say so.
    today.run("update lease set instance = 'third', until = clock_timestamp() - interval '1 s'");
    // The upgrade has found it so when it is about to make a claim.
    today.run("begin; lock table epoch in share mode");
    let opened = today.open_as_beside("other", &TOMORROW);
    today.await_waiting(1, &opened);
    today.run("update lease set until = clock_timestamp() + interval '1 h'; commit");
    let refused = opened.recv().unwrap().unwrap_err();
    assert!(matches!(&refused, OpenError::Held { by, .. } if by == "third"), "{refused:?}");
    assert_eq!(today.version(), i64::from(NEWEST));
    assert_eq!(today.number("select epoch from store"), 1);
}

#[test]
fn an_upgrade_fences_whoever_wrote_before() {
    let mut today = Today::new("fences");
    today.commit().unwrap();
    // The same instance, as after a crash that only seemed to be one.
    let newer = today.tomorrow().open().unwrap();
    assert_eq!(today.version(), i64::from(NEWEST) + 1);
    let fenced = today.commit().unwrap_err();
    assert!(
        matches!(fenced, CommitError::Fenced { ours: Epoch(1), found: Epoch(2) }),
        "{fenced:?}"
    );
    assert_eq!(today.number("select count(*) from lease where until > clock_timestamp()"), 0);
    let head = block_on(newer.claim(None)).unwrap();
    assert_eq!(head, Head { epoch: Epoch(3), seq: Seq(1) });
    // The second opening takes no step, and raises nothing.
    today.tomorrow().open().unwrap();
    assert_eq!(today.number("select epoch from store"), 3);
}

#[test]
fn an_upgrade_waits_for_the_commit_under_way() {
    let mut today = Today::new("waits");
    today.run("begin; select from store for update");
    let opened = today.open_beside(&TOMORROW);
    today.await_waiting(1, &opened);
    today.run("rollback");
    opened.recv().unwrap().unwrap();
    assert_eq!(today.version(), i64::from(NEWEST) + 1);
}

/// Waits for the operator before it changes a table, and is not patient in a deadlock.
static SLOWLY: [Step; 2] = [
    STEPS[0],
    Step {
        version: NEWEST + 1,
        name: "slowly",
        texts: &[
            "select pg_advisory_xact_lock(hashtext(current_schema()));",
            "set local deadlock_timeout = '10ms';",
            "alter table meta add column tomorrow {int};",
        ],
        postgres: &[],
    },
];

#[test]
fn an_upgrade_and_a_commit_do_not_wait_for_each_other() {
    let mut today = Today::new("deadlock");
    today.commit().unwrap();
    today.run("begin; select pg_advisory_xact_lock(hashtext(current_schema()))");
    let opened = today.open_beside(&SLOWLY);
    today.await_waiting(1, &opened);
    thread::scope(|scope| {
        let (head, holder) = (today.head, &today.holder);
        let late = scope.spawn(move || commit(holder, head));
        let (runtime, connection) = (&today.runtime, &mut today.connection);
        while waiting(runtime, connection) < 2 {
            assert!(!late.is_finished(), "it did not wait");
        }
        run(runtime, connection, "rollback");
        opened.recv().unwrap().unwrap();
        let late = late.join().unwrap();
        assert!(matches!(late, Err(CommitError::Fenced { .. })), "{late:?}");
    });
    assert_eq!(today.version(), i64::from(NEWEST) + 1);
}
