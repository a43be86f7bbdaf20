//! Archives that lie, with checksums that are right.

use migrate::archive::{ArchiveBackend, ArchiveError, Fault, MAX_CONTENT, Place};

use crate::samples::{Trial, few, final_htlc, findings, meta, residue};
use crate::sketch::{Pair, Sketch, SketchBlock, pair, record_bytes};

/// What a check says first, and whether the records can be read all the same.
fn told(sketch: &Sketch) -> (String, bool) {
    let bytes = sketch.bytes();
    let trial = Trial::new();
    trial.put(&bytes);
    let found = findings(&bytes);
    assert!(!found.is_empty(), "nothing was found");
    (found[0].to_string(), trial.records().is_ok())
}

/// A check says this, and the records cannot be read.
#[track_caller]
fn refused(sketch: &Sketch, expected: &str) {
    assert_eq!(told(sketch), (format!("damage: {expected}"), false));
}

fn lying(lie: impl FnOnce(&mut Sketch)) -> Sketch {
    let mut sketch = Sketch::new(&few());
    lie(&mut sketch);
    sketch
}

/// Lies in the blocks, and has index and footer repeat them.
fn settled(lie: impl FnOnce(&mut Sketch)) -> Sketch {
    let mut sketch = lying(lie);
    sketch.settle();
    sketch
}

fn of_pairs(pairs: Vec<Pair>) -> Sketch {
    Sketch::of_pairs(&[pairs])
}

#[test]
fn another_beginning() {
    let sketch = settled(|sketch| sketch.magic = b"SQLite f".to_vec());
    refused(&sketch, "header: this is not an archive");
}

#[test]
fn a_newer_format() {
    let sketch = settled(|sketch| sketch.format = 2);
    refused(&sketch, "header: format 2, newest known is 1");
    // What else such a header holds is not known.
    let mut sketch = sketch;
    sketch.flags = 1;
    sketch.compression = 9;
    refused(&sketch, "header: format 2, newest known is 1");
}

#[test]
fn unknown_flags() {
    let sketch = settled(|sketch| sketch.flags = 0x8000);
    refused(&sketch, "header: unknown flags 0x8000");
}

#[test]
fn an_unknown_compression() {
    refused(&settled(|sketch| sketch.compression = 2), "header: unknown compression 2");
}

#[test]
fn a_writer_without_a_name_is_one() {
    let sketch = settled(|sketch| sketch.writer.clear());
    assert_eq!(findings(&sketch.bytes()), []);
    let sketch = settled(|sketch| sketch.writer = vec![0xff]);
    refused(&sketch, "header: the writer's name is no text");
}

#[test]
fn swapped_blocks() {
    refused(&settled(|sketch| sketch.blocks.swap(0, 1)), "block 0: has number 1 where 0 is due");
}

#[test]
fn swapped_blocks_with_numbers_in_order() {
    let sketch = settled(|sketch| {
        sketch.blocks.swap(0, 1);
        (sketch.blocks[0].number, sketch.blocks[1].number) = (0, 1);
    });
    let key = final_htlc(1, 0).key();
    let expected = format!("block 1, record 0 ({key}): does not come after the record before it");
    refused(&sketch, &expected);
}

#[test]
fn a_repeated_block() {
    let sketch = settled(|sketch| sketch.blocks.insert(1, sketch.blocks[0].clone()));
    refused(&sketch, "block 1: has number 0 where 1 is due");
    let sketch = settled(|sketch| {
        sketch.blocks[1] = sketch.blocks[0].clone();
        sketch.blocks[1].number = 1;
    });
    let key = final_htlc(1, 0).key();
    refused(
        &sketch,
        &format!("block 1, record 0 ({key}): does not come after the record before it"),
    );
}

#[test]
fn a_missing_block() {
    let sketch = settled(|sketch| drop(sketch.blocks.remove(1)));
    refused(&sketch, "block 1: has number 2 where 1 is due");
}

#[test]
fn a_missing_block_that_the_index_knows() {
    let sketch = lying(|sketch| drop(sketch.blocks.remove(2)));
    refused(&sketch, "index: number of blocks is 2, stated is 3");
}

#[test]
fn a_block_of_another_archive() {
    let sketch = lying(|sketch| {
        let other = [pair(&final_htlc(1, 0)), pair(&final_htlc(1, 9)), pair(&final_htlc(2, 0))];
        sketch.blocks[0] = SketchBlock::new(0, &other);
        assert_eq!(sketch.blocks[0].bytes().len(), Sketch::new(&few()).blocks[0].bytes().len());
    });
    // Nothing but the SHA-256 is against it.
    assert_eq!(
        told(&sketch),
        ("damage: footer: the SHA-256 is not that of the records".to_owned(), true)
    );
}

#[test]
fn a_block_without_records() {
    let sketch = settled(|sketch| sketch.blocks.push(SketchBlock::raw(3, 0, Vec::new())));
    refused(&sketch, "block 3: holds no records");
}

#[test]
fn a_wrong_number_of_records() {
    let sketch = settled(|sketch| sketch.blocks[1].records = 3);
    refused(&sketch, "block 1: number of records is 2, stated is 3");
}

#[test]
fn records_out_of_order_in_a_block() {
    let sketch = of_pairs(vec![pair(&final_htlc(1, 1)), pair(&final_htlc(1, 0))]);
    let key = final_htlc(1, 0).key();
    refused(
        &sketch,
        &format!("block 0, record 1 ({key}): does not come after the record before it"),
    );
}

#[test]
fn blocks_whose_keys_overlap() {
    let pairs = |ids: [(u64, u64); 2]| ids.map(|(scid, id)| pair(&final_htlc(scid, id))).to_vec();
    let sketch = Sketch::of_pairs(&[pairs([(1, 0), (2, 0)]), pairs([(1, 1), (2, 1)])]);
    let key = final_htlc(1, 1).key();
    refused(
        &sketch,
        &format!("block 1, record 0 ({key}): does not come after the record before it"),
    );
}

#[test]
fn a_repeated_record() {
    let sketch = of_pairs(vec![pair(&final_htlc(1, 1)); 2]);
    let key = final_htlc(1, 1).key();
    refused(
        &sketch,
        &format!("block 0, record 1 ({key}): does not come after the record before it"),
    );
}

#[test]
fn an_unknown_kind() {
    let sketch = of_pairs(vec![pair(&meta("a", b"")), (vec![99, 1, 2], vec![1])]);
    refused(&sketch, "block 0, record 1 (630102): unknown kind of record 99");
}

#[test]
fn a_key_that_is_none_of_its_kind() {
    let sketch = of_pairs(vec![(vec![15, 0, 0], pair(&final_htlc(0, 0)).1)]);
    refused(&sketch, "block 0, record 0 (0f0000): the key is none of its kind");
    let sketch = of_pairs(vec![(Vec::new(), Vec::new())]);
    refused(&sketch, "block 0, record 0 (): the key is none of its kind");
}

#[test]
fn a_value_that_is_no_record() {
    for (value, what) in [
        (vec![], "ends at byte 0, inside a field"),
        (vec![2], "record version 2, newest known is 1"),
        (vec![1, 1, 0, 1], "ends at byte 4, inside a field"),
        (vec![1, 1, 0, 1, 1, 0], "1 bytes left over"),
        (vec![1, 1, 0, 2, 1], "flag out of range at byte 4"),
    ] {
        let key = final_htlc(1, 0).key();
        let sketch = of_pairs(vec![(key.to_bytes(), value)]);
        refused(&sketch, &format!("block 0, record 0 ({key}): not a record: {what}"));
    }
}

#[test]
fn a_value_of_another_record() {
    let (key, other) = (final_htlc(1, 0).key(), final_htlc(1, 1));
    let sketch = of_pairs(vec![(key.to_bytes(), pair(&other).1)]);
    refused(&sketch, &format!("block 0, record 0 ({key}): holds the value of {}", other.key()));
}

#[test]
fn a_value_in_another_form() {
    let (key, value) = pair(&final_htlc(1, 0));
    assert_eq!(value, [1, 1, 0, 1, 0]);
    // The same number, a byte longer.
    let sketch = of_pairs(vec![(key, vec![1, 0x81, 0, 0, 1, 0])]);
    let expected = format!(
        "damage: block 0, record 0 ({}): the value is not in its one form",
        final_htlc(1, 0).key()
    );
    assert_eq!(told(&sketch), (expected, true));
}

#[test]
fn a_record_s_checksum() {
    let mut content = record_bytes(&pair(&meta("a", b"1")));
    content.extend(record_bytes(&pair(&meta("b", b"1"))));
    let last = content.len() - 1;
    content[last] ^= 1;
    let mut block = SketchBlock::raw(0, 2, content);
    block.number = 0;
    let mut sketch = Sketch::of_blocks(vec![block]);
    sketch.index[0].1 = meta("a", b"").key().to_bytes();
    sketch.index_len += 2;
    sketch.footer.len += 2;
    let (told, read) = told(&sketch);
    let key = meta("b", b"").key();
    assert!(told.starts_with(&format!("damage: block 0, record 1 ({key}): checksum ")), "{told}");
    assert!(!read);
}

#[test]
fn lengths_of_records_that_lie() {
    let whole = record_bytes(&pair(&meta("a", b"1")));
    for lens in [[u32::MAX, u32::MAX], [2, 1 << 20], [1 << 31, 0], [0, u32::MAX]] {
        let mut content = whole.clone();
        content[..8].copy_from_slice(&lens.map(u32::to_be_bytes).concat());
        let sketch = Sketch::of_blocks(vec![SketchBlock::raw(0, 1, content)]);
        refused(&sketch, "block 0, record 0: its lengths lead beyond the end");
    }
    for len in 1..whole.len() {
        let sketch = Sketch::of_blocks(vec![SketchBlock::raw(0, 1, whole[..len].to_vec())]);
        refused(&sketch, "block 0, record 0: its lengths lead beyond the end");
    }
}

#[test]
fn lengths_of_blocks_that_lie() {
    let sketch = lying(|sketch| sketch.blocks[0].len -= 1);
    assert!(told(&sketch).0.starts_with("damage: block 0: cannot be unpacked: "));
    let sketch = lying(|sketch| sketch.blocks[0].len += 1);
    let len = sketch.blocks[0].len;
    refused(&sketch, &format!("block 0: length is {}, stated is {len}", len - 1));
    let sketch = lying(|sketch| sketch.blocks[0].len = MAX_CONTENT as u32 + 1);
    refused(&sketch, "block 0: length 67108865 is over 67108864");
    let sketch = lying(|sketch| sketch.blocks[0].stored_len = u32::MAX);
    refused(&sketch, "block 0: length 4294967295 is over 68157440");
    let sketch = lying(|sketch| sketch.blocks[2].stored_len = 60 << 20);
    refused(&sketch, "block 2: the archive is cut here");
}

#[test]
fn more_than_one_frame() {
    let sketch = settled(|sketch| {
        let block = &mut sketch.blocks[0];
        let more = zstd::bulk::compress(&[], 3).unwrap();
        block.stored.extend(&more);
        block.stored_len += more.len() as u32;
    });
    let len = sketch.blocks[0].stored_len;
    let expected = format!("block 0: length of the frame is {}, stated is {len}", len - 9);
    refused(&sketch, &expected);
}

#[test]
fn a_bomb_is_not_unpacked() {
    // One byte more than there may be, once with a frame that says so and once with one that does not.
    let len = MAX_CONTENT as u64 + 1;
    let zeros = || std::io::Read::take(std::io::repeat(0), len);
    let mut honest = zstd::Encoder::new(Vec::new(), 1).unwrap();
    honest.set_pledged_src_size(Some(len)).unwrap();
    honest.include_contentsize(true).unwrap();
    std::io::copy(&mut zeros(), &mut honest).unwrap();
    let silent = zstd::encode_all(zeros(), 1).unwrap();
    for stored in [honest.finish().unwrap(), silent] {
        let sketch = settled(|sketch| {
            let block = &mut sketch.blocks[0];
            (block.len, block.stored_len) = (MAX_CONTENT as u32, stored.len() as u32);
            block.stored = stored;
        });
        let (told, read) = told(&sketch);
        assert!(told.starts_with("damage: block 0: cannot be unpacked: "), "{told}");
        assert!(!read);
    }
}

#[test]
fn a_wrong_offset_in_the_index() {
    let sketch = lying(|sketch| sketch.index[1].0 += 1);
    let at = sketch.index[1].0;
    refused(&sketch, &format!("index entry 1: offset of the block is {}, stated is {at}", at - 1));
    let sketch = lying(|sketch| sketch.index[0].0 = u64::MAX);
    let at = sketch.header().len();
    let expected = format!("offset of the block is {at}, stated is {}", u64::MAX);
    refused(&sketch, &format!("index entry 0: {expected}"));
}

#[test]
fn a_wrong_key_in_the_index() {
    // Each would hide records from a search, none from a scan.
    for (entry, key) in [(0, final_htlc(0, 9)), (1, final_htlc(9, 9)), (2, meta("namf", b""))] {
        let sketch = lying(|sketch| {
            let key = key.key().to_bytes();
            let old = std::mem::replace(&mut sketch.index[entry].1, key);
            sketch.index_len += sketch.index[entry].1.len() as u64;
            sketch.index_len -= old.len() as u64;
            sketch.footer.len += sketch.index[entry].1.len() as u64;
            sketch.footer.len -= old.len() as u64;
        });
        refused(
            &sketch,
            &format!("index entry {entry}: names another first key than its block has"),
        );
    }
}

#[test]
fn an_index_with_another_number_of_entries() {
    let sketch = lying(|sketch| sketch.index_count = 2);
    refused(&sketch, "index: number of entries is 3, stated is 2");
    let sketch = lying(|sketch| sketch.index_count = u32::MAX);
    refused(&sketch, "index: number of entries is 3, stated is 4294967295");
}

#[test]
fn an_index_with_another_length() {
    let sketch = lying(|sketch| sketch.index_len = u64::MAX);
    refused(&sketch, "index: the archive is cut here");
    let sketch = lying(|sketch| sketch.index_len = 1 << 40);
    refused(&sketch, "index: the archive is cut here");
}

#[test]
fn an_index_out_of_order_is_not_searched() {
    for swap in [(0, 1), (1, 2)] {
        let sketch = lying(|sketch| {
            let (a, b) = (sketch.index[swap.0].0, sketch.index[swap.1].0);
            sketch.index.swap(swap.0, swap.1);
            (sketch.index[swap.0].0, sketch.index[swap.1].0) = (a, b);
        });
        let trial = Trial::new();
        trial.put(&sketch.bytes());
        let opened = ArchiveBackend::open(&trial.path());
        let Err(ArchiveError::Damage { place, fault }) = opened else { panic!("{opened:?}") };
        assert_eq!((place, fault), (Place::IndexEntry(swap.1 as u32), Fault::Order));
        assert!(!findings(&sketch.bytes()).is_empty());
    }
}

#[test]
fn an_entry_of_the_index_that_is_cut() {
    let sketch = lying(|sketch| {
        sketch.index_cut = 1;
        sketch.index_len -= 1;
        sketch.footer.len -= 1;
    });
    refused(&sketch, "index entry 2: its lengths lead beyond the end");
}

#[test]
fn bytes_between_index_and_footer() {
    let sketch = lying(|sketch| {
        sketch.gap = vec![0; 4];
        sketch.footer.len += 4;
    });
    let what = "begins with [00, 00, 00, 00], which begins nothing that belongs here";
    refused(&sketch, &format!("footer: {what}"));
}

#[test]
fn an_index_without_a_block() {
    let sketch = lying(|sketch| {
        let (_, key) = sketch.index.pop().unwrap();
        sketch.index_count -= 1;
        sketch.index_len -= 12 + key.len() as u64;
        sketch.footer.len -= 12 + key.len() as u64;
        sketch.footer.blocks -= 1;
    });
    refused(&sketch, "index: number of blocks is 3, stated is 2");
}

#[test]
fn a_footer_that_lies() {
    let is = |what: &str, found: u64, stated: u64| {
        format!("footer: {what} is {found}, stated is {stated}")
    };
    let sketch = lying(|sketch| sketch.footer.blocks = 2);
    assert_eq!(told(&sketch).0, format!("damage: {}", is("number of blocks", 3, 2)));
    assert!(!told(&sketch).1);
    let sketch = lying(|sketch| sketch.footer.index_at -= 1);
    let at = sketch.footer.index_at;
    refused(&sketch, &is("offset of the index", at + 1, at));
    let sketch = lying(|sketch| sketch.footer.len += 1);
    let len = sketch.footer.len;
    refused(&sketch, &is("length of the archive", len - 1, len));
    // These do not matter to a search.
    let sketch = lying(|sketch| sketch.footer.records += 1);
    assert_eq!(told(&sketch), (format!("damage: {}", is("number of records", 8, 9)), true));
    let sketch = lying(|sketch| sketch.footer.counts[0].1 += 1);
    let kind = is("number of records of a kind", 3, 4);
    assert_eq!(told(&sketch), (format!("damage: {kind}"), true));
    let sketch = lying(|sketch| sketch.footer.sha256[31] ^= 1);
    let sha256 = "damage: footer: the SHA-256 is not that of the records".to_owned();
    assert_eq!(told(&sketch), (sha256, true));
}

#[test]
fn a_footer_whose_counts_are_not_in_their_one_form() {
    let counts = "footer: the counts of kinds are not in their one form";
    refused(&lying(|sketch| sketch.footer.counts.swap(0, 1)), counts);
    refused(&lying(|sketch| sketch.footer.counts[1].0 = sketch.footer.counts[0].0), counts);
    refused(&lying(|sketch| sketch.footer.counts[1].1 = 0), counts);
    let sketch = lying(|sketch| sketch.footer.counts[3].0 = 22);
    refused(&sketch, "footer: unknown kind of record 22");
}

#[test]
fn a_footer_of_another_length_than_it_says() {
    for len in [0, 12, 81, 1 << 31, u32::MAX] {
        let sketch = lying(|sketch| sketch.footer.own_len = len);
        assert!(told(&sketch).0.starts_with("damage: footer: length is "), "{len}");
        assert!(!told(&sketch).1, "{len}");
    }
}

#[test]
fn an_archive_of_nothing_is_sound() {
    assert_eq!(findings(&Sketch::new(&[]).bytes()), []);
    assert_eq!(findings(&Sketch::new(&[vec![residue(b"")]]).bytes()), []);
}
