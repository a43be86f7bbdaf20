//! The obligations in the docs of facets and backends, and the cases that check them, are held
//! against each other.

#![allow(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use conformance::{CASES, obligations};

/// Files and folders whose docs oblige a backend, or the store above it, to something.
const OBLIGING: [&str; 5] = [
    "channelcoord/src/backend.rs",
    "channelcoord/src/store/coordinator.rs",
    "channelcoord/src/transfer.rs",
    "chanstate/src/facet",
    "linknode/src/facet.rs",
];

fn files() -> Vec<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let files = OBLIGING.iter().map(|path| crates.join(path)).flat_map(|path| {
        if path.is_file() {
            return vec![path];
        }
        path.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect()
    });
    files.collect()
}

/// What a file's obligations are cited under.
fn namespace(path: &Path) -> String {
    let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    match (name(path).as_str(), path.to_str().unwrap().contains("linknode")) {
        (_, true) => "link_node".to_owned(),
        ("mod", _) => name(path.parent().unwrap()),
        (stem, _) => stem.to_owned(),
    }
}

fn obliged() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for path in files() {
        let source = std::fs::read_to_string(&path).unwrap();
        for name in obligations(&source) {
            let name = format!("{}/{name}", namespace(&path));
            assert!(found.insert(name.clone()), "{name} stands twice");
        }
    }
    found
}

#[test]
fn each_obligation_is_checked_by_a_case() {
    let cited: BTreeSet<_> = CASES.iter().flat_map(conformance::Case::obligations).collect();
    let unchecked: Vec<_> = obliged().into_iter().filter(|name| !cited.contains(name)).collect();
    assert_eq!(unchecked, [""; 0], "obligations without a case");
}

#[test]
fn each_case_cites_obligations_that_exist() {
    let obliged = obliged();
    let lost: Vec<_> = CASES
        .iter()
        .filter(|case| {
            let cited = case.obligations();
            cited.is_empty() || !cited.iter().all(|name| obliged.contains(name))
        })
        .map(|case| format!("{}/{} cites {:?}", case.subject, case.name, case.obligations()))
        .collect();
    assert!(lost.is_empty(), "{} cases:\n{}", lost.len(), lost.join("\n"));
}

#[test]
fn each_case_says_what_it_checks() {
    let silent = CASES.iter().find(|case| case.doc().is_empty());
    assert!(silent.is_none(), "{silent:?}");
}
