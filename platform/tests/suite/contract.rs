//! Broken trees: the loopback driver must catch each, which shows that its checks can fail.

use std::sync::Arc;

use hubvault_platform::loopback::{Loopback, LoopbackError};

use crate::memory::{Fault, MemoryTree};

/// The rule a faulty tree is caught breaking. Its books must balance even then.
fn broken_rule(fault: Fault) -> String {
    let tree = Arc::new(MemoryTree::with_fault(fault));
    let error = Loopback::new(Arc::clone(&tree) as _).examine().unwrap_err();
    assert_eq!((tree.outstanding_lookups(), tree.open_files()), (0, 0), "after {fault:?}: {error}");
    match error {
        LoopbackError::Contract { rule, .. } => rule,
        LoopbackError::Port { .. } => error.to_string(),
    }
}

#[test]
fn a_number_used_twice_is_caught() {
    assert!(broken_rule(Fault::SharedNumber).contains("is also that of"));
}

#[test]
fn a_short_read_is_caught() {
    assert!(broken_rule(Fault::ShortRead).contains("but reading ends at 1000"));
}

#[test]
fn a_listing_that_cannot_be_resumed_is_caught() {
    assert!(broken_rule(Fault::NoResume).contains("cannot be resumed"));
}

#[test]
fn entries_that_contradict_lookups_are_caught() {
    assert!(broken_rule(Fault::EntrySize).contains("an entry's attributes"));
}

#[test]
fn a_tree_that_does_not_stop_is_caught() {
    assert!(broken_rule(Fault::Deaf).contains("not called again"));
}

#[test]
fn reading_a_closed_file_is_caught() {
    assert!(broken_rule(Fault::NoClose).contains("read of a closed handle"));
}

#[test]
fn a_read_error_is_passed_on() {
    assert!(broken_rule(Fault::ReadFails).contains("read of `"));
}
