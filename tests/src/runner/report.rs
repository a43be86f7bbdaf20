//! What a run found, as a table or as JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use super::{NONE_SELECTED, Outcome, Selection, subjects};
use crate::case::{CASES, Case};

/// The verdicts of a run.
#[derive(Debug)]
pub struct Report {
    pub(super) engines: Vec<String>,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) failed: u64,
    pub(super) json: bool,
}

/// Cases of one subject over one engine.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    passed: usize,
    run: usize,
    took: Duration,
}

impl Report {
    /// Whether cases ran and none failed.
    pub fn passed(&self) -> bool {
        self.failed == 0 && !self.outcomes.is_empty()
    }

    /// Prints passed and run cases and their time for each subject and engine, and gives the exit
    /// code: 1 if a case failed or none was selected.
    pub fn print(&self) -> ExitCode {
        match self.json {
            true => println!("{}", self.json()),
            false if self.outcomes.is_empty() => eprintln!("error: {NONE_SELECTED}"),
            false => println!("{}{}", self.table(), self.numbers()),
        }
        if self.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn tally(&self, engine: &str, of: impl Fn(&Outcome) -> bool) -> Tally {
        let outcomes = self.outcomes.iter().filter(|found| found.engine == engine && of(found));
        outcomes.fold(Tally::default(), |tally, found| Tally {
            passed: tally.passed + usize::from(found.passed),
            run: tally.run + 1,
            took: tally.took + found.took,
        })
    }

    fn table(&self) -> Table {
        let mut table = self.columns("subject");
        for (subject, _) in subjects() {
            let tallies = self.engines.iter().map(|e| self.tally(e, |o| o.subject == subject));
            let cells: Vec<_> = tallies.map(Tally::cell).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                add(&mut table, subject, cells);
            }
        }
        let all = self.engines.iter().map(|engine| self.tally(engine, |_| true).cell());
        add(&mut table, "all", all);
        table
    }

    /// Numbers that cases reported, added up over the cases of an engine; nothing if there are none.
    fn numbers(&self) -> String {
        let mut sums: BTreeMap<(&str, &str), BTreeMap<&str, u64>> = BTreeMap::new();
        for found in &self.outcomes {
            for (what, number) in &found.notes {
                let sums = sums.entry((found.subject, what)).or_default();
                *sums.entry(found.engine.as_str()).or_default() += number;
            }
        }
        if sums.is_empty() {
            return String::new();
        }
        let mut table = self.columns("reported");
        for ((subject, what), of) in sums {
            let of = self.engines.iter().map(|engine| of.get(engine.as_str()));
            let of = of.map(|sum| sum.map_or(String::new(), u64::to_string));
            add(&mut table, &format!("{subject}: {what}"), of);
        }
        format!("\n\n{table}")
    }

    /// An empty table with a column for each engine.
    fn columns(&self, first: &str) -> Table {
        let mut table = table([first].into_iter().chain(self.engines.iter().map(String::as_str)));
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn json(&self) -> Value {
        let engines = self.engines.iter().map(|engine| {
            let subjects = subjects().into_iter().filter_map(|(subject, _)| {
                let tally = self.tally(engine, |found| found.subject == subject);
                (tally.run > 0).then(|| (subject.to_owned(), tally.json()))
            });
            let notes = self.outcomes.iter().filter(|found| found.engine == *engine);
            let notes = notes.flat_map(|found| {
                found
                    .notes
                    .iter()
                    .map(|(what, n)| json!({ "subject": found.subject, "what": what, "number": n }))
            });
            json!({
                "engine": engine,
                "all": self.tally(engine, |_| true).json(),
                "subjects": subjects.collect::<serde_json::Map<_, _>>(),
                "numbers": notes.collect::<Vec<_>>(),
            })
        });
        let mut found = summary("engines", engines.collect(), self.outcomes.is_empty());
        found["passed"] = self.passed().into();
        found
    }
}

impl Tally {
    fn cell(self) -> String {
        match self.run {
            0 => String::new(),
            run => format!("{}/{run}  {:.2} s", self.passed, self.took.as_secs_f64()),
        }
    }

    fn json(self) -> Value {
        json!({ "passed": self.passed, "run": self.run, "seconds": self.took.as_secs_f64() })
    }
}

/// An empty table that may stand in a Markdown document.
pub(super) fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    table
}

/// Adds a row.
pub(super) fn add(table: &mut Table, first: &str, cells: impl IntoIterator<Item = String>) {
    table.add_row([first.to_owned()].into_iter().chain(cells));
}

/// The last line of a run as JSON, with an error if nothing was selected.
pub(super) fn summary(what: &str, found: Value, nothing: bool) -> Value {
    match nothing {
        true => json!({ "type": "summary", "error": NONE_SELECTED, what: found }),
        false => json!({ "type": "summary", what: found }),
    }
}

/// Prints the cases whose `subject::name` is selected with what they check, as text or JSON, and
/// gives the exit code: 1 if there are none.
pub fn print_list(selection: &Selection) -> ExitCode {
    let name = |case: &Case| format!("{}::{}", case.subject, case.name);
    let cases: Vec<_> = CASES.iter().filter(|case| selection.selects(&name(case))).collect();
    match selection.json {
        true => println!("{}", cases.iter().copied().map(as_json).collect::<Value>()),
        false if cases.is_empty() => eprintln!("error: {NONE_SELECTED}"),
        false => {
            for case in &cases {
                let (doc, duties) = (case.doc(), case.obligations().join(", "));
                println!("{}\n    {doc}\n    [{duties}]", name(case));
            }
            let subjects: BTreeSet<_> = cases.iter().map(|case| case.subject).collect();
            println!("{} cases, {} subjects", cases.len(), subjects.len());
        }
    }
    if cases.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn as_json(case: &Case) -> Value {
    json!({
        "subject": case.subject,
        "name": case.name,
        "doc": case.doc(),
        "obligations": case.obligations(),
    })
}
