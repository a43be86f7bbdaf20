//! The fixtures: the good ones are sound, the damaged ones are seen as they should be.

use migrate::bolt::display_path;
use migrate::counts::Counts;
use migrate::finding::Severity;
use migrate::lnd::path::Path;
use migrate::lnd::source::{LndEntry, LndSource, Refused};
use migrate::store;
use serde_json::Value;

use crate::support::{Case, entries, fixture};

#[track_caller]
fn assert_good(name: &str, warnings: u64, counts: Counts) {
    let case = Case::open(&fixture(name));
    case.assert_sound();
    assert_eq!((case.checked.warnings, case.checked.counts), (warnings, counts));
    assert_eq!(store::count(&case.assert_survives()).unwrap(), counts);
}

const NODE: Counts = Counts {
    open_channels: 28,
    closed_channels: 12,
    historical_channels: 12,
    link_nodes: 16,
    forwarding_packages: 33,
    revoked_states: 651,
    final_htlcs: 215,
    opening_states: 3,
    forwarding_policies: 4,
};

const LEGACY: Counts = Counts {
    open_channels: 7,
    closed_channels: 4,
    historical_channels: 4,
    link_nodes: 4,
    forwarding_packages: 2,
    revoked_states: 101 + 60,
    final_htlcs: 0,
    opening_states: 0,
    forwarding_policies: 0,
};

const NOTHING: Counts = Counts {
    open_channels: 0,
    closed_channels: 0,
    historical_channels: 0,
    link_nodes: 0,
    forwarding_packages: 0,
    revoked_states: 0,
    final_htlcs: 0,
    opening_states: 0,
    forwarding_policies: 0,
};

#[test]
fn node_is_sound() {
    assert_good("node.db", 0, NODE);
    let tenants = Case::open(&fixture("node.db")).checked.other_tenants;
    assert!(tenants.contains(&"circuit-adds".to_owned()), "{tenants:?}");
    // A channel arbitrator's bucket; its name is shown whole.
    assert!(tenants.iter().any(|name| name.len() == 2 * 68), "{tenants:?}");
    assert!(!tenants.contains(&"open-chan-bucket".to_owned()), "{tenants:?}");
}

#[test]
fn copies_of_node_are_sound() {
    assert_good("pages16k.db", 0, NODE);
    assert_good("freelist.db", 0, NODE);
    assert_good("tombstoned.db", 1, NODE);
}

#[test]
fn deep_logs_are_sound() {
    let counts = Counts { open_channels: 2, link_nodes: 2, revoked_states: 22004, ..NOTHING };
    assert_good("deep.db", 0, counts);
}

#[test]
fn old_versions_are_sound() {
    // The warning is the version.
    assert_good("legacy.db", 1, LEGACY);
    let legacy31 = Counts { revoked_states: 160, forwarding_packages: 4, ..LEGACY };
    assert_good("legacy31.db", 1, legacy31);
}

#[test]
fn nothing_is_sound() {
    assert_good("empty.db", 0, NOTHING);
}

/// What an entry of `expected.json` says.
struct Expected {
    file: String,
    class: String,
    done: String,
    text: String,
}

fn expected() -> Vec<Expected> {
    let json = std::fs::read_to_string(fixture("damaged/expected.json")).unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    let text = |file: &Value, key: &str| file[key].as_str().unwrap().to_owned();
    let files = json["files"].as_array().unwrap();
    files
        .iter()
        .map(|file| Expected {
            file: text(file, "file"),
            class: text(file, "expect"),
            done: text(file, "done"),
            text: text(file, "expect_text"),
        })
        .collect()
}

impl Expected {
    fn open(&self) -> Case {
        Case::open(&fixture(&format!("damaged/{}", self.file)))
    }

    /// The path that the table names, in the words of the table.
    fn path(&self) -> Path {
        let whole = self.text.strip_prefix("refuse the bucket ").unwrap_or(&self.done);
        let (path, _) = whole.split_once(": ").unwrap();
        path.split(" / ").map(name).collect()
    }
}

fn name(text: &str) -> Vec<u8> {
    if let Some(name) = text.strip_suffix(" 00") {
        return [name.as_bytes(), b"\0"].concat();
    }
    let is_hex = text.len() >= 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex {
        return text.into();
    }
    let digits = (0..text.len()).step_by(2);
    digits.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn base() -> Vec<LndEntry> {
    let source = LndSource::open(&fixture("damaged/base.db"), false).unwrap();
    entries(&source, &Refused::default())
}

#[test]
fn every_class_of_damage_is_known() {
    let known = ["identical", "readable", "preserve", "report", "refuse-part", "refuse-file"];
    for expected in expected() {
        assert!(known.contains(&expected.class.as_str()), "{}", expected.class);
    }
}

#[test]
fn unusable_files_are_refused() {
    for expected in expected().iter().filter(|file| file.class == "refuse-file") {
        let path = fixture(&format!("damaged/{}", expected.file));
        assert!(LndSource::open(&path, true).is_err(), "{}", expected.file);
    }
}

#[test]
fn what_is_no_damage_is_none() {
    for expected in expected() {
        let missing: Path = match expected.class.as_str() {
            "identical" => Path::new(),
            "readable" => {
                let key = [&[0x20], [0x32; 32].as_slice(), &[0; 4]].concat();
                vec![b"channelOpeningState".to_vec(), key]
            }
            _ => continue,
        };
        let case = expected.open();
        case.assert_sound();
        let mut base = base();
        base.retain(|entry| entry.path != missing);
        assert_eq!(entries(&case.source, &Refused::default()), base, "{}", expected.file);
        case.assert_survives();
        let in_meta = expected.file.starts_with("meta");
        assert_eq!(case.checked.warnings, u64::from(in_meta), "{}", expected.file);
        if in_meta {
            case.assert_finds(Severity::Warning, "meta page", "newest transaction may be lost");
        }
    }
}

#[test]
fn unknown_content_is_preserved() {
    for expected in expected().iter().filter(|file| file.class == "preserve") {
        let case = expected.open();
        case.assert_sound();
        let path = expected.path();
        case.assert_finds(Severity::Warning, &display_path(&path).to_string(), "unknown");
        case.assert_survives();
        let found = entries(&case.source, &Refused::default());
        let differing = found.iter().zip(base()).filter(|(found, base)| *found != base);
        let differing: Vec<_> = differing.map(|(found, _)| found.path.clone()).collect();
        assert_eq!(differing, [path], "{}", expected.file);
    }
}

#[test]
fn contradictions_are_reported() {
    for expected in expected().iter().filter(|file| file.class == "report") {
        let case = expected.open();
        assert_eq!(case.with(Severity::Damage), Vec::<&migrate::finding::Finding>::new());
        case.assert_finds(Severity::Inconsistency, &display_path(&expected.path()).to_string(), "");
        case.assert_survives();
    }
    let gap = Case::open(&fixture("damaged/log-gap.db"));
    gap.assert_finds(Severity::Inconsistency, "revocation-log", "1 of 124 revoked height (57)");
    let extra = Case::open(&fixture("damaged/htlc-tlv1.db"));
    extra.assert_finds(Severity::Inconsistency, "", "lnd cannot load this channel");
    let secret = Case::open(&fixture("damaged/shachain.db"));
    secret.assert_finds(Severity::Inconsistency, "revocation-state-key", "breach remedy in danger");
}

#[test]
fn damaged_parts_are_refused_and_the_rest_is_kept() {
    for expected in expected().iter().filter(|file| file.class == "refuse-part") {
        let case = expected.open();
        let path = expected.path();
        case.assert_finds(Severity::Damage, &display_path(&path).to_string(), "");
        let refused: Vec<_> = case.checked.refused.iter().collect();
        assert_eq!(refused.len(), 1, "{}: {refused:?}", expected.file);
        // A value at fault takes its channel along, and no other.
        assert!(path.starts_with(refused[0]), "{}: {refused:?}", expected.file);
        assert!(path.len() - refused[0].len() <= 1, "{}: {refused:?}", expected.file);
        let mut base = base();
        base.retain(|entry| !entry.path.starts_with(refused[0]));
        assert_eq!(entries(&case.source, &case.checked.refused), base, "{}", expected.file);
        case.assert_survives();
    }
}
