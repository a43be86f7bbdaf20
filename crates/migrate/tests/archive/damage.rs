//! Every bit and every length of a small archive.

use crate::samples::{Trial, few, findings};
use crate::sketch::Sketch;

#[test]
fn every_flipped_bit_is_found_where_it_is() {
    let (sketch, trial) = (Sketch::new(&few()), Trial::new());
    let good = sketch.bytes();
    trial.put(&good);
    assert_eq!(findings(&good), []);
    let mut at = 0;
    for (part, bytes) in sketch.parts() {
        for place in at..at + bytes.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[place] ^= 1 << bit;
                let found = findings(&bad);
                // Where the index begins, another block might.
                let marked = part == "index" && place < at + 4;
                let expected = if marked { "block 3" } else { &part };
                assert_eq!(found[0].place, expected, "byte {place} bit {bit}: {found:?}");
                trial.patch(place, &bad[place..=place]);
                assert!(trial.records().is_err(), "byte {place} bit {bit}");
            }
            trial.patch(place, &good[place..=place]);
        }
        at += bytes.len();
    }
    assert_eq!(at, good.len());
    assert_eq!(trial.records().unwrap(), few().concat());
}

#[test]
fn every_cut_is_found() {
    let (good, trial) = (Sketch::new(&few()).bytes(), Trial::new());
    for len in 0..good.len() {
        let found = findings(&good[..len]);
        assert_eq!(found.len(), 1, "{len} bytes: {found:?}");
        assert_eq!(found[0].what, "the archive is cut here", "{len} bytes: {found:?}");
        trial.put(&good[..len]);
        assert!(trial.records().is_err(), "{len} bytes");
    }
}

#[test]
fn what_follows_after_the_end_is_found() {
    let trial = Trial::new();
    let mut sketch = Sketch::new(&few());
    for tail in [&b"\0"[..], b"\n", &sketch.clone().bytes()] {
        sketch.tail = tail.to_vec();
        let bytes = sketch.bytes();
        let found = findings(&bytes);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].to_string(), "damage: footer: bytes follow after the end");
        trial.put(&bytes);
        assert!(trial.records().is_err());
    }
}

#[test]
fn what_is_sound_beside_a_damaged_block_is_read_on() {
    let sketch = Sketch::new(&few());
    let mut bad = sketch.bytes();
    let parts = sketch.parts();
    let end = |last: usize| parts[..=last].iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    bad[end(1) - 1] ^= 1;
    bad[end(3) - 1] ^= 1;
    let places: Vec<_> = findings(&bad).into_iter().map(|finding| finding.place).collect();
    assert_eq!(places, ["block 0", "block 2"]);
}
