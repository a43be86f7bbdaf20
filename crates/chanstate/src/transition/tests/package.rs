use super::fixtures::*;
use crate::change::Record;
use crate::error::Rejection;
use crate::ids::CommitmentHeight;
use crate::package::{AddRef, Filter, ForwardingPackage};
use crate::record::UpdateBody;
use crate::transition::{import_package, own_ack, remove_packages, set_forward_filter};

const AT: CommitmentHeight = CommitmentHeight(1);

#[test]
fn a_filter_covers_the_adds() {
    let state = packed(2, 1);
    let change = set_forward_filter(&state, AT, Filter::empty(2)).unwrap();
    assert_eq!(set_forward_filter(&state, AT, Filter::empty(2)).unwrap(), change);
    for found in [0, 1, 3] {
        let refusal = Rejection::PackageFilter { expected: 2, found: usize::from(found) };
        assert_eq!(set_forward_filter(&state, AT, Filter::empty(found)), Err(refusal));
    }
    let state = after(&state, &change.unwrap());
    let full = Filter::empty(2).with(0).unwrap();
    assert_eq!(set_forward_filter(&state, AT, full), Ok(None));
}

#[test]
fn a_filter_needs_its_package() {
    for height in [0, 2].map(CommitmentHeight) {
        let set = set_forward_filter(&packed(0, 0), height, Filter::empty(0));
        assert_eq!(set, Err(Rejection::UnknownPackage { height }));
    }
    assert!(set_forward_filter(&packed(0, 0), AT, Filter::empty(0)).unwrap().is_some());
}

#[test]
fn closed_channels_are_refused() {
    let state = with_row(|row| row.closed = true);
    let refusal = Rejection::AlreadyClosed(point());
    let set = set_forward_filter(&state, AT, Filter::empty(0));
    assert_eq!(set, Err(refusal.clone()));
    assert_eq!(remove_packages(&state, &[AT]), Err(refusal));
}

#[test]
fn an_ack_names_an_add_of_its_package() {
    let state = packed(2, 5);
    let ack = |height, index| own_ack(&state, AddRef { height, index });
    assert_eq!(ack(AT, 1), Ok(Some(SCID)));
    let refusal = Rejection::AckOutOfRange { source_scid: SCID, height: AT, index: 2, count: 2 };
    assert_eq!(ack(AT, 2), Err(refusal));
    assert_eq!(ack(CommitmentHeight(2), 2), Ok(None));
}

#[test]
fn removal_takes_each_package_once() {
    let state = packed(2, 1);
    assert_eq!(remove_packages(&state, &[]), Ok(None));
    assert_eq!(remove_packages(&state, &[CommitmentHeight(0), CommitmentHeight(2)]), Ok(None));
    let change = remove_packages(&state, &[AT, AT, CommitmentHeight(7)]).unwrap().unwrap();
    assert_eq!(remove_packages(&state, &[AT]).unwrap().as_ref(), Some(&change));
    // Two adds, one settle, the package; the commitment still needs the HTLCs.
    assert_eq!((change.removes().len(), htlc_traffic(&change)), (4, (0, 0)));
    let state = after(&state, &change);
    assert_eq!(state.packages().count(), 0);
    assert_eq!(state.references(htlc(IN, 0).key()), 1);
}

#[test]
fn an_imported_package_refers_to_its_channels_htlcs() {
    let state = packed(2, 0);
    let package = ForwardingPackage::new(SCID, 9.into(), vec![add(1), add(4)], vec![settle(1)]);
    let records = import_package(Some(&state), &package, false).unwrap();
    let added = |records: &[Record]| -> Vec<_> {
        let updates = records.iter().filter_map(|record| match record {
            Record::PackageUpdate(update) => Some(matches!(update.update.body, UpdateBody::Add(_))),
            _ => None,
        });
        updates.collect()
    };
    assert_eq!(added(&records), [true, true, false]);
    assert!(matches!(records[0], Record::Htlc(_)), "the one that is new, before the package");
    for records in [
        import_package(Some(&state), &package, true).unwrap(),
        import_package(None, &package, false).unwrap(),
    ] {
        assert_eq!(added(&records), [false; 3]);
        assert!(!records.iter().any(|record| matches!(record, Record::Htlc(_))));
    }
}

#[test]
fn an_imported_package_must_be_storable() {
    const LAST: u64 = i64::MAX as u64;
    let import = |edit: fn(&mut ForwardingPackage)| {
        let mut package = ForwardingPackage::new(SCID, LAST.into(), vec![add(0)], vec![settle(0)]);
        edit(&mut package);
        import_package(None, &package, true).map(drop)
    };
    assert_eq!(import(|_| {}), Ok(()));
    let refusal = Rejection::TooLarge { what: "package height", found: LAST + 1 };
    assert_eq!(import(|package| package.height.0 += 1), Err(refusal));
    let refusal = Rejection::PackageFilter { expected: 1, found: 2 };
    assert_eq!(import(|package| package.ack_filter = Filter::empty(2)), Err(refusal.clone()));
    assert_eq!(
        import(|package| package.settle_fail_filter = Filter::empty(2)),
        Err(refusal.clone())
    );
    assert_eq!(import(|package| package.forward_filter = Some(Filter::empty(2))), Err(refusal));
    let refusal = Rejection::Message { ty: 128 };
    assert_eq!(import(|package| package.settle_fails = vec![add(0)]), Err(refusal));
}
