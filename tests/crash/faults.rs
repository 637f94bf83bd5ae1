//! The accident: one write, sync, move or removal fails, the program carries on as if it had not, or cleans up
//! what is still needed.
//!
//! Each step of each workload fails once, on a medium that lives on. The act must then say so (except where the
//! step was only tidying, or a checkpoint), the state must be the old one (or, when the last sync failed, either),
//! nothing may get lost when the power goes later, and the same act must work the second time.

use std::io;

use hubvault::ops::OpsError;
use hubvault::store::StoreError;

use super::{Sweep, Workload, workloads};

/// Steps whose failure costs nothing but space or speed.
fn is_best_effort(operation: &str) -> bool {
    operation.starts_with("remove ") || operation.contains("checkpoint")
}

fn check(workload: &Workload, limit: usize, sweep: &mut Sweep) {
    for (step, operation) in workload.trace.iter().enumerate() {
        let (media, done) = workload.run(|media| media.fail_at(step, io::ErrorKind::Other));
        sweep.steps += 1;
        let at = format!("{} with step {step} failing ({operation})", workload.name);
        let tolerated = is_best_effort(operation) || is_checkpoint_sync(workload, step);
        assert!(done.is_err() || tolerated, "{at}: it says that all is well");
        let either = matches!(done, Err(OpsError::Store(StoreError::Unconfirmed { .. })));
        // Later the power goes: whatever was not synced by then may be lost.
        let alive = media.after_kill();
        for state in media.after_crash(limit).iter().chain([&alive]) {
            let verdict = match workload.judge(state, done.is_ok()) {
                Ok(true) if done.is_err() && !either => Err("it failed and is there all the same".into()),
                verdict => verdict,
            };
            sweep.count(&at, done.is_ok(), verdict);
        }
    }
}

fn is_checkpoint_sync(workload: &Workload, step: usize) -> bool {
    matches!(workload.sync_class(step), Some("checkpoint file" | "checkpoint folder"))
}

#[test]
fn every_step_of_every_workload_fails_once() {
    let mut sweep = Sweep::default();
    for workload in workloads::ordinary() {
        check(&workload, 6, &mut sweep);
    }
    sweep.assert_clean("failing steps", 700);
}

#[test]
fn so_does_every_step_of_a_new_log_bucket() {
    let mut sweep = Sweep::default();
    check(&workloads::new_log_bucket(), 2, &mut sweep);
    sweep.assert_clean("failing steps of a new log bucket", 50);
}
