//! Two nodes pay each other over their channels, and are stopped again and again.
//!
//! `cargo run --release -p conformance --example two_nodes -- [BACKEND] [STOPS] [SEED] [STEPS]`,
//! where the backend is memory, redb or sqlite.

use std::error::Error;
use std::time::Instant;

use conformance::sweep::{Report, each_commit, one_commit_lives, random_stops, two_commit_lives};
use conformance::{InMemory, InRedb, InSqlite, Place};
use pollster::block_on;

fn place(backend: &str) -> Result<Box<dyn Place>, Box<dyn Error>> {
    Ok(match backend {
        "memory" => Box::new(InMemory::default()),
        "redb" => Box::new(InRedb::default()),
        "sqlite" => Box::new(InSqlite::default()),
        other => return Err(format!("{other}: memory, redb or sqlite").into()),
    })
}

fn show(what: &str, start: Instant, report: &Report) {
    println!("{what}: {report} ({:.1?})", start.elapsed());
    report.divergences.iter().for_each(|divergence| println!("  {divergence}"));
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let backend = arguments.next().unwrap_or("memory".to_owned());
    let mut number = |default| arguments.next().map_or(Ok(default), |number| number.parse());
    let (stops, seed, steps) = (number(200)?, number(1)?, number(10)?);

    let (a, b, start) = (place(&backend)?, place(&backend)?, Instant::now());
    let report = block_on(random_stops([a.as_ref(), b.as_ref()], seed, stops));
    show("many short lives", start, &report);

    for who in [0, 1] {
        let (a, b, start) = (place(&backend)?, place(&backend)?, Instant::now());
        let report = block_on(one_commit_lives([a.as_ref(), b.as_ref()], seed, who, stops));
        show(&format!("lives of one commit of node {who}"), start, &report);

        let (a, b, start) = (place(&backend)?, place(&backend)?, Instant::now());
        let report = block_on(two_commit_lives([a.as_ref(), b.as_ref()], seed, who, stops));
        show(&format!("lives of two commits of node {who}"), start, &report);

        let (a, b, start) = (place(&backend)?, place(&backend)?, Instant::now());
        let report = block_on(each_commit([a.as_ref(), b.as_ref()], seed, who, steps as usize));
        show(&format!("each commit of node {who} in a run"), start, &report);
    }
    Ok(())
}
