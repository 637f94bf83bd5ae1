//! The read-only POSIX suite (`posix.py`) over a plain folder and mounts of it, in every way a mount serves.

use std::path::Path;

use super::desk;
use super::kernel::{Mount, can_mount};
use super::views::View;
use crate::cli::{Desk, Run};

/// The system's own: another user's may not be for the one who runs the tests.
pub(super) const PYTHON: &str = "/usr/bin/python3";

/// Whether the programs the suite runs are here. In CI they must be.
fn can_run() -> bool {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    let lacking: Vec<&str> = [PYTHON, "rsync", "git", "tar"]
        .into_iter()
        .filter(|program| std::process::Command::new(program).arg("--version").output().is_err())
        .collect();
    assert!(lacking.is_empty() || !in_ci, "missing programs: {lacking:?}");
    if !lacking.is_empty() {
        eprintln!("\n**** SKIPPED: missing programs: {lacking:?} ****\n");
    }
    lacking.is_empty()
}

#[track_caller]
fn suite(desk: &Desk, mount: &Path) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mount/posix.py");
    let run: Run = desk.command(PYTHON).arg(script).arg(desk.path("in")).arg(mount).output().unwrap().into();
    assert!(run.ok().out.trim_end().ends_with(" checks"));
}

#[test]
fn a_mount_answers_as_a_plain_folder_does() {
    if !can_mount() || !can_run() {
        return;
    }
    let desk = desk();
    let mount = Mount::new(&desk, "mnt", "main");
    suite(&desk, &mount.path);
    mount.end();
}

#[test]
fn a_mount_that_streams_answers_as_a_plain_folder_does() {
    if !can_mount() || !can_run() {
        return;
    }
    let desk = desk();
    for opens in ["always", "never"] {
        let options = ["--no-passthrough", "--opens", opens, "--cache-size", "1MiB"];
        let mount = Mount::with(&desk, "mnt", "main", &options);
        suite(&desk, &mount.path);
        mount.end();
    }
}

#[test]
fn mounts_that_move_answer_as_a_plain_folder_does() {
    if !can_mount() || !can_run() {
        return;
    }
    let desk = desk();
    for (options, below) in
        [(&["--follow", "main", "--mtime=last-change"][..], ""), (&[][..], "branches/main")]
    {
        let (_view, _) = View::new(&desk, "mnt", options);
        suite(&desk, &desk.path("mnt").join(below));
    }
}
