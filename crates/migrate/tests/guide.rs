//! The guide for operators tells the truth: each of its commands runs, in order, and prints what it
//! says. Commands on PostgreSQL are run with the tests of PostgreSQL.
//!
//! With `CHANSTORE_WRITE_GUIDE=1` in the environment, both write what is printed into the guide.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/command.rs"]
mod command;
#[path = "common/guide.rs"]
mod guide;

use guide::{Machine, Step, assert_prints, steady, steps};

#[test]
fn every_command_of_the_guide_prints_what_it_says() {
    let machine = Machine::new();
    let steps = steps(&guide::guide());
    let local: Vec<_> = steps.into_iter().filter(|step| step.mark.is_empty()).collect();
    assert!(local.len() > 10, "{local:?}");
    machine.follow(&local, &[]);
}

#[test]
fn commands_may_take_several_lines() {
    let text = "a\n```console\n$ one \\\n    --more\nout\n\n$ two\n```\n```sh\n$ not this\n```\n\
                ```console postgres\n$ three\n```\n";
    let step = |line, mark: &str, command: &str, output_line, output: &[&str]| Step {
        line,
        mark: mark.into(),
        command: command.into(),
        output_line,
        output: output.iter().map(|line| (*line).into()).collect(),
    };
    let expected = [
        step(3, "", "one --more", 5, &["out", ""]),
        step(7, "", "two", 8, &[]),
        step(13, "postgres", "three", 14, &[]),
    ];
    assert_eq!(steps(text), expected);
}

#[test]
fn what_varies_is_not_compared() {
    assert_eq!(steady("less than 1 s  copying: 2 records, 77 a second"), None);
    assert_eq!(steady("      ok  space  1.0 GB free at ., about 2 kB needed"), Some("free space"));
    assert_eq!(steady("a is the store in use (transfer 00ff)"), Some("a is the store in use"));
    assert_eq!(steady("      ok  content  clean"), Some("      ok  content  clean"));
}

#[test]
#[should_panic(expected = "line 1: echo other")]
fn another_output_is_found() {
    let (machine, output) = (Machine::new(), vec!["this".to_owned()]);
    let (mark, command) = (String::new(), "echo other".into());
    let step = Step { line: 1, mark, command, output_line: 2, output };
    assert_prints(&step, &machine.run(&step.command));
}
