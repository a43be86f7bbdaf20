//! Opening: locks, meta pages, page sizes, files that are no database.

use std::fs::{File, TryLockError};

use migrate::bolt::{BoltFile, MetaFault, OpenError};

use crate::builder::{Image, Meta, Stored, bucket, freelist, leaf, value};

fn small(page_size: usize) -> Image {
    let root = leaf(2, 0, &[bucket("b", 3)]);
    Image::with_page_size(page_size, &[root, leaf(3, 0, &[value("k", "v")])])
}

fn reads_small(file: &BoltFile) {
    assert!(file.survey().unwrap().is_clean());
    let bucket = file.root().bucket(b"b").unwrap().unwrap();
    assert_eq!(bucket.sequence(), 9);
    assert_eq!(bucket.value(b"k").unwrap().unwrap(), b"v");
}

#[test]
fn running_writer_is_respected() {
    let stored = small(4096).store();
    let writer = File::options().read(true).write(true).open(&stored.path).unwrap();
    writer.lock().unwrap();
    assert!(matches!(stored.open(), Err(OpenError::Locked)));
    writer.unlock().unwrap();
    reads_small(&stored.open().unwrap());
}

#[test]
fn lock_is_held_until_drop_and_shared_with_readers() {
    let stored = small(4096).store();
    let writer = File::options().read(true).write(true).open(&stored.path).unwrap();
    let first = stored.open().unwrap();
    let second = stored.open().unwrap();
    drop(first);
    assert!(matches!(writer.try_lock(), Err(TryLockError::WouldBlock)));
    drop(second);
    writer.try_lock().unwrap();
}

#[test]
fn refused_file_is_not_left_locked() {
    let stored = Stored::new(b"no database");
    assert!(stored.open().is_err());
    File::open(&stored.path).unwrap().try_lock().unwrap();
}

#[test]
fn only_regular_files_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(BoltFile::open(dir.path()), Err(OpenError::NotAFile)));
    assert!(matches!(BoltFile::open(&dir.path().join("absent")), Err(OpenError::Open { .. })));
}

#[test]
fn every_page_size() {
    for bits in 10..=24 {
        let file = small(1 << bits).open();
        assert_eq!(file.info().page_size, 1 << bits);
        reads_small(&file);
    }
}

#[test]
fn every_page_size_without_first_meta() {
    for bits in 10..=24 {
        let mut image = small(1 << bits);
        image.bytes[16] ^= 1;
        let file = image.open();
        assert_eq!((file.info().page_size, file.info().used), (1 << bits, 1));
        assert!(file.info().newest_may_be_lost);
        reads_small(&file);
    }
}

#[test]
fn page_sizes_out_of_range_are_refused() {
    for page_size in [0, 1, 512, 4095, 5000, 1 << 25] {
        let mut image = small(4096);
        image.put_metas(|meta| meta.page_size = page_size);
        let error = image.store().open().unwrap_err();
        let OpenError::NoValidMeta { source: MetaFault::PageSize { found } } = error else {
            panic!("{page_size}: {error:?}")
        };
        assert_eq!(found, page_size);
    }
}

/// Meta page 1 counts only where its own page size puts it.
#[test]
fn second_meta_of_another_page_size_is_damaged() {
    let mut image = small(4096);
    let other = Meta { page_size: 8192, txid: 100, ..image.meta.clone() };
    image.put_meta(1, &other);
    let file = image.open();
    assert_eq!(file.info().metas[1].fault, Some(MetaFault::PageSize { found: 8192 }));
    assert_eq!(file.info().used, 0);
    assert!(file.info().newest_may_be_lost);

    image.bytes[16] ^= 1;
    let error = image.store().open().unwrap_err();
    assert!(matches!(error, OpenError::NoValidMeta { source: MetaFault::Magic { .. } }));
}

#[test]
fn newer_meta_wins_wherever_it_is() {
    for (txids, used) in [([8, 7], 0), ([8, 9], 1), ([u64::MAX, 0], 0)] {
        let mut image = small(4096);
        for (number, txid) in txids.into_iter().enumerate() {
            let meta = Meta { txid, ..image.meta.clone() };
            image.put_meta(number, &meta);
        }
        let file = image.open();
        assert_eq!((file.info().used, file.info().newest_may_be_lost), (used, false));
        assert_eq!(file.info().meta().txid, txids[used]);
    }
}

#[test]
fn every_bit_of_a_meta_page_is_covered() {
    let image = small(4096);
    for bit in 0..64 * 8 {
        let mut image = image.clone();
        image.bytes[4096 + 16 + bit / 8] ^= 1 << (bit % 8);
        let file = image.open();
        assert!(!file.info().metas[1].is_valid(), "bit {bit}");
        assert_eq!(file.info().used, 0);
    }
}

#[test]
fn big_endian_file_is_named_as_such() {
    let mut image = small(4096);
    for page in [0, 4096] {
        image.bytes[page + 16..page + 20].reverse();
        let error = image.store().open();
        // One meta page in each order is only damage.
        assert_eq!(page == 0, error.is_ok());
    }
    for page in [0, 4096] {
        let mut image = image.clone();
        image.bytes[page..page + 4096].fill(0);
        assert!(matches!(image.store().open(), Err(OpenError::BigEndian)));
    }
    assert!(matches!(image.store().open(), Err(OpenError::BigEndian)));
}

#[test]
fn other_versions_are_refused() {
    let mut image = small(4096);
    image.put_metas(|meta| meta.version = 3);
    let error = image.store().open().unwrap_err();
    assert!(matches!(error, OpenError::NoValidMeta { source: MetaFault::Version { found: 3 } }));
}

#[test]
fn short_files_are_refused() {
    for length in [1, 15, 79, 80, 1023, 1024, 5000] {
        let error = Stored::new(&vec![0xa5; length]).open().unwrap_err();
        assert!(matches!(error, OpenError::NoValidMeta { .. }), "{length}: {error:?}");
    }
    let image = small(4096);
    for length in [80, 4096, 8191, 8192, 12287] {
        let error = Stored::new(&image.bytes[..length]).open().unwrap_err();
        let truncated =
            matches!(error, OpenError::Truncated { needed: 12288, size } if size == length as u64);
        assert!(truncated, "{length}: {error:?}");
    }
    let error = Stored::new(&image.bytes[..79]).open().unwrap_err();
    assert!(matches!(error, OpenError::NoValidMeta { source: MetaFault::Missing }));
}

#[test]
fn root_must_be_a_page_in_use() {
    for root in [0, 1, 4, u64::MAX] {
        let mut image = small(4096);
        image.put_metas(|meta| meta.root = root);
        let error = image.store().open().unwrap_err();
        assert!(
            matches!(error, OpenError::RootOutOfRange { page, high_water_mark: 4 } if page == root)
        );
    }
    let mut image = small(4096);
    image.put_metas(|meta| (meta.root, meta.high_water_mark) = (u64::MAX - 1, u64::MAX));
    assert!(matches!(image.store().open(), Err(OpenError::Truncated { needed: u64::MAX, .. })));
}

#[test]
fn freelist_must_be_a_page_in_use() {
    for page in [0, 1, 4, u64::MAX - 1] {
        let mut image = small(4096);
        image.put_metas(|meta| meta.freelist = page);
        let error = image.store().open().unwrap_err();
        let named =
            matches!(error, OpenError::FreelistOutOfRange { page: found, .. } if found == page);
        assert!(named, "{error:?}");
    }
    let mut image = small(4096);
    image.bytes.extend(freelist(4, 0, &[]));
    image.put_metas(|meta| (meta.freelist, meta.high_water_mark) = (4, 5));
    let error = image.store().open().unwrap_err();
    assert!(matches!(error, OpenError::Truncated { needed: 20480, size: 16400 }));
}
