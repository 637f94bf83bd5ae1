//! The one test binary: every file and folder of tests is listed here, and a test checks that none is forgotten.

mod architecture;
mod crash;
mod fuzz_corpus;
// Real git is the oracle; under wine there is none.
#[cfg(unix)]
mod git;
