//! The accident: the disk fills up in the middle of a transaction, and the vault cannot even be read any more.
//!
//! Each workload runs with room for so many bytes and no more: it must fail, leave the old state, which can be
//! read and verified while the disk is still full, and work as soon as there is room.

use std::collections::BTreeMap;

use super::{AGAIN, Workload, complaints, look, open, workloads};

/// The most room that the trace needs at a time: what is written, less what it removes again.
fn needed(workload: &Workload) -> usize {
    let mut files: BTreeMap<&str, usize> = BTreeMap::new();
    let (mut room, mut most) = (0, 0);
    for step in &workload.trace {
        if let Some((path, len)) = step.strip_prefix("write ").and_then(|rest| rest.split_once(" +")) {
            let len: usize = len.parse().unwrap();
            *files.entry(path).or_default() += len;
            room += len;
        } else if let Some((from, to)) =
            step.strip_prefix("publish ").and_then(|rest| rest.split_once(" -> "))
        {
            let len = files.remove(from).unwrap_or(0);
            files.insert(to, len);
        } else if let Some(path) = step.strip_prefix("remove ") {
            room -= files.remove(path).unwrap_or(0);
        }
        most = most.max(room);
    }
    most
}

/// Every budget for what is small, else the edges of every write and some between.
fn budgets(workload: &Workload) -> Vec<usize> {
    let total = needed(workload);
    let mut budgets = vec![0, 1, total.saturating_sub(1)];
    let mut at = 0;
    for step in workload.trace.iter().filter(|step| step.starts_with("write ")) {
        let len: usize = step.rsplit_once('+').unwrap().1.parse().unwrap();
        budgets.extend([at + 1, at + len / 3, at + len / 2, at + len - 1, at + len]);
        at += len;
    }
    budgets.extend((0..40).map(|n| n * total / 40));
    budgets.retain(|budget| *budget < total);
    budgets.sort_unstable();
    budgets.dedup();
    budgets
}

#[test]
fn a_full_disk_leaves_the_old_state_readable_and_room_is_all_it_takes() {
    let (mut tried, mut shortcuts) = (0, 0);
    for workload in workloads::ordinary() {
        for budget in budgets(&workload) {
            let at = format!("{} with room for {budget} bytes", workload.name);
            let (media, done) = workload.run(|media| media.full_after(budget));
            tried += 1;
            if done.is_ok() {
                // Only the checkpoint did not fit.
                assert!(workload.trace.iter().any(|step| step.ends_with(".checkpoint")), "{at}");
                assert!(look(&media).unwrap() == workload.new, "{at}");
                shortcuts += 1;
            } else {
                assert!(look(&media).unwrap() == workload.old, "{at}: it is not as it was");
                if workload.old.is_some() {
                    let left = media.files().into_keys().filter(|path| path.starts_with("tmp/")).count();
                    assert_eq!(left, 0, "{at}: unpublished files take up the room that is missing");
                    assert_eq!(complaints(&open(&media).unwrap(), true), None, "{at}");
                }
                media.full_after(usize::MAX);
                (workload.act)(&media, AGAIN).unwrap_or_else(|error| panic!("{at}, then room: {error}"));
                assert!(look(&media).unwrap() == workload.new, "{at}");
            }
            media.full_after(usize::MAX);
            workload.work_on(&media).unwrap_or_else(|why| panic!("{at}: {why}"));
        }
    }
    println!("{tried} budgets, {shortcuts} of which were too small for the checkpoint only");
    assert!(tried > 300 && shortcuts > 5);
}
