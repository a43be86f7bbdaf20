//! Runs cases over broken backends: which case finds which defect.

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::Trial;
use serde_json::{Value, json};

use super::report::{add, summary, table};
use super::{NONE_SELECTED, Selection};
use crate::broken::{Caught, DEFECTS, Defect, How, caught_by};

/// Most cases that the table names for a defect.
const NAMED: usize = 3;

/// Which cases found which defects.
#[derive(Debug)]
pub struct BrokenReport {
    found: Vec<(&'static Defect, Vec<Caught>)>,
    json: bool,
}

/// Runs every case over the broken backends whose `broken::subject::name` is selected.
pub fn run_broken(selection: &Selection) -> BrokenReport {
    let found = Arc::new(Mutex::new(Vec::new()));
    let trials = DEFECTS.iter().map(|defect| {
        let found = Arc::clone(&found);
        Trial::test(format!("broken::{}::{}", defect.subject, defect.name), move || {
            let caught: Vec<_> = caught_by(defect).collect();
            let missed = !caught.iter().any(Caught::found_it);
            found.lock().unwrap_or_else(PoisonError::into_inner).push((defect, caught));
            if missed { Err(format!("no case fails: {}", defect.doc()).into()) } else { Ok(()) }
        })
    });
    // What it counts is what `found` says.
    selection.run(trials.collect());
    let mut found = std::mem::take(&mut *found.lock().unwrap_or_else(PoisonError::into_inner));
    found.sort_by_key(|(defect, _)| (defect.subject, defect.name));
    BrokenReport { found, json: selection.json }
}

impl BrokenReport {
    /// Prints for each defect how many cases found it, and the first of them, and gives the exit
    /// code: 1 if one was not found or none was selected.
    pub fn print(&self) -> ExitCode {
        let caught = self.found.iter().filter(|(_, by)| by.iter().any(Caught::found_it)).count();
        match self.json {
            true => println!("{}", self.json()),
            false if self.found.is_empty() => eprintln!("error: {NONE_SELECTED}"),
            false => println!(
                "{}\n\n{caught} of {} broken backends caught",
                self.text(),
                self.found.len()
            ),
        }
        match caught == self.found.len() && caught > 0 {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }

    fn text(&self) -> String {
        let mut table = table(["broken backend", "cases", "the first of them"]);
        for (defect, by) in &self.found {
            let names: Vec<_> = by.iter().take(NAMED).map(name_of).collect();
            let name = format!("{}::{}", defect.subject, defect.name);
            add(&mut table, &name, [by.len().to_string(), names.join(", ")]);
        }
        table.to_string()
    }

    fn json(&self) -> Value {
        let found = self.found.iter().map(|(defect, by)| {
            json!({
                "subject": defect.subject,
                "name": defect.name,
                "doc": defect.doc(),
                "caught_by": by.iter().map(name_of).collect::<Vec<_>>(),
            })
        });
        summary("broken", found.collect(), self.found.is_empty())
    }
}

fn name_of(Caught { case, how }: &Caught) -> String {
    let hung = if *how == How::Hung { " (hung)" } else { "" };
    format!("{}::{}{hung}", case.subject, case.name)
}
