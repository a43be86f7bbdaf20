//! `migrate`: moves channel state between stores, and out of lnd.

mod terminal;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use bitcoin::Network;
use bitcoin::secp256k1::PublicKey;
use clap::error::KindFormatter;
use clap::{Parser, Subcommand};
use migrate::command::{self, ActivateOptions, CopyOptions, DigestOptions, DigestReport};
use migrate::finding::{Finding, chain};
use migrate::opened::{self, Failure};
use migrate::url::{StoreUrl, UrlError};
use migrate::writer::RECORDS_PER_BATCH;
use serde::Serialize;

use crate::terminal::Terminal;

/// Moves the channel state of a Lightning node between stores, and out of lnd.
///
/// `copy` fills a new store, the target, from another one, the source, and compares both; `verify`
/// compares them again. No node opens the target before `activate`, which puts it into use and seals
/// the source, so that no node opens that one any more. `unseal` undoes this until the target is
/// written.
///
/// Stores are named by URL: redb:PATH, sqlite:PATH, archive:PATH, or for PostgreSQL
/// postgres://USER@HOST:PORT/DATABASE?schema=NAME. Those of lnd: lnd-bolt:PATH, lnd-sqlite:PATH, or
/// lnd-postgres://USER@HOST:PORT/DATABASE with ?prefix=NAME and schema=NAME if its table is not
/// public.channeldb_kv. The path of an existing file is enough, its kind is recognised by its content.
/// Without a schema, chanstore is meant. Put the password of a server into PGPASSWORD or ~/.pgpass:
/// others can see a command line.
///
/// An archive is a whole store in one compressed file, to be kept, compared, and restored by another
/// copy. No node opens it.
///
/// Exit codes: 0 done, 1 what the stores hold stops the command (see each), 2 the request cannot be
/// carried out as it stands, 3 something cannot be read or written, or a node has it open.
#[derive(Parser)]
#[command(version, about, long_about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Print the result, findings included, as one line of JSON on standard output, and what happens
    /// meanwhile as lines of JSON on standard error.
    #[arg(long, global = true, display_order = 100)]
    json: bool,
    /// Read an lnd database that has a tombstone, or copy a store that is sealed, although the content
    /// is in use elsewhere.
    #[arg(long, global = true, display_order = 100)]
    allow_tombstoned: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Check the source, copy it into a new store, and compare both.
    ///
    /// The target is at its place from the start, marked as being filled. No node opens it before it
    /// is complete, compared with the source, and put into use by `activate`. An archive gets its name
    /// last, and is in the directory PATH.draft until then. A copy that was stopped anywhere goes on
    /// with --resume. A file or schema that exists is not touched. Exit code 1: findings in the source
    /// stop the copy, and nothing was written; or the target differs from the source, and is marked so
    /// that no node opens it, or removed if it is an archive.
    Copy {
        /// Store to copy. It is only read.
        #[arg(long, value_name = "SOURCE")]
        from: String,
        /// Store to create, with its engine: redb:PATH, sqlite:PATH, archive:PATH or
        /// postgres://...?schema=NAME.
        #[arg(long, value_name = "TARGET")]
        to: String,
        /// Look at everything that could stop the copy, say what it would take, and leave nothing.
        #[arg(long)]
        dry_run: bool,
        /// Carry inconsistencies of the source as they are.
        #[arg(long)]
        accept: bool,
        /// Leave out what is damaged in an lnd database, list it, and copy the rest.
        #[arg(long)]
        skip_damaged: bool,
        /// Go on with a copy that was stopped, with the same source and options; begin one if nothing
        /// is there; compare again if it is complete.
        #[arg(long, conflicts_with = "dry_run")]
        resume: bool,
        /// Records to a commit: the most that is done again after a stop.
        #[arg(long, value_name = "RECORDS", default_value_t = RECORDS_PER_BATCH)]
        batch: usize,
        /// Refuse channels of another network: mainnet, testnet, testnet4, signet or regtest. A new
        /// store in PostgreSQL belongs to it.
        #[arg(long, value_parser = network)]
        network: Option<Network>,
        /// Refuse a source of another node, named by its public key. A new store in PostgreSQL
        /// belongs to it.
        #[arg(long, value_name = "PUBLIC KEY")]
        node: Option<PublicKey>,
    },
    /// Compare every record of two stores, both ways.
    ///
    /// Of an lnd source, the target's records are encoded again and compared byte for byte. Exit code
    /// 1: they differ, and the first differences are named; or the source is damaged in parts, which
    /// were not compared.
    Verify {
        /// Store that was copied.
        #[arg(long, value_name = "SOURCE")]
        from: String,
        /// Its copy.
        #[arg(long, value_name = "TARGET")]
        to: String,
    },
    /// Put a complete copy into use, and seal its source.
    ///
    /// Before, no node opens the target; afterwards no node opens the source, if it is a store of
    /// ours, and it says where its content went. An lnd database is left as it is without
    /// --seal-source: then see to it that no lnd is started on it. A source that was written since it
    /// was copied is refused, and so is a store that a node has open. Stopped anywhere, run it again.
    /// Exit code 1: the target is no complete copy, or the source is not what was copied, or cannot be
    /// sealed; nothing was changed.
    Activate {
        /// Store that was copied.
        #[arg(long, value_name = "SOURCE")]
        from: String,
        /// Its complete copy.
        #[arg(long, value_name = "TARGET")]
        to: String,
        /// Seal an lnd database too, with lnd's own tombstone: lnd refuses to start on it.
        #[arg(long)]
        seal_source: bool,
    },
    /// Undo `activate`: put the source into use again.
    ///
    /// The target is taken out of use first, then the source is unsealed, so that both are never in
    /// use. Stopped anywhere, run it again. Exit code 1: the target was written since it was
    /// activated, so that the source is outdated; or the two are no copy and source. Nothing was
    /// changed.
    Unseal {
        /// Store that was copied.
        #[arg(long, value_name = "SOURCE")]
        from: String,
        /// Its copy.
        #[arg(long, value_name = "TARGET")]
        to: String,
    },
    /// Sum a store up in digests, to compare it with one that is not at hand.
    ///
    /// Two stores have the same digest if they hold the same, whatever their engines. An lnd database
    /// has none, its copy has. Exit code 1: records are damaged, or something differs from the digests
    /// given.
    Digest {
        /// The store.
        store: String,
        /// Tell the digest of each channel too, by funding outpoint.
        #[arg(long)]
        channels: bool,
        /// Compare with what an earlier run told with --json, and name the channels that differ if
        /// that was with --channels.
        #[arg(long, value_name = "FILE")]
        against: Option<PathBuf>,
    },
    /// Read everything of a store, and report damage and inconsistencies.
    ///
    /// An archive is read from its first byte to its last; its records are held against each other
    /// only if all of it is sound. Exit code 1: damage or inconsistencies were found.
    Check {
        /// The store.
        store: String,
    },
    /// Show what a store holds: its channels, and how many records of each kind.
    Inspect {
        /// The store.
        store: String,
    },
}

/// What a command tells in the end, the last event of a run.
#[derive(Serialize)]
struct Told<T> {
    event: &'static str,
    #[serde(flatten)]
    result: T,
    findings: Vec<Finding>,
}

/// Why a command ended early.
#[derive(Serialize)]
struct Refusal {
    error: String,
    /// The exit code.
    code: u8,
}

fn main() -> ExitCode {
    let cli = parse();
    let terminal = Terminal::new(cli.json);
    let told = run(&cli, &terminal);
    terminal.finish();
    match told {
        Ok(code) => code,
        Err(failure) => {
            let error = failure.to_string();
            terminal.line(&format!("error: {error}"));
            let code = match failure {
                Failure::Content(_) => 1,
                Failure::Usage(_) => 2,
                _ => 3,
            };
            if cli.json {
                // The code of the failure says more than that of a pipe that is closed.
                drop(tell_json(&terminal, "refusal", Refusal { error, code }));
            }
            ExitCode::from(code)
        }
    }
}

/// Reads the command line, or ends with what is wrong with it.
fn parse() -> Cli {
    Cli::try_parse().unwrap_or_else(|error| match std::env::args().any(|it| it.contains('@')) {
        // The usual message repeats what is not understood, and that may hold a password.
        true => error.apply::<KindFormatter>().exit(),
        false => error.exit(),
    })
}

fn run(cli: &Cli, terminal: &Terminal) -> Result<ExitCode, Failure> {
    let open = |url: &StoreUrl| opened::open(url, cli.allow_tombstoned);
    match &cli.command {
        Command::Copy { from, to, dry_run, accept, skip_damaged, resume, batch, network, node } => {
            let options = CopyOptions {
                dry_run: *dry_run,
                accept: *accept,
                skip_damaged: *skip_damaged,
                resume: *resume,
                allow_moved: cli.allow_tombstoned,
                batch: *batch,
                network: *network,
                node: *node,
            };
            let from = resolve(from)?;
            let to = StoreUrl::resolve(to).map_err(|error| Failure::Usage(chain(&error)))?;
            let report = command::copy(&from, &open(&from)?, &to, options, terminal)?;
            tell(cli, terminal, report)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify { from, to } => {
            let (from, to) = (resolve(from)?, resolve(to)?);
            let report = command::verify(&from, &open(&from)?, &to, &open(&to)?, terminal)?;
            let same = report.differences == 0 && report.not_compared == 0;
            tell(cli, terminal, report)?;
            Ok(code(same))
        }
        Command::Activate { from, to, seal_source } => {
            let (from, to) = (resolve(from)?, resolve(to)?);
            let options = ActivateOptions { seal_source: *seal_source };
            tell(cli, terminal, command::activate(&from, &to, options)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Unseal { from, to } => {
            let (from, to) = (resolve(from)?, resolve(to)?);
            tell(cli, terminal, command::unseal(&from, &to)?)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Digest { store, channels, against } => {
            let against = against.as_deref().map(DigestReport::read).transpose()?;
            let options = DigestOptions { channels: *channels, against };
            let store = resolve(store)?;
            let report = command::digest(&store, &open(&store)?, &options, terminal)?;
            let same = report.is_same();
            tell(cli, terminal, report)?;
            Ok(code(same))
        }
        Command::Check { store } => {
            let store = resolve(store)?;
            let report = match store.archive() {
                // What is wrong with one that cannot be opened are findings too.
                Some(path) => command::check_archive(&store, path, terminal)?,
                None => command::check(&store, &open(&store)?, terminal)?,
            };
            tell(cli, terminal, report)?;
            Ok(code(report.is_clean()))
        }
        Command::Inspect { store } => {
            let store = resolve(store)?;
            // There is nothing to show of a store that must not be used.
            let opened = open(&store).map_err(|failure| Failure::Access(failure.to_string()))?;
            tell(cli, terminal, command::inspect(&store, &opened, terminal)?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Reads the name of a network, also as lnd calls it.
fn network(name: &str) -> Result<Network, String> {
    let known = || "mainnet, testnet, testnet4, signet or regtest is meant".to_owned();
    match name {
        "mainnet" => Ok(Network::Bitcoin),
        name => name.parse().map_err(|_| known()),
    }
}

fn resolve(name: &str) -> Result<StoreUrl, Failure> {
    let failed = |error: UrlError| match error.is_usage() {
        true => Failure::Usage(chain(&error)),
        false => Failure::Access(chain(&error)),
    };
    StoreUrl::resolve(name).map_err(failed)
}

fn code(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Prints a result as text or JSON.
fn tell<T: Serialize + std::fmt::Display>(
    cli: &Cli,
    terminal: &Terminal,
    result: T,
) -> Result<(), Failure> {
    terminal.finish();
    if cli.json { tell_json(terminal, "report", result) } else { print(&result.to_string()) }
}

fn tell_json<T: Serialize>(
    terminal: &Terminal,
    event: &'static str,
    result: T,
) -> Result<(), Failure> {
    let told = Told { event, result, findings: terminal.take_findings() };
    let text = serde_json::to_string(&told);
    print(&text.map_err(|error| Failure::access("result", &error))?)
}

/// Writes to standard output. Somebody who stopped reading is no failure of the job.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::access("standard output", &error))
        }
        _ => Ok(()),
    }
}
