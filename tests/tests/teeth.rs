//! Every broken backend is found by some case, and a sound one by none.

conformance::defects!(tests);
