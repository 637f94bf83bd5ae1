//! The one test binary: every file and folder of tests is listed here, and a test checks that none is forgotten.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::format_push_string,
    clippy::case_sensitive_file_extension_comparisons,
    clippy::needless_pass_by_value,
    clippy::allow_attributes,
    reason = "tests may unwrap, panic, read the environment, and say things the short way"
)]

mod architecture;
mod cli;
mod cost;
mod crash;
mod documents;
mod fuzz_corpus;
// Real git is the oracle; under wine there is none.
#[cfg(unix)]
mod git;
mod hostile;
mod interrupt;
mod maintenance;
mod mount;
mod processes;
#[cfg(target_os = "linux")]
mod reflink;
mod refs;
mod repair;
mod samples;
mod seed;
mod spill;
