//! One test binary.
mod cli;
mod fuzz_corpus;
mod git;
mod processes;
