//! Places in an lnd database.

/// Names of buckets from the top level down, and a key in the last one. Sorts in walk order: a
/// bucket comes before what is in it.
pub type Path = Vec<Vec<u8>>;

/// Ends a name; sorts below every continuation of it.
const END: [u8; 2] = [0, 0];
/// Stands for a zero byte inside a name.
const ZERO: [u8; 2] = [0, 1];

/// The path as bytes that sort like it.
pub fn to_sort_key(path: &[Vec<u8>]) -> Vec<u8> {
    let mut key = Vec::new();
    for name in path {
        for byte in name {
            match byte {
                0 => key.extend_from_slice(&ZERO),
                other => key.push(*other),
            }
        }
        key.extend_from_slice(&END);
    }
    key
}

/// The path that [`to_sort_key`] made the bytes of; `None` if it did not make them.
pub fn from_sort_key(key: &[u8]) -> Option<Path> {
    let mut path = Path::new();
    let mut name = Vec::new();
    let mut bytes = key.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            0 => match bytes.next()? {
                0 => path.push(std::mem::take(&mut name)),
                1 => name.push(0),
                _ => return None,
            },
            other => name.push(*other),
        }
    }
    name.is_empty().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paths() -> impl Strategy<Value = Path> {
        let name = prop::collection::vec(prop_oneof![Just(0), Just(1), any::<u8>()], 0..4);
        prop::collection::vec(name, 0..4)
    }

    proptest! {
        #[test]
        fn sort_keys_sort_like_paths(a in paths(), b in paths()) {
            prop_assert_eq!(to_sort_key(&a).cmp(&to_sort_key(&b)), a.cmp(&b));
        }

        #[test]
        fn sort_keys_round_trip(path in paths()) {
            let key = to_sort_key(&path);
            prop_assert_eq!(from_sort_key(&key), Some(path));
        }
    }
}
