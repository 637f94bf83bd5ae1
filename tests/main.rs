//! The one test binary: every file and folder of tests is listed here, and a test checks that none is forgotten.
#![expect(clippy::unwrap_used, reason = "tests may unwrap")]

mod architecture;
mod fuzz_corpus;
// Real git is the oracle; under wine there is none.
#[cfg(unix)]
mod git;
