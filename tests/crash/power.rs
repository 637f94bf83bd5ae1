//! The accident: the power goes, and an interrupted transaction is half there, or a finished one is not.
//!
//! Each workload is cut at each of its steps and right after its end, and every state the medium's rules allow
//! then (all combinations of lost and kept changes where they are few) must be the old or the new one; after
//! success, the new one.

use hubvault::ops::OpsError;

use super::{Sweep, Workload, workloads};

/// Cuts a workload at every step. `arm` prepares each medium; `enough` says when to stop looking.
pub(super) fn sweep(
    workload: &Workload,
    limit: usize,
    arm: &dyn Fn(&super::MemoryMedia),
    enough: &dyn Fn(&Sweep) -> bool,
) -> Sweep {
    let mut sweep = Sweep::default();
    // The last one is cut after its end.
    for step in (0..=workload.trace.len()).rev() {
        let (media, done) = workload.run(|media| {
            arm(media);
            media.crash_at(step);
        });
        sweep.steps += 1;
        for state in media.after_crash(limit) {
            let at = format!("{} cut at step {step} ({})", workload.name, at(workload, step, &done));
            sweep.count(&at, done.is_ok(), workload.judge(&state, done.is_ok()));
            if enough(&sweep) {
                return sweep;
            }
        }
    }
    sweep
}

fn at(workload: &Workload, step: usize, done: &Result<(), OpsError>) -> String {
    let operation = workload.trace.get(step).map_or("the end", String::as_str);
    format!("{operation}; it {}", if done.is_ok() { "said it was done" } else { "failed" })
}

fn check(workload: &Workload, limit: usize, least: usize) {
    sweep(workload, limit, &|_| (), &|_| false).assert_clean(workload.name, least);
}

#[test]
fn init() {
    check(&workloads::init(), 300, 250);
}

#[test]
fn first_commit() {
    check(&workloads::first_commit(), 2000, 60);
}

#[test]
fn many_small_files() {
    check(&workloads::many_small(), 60, 100);
}

#[test]
fn whole_file_packs() {
    check(&workloads::whole_file(), 60, 100);
}

#[test]
fn spilling() {
    check(&workloads::spilling(), 16, 100);
}

#[test]
fn edit_of_a_large_file() {
    check(&workloads::edited_large(), 40, 100);
}

#[test]
fn delete_and_copy() {
    check(&workloads::delete_and_copy(), 2000, 60);
}

#[test]
fn branch() {
    check(&workloads::branch(), 2000, 20);
}

#[test]
fn annotated_tag() {
    check(&workloads::tag(), 2000, 60);
}

#[test]
fn merge_of_indexes() {
    check(&workloads::merge_of_indexes(), 500, 60);
}

#[test]
fn crossing_a_checkpoint() {
    check(&workloads::crossing_a_checkpoint(), 100, 100);
}

#[test]
fn merge() {
    check(&workloads::merge(), 2000, 60);
}

#[test]
fn cherry_pick() {
    check(&workloads::cherry_pick(), 2000, 60);
}

#[test]
fn squash() {
    check(&workloads::squash(), 2000, 60);
}

#[test]
fn reset() {
    check(&workloads::reset(), 2000, 20);
}

#[test]
fn undo() {
    check(&workloads::undo(), 2000, 20);
}

#[test]
fn new_log_bucket() {
    check(&workloads::new_log_bucket(), 16, 50);
}
