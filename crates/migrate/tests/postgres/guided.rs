//! The guide for operators, with its commands on PostgreSQL.

use migrate::url::StoreUrl;

use crate::database::Database;
use crate::guide::{Machine, guide, is_rewritten, steps};

#[test]
fn every_command_of_the_guide_prints_what_it_says() {
    let (machine, database) = (Machine::new(), Database::new());
    let real = database.url("alice");
    let shown = StoreUrl::resolve(&real).unwrap().to_string();
    let base = |url: &str| url.strip_suffix("schema=alice").unwrap().to_owned();
    let example = base("postgres://lnd@db.example/nodes?schema=alice");
    // What is shown may be written in another way than what was given.
    let replaced = [(example.clone(), base(&real)), (example, base(&shown))];
    let steps = steps(&guide());
    assert!(steps.iter().any(|step| step.mark == "postgres"));
    // The others are written by the test that needs no server.
    let (before, on_server) = steps.into_iter().partition(|step| step.mark.is_empty());
    let before: Vec<_> = before;
    if is_rewritten() {
        before.iter().for_each(|step| drop(machine.run(&step.command)));
    } else {
        machine.follow(&before, &[]);
    }
    machine.follow(&on_server, &replaced);
}
