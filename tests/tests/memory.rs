//! Every case over the backend in memory.

use conformance::InMemory;

fn place() -> InMemory {
    InMemory::default()
}

conformance::cases!(tests crate::place);
