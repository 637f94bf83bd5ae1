//! The accident: a process is killed in the middle of a transaction, another one works on with what it sees, and
//! then the power goes, taking away what the first had not synced and the second relied on.
//!
//! Each workload is killed at every step. Then either the same is asked for again, or the next commit is made;
//! both must work, and what they said is done must survive the power, whatever the dead process left unsynced.

use hubvault::ops::OpsError;
use hubvault::store::media::memory::SyncKind;

use super::{AGAIN, MemoryMedia, NEXT, Sweep, Workload, add, commit, complaints, look, open, workloads};

/// `arm` prepares the medium for the one who works on.
fn check(workload: &Workload, limit: usize, sweep: &mut Sweep, arm: fn(&MemoryMedia)) {
    for step in 0..=workload.trace.len() {
        let (dead, _) = workload.run(|media| media.crash_at(step));
        let operation = workload.trace.get(step).map_or("the end", String::as_str);
        let at = format!("{} killed at step {step} ({operation})", workload.name);
        sweep.steps += 1;
        let asked_again = dead.after_kill();
        arm(&asked_again);
        match (workload.act)(&asked_again, AGAIN) {
            Ok(()) => asked_again.after_crash(limit).iter().for_each(|state| {
                sweep.count(&format!("{at}, done again"), true, workload.judge(state, true));
            }),
            // What was deleted cannot be deleted again, nor what was taken back.
            Err(OpsError::Snapshot(_) | OpsError::UndoConflict { .. })
                if look(&asked_again).unwrap() == workload.new => {}
            Err(error) => panic!("{at}, then again: {error}"),
        }
        let worked_on = dead.after_kill();
        arm(&worked_on);
        if look(&worked_on).unwrap().is_some() {
            commit(&open(&worked_on).unwrap(), "next", &[add("next", b"next".to_vec())], NEXT)
                .unwrap_or_else(|error| panic!("{at}, then the next commit: {error}"));
            // Counted as "old", to tell them from those above.
            for state in worked_on.after_crash(limit) {
                sweep.count(&format!("{at}, worked on"), true, same(&worked_on, &state).map(|()| false));
            }
        }
    }
}

/// Whether a state is what the medium was, and clean.
fn same(media: &MemoryMedia, state: &MemoryMedia) -> Result<(), String> {
    let found = look(state).map_err(|error| format!("opening and reading: {error}"))?;
    if found != look(media).map_err(|error| error.to_string())? {
        return Err("what was done is lost".into());
    }
    complaints(&open(state).map_err(|error| error.to_string())?, true).map_or(Ok(()), Err)
}

#[test]
fn what_was_done_after_a_kill_survives_the_power() {
    let mut sweep = Sweep::default();
    // How much content there is makes no difference here.
    let is_small =
        |workload: &Workload| !matches!(workload.name, "many small files" | "edit of a large file");
    for workload in workloads::ordinary().into_iter().filter(is_small) {
        check(&workload, 4, &mut sweep, |_| ());
    }
    sweep.assert_clean("killed", 1000);
}

#[test]
fn so_it_does_where_the_next_transaction_starts_a_folder() {
    let mut sweep = Sweep::default();
    check(&workloads::last_of_log_bucket(), 2, &mut sweep, |_| ());
    sweep.assert_clean("killed at the end of a log bucket", 50);
}

#[test]
fn it_would_be_missed_if_the_next_writer_did_not_sync_the_last_folder_of_the_log() {
    let mut sweep = Sweep::default();
    check(&workloads::last_of_log_bucket(), 1, &mut sweep, |media| {
        media.skip_syncs(|path, kind| path == "log/000000" && kind == SyncKind::Dir);
    });
    for what in ["worked on: opening and reading: vault file", "done again: what was done is lost"] {
        assert!(sweep.violations.iter().any(|violation| violation.what.contains(what)), "{what}");
    }
}
