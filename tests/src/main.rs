//! Runs the conformance suite over the engines that we ship.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use clap::Parser;
use conformance::runner::{self, Selection};

/// Proves storage backends: runs every case over each, and prints a table of subjects and engines.
///
/// The cases with random operations do more, or others, if CONFORMANCE_OPERATIONS or
/// CONFORMANCE_SEED is set to a number.
///
/// The subjects model and node take half of the time: --skip ::model:: --skip ::node:: leaves them
/// out.
///
/// Exit codes: 0 all passed, 1 a case failed or none was selected, 2 usage, or an engine that cannot
/// be used.
#[derive(Parser)]
#[command(version, about, long_about)]
struct Cli {
    /// Engines: memory, redb, sqlite; redb:DIR and sqlite:DIR work in a directory of yours, and
    /// postgres://... in a database, in schemas of their own.
    #[arg(value_name = "URL", default_values = ["memory", "redb", "sqlite"])]
    engines: Vec<String>,
    /// Run only cases whose ENGINE::SUBJECT::NAME contains this. With --list a name is SUBJECT::NAME.
    #[arg(long)]
    filter: Option<String>,
    /// Leave out cases whose name contains this; may be given several times.
    #[arg(long)]
    skip: Vec<String>,
    /// Names must be equal instead of containing the text.
    #[arg(long)]
    exact: bool,
    /// Number of cases that run at once.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// List the selected cases, what each checks, and the obligations behind it.
    #[arg(long, conflicts_with = "broken")]
    list: bool,
    /// Run over backends that are broken on purpose instead, and print which cases find each. A name
    /// is then broken::SUBJECT::DEFECT.
    #[arg(long, conflicts_with = "engines")]
    broken: bool,
    /// Print JSON: a line for each event in the form of Rust's test harness, then a summary. With
    /// --list an array of the cases instead.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let Cli { engines, filter, skip, exact, threads, list, broken, json } = Cli::parse();
    let selection = Selection { filter, skip, exact, threads, json };
    if list {
        return runner::print_list(&selection);
    }
    if broken {
        return runner::run_broken(&selection).print();
    }
    match runner::engines(&engines) {
        Ok(engines) => runner::run(engines, &selection).print(),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}
