//! Replays every file of the fuzzing corpus through the functions the fuzzer calls.
//!
//! Exists so that an input which once broke a decoder is tried again on every test run, without nightly tools.
//! The entry functions are the fuzzer's own file; this one must not know what they check.

use std::path::Path;

#[path = "fuzz/entry.rs"]
mod entry;

#[test]
fn every_corpus_file_passes() {
    for (target, check) in entry::TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
        let mut files = 0;
        for file in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            check(&std::fs::read(file.unwrap().path()).unwrap());
            files += 1;
        }
        assert!(files > 0, "{target} has no corpus");
    }
}
