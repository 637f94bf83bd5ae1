//! One test binary.
mod fuzz_corpus;
mod git;
mod hostile;
