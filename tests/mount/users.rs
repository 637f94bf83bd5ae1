//! Mounting as an ordinary user, which goes through fusermount3.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::kernel::can_mount;
use super::{desk, sample};
use crate::cli::{Desk, HV, Run, entries};

/// A folder of which everything belongs to nobody, with the program in it. `None` where that cannot be made.
pub(super) fn nobody() -> Option<Desk> {
    if !can_mount() {
        return None;
    }
    let helper = Command::new("fusermount3").arg("-V").output().is_ok();
    if !rustix::process::geteuid().is_root() || !helper {
        eprintln!("\n**** SKIPPED: needs root (to become nobody) and fusermount3 ****\n");
        return None;
    }
    // What every distribution's udev rule does.
    let mode = fs::metadata("/dev/fuse").unwrap().permissions().mode();
    if mode & 0o006 != 0o006 {
        fs::set_permissions("/dev/fuse", fs::Permissions::from_mode(0o666)).unwrap();
    }
    let desk = desk();
    assert!(desk.command("cp").arg(HV).arg("hv").status().unwrap().success());
    let chown = desk.command("chown").args(["-R", "65534:65534", "."]).status().unwrap();
    assert!(chown.success());
    Some(desk)
}

pub(super) fn as_nobody(desk: &Desk, words: &[&str]) -> Run {
    let mut command = desk.command("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).args(words);
    command.env("HOME", desk.folder.path()).env("XDG_STATE_HOME", desk.path("state"));
    command.output().unwrap().into()
}

#[test]
fn an_ordinary_user_mounts_reads_and_unmounts() {
    let Some(desk) = nobody() else { return };
    as_nobody(&desk, &["./hv", "mount", "vault", "mnt@main"]).ok();
    for (name, content) in sample() {
        let read = as_nobody(&desk, &["cat", &format!("mnt/{name}")]).ok().bytes;
        assert!(read == content, "{name}");
    }
    let listed = as_nobody(&desk, &["./hv", "mounts"]).ok().out;
    assert!(listed.contains(&desk.path("mnt").display().to_string()), "{listed}");
    // Not even root looks in, unless it is let in.
    assert!(fs::read_dir(desk.path("mnt")).is_err());
    let write = as_nobody(&desk, &["touch", "mnt/new"]);
    assert!(write.code != Some(0) && write.err.contains("ead-only file system"), "{write:?}");
    as_nobody(&desk, &["./hv", "umount", "mnt"]).ok();
    assert_eq!(entries(&desk.path("mnt")), Vec::<String>::new());
}

#[test]
fn an_ordinary_user_is_told_what_is_missing() {
    let Some(desk) = nobody() else { return };
    fs::create_dir(desk.path("roots")).unwrap();
    as_nobody(&desk, &["./hv", "mount", "vault", "roots"]).fails(6, &["roots is not writable by this user"]);
    let run = as_nobody(&desk, &["./hv", "mount", "--allow-other", "vault", "mnt"]);
    if run.code == Some(0) {
        as_nobody(&desk, &["./hv", "umount", "mnt"]).ok();
    } else {
        run.fails(6, &["user_allow_other", "/etc/fuse.conf"]);
    }
    // A closed device, as some containers ship it, in a mount namespace of its own.
    let script = "mkdir d && mknod d/fuse c 10 229 && chmod 600 d/fuse && mount --bind d/fuse /dev/fuse && \
        exec setpriv --reuid=65534 --regid=65534 --clear-groups ./hv mount vault mnt";
    let mut shell = desk.command("unshare");
    let run: Run = shell.args(["--mount", "sh", "-ec", script]).output().unwrap().into();
    if run.err.contains("unshare: ") || run.err.contains("mknod: ") || run.err.contains("mount: ") {
        eprintln!("\n**** SKIPPED: no mount namespace here: {} ****\n", run.err);
        return;
    }
    run.fails(6, &["/dev/fuse cannot be opened by this user", "chmod 666 /dev/fuse"]);
}
