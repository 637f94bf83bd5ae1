//! Who can hold a vault's locks, and what somebody who waits for one is told.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use super::{Desk, Run};

#[test]
fn a_writer_says_what_it_waits_for() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    let held = File::options().read(true).write(true).open(desk.path("vault/locks/publish")).unwrap();
    held.lock().unwrap();
    desk.write("g", "2");
    let mut command = desk.command(super::HV);
    command.args(["-C", "vault", "commit", "-m", "x", "g"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut writer = command.spawn().unwrap();
    let mut told = String::new();
    BufReader::new(writer.stderr.take().unwrap()).read_line(&mut told).unwrap();
    assert!(told.contains("waiting for `locks/publish`"), "{told}");
    drop(held);
    assert!(writer.wait().unwrap().success());
    desk.on(["cat", ":g"]).ok();
}

#[test]
fn who_may_only_read_can_hold_no_lock_and_reads_all_the_same() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    for entry in fs::read_dir(desk.path("vault/locks")).unwrap() {
        let mode = entry.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
    if !rustix::process::geteuid().is_root() {
        return;
    }
    fs::copy(super::HV, desk.path("hv")).unwrap();
    assert!(desk.command("chmod").args(["755", "hv", "."]).status().unwrap().success());
    let nobody = |args: &[&str]| -> Run {
        let mut command = desk.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).args(args);
        command.output().unwrap().into()
    };
    assert_ne!(nobody(&["flock", "-n", "vault/locks/publish", "true"]).code, Some(0));
    for words in [&["cat", ":f"][..], &["log"], &["ls"], &["verify"], &["op", "log"]] {
        nobody(&[&["./hv", "-C", "vault"], words].concat()).ok();
    }
    nobody(&["./hv", "-C", "vault", "commit", "-m", "x", "hv"]).fails(1, &["ermission denied"]);
}
