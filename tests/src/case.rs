//! One thing that must hold on every backend, and what obliges a backend to it.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;

use crate::place::Place;
use crate::quiet::text_of;

/// A case on its way.
pub type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// One thing that must hold on every backend.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The facet or property it is about.
    pub subject: &'static str,
    /// What must hold.
    pub name: &'static str,
    /// The file in which the case is written.
    #[doc(hidden)]
    pub source: &'static str,
    /// Finds out whether it does, on an empty place; panics if not.
    pub run: for<'a> fn(&'a dyn Place) -> Running<'a>,
}

/// Every case.
pub const CASES: &[Case] = crate::cases!(table);

/// Runs one case.
///
/// # Panics
/// If there is no such case, or what it claims does not hold.
pub fn run(subject: &str, name: &str, place: &dyn Place) {
    let case = CASES.iter().find(|case| case.subject == subject && case.name == name);
    pollster::block_on((case.expect("no such case").run)(place));
}

/// Starts the citations at the end of a case's docs.
const CITES: &str = "Obligations:";

impl Case {
    /// Runs the case on an empty place.
    ///
    /// # Errors
    /// What the case says if what it claims does not hold.
    pub fn judge(&self, place: &dyn Place) -> Result<(), String> {
        let run = || pollster::block_on((self.run)(place));
        catch_unwind(AssertUnwindSafe(run)).map_err(|panic| text_of(panic.as_ref()))
    }

    /// What the case says about itself, citations left out.
    pub fn doc(&self) -> String {
        let doc = self.whole_doc();
        doc.split(CITES).next().unwrap_or_default().trim().to_owned()
    }

    /// The obligations that the case checks, such as `backend/whole`: the file whose docs hold
    /// the obligation, and its name there.
    pub fn obligations(&self) -> Vec<String> {
        let doc = self.whole_doc();
        let Some((_, cited)) = doc.split_once(CITES) else { return Vec::new() };
        cited.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    fn whole_doc(&self) -> String {
        doc_above(self.source, &format!("pub(crate) async fn {}(", self.name))
    }
}

/// The lines of documentation right above what begins with `start`.
pub(crate) fn doc_above(source: &str, start: &str) -> String {
    let before = source.split(start).next().unwrap_or_default();
    let mut lines: Vec<_> =
        before.trim_end().lines().rev().map_while(|line| line.strip_prefix("///")).collect();
    lines.reverse();
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// The names of the obligations in the docs of a source file: list items of doc comments that
/// begin with a name in backticks and a colon.
pub fn obligations(source: &str) -> Vec<&str> {
    let items = source.lines().filter_map(|line| {
        let line = line.trim_start();
        let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))?;
        let (name, _) = doc.trim_start().strip_prefix("* `")?.split_once("`:")?;
        Some(name)
    });
    items.collect()
}
