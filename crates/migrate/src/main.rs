//! `migrate`: moves channel state between stores, and out of lnd.

mod terminal;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use migrate::command::{self, CheckReport, CopyOptions};
use migrate::finding::Finding;
use migrate::opened::{self, Failure};
use migrate::url::StoreUrl;
use serde::Serialize;

use crate::terminal::Terminal;

/// Moves the channel state of a Lightning node between stores, and out of lnd.
///
/// Stores are named by URL: lnd-bolt:PATH, redb:PATH, sqlite:PATH. The path of an existing file is
/// enough, its kind is recognised by its content.
///
/// Exit codes: 0 success, 1 the content stops the job (see each command), 2 usage, 3 something
/// cannot be read or written.
#[derive(Parser)]
#[command(version, about, long_about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print the result as JSON on standard output.
    #[arg(long, global = true)]
    json: bool,
    /// Read an lnd database although its content was migrated away before.
    #[arg(long, global = true)]
    allow_tombstoned: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Check the source, copy it into a new store, and verify the copy.
    ///
    /// The target appears when it is complete and verified. Exit code 1: findings in the source
    /// stop the copy, nothing was written.
    Copy {
        #[command(flatten)]
        pair: Pair,
        /// Check the source and write nothing.
        #[arg(long)]
        dry_run: bool,
        /// Carry inconsistencies of the source as they are.
        #[arg(long)]
        accept: bool,
        /// Leave out what is damaged in the source, list it, and copy the rest.
        #[arg(long)]
        skip_damaged: bool,
    },
    /// Compare every record of two stores, both ways.
    ///
    /// For an lnd source, the target's records are encoded again and compared byte for byte. Exit
    /// code 1: they differ; the first differences are named.
    Verify {
        #[command(flatten)]
        pair: Pair,
    },
    /// Read everything of a store and report damage and inconsistencies.
    ///
    /// Exit code 1: damage or inconsistencies were found.
    Check {
        /// The store.
        store: StoreUrl,
    },
    /// Show what a store holds.
    Inspect {
        /// The store.
        store: StoreUrl,
    },
}

#[derive(Args)]
struct Pair {
    /// Store to read from.
    #[arg(long)]
    from: StoreUrl,
    /// Store to write to or to compare with.
    #[arg(long)]
    to: StoreUrl,
}

/// The result of a check, with the findings where they are data.
#[derive(Serialize)]
struct Checked {
    #[serde(flatten)]
    counts: CheckReport,
    findings: Vec<Finding>,
}

impl std::fmt::Display for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.counts.fmt(f)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let terminal = Terminal::new(cli.json);
    match run(&cli, &terminal) {
        Ok(code) => code,
        Err(failure) => {
            terminal.finish();
            eprintln!("error: {failure}");
            ExitCode::from(match failure {
                Failure::Content(_) => 1,
                Failure::Usage(_) => 2,
                _ => 3,
            })
        }
    }
}

fn run(cli: &Cli, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let open = |url: &StoreUrl| opened::open(url, cli.allow_tombstoned);
    match &cli.command {
        Command::Copy { pair, dry_run, accept, skip_damaged } => {
            let options =
                CopyOptions { dry_run: *dry_run, accept: *accept, skip_damaged: *skip_damaged };
            let source = open(&pair.from)?;
            let report = command::copy(&pair.from, &source, &pair.to, options, terminal)?;
            show(cli, terminal, &report)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify { pair } => {
            let (source, target) = (open(&pair.from)?, open(&pair.to)?);
            let report = command::verify(&pair.from, &source, &pair.to, &target, terminal)?;
            show(cli, terminal, &report)?;
            Ok(code(report.differences == 0 && report.not_compared == 0))
        }
        Command::Check { store } => {
            let counts = command::check(store, &open(store)?, terminal)?;
            let clean = counts.is_clean();
            show(cli, terminal, &Checked { counts, findings: terminal.take_findings() })?;
            Ok(code(clean))
        }
        Command::Inspect { store } => {
            // There is nothing to show of a file that must not be used.
            let opened = open(store).map_err(|failure| Failure::Access(failure.to_string()))?;
            let inspection = command::inspect(store, &opened, terminal)?;
            show(cli, terminal, &inspection)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Prints a result as text or JSON.
fn show<T: Serialize + std::fmt::Display>(
    cli: &Cli,
    terminal: &Terminal,
    result: &T,
) -> Result<(), Failure> {
    terminal.finish();
    if cli.json {
        let text = serde_json::to_string_pretty(result)
            .map_err(|error| Failure::access("result", &error))?;
        println!("{text}");
    } else {
        println!("{result}");
    }
    Ok(())
}
