//! How much the cases with random operations do.

/// Operations to do, in all, by each of these cases.
pub(crate) const OPERATIONS: &str = "CONFORMANCE_OPERATIONS";

/// What their random choices start from. Equal seeds give equal choices.
pub(crate) const SEED: &str = "CONFORMANCE_SEED";

/// The number in an environment variable, if it is set.
///
/// # Panics
/// If it is no number.
pub(crate) fn asked(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
