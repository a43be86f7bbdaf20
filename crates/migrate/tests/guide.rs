//! The guide for operators tells the truth: each of its commands runs, in order, and prints what it
//! says. Commands on PostgreSQL are run with the tests of PostgreSQL.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "common/command.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod command;
#[path = "common/guide.rs"]
mod guide;

use guide::{Machine, Step, assert_prints, steady, steps};

#[test]
fn every_command_of_the_guide_prints_what_it_says() {
    let machine = Machine::new();
    let steps = steps(&guide::guide());
    let local: Vec<_> = steps.iter().filter(|step| step.mark.is_empty()).collect();
    assert!(local.len() > 10, "{local:?}");
    for step in local {
        assert_prints(step, &machine.run(&step.command));
    }
}

#[test]
fn commands_may_take_several_lines() {
    let text = "a\n```console\n$ one \\\n    --more\nout\n\n$ two\n```\n```sh\n$ not this\n```\n\
                ```console postgres\n$ three\n```\n";
    let step = |line, mark: &str, command: &str, output: &[&str]| Step {
        line,
        mark: mark.into(),
        command: command.into(),
        output: output.iter().map(|line| (*line).into()).collect(),
    };
    let expected = [
        step(3, "", "one --more", &["out", ""]),
        step(7, "", "two", &[]),
        step(13, "postgres", "three", &[]),
    ];
    assert_eq!(steps(text), expected);
}

#[test]
fn what_varies_is_not_compared() {
    assert_eq!(steady("less than 1 s  copying: 2 records, 77 a second"), "a rate");
    assert_eq!(
        steady("      ok  content             clean"),
        "      ok  content             clean"
    );
}

#[test]
#[should_panic(expected = "line 1: echo other")]
fn another_output_is_found() {
    let (machine, output) = (Machine::new(), vec!["this".to_owned()]);
    let step = Step { line: 1, mark: String::new(), command: "echo other".into(), output };
    assert_prints(&step, &machine.run(&step.command));
}
