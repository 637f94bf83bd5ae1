//! What local files and folders can bring along: `.git`, the vault itself, names no system can hold, changes
//! while they are read.

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::{Desk, HV};

#[test]
fn a_git_folder_is_left_out_and_it_is_said() {
    let desk = Desk::new();
    desk.write("work/.git/config", "[core]");
    desk.write("work/sub/.git", "gitdir: elsewhere");
    desk.write("work/.gitignore", "x");
    let run = desk.on(["commit", "-m", "work", "work"]).ok();
    assert_eq!(desk.files("HEAD"), ["work/.gitignore"]);
    assert_eq!(run.err.lines().filter(|line| line.starts_with("left out: ")).count(), 2, "{}", run.err);
    let told = desk.on(["commit", "-m", "again", "--json", "work"]).json();
    assert_eq!(told["skipped"].as_array().unwrap().len(), 2);
}

#[test]
fn a_vault_cannot_hold_itself() {
    let desk = Desk::bare();
    desk.hv(["init", "work/vault"]).ok();
    desk.write("work/data", "1");
    let run = desk.hv(["-C", "work/vault", "commit", "-m", "all", "work"]);
    run.fails(1, &["vault", "outside"]);
    desk.hv(["-C", "work/vault", "commit", "-m", "itself", "--add", ".=work/vault"]).fails(1, &["vault"]);
    desk.hv(["-C", "work/vault", "commit", "-m", "one", "work/data"]).ok();
    assert_eq!(desk.hv(["-C", "work/vault", "log", "--oneline"]).text().lines().count(), 2);
}

#[test]
fn names_that_no_windows_can_hold_are_refused_with_the_local_path() {
    let desk = Desk::new();
    if cfg!(unix) {
        for name in ["a:b", "what?", "con.txt", "dot.", "new\nline"] {
            let path = desk.write(&format!("bad/sub/{name}"), "1");
            desk.refused(["bad"], 1, &["bad/sub", "rename"]);
            fs::remove_file(path).unwrap();
        }
    }
    let long = "x".repeat(120);
    let deep: Vec<&str> = (0..40).map(|_| long.as_str()).collect();
    desk.write("f", "1");
    desk.refused(["--add", &format!("{}=f", deep.join("/"))], 2, &[]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let desk = Desk::new();
    desk.write("here", "1");
    desk.refused(["here", "absent/file"], 1, &["cannot read `absent", "file`"]);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_not_committed() {
    let desk = Desk::new();
    let path = desk.write("growing", vec![0; 24 << 20]);
    let head = desk.head();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write as _;
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            while !stop.load(Relaxed) {
                file.write_all(b"more").unwrap();
                file.flush().unwrap();
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        let run = desk.on(["commit", "-m", "growing", "growing"]);
        stop.store(true, Relaxed);
        // Either way it is told: while it was opened, or while it was read.
        run.fails(1, &["growing", "while it was being", "at rest"]);
    });
    assert_eq!(desk.head(), head);
    desk.commit(["growing"]);
}

#[test]
fn an_interrupted_commit_leaves_the_old_state() {
    let desk = Desk::new();
    desk.write("big", vec![1; 48 << 20]);
    let head = desk.head();
    let mut command = desk.command(HV);
    command.args(["-C", "vault", "commit", "-m", "big", "big"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut tries = 0;
    while super::entries(&desk.path("vault/tmp")).is_empty() && tries < 5000 {
        std::thread::sleep(std::time::Duration::from_millis(2));
        tries += 1;
    }
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success(), "killed too late to show anything");
    assert_eq!(desk.head(), head);
    let report = desk.on(["verify", "--full", "--json"]).json();
    assert_eq!((&report["ok"], report["warnings"].as_array().unwrap().len()), (&true.into(), 0));
    desk.commit(["big"]);
}
