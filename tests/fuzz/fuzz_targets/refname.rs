//! Feeds the fuzzer's bytes to `refname` of `../entry.rs`.
//!
//! Exists because libFuzzer wants a program for each target; what is checked must not be written here.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hubvault_fuzz::refname(bytes));
