use bitcoin::hex::FromHex;
use proptest::prelude::*;

use super::*;

/// Secrets of indexes 2^48 - 1 down to 2^48 - 8 from the seed FF..FF, from BOLT 3 appendix D.
const RIGHT: [&str; 8] = [
    "7cc854b54e3e0dcdb010d7a3fee464a9687be6e8db3be6854c475621e007a5dc",
    "c7518c8ae4660ed02894df8976fa1a3659c1a8b4b5bec0c4b872abeba4cb8964",
    "2273e227a5b7449b6e70f1fb4652864038b1cbf9cd7c043a7d6456b7fc275ad8",
    "27cddaa5624534cb6cb9d7da077cf2b22ab21e9b506fd4998a51d54502e99116",
    "c65716add7aa98ba7acb236352d665cab17345fe45b55fb879ff80e6bd0c41dd",
    "969660042a28f32d9be17344e09374b379962d03db1574df5a8a5a47e19ce3f2",
    "a5a64476122ca0925fb344bdc1854c1c0a59fc614298e50a33e331980a220f32",
    "05cde6323d949933f7f7b78776bcc1ea6d9b31447732e3802e1f7ac44b650e17",
];

/// The secrets that appendix D puts in their place, from the seed 00..00.
const WRONG: [&str; 8] = [
    "02a40c85b6f28da08dfdbe0926c53fab2de6d28c10301f8f7c4073d5e42e3148",
    "dddc3a8d14fddf2b68fa8c7fbad2748274937479dd0f8930d5ebb4ab6bd866a3",
    "c51a18b13e8527e579ec56365482c62f180b7d5760b46e9477dae59e87ed423a",
    "ba65d7b0ef55a3ba300d4e87af29868f394f8f138d78a7011669c79b37b936f4",
    "631373ad5f9ef654bb3dade742d09504c567edd24320d2fcd68e3cc47e2ff6a6",
    "b7e76a83668bde38b373970155c868a653304308f9896692f904a23731224bb1",
    "e7971de736e01da8ed58b94c2fc216cb1dca9e326f3a96e7194fe8ea8af6c0a3",
    "a7efbc61aac46d34f77778bac22c8a20c6a46ca460addc49009bda875ec88fa4",
];

fn secret(text: &str) -> [u8; 32] {
    <[u8; 32]>::from_hex(text).unwrap()
}

/// A store that received the secrets of heights 0 to `count - 1`.
fn filled(seed: &[u8; 32], count: u64) -> SecretStore {
    let mut store = SecretStore::new();
    for height in 0..count {
        store.insert(derive_secret(seed, height).unwrap()).unwrap();
    }
    store
}

#[test]
fn generation_matches_bolt_3_appendix_d() {
    for (name, seed, index, expected) in [
        ("0 final node", 0x00, 0xffff_ffff_ffff, WRONG[0]),
        ("FF final node", 0xff, 0xffff_ffff_ffff, RIGHT[0]),
        (
            "FF alternate bits 1",
            0xff,
            0x0aaa_aaaa_aaaa,
            "56f4008fb007ca9acf0e15b054d5c9fd12ee06cea347914ddbaed70d1c13a528",
        ),
        (
            "FF alternate bits 2",
            0xff,
            0x5555_5555_5555,
            "9015daaeb06dba4ccc05b91b2f73bd54405f2be9f217fbacd3c5ac2e62327d31",
        ),
        (
            "01 last nontrivial node",
            0x01,
            1,
            "915c75942a26bb3a433a8ce2cb0427c29ec6c1775cfc78328b57f6ba7bfeaa9c",
        ),
    ] {
        let derived = derive_secret(&[seed; 32], MAX_INDEX - index);
        assert_eq!(derived, Ok(secret(expected)), "{name}");
    }
    for height in 0..8 {
        let at = height as usize;
        assert_eq!(derive_secret(&[0xff; 32], height), Ok(secret(RIGHT[at])));
        assert_eq!(derive_secret(&[0x00; 32], height), Ok(secret(WRONG[at])));
    }
}

#[test]
fn generation_matches_lnd() {
    for (height, expected) in [
        "f821e26e20505a60493e6840d89f0cd4d97054a4b2007b45bdc64e59ff75b016",
        "af73dbb9a119876dd80ecce72e2226bff15f16c1e340ddcd6443cd4a97709dc3",
    ]
    .into_iter()
    .enumerate()
    {
        let derived = derive_secret(&[0x99; 32], height as u64);
        assert_eq!(derived, Ok(secret(expected)));
    }
}

#[test]
fn storage_matches_bolt_3_appendix_d() {
    // Per test: which secrets are the wrong ones, the step that fails and the bucket that shows it.
    for (name, wrong, failure) in [
        ("correct sequence", "........", None),
        ("#1 incorrect", "x.", Some((2, 0))),
        ("#2 incorrect", "xx..", Some((4, 1))),
        ("#3 incorrect", "..x.", Some((4, 0))),
        ("#4 incorrect", "xxxx....", Some((8, 2))),
        ("#5 incorrect", "....x.", Some((6, 0))),
        ("#6 incorrect", "....xx..", Some((8, 1))),
        ("#7 incorrect", "......x.", Some((8, 0))),
        ("#8 incorrect", ".......x", Some((8, 0))),
    ] {
        let mut store = SecretStore::new();
        for (height, mark) in wrong.chars().enumerate() {
            let list = if mark == 'x' { &WRONG } else { &RIGHT };
            let before = store.clone();
            let inserted = store.insert(secret(list[height]));
            match failure.filter(|&(step, _)| step == height + 1) {
                Some((_, bucket)) => {
                    let index = MAX_INDEX - height as u64;
                    let refused = ShachainFault::Rejected { index, bucket };
                    assert_eq!(inserted, Err(refused), "{name}");
                    assert_eq!(store, before, "{name}");
                }
                None => assert!(inserted.is_ok(), "{name} step {}", height + 1),
            }
        }
    }
}

#[test]
fn insert_tells_which_slot_moved() {
    let mut store = SecretStore::new();
    let moves: Vec<_> = (0..4)
        .map(|height| {
            let secret = derive_secret(&[7; 32], height).unwrap();
            let checked = store.check_insert(secret).unwrap();
            let moved = store.insert(secret).unwrap();
            assert_eq!(checked, (moved.slot, moved.index));
            (moved.slot, MAX_INDEX - moved.index, moved.replaced)
        })
        .collect();
    assert_eq!(moves, [(0, 0, None), (1, 1, None), (0, 2, Some(MAX_INDEX)), (2, 3, None)]);
    assert_eq!(store.secrets_received(), 4);
    assert_eq!(store.next_index(), MAX_INDEX - 4);
}

#[test]
fn heights_above_48_bits_are_refused() {
    assert_eq!(derive_secret(&[5; 32], MAX_INDEX), Ok([5; 32]));
    let refused = ShachainFault::HeightOutOfRange { height: 1 << 48, max: MAX_INDEX };
    assert_eq!(derive_secret(&[5; 32], 1 << 48), Err(refused));
    assert_eq!(filled(&[5; 32], 3).lookup(u64::MAX), None);
}

#[test]
fn the_last_height_fills_bucket_47_and_no_more_fit() {
    let seed = [9; 32];
    let at = |index| Bucket { index, secret: derive(seed, INDEX_BITS, index) };
    // After 2^48 - 2 secrets the bucket i < 47 holds the index 2^i, apart from bucket 0, which
    // holds 3, as index 1 is still to come.
    let buckets = (0..48).map(|slot| at(if slot == 0 { 3 } else { 1 << slot }));
    let mut store = SecretStore::from_parts(buckets.collect(), 1).unwrap();
    assert_eq!(store.verify(), Ok(()));
    let moved = store.insert(at(1).secret).unwrap();
    assert_eq!((moved.slot, moved.replaced), (0, Some(3)));
    assert_eq!(store.verify(), Ok(()));
    assert_eq!(store.insert(seed), Err(ShachainFault::Exhausted));
    assert_eq!(store.lookup(MAX_INDEX - 1), Some(at(1).secret));
    assert_eq!(store.lookup(0), Some(at(MAX_INDEX).secret));
    assert_eq!(store.lookup(MAX_INDEX), None);
}

#[test]
fn parts_are_taken_as_they_are_and_faults_found_later() {
    let store = filled(&[3; 32], 6);
    let build = |change: &dyn Fn(&mut Vec<Bucket>), next_index| {
        let mut buckets = store.buckets().to_vec();
        change(&mut buckets);
        SecretStore::from_parts(buckets, next_index).unwrap()
    };
    let next = store.next_index();
    assert_eq!(build(&|_| {}, next), store);

    let beyond = build(&|_| {}, 1 << 48);
    let fault = ShachainFault::NextIndexOutOfRange { max: MAX_INDEX, found: 1 << 48 };
    assert_eq!(beyond.verify(), Err(fault));
    assert_eq!(beyond.check_insert([0; 32]), Err(fault));
    assert_eq!(beyond.secrets_received(), 0);

    let short = build(&|buckets| buckets.truncate(2), next);
    let fault = ShachainFault::BucketCount { expected: 3, found: 2 };
    assert_eq!(short.verify(), Err(fault));

    let shifted = build(&|buckets| buckets[2].index += 1, next);
    let fault =
        ShachainFault::BucketIndex { bucket: 2, expected: MAX_INDEX - 3, found: MAX_INDEX - 2 };
    assert_eq!(shifted.verify(), Err(fault));

    let damaged = build(&|buckets| buckets[1].secret[31] ^= 1, next);
    let fault = ShachainFault::BucketSecret { bucket: 0, index: MAX_INDEX - 4, parent: 1 };
    assert_eq!(damaged.verify(), Err(fault));

    let many = vec![store.buckets()[0]; 49];
    let refused = ShachainFault::TooManyBuckets { max: 48, found: 49 };
    assert_eq!(SecretStore::from_parts(many, next), Err(refused));
}

#[test]
fn insert_into_a_damaged_store_is_refused() {
    let whole = filled(&[3; 32], 3);
    let secret = derive_secret(&[3; 32], 3).unwrap();
    assert_eq!(whole.check_insert(secret), Ok((2, MAX_INDEX - 3)));

    let cut = whole.buckets()[..1].to_vec();
    let mut cut = SecretStore::from_parts(cut, whole.next_index()).unwrap();
    let refused = ShachainFault::MissingBucket { bucket: 1 };
    assert_eq!(cut.insert(secret), Err(refused));
}

#[test]
fn debug_shows_no_secrets() {
    let store = filled(&[3; 32], 3);
    let text = format!("{store:?}");
    assert_eq!(
        text,
        "SecretStore { buckets: [Bucket { index: 0xfffffffffffd, .. }, \
         Bucket { index: 0xfffffffffffe, .. }], next_index: 281474976710652 }"
    );
}

/// Whether one of two indexes lies in the part of the tree below the other.
fn related(a: u64, b: u64) -> bool {
    let covers = |parent: u64, child: u64| {
        parent >> parent.trailing_zeros() == child >> parent.trailing_zeros()
    };
    covers(a, b) || covers(b, a)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_revealed_height_is_found(seed in any::<[u8; 32]>(), count in 0u64..2000) {
        let store = filled(&seed, count);
        prop_assert_eq!(store.verify(), Ok(()));
        prop_assert_eq!(store.secrets_received(), count);
        prop_assert_eq!(store.buckets().len(), (u64::BITS - count.leading_zeros()) as usize);
        for height in 0..count {
            prop_assert_eq!(store.lookup(height), derive_secret(&seed, height).ok());
        }
        prop_assert_eq!(store.lookup(count), None);
        let again = SecretStore::from_parts(store.buckets().to_vec(), store.next_index());
        prop_assert_eq!(again, Ok(store));
    }

    /// A changed secret is found exactly if the tree relates it to another one.
    #[test]
    fn flipped_bits_are_found(seed in any::<[u8; 32]>(), count in 1u64..300,
        bit in 0usize..256) {
        let store = filled(&seed, count);
        for slot in 0..store.buckets().len() {
            let mut buckets = store.buckets().to_vec();
            buckets[slot].secret[bit / 8] ^= 1 << (bit % 8);
            let index = buckets[slot].index;
            let checkable = buckets.iter().any(|other| other.index != index && related(other.index, index));
            let damaged = SecretStore::from_parts(buckets, store.next_index()).unwrap();
            prop_assert_eq!(damaged.verify().is_err(), checkable);
            if let Err(ShachainFault::BucketSecret { bucket, parent, .. }) = damaged.verify() {
                prop_assert!(bucket == slot || parent == slot);
            }
        }
    }
}
