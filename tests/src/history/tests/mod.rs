//! The check finds what is wrong with a history, and nothing wrong with one that has an order.

mod peer;
mod versions;

use super::{Call, Model, Outcome, explain};

/// A number that can be written, read and added to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Number(u64);

#[derive(Clone, Debug)]
enum Ask {
    Write(u64),
    Read,
    /// Answers with the sum.
    Add(u64),
}

use Ask::{Add, Read, Write};

impl Model for Number {
    type Request = Ask;
    type Answer = u64;

    fn serve(&mut self, request: &Ask) -> u64 {
        match request {
            Write(number) => self.0 = *number,
            Add(number) => self.0 += number,
            Read => {}
        }
        self.0
    }
}

/// A call between two ticks with its answer.
fn call(request: Ask, answer: u64, start: u64, end: u64) -> Call<Ask, u64> {
    Call { client: 0, request, outcome: Outcome::Answered(answer), start, end }
}

fn failed(request: Ask, outcome: Outcome<u64>, start: u64, end: u64) -> Call<Ask, u64> {
    Call { client: 0, request, outcome, start, end }
}

/// What the number may be at the end; the call that has no explanation.
fn check(calls: &[Call<Ask, u64>]) -> Result<Vec<u64>, usize> {
    let ends = explain(Number(0), calls).map_err(|found| found.call)?;
    Ok(crate::inspect::sorted(ends.into_iter().map(|number| number.0)))
}

#[test]
fn calls_one_after_the_other_have_an_order() {
    let calls = [call(Write(1), 1, 0, 1), call(Read, 1, 2, 3), call(Add(2), 3, 4, 5)];
    assert_eq!(check(&calls), Ok(vec![3]));
}

#[test]
fn a_read_may_see_a_write_at_its_time_or_not() {
    for seen in [0, 1] {
        let calls = [call(Read, seen, 1, 2), call(Write(1), 1, 0, 3)];
        assert_eq!(check(&calls), Ok(vec![1]));
    }
}

#[test]
fn a_write_that_was_answered_is_seen() {
    let calls = [call(Write(1), 1, 0, 1), call(Read, 0, 2, 3)];
    assert_eq!(check(&calls), Err(1));
}

#[test]
fn a_write_that_was_seen_stays() {
    let calls = [call(Read, 1, 1, 2), call(Read, 0, 3, 4), call(Write(1), 1, 0, 5)];
    assert_eq!(check(&calls), Err(1));
}

#[test]
fn what_nobody_wrote_is_not_read() {
    let calls = [call(Write(1), 1, 0, 3), call(Read, 7, 1, 2)];
    assert_eq!(check(&calls), Err(1));
}

#[test]
fn two_readers_see_two_writes_in_one_order() {
    let writes = [call(Write(1), 1, 0, 10), call(Write(2), 2, 0, 10)];
    let one = [call(Read, 1, 1, 2), call(Read, 2, 3, 4)];
    let other = [call(Read, 2, 5, 6), call(Read, 1, 7, 8)];
    assert_eq!(check(&[&one[..], &writes].concat()), Ok(vec![2]));
    assert_eq!(check(&[&other[..], &writes].concat()), Ok(vec![1]));
    // The second reader sees the write that was overwritten.
    assert_eq!(check(&[&one[..], &other, &writes].concat()), Err(3));
}

#[test]
fn additions_at_one_time_are_both_kept() {
    let both = [call(Add(1), 1, 0, 2), call(Add(2), 3, 1, 3)];
    assert_eq!(check(&both), Ok(vec![3]));
    let lost = [call(Add(1), 1, 0, 2), call(Add(2), 2, 1, 3)];
    assert_eq!(check(&lost), Err(1));
    // The answers are right, and one addition is gone afterwards.
    let gone = [&both[..], &[call(Read, 2, 4, 5)]].concat();
    assert_eq!(check(&gone), Err(2));
}

#[test]
fn what_is_not_stored_is_not_seen() {
    let write = failed(Write(1), Outcome::NotStored, 0, 1);
    assert_eq!(check(&[write.clone(), call(Read, 0, 2, 3)]), Ok(vec![0]));
    assert_eq!(check(&[write, call(Read, 1, 2, 3)]), Err(1));
}

#[test]
fn what_is_unknown_is_seen_or_not() {
    let write = failed(Write(1), Outcome::Unknown, 0, 2);
    assert_eq!(check(std::slice::from_ref(&write)), Ok(vec![0, 1]));
    assert_eq!(check(&[write.clone(), call(Read, 0, 3, 4)]), Ok(vec![0]));
    assert_eq!(check(&[write.clone(), call(Read, 1, 3, 4)]), Ok(vec![1]));
    assert_eq!(check(&[write, call(Read, 0, 3, 4), call(Read, 1, 5, 6)]), Err(2));
}

#[test]
fn the_message_names_the_call() {
    let calls = [call(Write(1), 1, 0, 1), call(Read, 7, 2, 3)];
    let message = explain(Number(0), &calls).unwrap_err().to_string();
    assert!(message.contains("number 1\n  [2, 3] client 0: Read -> Answered(7)"), "{message}");
}
