//! Single bytes of a database changed in place. No page is rebuilt: bbolt keeps no checksums.

use migrate::finding::Severity;
use migrate::lnd::codec::keys::{bucket as top, channel as key};
use migrate::lnd::source::LndSource;

use crate::bolt_writer::Tree;
use crate::support::{Case, base, busy_channel, channel, fixture, shown};

/// `base.db` with every occurrence of `from` replaced.
fn patched(from: &[u8], to: &[u8]) -> Case {
    assert_eq!(from.len(), to.len());
    let mut bytes = std::fs::read(fixture("damaged/base.db")).unwrap();
    let places: Vec<_> =
        (0..bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| bytes[*at..*at + to.len()].copy_from_slice(to));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Case::open(file.path())
}

/// The value with one byte changed.
fn with(value: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut value = value.to_vec();
    value[at] = byte;
    value
}

#[test]
fn a_close_without_summary() {
    let tree = base();
    let [_, _, point] = busy_channel(&tree);
    let case = patched(&[&point[..], &[0, 1, 0]].concat(), &[&point[..], &[0, 1, 1]].concat());
    let place = shown(&[top::OUTPOINTS, &point]);
    case.assert_finds(Severity::Inconsistency, &place, "closed, but there is no summary");
    assert_eq!((case.checked.inconsistencies, case.checked.damages), (1, 0));
    assert_eq!(case.checked.counts.open_channels, 6);
    assert_eq!(case.checked.counts.revoked_states, 169);
    case.assert_survives();
}

#[test]
fn an_unknown_outpoint_status() {
    let tree = base();
    let [_, _, point] = busy_channel(&tree);
    let case = patched(&[&point[..], &[0, 1, 0]].concat(), &[&point[..], &[0, 1, 9]].concat());
    case.assert_finds(Severity::Damage, &shown(&[top::OUTPOINTS, &point]), "unknown kind 9");
    // What is not marked closed is open.
    assert_eq!((case.checked.inconsistencies, case.checked.counts.open_channels), (0, 7));
    case.assert_survives();
}

#[test]
fn another_capacity() {
    let mut tree = base();
    let place @ [peer, chain, point] = &busy_channel(&tree);
    let info = channel(&mut tree, place).value(key::INFO).to_vec();
    let capacity = 15_000_000u64.to_be_bytes();
    let at = info.windows(8).position(|window| window == capacity).unwrap() + 7;
    let case = patched(&info, &with(&info, at, info[at] ^ 1));
    let place = shown(&[top::OPEN_CHANNELS, peer, chain, point, key::INFO]);
    case.assert_finds(Severity::Inconsistency, &place, "the funding output has");
    let place = shown(&[top::OPEN_CHANNELS, peer, chain, point, key::LOCAL_COMMITMENT]);
    case.assert_finds(Severity::Warning, &place, "msat of 15000001000");
    assert_eq!(case.checked.damages, 0);
    case.assert_survives();
}

#[test]
fn a_log_entry_that_does_not_decode() {
    let mut tree = base();
    let place @ [peer, chain, point] = &busy_channel(&tree);
    let height = 57u64.to_be_bytes();
    let entry = channel(&mut tree, place).at(&[key::REVOCATION_LOG]).value(&height).to_vec();
    // The type of the first record.
    let case = patched(&entry, &with(&entry, 1, 0x40));
    let path: [&[u8]; 6] = [top::OPEN_CHANNELS, peer, chain, point, key::REVOCATION_LOG, &height];
    case.assert_finds(Severity::Damage, &shown(&path), "record 1 follows record 64");
    // The entry alone is lost, and that is no gap beside.
    assert_eq!((case.checked.damages, case.checked.inconsistencies), (1, 0));
    assert_eq!(case.checked.counts.revoked_states, 168);
    assert_eq!(case.checked.refused.iter().count(), 1);
    assert!(case.checked.refused.contains(&path.map(<[u8]>::to_vec)));
    case.assert_survives();
}

#[test]
fn a_link_node_of_another_key() {
    let mut tree = base();
    let nodes = tree.at(&[top::LINK_NODES]);
    let mut keys = nodes.nodes.keys();
    let (one, other) = (keys.next().unwrap(), keys.next().unwrap());
    let value = nodes.value(one);
    let changed = [&value[..4], other, &value[37..]].concat();
    let case = patched(&[one, value].concat(), &[one, &changed[..]].concat());
    let place = shown(&[top::LINK_NODES, one]);
    case.assert_finds(Severity::Inconsistency, &place, "differs from the key");
    assert_eq!((case.checked.damages, case.checked.inconsistencies), (0, 1));
    case.assert_survives();
}

#[test]
fn flags_that_lnd_takes_for_true() {
    let mut tree = base();
    let place = &busy_channel(&tree);
    let info = channel(&mut tree, place).value(key::INFO).to_vec();
    // Behind type, chain, outpoint and short channel id: pending, initiator.
    assert_eq!(info[77..79], [0, 1]);
    let case = patched(&info, &with(&info, 78, 2));
    assert_eq!(case.findings, []);
    case.assert_survives();
}

#[test]
fn outcomes_with_unknown_bits() {
    let mut tree = base();
    let finals = tree.at(&[top::FINAL_HTLCS]);
    let channel = finals.names()[0].clone();
    let outcomes = finals.at(&[&channel]);
    outcomes.nodes.values_mut().for_each(|node| {
        let crate::bolt_writer::Node::Value(value) = node else { return };
        value[0] |= 0x80;
    });
    let case = crate::support::case(&tree);
    assert_eq!(case.findings, []);
    case.assert_survives();
}

#[test]
fn the_writer_writes_what_was_read() {
    for name in ["damaged/base.db", "node.db"] {
        let tree = Tree::read(&fixture(name));
        let case = crate::support::case(&tree);
        assert_eq!(case.findings, []);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), tree.to_file()).unwrap();
        assert_eq!(Tree::read(file.path()), tree);
        case.assert_survives();
    }
}

#[test]
fn a_damaged_root_leaves_nothing() {
    let mut image = base().to_file();
    // The writer puts the root page last; its header begins with its number.
    let root = image.len() - 4096;
    image[root] ^= 1;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), image).unwrap();
    // Damage is no sign of a migration.
    let case = Case::of(LndSource::open(file.path(), false).unwrap());
    assert_eq!((case.source.tombstone(), case.source.other_tenants().unwrap()), (None, vec![]));
    case.assert_finds(Severity::Damage, "/", "everything is lost");
    assert_eq!(case.checked.counts, migrate::counts::Counts::default());
    case.assert_survives();
}
