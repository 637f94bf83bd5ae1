//! One test binary.
mod cli;
mod fuzz_corpus;
mod git;
mod mount;
mod processes;
