//! What a digest depends on, and what it does not.

use channelcoord::{Backend, Record};
use chanstate::{Record as Part, Version};
use migrate::command::DigestReport;
use migrate::opened::Opened;
use rusqlite::Connection;

use crate::command::{Desk, code, copy, fixture, json, migrate, verify};
use crate::judge::{digest, nameless, open};
use crate::{base, extremes};

fn digest_of(store: impl Backend) -> DigestReport {
    let (url, store) = nameless(store);
    digest(&url, &store, None).0.unwrap()
}

/// Recorded once: a change of the definition must be meant, and gets another number in
/// `docs/digest.md`.
#[test]
fn the_digests_of_imports_are_known() {
    for (name, store, rest) in [
        (
            "node.db",
            "e709dc1ea9126a71c3b69d92d7fb00bb572874fd1ee1bf37ef09a3fd710174c0",
            "f5ff2147281e31c22fbd5b82618dd83326a75b1adcd7866de752c8d8750e8c5f",
        ),
        (
            "legacy.db",
            "c13196208f94d8bf77d6c8463762376c09b40b6ff6f25f0ed4bdfce9458b3dee",
            "8313539fc68f8b24eeecef3ecda57a5fe7f9f7bb323d40e1ea249cad4b4b8a64",
        ),
    ] {
        let found = digest_of(base::in_memory(&base::imported(&fixture(name))));
        assert_eq!((&*found.digest, &*found.rest), (store, rest), "{name}");
    }
}

#[test]
fn engines_do_not_matter() {
    let desk = Desk::new();
    let content = base::content();
    let expected = digest_of(base::in_memory(&content));
    let (redb, sqlite) = (desk.0.path().join("redb"), desk.0.path().join("sqlite"));
    base::fill(&kvstore::RedbBackend::create(redb).unwrap(), &content);
    base::fill(&sqlstore::SqliteBackend::create(sqlite).unwrap(), &content);
    for engine in ["redb", "sqlite"] {
        let (url, store) = open(&desk.url(engine, engine));
        assert_eq!(digest(&url, &store, None).0.unwrap(), expected, "{engine}");
    }
}

#[test]
fn numbers_and_versions_do_not_matter() {
    let content = base::imported(&fixture("node.db"));
    let expected = digest_of(base::in_memory(&content));
    let other = content.iter().map(|record| {
        // Other numbers, in another order.
        let mut record = base::renumbered(record, |no| 100_000 - no * 7);
        match &mut record {
            Record::Channel(Part::Channel(row)) => row.version = Version(row.no.0),
            Record::LinkNode(linknode::Record::LinkNode(row)) => row.version = Version(9),
            _ => {}
        }
        record
    });
    let other: Vec<_> = other.collect();
    assert_eq!(digest_of(base::in_memory(&other)), expected);
}

#[test]
fn a_change_shows_in_the_channel_that_it_is_of() {
    let content = base::imported(&fixture("node.db"));
    let before = digest_of(base::in_memory(&content));
    let mut changed = content.clone();
    let (mut expected, mut counter) = (None, 0);
    for record in &mut changed {
        match record {
            Record::Channel(Part::Channel(row)) if row.no.0 == 5 => {
                expected = Some(row.funding_outpoint.to_string());
            }
            Record::Channel(Part::RevokedState(row)) if row.no.0 == 5 => {
                row.state.commit_txid = row
                    .state
                    .commit_txid
                    .to_string()
                    .chars()
                    .rev()
                    .collect::<String>()
                    .parse()
                    .unwrap();
                counter += 1;
            }
            _ => {}
        }
    }
    assert!(counter > 0);
    let after = digest_of(base::in_memory(&changed));
    let (before_of, after_of) = (before.channels.unwrap(), after.channels.unwrap());
    let differing =
        before_of.iter().filter(|(channel, digest)| after_of.get(*channel) != Some(*digest));
    assert_eq!(
        differing.map(|(channel, _)| channel.clone()).collect::<Vec<_>>(),
        [expected.unwrap()]
    );
    assert_eq!(before.rest, after.rest);
    assert_ne!(before.digest, after.digest);
}

#[test]
fn records_of_channels_that_are_not_there_count() {
    let mut content = extremes::every_kind();
    let whole = digest_of(base::in_memory(&content));
    content
        .retain(|record| !matches!(record, Record::Channel(Part::Channel(row)) if row.no.0 == 1));
    let orphaned = digest_of(base::in_memory(&content));
    assert_ne!(orphaned.rest, whole.rest);
    let fewer: Vec<_> = content
        .iter()
        .filter(|record| !matches!(record, Record::Channel(Part::Terms(row)) if row.no.0 == 1))
        .cloned()
        .collect();
    assert_ne!(digest_of(base::in_memory(&fewer)).rest, orphaned.rest);
}

#[test]
fn every_damaged_record_is_reported() {
    let desk = Desk::new();
    let (from, to) = (desk.url("redb", "a"), desk.url("sqlite", "b"));
    assert_eq!(code(&copy(&fixture("node.db").display().to_string(), &from)), 0);
    assert_eq!(code(&copy(&from, &to)), 0);
    let shell = Connection::open(desk.0.path().join("b")).unwrap();
    shell.execute_batch("update htlc set amount = amount + 1 where no = (select min(no) from htlc); update final_htlc set settled = 1 - settled where id % 50 = 0").unwrap();
    let damaged: i64 = shell.query_row("select (select count(*) from htlc where no = (select min(no) from htlc)) + (select count(*) from final_htlc where id % 50 = 0)", [], |row| row.get(0)).unwrap();
    assert!(damaged > 3);
    let told = migrate(&["verify", "--json", "--from", &from, "--to", &to]);
    assert_eq!(code(&told), 1);
    let told = json(&told);
    assert_eq!(told["differences"], damaged, "{told}");
    assert_eq!(told["compared"], 1454, "{told}");
    let first = told["first"][0].as_str().unwrap();
    assert!(first.starts_with("Htlc/") && first.contains("wrong checksum; amount is"), "{first}");
    assert_eq!(told["digest"], serde_json::Value::Null);
    let told = migrate(&["digest", "--json", &to]);
    assert_eq!(code(&told), 1);
    assert_eq!(json(&told)["findings"].as_array().unwrap().len() as i64, damaged);
}

#[test]
fn a_store_is_compared_with_what_was_told_of_another() {
    let desk = Desk::new();
    let (redb, sqlite) = (desk.url("redb", "a"), desk.url("sqlite", "b"));
    let copied =
        migrate(&["copy", "--json", "--from", fixture("node.db").to_str().unwrap(), "--to", &redb]);
    let digest = json(&copied)["digest"].clone();
    assert_eq!(code(&copy(&redb, &sqlite)), 0);
    let told = migrate(&["digest", "--channels", "--json", &redb]);
    assert_eq!((code(&told), &json(&told)["digest"]), (0, &digest));
    let file = desk.0.path().join("told.json");
    std::fs::write(&file, &told.stdout).unwrap();
    let against = || migrate(&["digest", &sqlite, "--against", file.to_str().unwrap()]);
    assert_eq!(code(&against()), 0);
    let verified = verify(&redb, &sqlite);
    let text = String::from_utf8(verified.stdout).unwrap();
    assert!(text.contains(&format!("digest {}", digest.as_str().unwrap())), "{text}");

    let opened = sqlstore::SqliteBackend::open_existing(desk.0.path().join("b")).unwrap();
    let content = base::all(&opened);
    let point = content.iter().find_map(|record| match record {
        Record::Channel(Part::Channel(row)) if row.no.0 == 2 => Some(row.funding_outpoint),
        _ => None,
    });
    let changed = content.into_iter().find_map(|record| match record {
        Record::Channel(Part::Terms(mut row)) if row.no.0 == 2 => {
            std::sync::Arc::make_mut(&mut row.terms).thaw_height = Some(1);
            Some(Record::Channel(Part::Terms(row)))
        }
        _ => None,
    });
    base::fill(&opened, &[changed.unwrap()]);
    drop(opened);
    let told = against();
    assert_eq!(code(&told), 1);
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(text.contains(&format!("differs: channel {}", point.unwrap())), "{text}");
    assert!(!text.contains("differs: rest"), "{text}");
}

#[test]
fn an_lnd_database_has_no_digest() {
    let (url, store) = open(fixture("empty.db").to_str().unwrap());
    assert!(matches!(store, Opened::Lnd(_)));
    assert!(digest(&url, &store, None).0.is_err());
}
