//! Mounts served by another process: one that is told to end, one that is killed, one that is not root's.
//!
//! The processes are this test binary again, running one of the ignored tests at the end of this file.

use std::fs;
use std::io::{BufRead, BufReader, Lines, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hubvault_platform::{MountError, MountOptions, UnmountError, UnmountMode, mount, process, table};
use rustix::process::{Pid, Signal};

use crate::behaviour;
use crate::kernel::{Mount, can_mount};
use crate::memory::MemoryTree;

const READY: &str = "MOUNT IS READY";
const NOBODY: u32 = 65_534;

/// This binary, to run only the ignored test `name`.
fn again(program: &Path, name: &str) -> Vec<String> {
    let test = format!("servers::{name}");
    [program.to_str().unwrap(), "--ignored", "--exact", &test, "--nocapture"].map(str::to_owned).to_vec()
}

/// A server process. Its output stays open, or its last words would be its end.
struct Server {
    child: Child,
    _output: Lines<BufReader<ChildStdout>>,
}

impl Server {
    /// Starts one for `mountpoint` and returns when it is ready.
    fn start(mountpoint: &Path) -> Self {
        let arguments = again(&std::env::current_exe().unwrap(), "child_serves_until_terminated");
        let mut command = Command::new(&arguments[0]);
        command.args(&arguments[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{}", mountpoint.display()).unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = output.by_ref().map_while(Result::ok).any(|line| line.contains(READY));
        assert!(ready, "the server did not start: {:?}", child.wait());
        Self { child, _output: output }
    }

    /// Sends a signal and returns how the process ended.
    fn end(mut self, signal: Signal) -> ExitStatus {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
        self.child.wait().unwrap()
    }
}

fn is_listed(mountpoint: &Path) -> bool {
    table::mounts().unwrap().iter().any(|entry| entry.mountpoint == mountpoint)
}

#[test]
fn a_server_told_to_end_unmounts_and_exits_cleanly() {
    if !can_mount() {
        return;
    }
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path());
        assert_eq!(fs::read(folder.path().join("hello.txt")).unwrap(), b"hello, world\n");
        assert!(server.end(signal).success(), "{signal:?}");
        assert!(!is_listed(folder.path()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn the_mount_of_a_killed_server_is_recognised_and_ended() {
    if !can_mount() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    server.end(Signal::KILL);
    assert!(is_listed(folder.path()), "a dead mount must still be listed");
    let error = mount(Arc::new(MemoryTree::sample()), folder.path(), &MountOptions::new("x")).unwrap_err();
    assert!(matches!(error, MountError::DeadMount(_)), "{error}");
    assert!(error.to_string().contains("run `hv umount"), "{error}");
    table::unmount(folder.path(), UnmountMode::WhenIdle).unwrap();
    assert!(!is_listed(folder.path()));
    let mounted = mount(Arc::new(MemoryTree::sample()), folder.path(), &MountOptions::new("x")).unwrap();
    drop(mounted);
}

/// Runs an ignored test as a user who is not root, from a copy of this binary that user can reach.
fn run_as_nobody(name: &str) {
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program: PathBuf = folder.path().join("suite");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let ids =
        [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".into(), "--".into()];
    let output =
        Command::new("setpriv").args(ids).args(again(&program, name)).current_dir("/tmp").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn an_ordinary_user_mounts_too() {
    if !can_mount() {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        return child_mounts_as_ordinary_user();
    }
    // As every distribution's udev rule has it.
    fs::set_permissions("/dev/fuse", fs::Permissions::from_mode(0o666)).unwrap();
    run_as_nobody("child_mounts_as_ordinary_user");
}

#[test]
#[ignore = "a process started by other tests"]
fn child_serves_until_terminated() {
    let mut mountpoint = String::new();
    std::io::stdin().read_line(&mut mountpoint).unwrap();
    let mounted =
        mount(Arc::new(MemoryTree::sample()), Path::new(mountpoint.trim()), &MountOptions::new("child"))
            .unwrap();
    process::detach_session().unwrap();
    let told = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&told);
    let unmounter = mounted.unmounter();
    let guard = process::on_termination(move |_| {
        tell.store(true, Ordering::SeqCst);
        unmounter.unmount_now().unwrap();
    });
    println!("{READY}");
    mounted.wait().unwrap();
    drop(guard.unwrap());
    assert!(told.load(Ordering::SeqCst), "ended without being told");
}

#[test]
#[ignore = "a process started by other tests"]
fn child_mounts_as_ordinary_user() {
    let folder = tempfile::tempdir().unwrap();
    let tree = Arc::new(MemoryTree::sample());
    let mounted = mount(Arc::clone(&tree) as _, folder.path(), &MountOptions::new("/a,b\\c d@main")).unwrap();
    behaviour::check(&Mount(folder.path().to_path_buf()));
    let entry = table::mounts().unwrap().into_iter().find(|entry| entry.mountpoint == folder.path()).unwrap();
    assert_eq!(entry.source, "/a,b\\c d@main");
    let held = fs::File::open(folder.path().join("empty")).unwrap();
    assert!(matches!(mounted.unmount(), Err(UnmountError::Busy { .. })));
    drop(held);
    mounted.unmount().unwrap();
    mounted.wait().unwrap();
    assert_eq!((is_listed(folder.path()), tree.open_files()), (false, 0));
    ordinary_refusals();
}

/// What root may and this user may not.
fn ordinary_refusals() {
    let tree = || Arc::new(MemoryTree::sample());
    let foreign = mount(tree(), Path::new("/var/empty-or-not"), &MountOptions::new("x"));
    assert!(matches!(foreign, Err(MountError::MountpointMissing(_))), "{foreign:?}");
    let mut over = MountOptions::new("x");
    over.allow_non_empty = true;
    let foreign = mount(tree(), Path::new("/usr"), &over);
    assert!(matches!(foreign, Err(MountError::MountpointForbidden(_))), "{foreign:?}");
    let folder = tempfile::tempdir().unwrap();
    let mut others = MountOptions::new("x");
    others.allow_other = true;
    match mount(tree(), folder.path(), &others) {
        Err(MountError::AllowOtherForbidden) | Ok(_) => {} // up to this machine's /etc/fuse.conf
        Err(error) => panic!("{error}"),
    }
}
