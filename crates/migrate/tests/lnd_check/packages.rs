//! Forwarding packages that lnd does not write in normal use.

use chanstate::ShortChannelId;
use migrate::finding::Severity;
use migrate::lnd::codec::keys::{bucket as top, package as key};
use migrate::store;

use crate::bolt_writer::{Node, Tree};
use crate::support::{base, busy_channel, case, channel, edit_info, info_of, shown};

const HEIGHT: [u8; 8] = 9999u64.to_be_bytes();

/// The key that a change of a package damages, and the change.
type Damage = (&'static [u8], fn(&mut Tree));

/// A package without updates.
fn empty() -> Tree {
    let mut package = Tree::default();
    package.at(&[key::ADDS]);
    package.at(&[key::SETTLE_FAILS]);
    package.set(key::ACK_FILTER, [0, 0]);
    package.set(key::SETTLE_FAIL_FILTER, [0, 0]);
    package
}

/// A source with packages, and one of its packages that has adds.
fn with_adds(tree: &mut Tree) -> [Vec<u8>; 2] {
    let packages = tree.at(&[top::PACKAGES]);
    for source in packages.names() {
        for height in packages.at(&[&source]).names() {
            if !packages.at(&[&source, &height, key::ADDS]).nodes.is_empty() {
                return [source, height];
            }
        }
    }
    panic!("no package has adds");
}

#[test]
fn empty_packages() {
    let mut tree = base();
    let source = tree.at(&[top::PACKAGES]).names()[0].clone();
    let bare = Node::Bucket(empty());
    tree.at(&[top::PACKAGES, &source]).nodes.insert(HEIGHT.to_vec(), bare);
    // A source that has no package left.
    tree.at(&[top::PACKAGES, &[3; 8]]);
    let case = case(&tree);
    assert_eq!(case.findings, []);
    assert_eq!(case.checked.counts.forwarding_packages, 10);
    case.assert_survives();
}

#[test]
fn packages_of_unknown_channels() {
    let mut tree = base();
    let [source, height] = with_adds(&mut tree);
    let package = tree.at(&[top::PACKAGES, &source, &height]).clone();
    let unknown = tree.at(&[top::PACKAGES, &[3; 8]]);
    unknown.nodes.insert(HEIGHT.to_vec(), Node::Bucket(package));
    let case = case(&tree);
    case.assert_sound();
    case.assert_finds(Severity::Warning, &shown(&[top::PACKAGES, &[3; 8]]), "no readable channel");
    assert_eq!(case.checked.counts.forwarding_packages, 10);
    case.assert_survives();
}

#[test]
fn damage_refuses_one_package() {
    let damages: [Damage; 8] = [
        (key::ADDS, |package| drop(package.remove(key::ADDS))),
        (key::ADDS, |package| package.set(key::ADDS, [0; 16])),
        (key::ADDS, |package| {
            package.at(&[key::ADDS, &[0xff, 0]]);
        }),
        (key::ADDS, |package| package.at(&[key::ADDS]).set(&[1, 2, 3], [])),
        (key::ADDS, |package| package.at(&[key::ADDS]).set(&[0, 0], [1])),
        (key::ACK_FILTER, |package| drop(package.remove(key::ACK_FILTER))),
        (key::ACK_FILTER, |package| package.set(key::ACK_FILTER, [0])),
        (key::FORWARD_FILTER, |package| {
            package.nodes.insert(key::FORWARD_FILTER.to_vec(), Node::Bucket(Tree::default()));
        }),
    ];
    for (name, damage) in damages {
        let mut tree = base();
        let [source, height] = with_adds(&mut tree);
        damage(tree.at(&[top::PACKAGES, &source, &height]));
        let case = case(&tree);
        let place = shown(&[top::PACKAGES, &source, &height, name]);
        case.assert_finds(Severity::Damage, &place, "");
        let refused = vec![top::PACKAGES.to_vec(), source.clone(), height];
        assert_eq!(case.checked.refused.iter().collect::<Vec<_>>(), [&refused]);
        assert_eq!(case.checked.counts.forwarding_packages, 8);
        assert_eq!(store::count(&case.assert_survives()).unwrap(), case.checked.counts);
    }
}

#[test]
fn a_gap_and_an_add_among_settles_refuse_the_package() {
    let mut tree = base();
    let [source, height] = with_adds(&mut tree);
    let path: [&[u8]; 3] = [top::PACKAGES, &source, &height];
    let add = tree.at(&path).at(&[key::ADDS]).value(&[0, 0]).to_vec();

    let mut gap = tree.clone();
    gap.at(&path).at(&[key::ADDS]).set(&[0, 9], add.clone());
    let gap = case(&gap);
    gap.assert_finds(Severity::Damage, &shown(&path), "update 9 follows");
    gap.assert_survives();

    let list = tree.at(&path).at(&[key::SETTLE_FAILS]);
    let next = (list.nodes.len() as u16).to_be_bytes();
    list.set(&next, add);
    let count = list.nodes.len() as u8;
    tree.at(&path).set(key::SETTLE_FAIL_FILTER, [0, count, 0]);
    let mixed = case(&tree);
    mixed.assert_finds(Severity::Damage, &shown(&path), "message 128 does not belong here");
    mixed.assert_survives();
}

#[test]
fn messages_that_no_channel_would_accept_are_kept() {
    let mut tree = base();
    let [source, height] = with_adds(&mut tree);
    let path: [&[u8]; 3] = [top::PACKAGES, &source, &height];
    let list = tree.at(&path).at(&[key::SETTLE_FAILS]);
    let next = (list.nodes.len() as u16).to_be_bytes();
    // Log index 5, a custom message of two bytes.
    list.set(&next, [0, 0, 0, 0, 0, 0, 0, 5, 0, 4, 0x80, 1, 7, 7]);
    let count = list.nodes.len() as u8;
    tree.at(&path).set(key::SETTLE_FAIL_FILTER, [0, count, 0]);
    let first = case(&tree);
    assert_eq!(first.findings, []);
    first.assert_survives();

    // An HTLC id beyond what a store's keys hold: behind index, length, type and channel id.
    let add = tree.at(&path).at(&[key::ADDS]).value_mut(&[0, 0]);
    add[44..52].copy_from_slice(&u64::MAX.to_be_bytes());
    let second = case(&tree);
    second.assert_sound();
    second.assert_survives();
}

#[test]
fn one_htlc_in_packages_of_both_ids_of_a_channel() {
    let mut tree = base();
    let place = &busy_channel(&tree);
    let scid = info_of(channel(&mut tree, place)).scid;
    edit_info(channel(&mut tree, place), |info| info.confirmed_scid = Some(ShortChannelId(77)));
    let source = scid.0.to_be_bytes();
    // Of HTLCs that no commitment holds any more: behind index, length, type and channel id is the
    // id, then the amount.
    let add_with = |package: &mut Tree, amount: u8| {
        for node in package.at(&[key::ADDS]).nodes.values_mut() {
            let Node::Value(add) = node else { panic!("a bucket among adds") };
            add[50] = 7;
            add[59] = amount;
        }
    };
    let packages = tree.at(&[top::PACKAGES, &source]);
    let mut copies = packages.clone();
    for height in packages.names() {
        add_with(packages.at(&[&height]), 1);
        add_with(copies.at(&[&height]), 2);
    }
    tree.at(&[top::PACKAGES]).nodes.insert(77u64.to_be_bytes().to_vec(), Node::Bucket(copies));
    let case = case(&tree);
    case.assert_sound();
    assert_eq!(case.checked.warnings, 0);
    case.assert_survives();
}

#[test]
fn unknown_keys_of_a_package() {
    let mut tree = base();
    let [source, height] = with_adds(&mut tree);
    let package = tree.at(&[top::PACKAGES, &source, &height]);
    package.set(b"new", [1]);
    package.at(&[b"newer"]).set(b"a", [2]);
    let case = case(&tree);
    case.assert_sound();
    case.assert_finds(Severity::Warning, &shown(&[top::PACKAGES, &source, &height, b"new"]), "");
    case.assert_finds(Severity::Warning, &shown(&[top::PACKAGES, &source, &height, b"newer"]), "");
    case.assert_survives();
}

#[test]
fn filters_with_padding_and_of_other_sizes() {
    for filter in [&[0, 1, 0x7f][..], &[0, 0], &[0, 17, 0xff, 0xff, 0xff]] {
        for name in [key::ACK_FILTER, key::SETTLE_FAIL_FILTER, key::FORWARD_FILTER] {
            let mut tree = base();
            let [source, height] = with_adds(&mut tree);
            tree.at(&[top::PACKAGES, &source, &height]).set(name, filter);
            let case = case(&tree);
            assert_eq!(case.checked.damages, 0);
            case.assert_survives();
        }
    }
}
