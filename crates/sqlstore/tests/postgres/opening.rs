//! What is opened, and what is refused.

use std::time::Duration;

use bitcoin::Network;
use bitcoin::secp256k1::PublicKey;
use channelcoord::{Backend, BackendError, Batch, CommitError};
use pollster::block_on;
use sqlstore::{OpenError, PostgresOptions};

use crate::server::{Shell, Store, note, options};

fn node(last: u8) -> PublicKey {
    let mut secret = [1; 32];
    secret[31] = last;
    bitcoin::secp256k1::SecretKey::from_slice(&secret)
        .unwrap()
        .public_key(&bitcoin::secp256k1::Secp256k1::new())
}

#[test]
fn a_store_is_created_once() {
    let (options, schema) = options();
    let absent = |opened: Result<_, OpenError>| matches!(opened, Err(OpenError::Absent(_)));
    assert!(absent(options.clone().open_existing()));
    assert!(absent(options.clone().open_read_only()));
    assert!(absent(options.clone().drop_store().map(|()| options.clone().open().unwrap())));
    // A schema that somebody made for us is as good as none.
    Shell::new(&schema).run(&format!("create schema {schema}"));
    assert!(absent(options.clone().open_existing()));
    options.clone().create().unwrap();
    assert!(matches!(options.clone().create(), Err(OpenError::Exists(_))));
    options.clone().open_existing().unwrap();
    options.clone().open().unwrap();
    options.clone().drop_store().unwrap();
    assert!(absent(options.open_existing()));
}

#[test]
fn of_many_who_create_a_store_at_once_one_does() {
    let (options, _) = options();
    let created: Vec<_> = std::thread::scope(|scope| {
        let create = || {
            let options = options.clone();
            scope.spawn(|| options.create().map(drop))
        };
        let creating: Vec<_> = (0..4).map(|_| create()).collect();
        creating.into_iter().map(|creating| creating.join().unwrap()).collect()
    });
    let exists = |made: &Result<_, _>| matches!(made, Err(OpenError::Exists(_)));
    assert_eq!(created.iter().filter(|made| made.is_ok()).count(), 1, "{created:?}");
    assert_eq!(created.iter().filter(|made| exists(made)).count(), 3, "{created:?}");
    options.drop_store().unwrap();
}

#[test]
fn what_is_not_ours_is_refused_and_left_as_it_is() {
    for tables in [
        "create table thing (id int)",
        "create table schema_step (id int); create table store (id int)",
        "create view store as select 1",
    ] {
        let (options, schema) = options();
        let mut shell = Shell::new(&schema);
        shell.run(&format!("create schema {schema}; {tables}"));
        let sql =
            "select count(*) from pg_class where relnamespace = current_schema()::regnamespace";
        let before = shell.number(sql);
        for opened in [
            options.clone().open(),
            options.clone().create(),
            options.clone().open_existing(),
            options.clone().open_read_only(),
        ] {
            assert!(matches!(opened, Err(OpenError::Foreign(_))), "{opened:?}");
        }
        assert!(matches!(options.drop_store(), Err(OpenError::Foreign(_))));
        assert_eq!(shell.number(sql), before);
        shell.run(&format!("drop schema {schema} cascade"));
    }
}

#[test]
fn a_newer_schema_and_another_history_are_refused() {
    let store = Store::new();
    let mut shell = store.shell();
    shell.run("insert into schema_step values (2, 'of tomorrow', 0, 0)");
    for opened in [store.options.clone().open(), store.options.clone().open_read_only()] {
        assert!(matches!(opened, Err(OpenError::Newer { found: 2, newest: 1 })), "{opened:?}");
    }
    shell.run("delete from schema_step where version = 2; update schema_step set digest = 7");
    for opened in [store.options.clone().open(), store.options.clone().open_read_only()] {
        assert!(matches!(opened, Err(OpenError::History { version: 1 })), "{opened:?}");
    }
    shell.run("update schema_step set version = 1; update store set format = 'other'");
    assert!(matches!(store.options.clone().open(), Err(OpenError::Foreign(_))));
    shell.run("update store set format = 'chanstore'");
}

#[test]
fn a_store_is_of_the_node_and_network_that_were_named_first() {
    let store = Store::new();
    let options = || store.options.clone();
    let owner = || {
        let standing = options().standing().unwrap();
        (standing.node, standing.network)
    };
    assert_eq!(owner(), (None, None));
    options().node(node(1)).open().unwrap();
    assert_eq!(owner(), (Some(node(1).to_string()), None));
    options().network(Network::Regtest).open().unwrap();
    assert_eq!(owner(), (Some(node(1).to_string()), Some("regtest".to_owned())));
    options().node(node(1)).network(Network::Regtest).open().unwrap();
    options().open().unwrap();
    let refused = options().node(node(2)).open().unwrap_err();
    let OpenError::Owner { what: "node", expected, found } = refused else { panic!("{refused:?}") };
    assert_eq!((expected, found), (node(2).to_string(), node(1).to_string()));
    let wrong = || options().node(node(1)).network(Network::Bitcoin);
    for opened in [wrong().open(), wrong().open_existing(), wrong().open_read_only()] {
        assert!(matches!(opened, Err(OpenError::Owner { what: "network", .. })), "{opened:?}");
    }
}

#[test]
fn a_server_tells_its_version_where_there_is_no_store() {
    let (options, _) = options();
    let version = options.server_version().unwrap();
    let major: u32 = version.split('.').next().unwrap().parse().unwrap();
    assert!(major >= 13, "{version}");
}

#[test]
fn a_store_that_is_open_for_reading_takes_nothing() {
    let mut store = Store::new();
    store.commit(&[note("a")]);
    let reader = store.options.clone().open_read_only().unwrap();
    assert_ne!(block_on(reader.read(&[channelcoord::meta_key("a")])).unwrap(), [None]);
    let sets = [note("b")];
    let batch = Batch { epoch: store.head.epoch, before: store.head.seq, sets: &sets };
    let refused = block_on(reader.commit(batch));
    assert!(matches!(refused, Err(CommitError::NotStored(_))), "{refused:?}");
    assert!(block_on(reader.claim(None)).is_err());
    assert!(matches!(block_on(reader.settle(batch)), Err(BackendError::Unavailable(_))));
    block_on(reader.release()).unwrap();
    assert!(block_on(reader.read(&[])).is_err());
    store.commit(&[note("b")]);
}

#[test]
fn opening_waits_no_longer_than_a_statement_may_take() {
    let store = Store::new();
    let options = || store.options.clone().statement_timeout(Duration::from_millis(100));
    let late = |done: Result<(), OpenError>| {
        let Err(OpenError::Engine(cause)) = done else { panic!("{done:?}") };
        assert!(cause.to_string().contains("no answer within 100ms"), "{cause}");
    };
    let mut shell = store.shell();
    // What upgrades take.
    let lock =
        "select pg_advisory_xact_lock(hashtextextended('chanstore ' || current_schema(), 0))";
    shell.run(&format!("begin; {lock}"));
    late(options().open().map(drop));
    late(options().create().map(drop));
    late(options().drop_store());
    late(options().rename_store(&format!("{}_new", store.schema)));
    shell.run("rollback; begin; lock table schema_step in access exclusive mode");
    late(options().open().map(drop));
    late(options().open_read_only().map(drop));
    late(options().standing().map(drop));
    late(options().drop_store());
    shell.run("rollback; begin; lock table meta in access share mode");
    late(options().drop_store());
    shell.run("rollback");
    options().statement_timeout(Duration::from_secs(60)).open().unwrap();
}

#[test]
fn who_is_not_let_in_is_told_so() {
    let url = std::env::var("CHANSTORE_POSTGRES_URL").unwrap();
    let (_, place) = url.split_once('@').unwrap();
    let stranger = PostgresOptions::new(&format!("postgres://stranger@{place}")).unwrap();
    assert!(matches!(stranger.open(), Err(OpenError::Denied(_))));
    // There, the server asks for a password.
    let url = std::env::var("CHANSTORE_POSTGRES_TCP_URL").unwrap();
    let (_, place) = url.split_once('@').unwrap();
    let wrong = PostgresOptions::new(&format!("postgres://postgres:wrong@{place}")).unwrap();
    assert!(matches!(wrong.open(), Err(OpenError::Denied(_))));
    let plain = PostgresOptions::new(&format!("{url}?sslmode=require")).unwrap();
    assert!(matches!(plain.open(), Err(OpenError::Tls(_))));
}

#[test]
fn stores_in_two_schemas_do_not_know_each_other() {
    let (mut one, other) = (Store::new(), Store::new());
    one.commit(&[note("a")]);
    assert!(one.has("a") && !other.has("a"));
}

#[test]
fn settings_of_a_role_do_not_weaken_a_commit() {
    let mut store = Store::new();
    let mut shell = store.shell();
    let role = format!("role_{}", store.schema);
    shell.run(&format!(
        "create role {role} superuser login password 'pw'; \
         alter role {role} set synchronous_commit = off; \
         alter role {role} set statement_timeout = 1; \
         alter role {role} set default_transaction_isolation = serializable; \
         alter role {role} set search_path = public"
    ));
    let url = std::env::var("CHANSTORE_POSTGRES_URL").unwrap();
    let (_, place) = url.split_once('@').unwrap();
    let url = format!("postgres://{role}:pw@{place}");
    let options = PostgresOptions::new(&url).unwrap();
    let options = options.schema(store.schema.as_str()).unwrap();
    let backend = options.instance(store.backend.instance()).open().unwrap();
    store.head = block_on(backend.claim(None)).unwrap();
    shell.run(
        "create table seen (name text); \
         create function look() returns trigger language plpgsql as $$ begin \
         insert into seen select current_setting('synchronous_commit') || ' ' || \
         current_setting('transaction_isolation') || ' ' || current_setting('statement_timeout'); \
         return new; end $$; \
         create trigger look before insert on meta for each row execute function look()",
    );
    let sets = [note("a")];
    let batch = Batch { epoch: store.head.epoch, before: store.head.seq, sets: &sets };
    block_on(backend.commit(batch)).unwrap();
    let sql = "select count(*) from seen where name = 'on read committed 0'";
    assert_eq!(shell.number(sql), 1);
    drop(backend);
    let sql = format!("select count(*) from pg_stat_activity where usename = '{role}'");
    shell.await_number(&sql, 0);
    shell.run(&format!("drop role {role}"));
}
