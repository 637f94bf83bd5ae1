//! The accident: a sync is lost from the protocol in some later change, and every test still passes.
//!
//! Each single sync of the workloads is made to report success and do nothing; the sweep of `power` must then
//! find a violation: a loss after success and, for those whose place in the order matters, a bad state before it. Two
//! are judged elsewhere: `checkpoint` proves that a lost or torn checkpoint changes nothing, and `kill` shows what
//! the sync of the last folder of the log is for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::power::sweep;
use super::{MemoryMedia, Violation, Workload, workloads};

/// What goes wrong without the `lie`th sync of a workload; when `early`, before the act says that it is done.
fn violation(workload: &Workload, limit: usize, lie: usize, early: bool) -> Option<String> {
    let arm = |media: &MemoryMedia| {
        let nth = AtomicUsize::new(0);
        media.skip_syncs(move |_, _| nth.fetch_add(1, Ordering::Relaxed) == lie);
    };
    let counts = |violation: &Violation| !(early && violation.done);
    let swept = sweep(workload, limit, &arm, &|sweep| sweep.violations.iter().any(counts));
    swept.violations.into_iter().find(counts).map(|violation| violation.what)
}

/// Syncs that must be made before what comes after them, not only before success: else a crash leaves a record
/// that needs what is not there, or a marker without its vault.
fn is_ordered(class: &str, nth: usize) -> bool {
    match class {
        "pack file" | "index file" | "packs folder" | "record file" | "marker file" => true,
        // The first is for the folders, the last for the marker.
        "root folder" => nth == 0,
        _ => false,
    }
}

fn check(workload: &Workload, limit: usize, seen: &mut BTreeMap<&'static str, usize>) {
    let syncs = (0..workload.trace.len()).filter_map(|step| workload.sync_class(step)).enumerate();
    for (nth, class) in syncs {
        assert!(class != "unknown", "{}: a sync of something this test does not know", workload.name);
        let ordered = is_ordered(class, nth);
        for early in [false, true].into_iter().take(1 + usize::from(ordered)) {
            let violation = violation(workload, limit, nth, early);
            println!(
                "without the sync of the {class}: {}",
                violation.as_deref().unwrap_or("NOTHING NOTICED")
            );
            assert!(
                violation.is_some() || matches!(class, "checkpoint folder" | "last log bucket folder"),
                "{}: nobody notices that the {class} is not synced (early: {early})",
                workload.name
            );
        }
        *seen.entry(class).or_default() += 1;
    }
}

#[test]
fn every_sync_is_missed_when_it_is_a_lie() {
    let mut seen = BTreeMap::new();
    for workload in workloads::ordinary() {
        check(&workload, 60, &mut seen);
    }
    let all = [
        "checkpoint file",
        "checkpoint folder",
        "index file",
        "log bucket folder",
        "log folder",
        "marker file",
        "pack file",
        "packs folder",
        "record file",
        "root folder",
    ];
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), all);
    println!("{} syncs taken away one at a time: {seen:?}", seen.values().sum::<usize>());
}

#[test]
fn so_is_every_sync_of_a_new_log_bucket() {
    let mut seen = BTreeMap::new();
    check(&workloads::new_log_bucket(), 12, &mut seen);
    assert!(seen.contains_key("log folder") && seen.contains_key("log bucket folder"), "{seen:?}");
}
