//! Finds damage and inconsistencies.
