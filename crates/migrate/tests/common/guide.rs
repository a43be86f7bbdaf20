//! Reads the commands of `docs/migrate.md` with what they print, and runs them.
#![allow(dead_code, reason = "no file of tests needs all of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A command of the guide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    /// Line of the guide.
    pub(crate) line: usize,
    /// What its block is marked with, behind `console`.
    pub(crate) mark: String,
    pub(crate) command: String,
    /// Line of the guide where its output begins.
    pub(crate) output_line: usize,
    /// What it prints, on both outputs.
    pub(crate) output: Vec<String>,
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/migrate.md")
}

pub(crate) fn guide() -> String {
    std::fs::read_to_string(path()).unwrap()
}

/// Whether the guide is to be written anew from what its commands print.
pub(crate) fn is_rewritten() -> bool {
    std::env::var_os("CHANSTORE_WRITE_GUIDE").is_some()
}

/// Puts what commands print into the guide. `printed` are steps with their new output.
pub(crate) fn rewrite(printed: &[Step]) {
    let text = guide();
    let old = steps(&text);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    // From the end, so that the lines before keep their numbers.
    for step in printed.iter().rev() {
        let old = old.iter().find(|old| old.line == step.line).unwrap();
        let first = old.output_line - 1;
        lines.splice(first..first + old.output.len(), step.output.clone());
    }
    std::fs::write(path(), lines.join("\n") + "\n").unwrap();
}

/// The commands in blocks of ```` ```console ````: a line with `$ ` in front, whose end may be a
/// backslash to go on, and below it what it prints.
pub(crate) fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block: Option<String> = None;
    let mut goes_on = false;
    for (line, text) in (1..).zip(text.lines()) {
        let Some(mark) = &block else {
            block = text.strip_prefix("```console").map(|mark| mark.trim().to_owned());
            continue;
        };
        let command = text.strip_prefix("$ ");
        if text == "```" {
            block = None;
        } else if goes_on || command.is_some() {
            let command = command.unwrap_or_else(|| text.trim_start());
            let (part, more) = match command.strip_suffix('\\') {
                Some(part) => (part, true),
                None => (command, false),
            };
            match steps.last_mut().filter(|_| goes_on) {
                Some(step) => step.command.push_str(part),
                None => {
                    let (mark, command) = (mark.clone(), part.to_owned());
                    steps.push(Step { line, mark, command, output_line: 0, output: Vec::new() });
                }
            }
            goes_on = more;
            if let Some(step) = steps.last_mut() {
                step.output_line = line + 1;
            }
        } else {
            let step = steps.last_mut().expect("a block begins with a command");
            step.output.push(text.to_owned());
        }
    }
    steps
}

/// A home directory with lnd's database in it, and programs that the guide calls beside `migrate`.
pub(crate) struct Machine {
    home: TempDir,
    programs: PathBuf,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        let home = tempfile::tempdir().unwrap();
        let graph = home.path().join(".lnd/data/graph/mainnet");
        std::fs::create_dir_all(&graph).unwrap();
        std::fs::copy(crate::command::fixture("node.db"), graph.join("channel.db")).unwrap();
        let programs = home.path().join(".programs");
        std::fs::create_dir(&programs).unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_migrate"), programs.join("migrate"))
            .unwrap();
        // Services of the machine, which a test has not.
        for program in ["systemctl", "lncli"] {
            std::os::unix::fs::symlink("/bin/true", programs.join(program)).unwrap();
        }
        Machine { home, programs }
    }

    /// What a command prints.
    pub(crate) fn run(&self, command: &str) -> Vec<String> {
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("sh")
            .args(["-c", &format!("{{ {command}\n}} 2>&1")])
            .current_dir(self.home.path())
            .env("HOME", self.home.path())
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Runs commands in order, and compares what they print with the guide, or writes it there.
    /// `replaced` are texts of the guide with what stands for them on this machine.
    pub(crate) fn follow(&self, steps: &[Step], replaced: &[(String, String)]) {
        let mut all_printed = Vec::new();
        for step in steps {
            let here = |text: &str| {
                replaced
                    .iter()
                    .fold(text.to_owned(), |text, (guide, real)| text.replace(guide, real))
            };
            let in_guide = |text: &String| {
                replaced.iter().fold(text.clone(), |text, (guide, real)| text.replace(real, guide))
            };
            let output: Vec<_> = self.run(&here(&step.command)).iter().map(in_guide).collect();
            if !is_rewritten() {
                assert_prints(step, &output);
            }
            all_printed.push(Step { output, ..step.clone() });
        }
        if is_rewritten() {
            rewrite(&all_printed);
        }
    }
}

/// What of a line is the same on every machine; `None` for a line that need not be there. Times and
/// rates differ, a slow machine tells how far it is, free space is what it is, and each transfer has an
/// id of its own.
pub(crate) fn steady(line: &str) -> Option<&str> {
    if line.contains(" a second") {
        return None;
    }
    if let Some((told, _)) = line.split_once(" (transfer ") {
        return Some(told);
    }
    let varies = [("estimate: ", "an estimate"), (" free at ", "free space")];
    let found = varies.into_iter().find(|(part, _)| line.contains(part));
    Some(found.map_or(line, |(_, name)| name))
}

/// Requires that a command prints what the guide says.
#[track_caller]
pub(crate) fn assert_prints(step: &Step, printed: &[String]) {
    let shown = |lines: &[String]| {
        let steady: Vec<_> = lines.iter().filter_map(|line| steady(line)).collect();
        steady.join("\n")
    };
    assert_eq!(
        shown(printed),
        shown(&step.output),
        "line {}: {}\nprints\n{}",
        step.line,
        step.command,
        printed.join("\n")
    );
}
