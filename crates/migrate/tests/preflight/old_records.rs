//! Old records of payments and invoices that stopped lnd's own move to SQL.

use serde_json::Value;

use crate::bolt_writer::Tree;
use crate::command::{Desk, code, json, migrate, stderr, verify};
use crate::support::{base, checks, copy_with, database, preflight};

const PAYMENTS: &[u8] = b"payments-root-bucket";
const ATTEMPTS: &[u8] = b"payment-htlcs-bucket";
const INVOICES: &[u8] = b"invoices";

/// A record of a hop's onion.
type Record = (u64, Vec<u8>);

fn var_bytes(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()][..], bytes].concat()
}

/// An attempt as lnd writes it, with a route of these hops.
fn attempt(hops: &[&[Record]]) -> Vec<u8> {
    let key = var_bytes(&[2; 33]);
    let mut value = vec![9; 32];
    value.extend(800_000u32.to_be_bytes());
    value.extend(5_000u64.to_be_bytes());
    value.extend(&key);
    value.extend(u32::try_from(hops.len()).unwrap().to_be_bytes());
    for records in hops {
        value.extend(&key);
        value.extend(7u64.to_be_bytes());
        value.extend(800_000u32.to_be_bytes());
        value.extend(5_000u64.to_be_bytes());
        value.push(0);
        value.extend(u32::try_from(records.len()).unwrap().to_be_bytes());
        for (ty, bytes) in *records {
            value.extend(ty.to_be_bytes());
            value.extend(var_bytes(bytes));
        }
    }
    value.extend([0; 8 + 32]);
    value
}

fn add_attempt(tree: &mut Tree, payment: u8, id: u64, hops: &[&[Record]]) {
    let name = [&b"ai"[..], &id.to_be_bytes()].concat();
    tree.at(&[PAYMENTS, &[payment; 32], ATTEMPTS]).set(&name, attempt(hops));
}

fn tlv(ty: u8, value: &[u8]) -> Vec<u8> {
    [&[ty, u8::try_from(value.len()).unwrap()][..], value].concat()
}

/// An invoice of these records, with one HTLC in line or none.
fn invoice(records: &[Vec<u8>], with_htlc: bool) -> Vec<u8> {
    let sized = |bytes: Vec<u8>| [&(bytes.len() as u64).to_be_bytes()[..], &bytes].concat();
    let htlc = if with_htlc { sized(tlv(1, &[0; 8])) } else { Vec::new() };
    [sized(records.concat()), htlc].concat()
}

/// Features with one bit set.
fn features(bit: usize) -> Vec<u8> {
    let mut bytes = vec![0; bit / 8 + 1];
    bytes[0] = 1 << (bit % 8);
    tlv(11, &bytes)
}

/// The old records that are found, as kind and count. The copy goes through and is equal, and what
/// does not belong to channels stays where it is, byte for byte.
fn found_in(tree: &Tree) -> Vec<(String, u64)> {
    let desk = Desk::new();
    let (source, target) = (database(&desk, tree), desk.url("sqlite", "a.sqlite"));
    let before = std::fs::read(&source).unwrap();
    let copied = copy_with(&source, &target, &[]);
    assert_eq!(code(&copied), 0, "{}", stderr(&copied));
    assert_eq!(code(&verify(&source, &target)), 0);
    assert_eq!(std::fs::read(&source).unwrap(), before);
    let untouched = json(&copied)["left_untouched"].as_array().unwrap().clone();
    for name in ["payments-root-bucket", "invoices"] {
        let is_there = tree.nodes.contains_key(name.as_bytes());
        assert_eq!(untouched.contains(&Value::from(name)), is_there, "{name}");
    }
    let preflight = preflight(&copied);
    let found = preflight["old_records"].as_array().unwrap();
    assert_eq!(checks(&preflight, "old records").len(), found.len().max(1));
    let pair = |old: &Value| {
        let first = old["first"].as_array().unwrap();
        assert!(!first.is_empty(), "{old}");
        (old["kind"].as_str().unwrap().to_owned(), old["count"].as_u64().unwrap())
    };
    found.iter().map(pair).collect()
}

fn expect(tree: &Tree, expected: &[(&str, u64)]) {
    let expected: Vec<_> =
        expected.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
    assert_eq!(found_in(tree), expected);
}

#[test]
fn attempts_without_an_id_and_with_a_shared_one_are_told() {
    let mut tree = base();
    // Each payment has the attempt 0 of its own, and two of them share the attempt 9.
    for payment in [1, 2, 3] {
        add_attempt(&mut tree, payment, 0, &[&[]]);
    }
    add_attempt(&mut tree, 1, 9, &[&[]]);
    add_attempt(&mut tree, 2, 9, &[&[]]);
    add_attempt(&mut tree, 2, 10, &[&[]]);
    expect(&tree, &[("attempt-without-id", 3), ("shared-attempt-id", 1)]);
}

#[test]
fn blinded_hops_without_encrypted_data_are_told() {
    let total = |amount: u8| (18u64, vec![amount]);
    let (data, empty, point) = ((10u64, vec![1, 2]), (10u64, Vec::new()), (12u64, vec![2; 33]));
    let mut tree = base();
    // Whole, and without an amount: nothing odd.
    add_attempt(&mut tree, 1, 1, &[&[data.clone(), point.clone(), total(7)], &[total(0)]]);
    expect(&tree, &[]);
    // Empty data is as good as none.
    add_attempt(&mut tree, 1, 2, &[&[total(7)], &[], &[empty, total(7)]]);
    expect(&tree, &[("orphaned-blinded-total", 2)]);
    add_attempt(&mut tree, 1, 3, &[&[point]]);
    expect(&tree, &[("orphaned-blinded-total", 2), ("orphaned-blinding-point", 1)]);
}

#[test]
fn amp_invoices_without_state_are_told() {
    let (required, optional, other) = (features(30), features(31), features(29));
    let (no_state, state) = (tlv(15, &[0]), tlv(15, &[1, 0]));
    let mut tree = base();
    let mut add = |number: u32, records: &[Vec<u8>], with_htlc| {
        tree.at(&[INVOICES]).set(&number.to_be_bytes(), invoice(records, with_htlc));
    };
    add(1, &[required.clone(), no_state.clone()], true);
    add(2, std::slice::from_ref(&optional), true);
    // Never paid, paid again and again, no AMP invoice.
    add(3, &[required.clone(), no_state.clone()], false);
    add(4, &[required, state], true);
    add(5, &[other, no_state], true);
    // HTLCs of a newer AMP invoice, and an index.
    tree.at(&[INVOICES]).set(&[7; 36], [1, 2, 3]);
    tree.at(&[INVOICES, b"paymenthashes"]).set(b"nik", [0; 4]);
    expect(&tree, &[("legacy-amp-invoice", 2)]);
}

#[test]
fn payments_to_one_hash_are_told() {
    let mut tree = base();
    for sequence in [1u64, 2] {
        let path: [&[u8]; 4] =
            [PAYMENTS, &[1; 32], b"payment-duplicate-bucket", &sequence.to_be_bytes()];
        tree.at(&path).set(b"payment-sequence-key", sequence.to_be_bytes());
    }
    expect(&tree, &[("duplicate-payment", 2)]);
}

#[test]
fn what_cannot_be_read_is_told_and_stops_nothing() {
    let mut tree = base();
    add_attempt(&mut tree, 1, 5, &[&[]]);
    let attempts = tree.at(&[PAYMENTS, &[1; 32], ATTEMPTS]);
    let cut = [&b"ai"[..], &6u64.to_be_bytes()].concat();
    attempts.set(&cut, &attempt(&[&[]])[..40]);
    attempts.set(b"ai?", attempt(&[]));
    tree.at(&[INVOICES]).set(&[0; 4], [0xff; 12]);
    expect(&tree, &[("unreadable", 3)]);
}

#[test]
fn people_read_what_the_records_are_and_where() {
    let desk = Desk::new();
    let mut tree = base();
    add_attempt(&mut tree, 1, 0, &[&[]]);
    let source = database(&desk, &tree);
    let target = desk.url("sqlite", "a.sqlite");
    let dry = migrate(&["copy", "--dry-run", "--from", &source, "--to", &target]);
    let text = stderr(&dry);
    assert!(text.contains("1 payment attempts with id 0"), "{text}");
    assert!(text.contains("payments-root-bucket/0101"), "{text}");
    assert!(text.contains("-> they stay in the source"), "{text}");
}
