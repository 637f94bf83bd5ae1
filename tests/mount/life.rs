//! From `hv mount` to `hv umount`: who keeps a mount busy, what ends it, and what the vault knows of it.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use super::kernel::{Guard, Mount, can_mount, foreground, is_running, until};
use super::{desk, noise};
use crate::cli::{Desk, entries};

#[test]
fn a_busy_mount_says_who_uses_it_and_force_ends_it_all_the_same() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let mount = Mount::new(&desk, "mnt", "main");
    let mut sleeper = desk.command("sleep");
    let sleeper = Guard(sleeper.arg("1000").current_dir(&mount.path).spawn().unwrap());
    let who = format!("sleep (pid {})", sleeper.0.id());
    desk.hv(["umount", "mnt"]).fails(1, &["is in use by", &who, "--force"]);
    assert!(mount.path.join("one.txt").exists());
    let mut open = File::open(mount.path.join("big.bin")).unwrap();
    desk.hv(["umount", "--force", "mnt"]).ok();
    assert_eq!(entries(&mount.path), Vec::<String>::new());
    // What is open stays readable until it is closed; then the server ends.
    let mut content = Vec::new();
    open.read_to_end(&mut content).unwrap();
    assert!(content == super::sample()["big.bin"]);
    drop((open, sleeper));
    let pid = mount.pid();
    until("the serving process ends", || !is_running(pid));
}

/// A file is held open for a moment by whoever was started while it was open, until it becomes its own program.
#[test]
fn a_mount_that_is_busy_for_a_moment_is_waited_for() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let mount = Mount::new(&desk, "mnt", "main");
    let mut sleeper = desk.command("sleep");
    let mut sleeper = Guard(sleeper.arg("0.1").current_dir(&mount.path).spawn().unwrap());
    desk.hv(["umount", "mnt"]).ok();
    assert!(sleeper.0.wait().unwrap().success());
}

#[test]
fn who_unmounts_the_folder_he_is_in_is_told_so() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let mount = Mount::new(&desk, "mnt", "main");
    let mut inside = desk.command(crate::cli::HV);
    let output = inside.arg("umount").arg(&mount.path).current_dir(&mount.path).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("in use by this command"), "{said}");
    mount.end();
}

/// A server ends late when somebody else still has its mount, here another mount namespace.
#[test]
fn a_server_that_ends_late_leaves_the_next_mount_at_its_place_alone() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let first = desk.hv(["mount", "vault", "mnt@main", "--json"]).json()["pid"].as_u64().unwrap();
    let mut other = desk.command("unshare");
    other.args(["--mount", "--map-root-user", "sh", "-c", "echo ready && exec sleep 1000"]);
    let mut other = Guard(other.stdout(Stdio::piped()).spawn().unwrap());
    let mut ready = [0; 5];
    if other.0.stdout.take().unwrap().read_exact(&mut ready).is_err() {
        eprintln!("\n**** SKIPPED: no mount namespace here ****\n");
        desk.hv(["umount", "mnt"]).ok();
        return;
    }
    desk.hv(["umount", "mnt"]).ok();
    let second = Mount::new(&desk, "mnt", "main");
    assert!(is_running(first));
    drop(other);
    until("the first server ends", || !is_running(first));
    assert_eq!(fs::read(second.path.join("one.txt")).unwrap(), b"same");
    second.end();
}

#[test]
fn a_foreground_mount_ends_with_its_process() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let mut serving = foreground(&desk, "mnt@main");
        assert_eq!(fs::read(desk.path("mnt/one.txt")).unwrap(), b"same");
        kill_process(Pid::from_child(&serving.0), signal).unwrap();
        let status = serving.0.wait().unwrap();
        assert!(status.success(), "{signal:?}: {status}");
        assert_eq!(entries(&desk.path("mnt")), Vec::<String>::new(), "{signal:?}");
    }
    let mut serving = foreground(&desk, "mnt");
    desk.hv(["umount", "mnt"]).ok();
    assert!(serving.0.wait().unwrap().success());
}

#[test]
fn a_killed_server_leaves_a_mount_that_can_be_ended() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let mount = Mount::new(&desk, "mnt", "main");
    let pid = Pid::from_raw(i32::try_from(mount.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    until("the mount is dead", || fs::read_dir(&mount.path).is_err());
    // A process that ends gives its files up one after the other.
    until("the lease is free", || desk.on(["status", "--json"]).json()["leases"] == serde_json::json!([]));
    let said = desk.hv(["mounts"]).ok().out;
    let advice =
        format!("its server has ended: `hv mount` there again, or `hv umount {}`", mount.path.display());
    assert!(said.contains(&advice), "{said}");
    desk.hv(["umount", "mnt"]).ok();
    let again = Mount::new(&desk, "mnt", "main");
    assert_eq!(fs::read(again.path.join("one.txt")).unwrap(), b"same");
    // The next mount ends a dead one by itself, also when somebody still has a file of it.
    let file = File::open(again.path.join("one.txt")).unwrap();
    let pid = Pid::from_raw(i32::try_from(again.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    until("the mount is dead", || fs::read_dir(&again.path).is_err());
    let next = Mount::new(&desk, "mnt", "main");
    assert_eq!(fs::read(next.path.join("one.txt")).unwrap(), b"same");
    drop(file);
    next.end();
}

/// Services that come back after a crash, or a user and a service: all at once. One of them serves, the others are told so.
#[test]
fn of_many_that_mount_over_a_dead_one_at_once_one_stays_mounted() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let first = Mount::new(&desk, "mnt", "main");
    let mut pid = i32::try_from(first.pid()).unwrap();
    for round in 0..4 {
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        until("the mount is dead", || fs::read_dir(desk.path("mnt")).is_err());
        let start = |_| {
            let mut command = desk.command(crate::cli::HV);
            command
                .args(["mount", "--json", "vault", "mnt@main"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let started: Vec<_> = (0..6).map(start).collect();
        let ended: Vec<_> = started.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        let (served, refused): (Vec<_>, Vec<_>) = ended.iter().partition(|output| output.status.success());
        assert_eq!(served.len(), 1, "round {round}: {ended:#?}");
        for output in refused {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("is already mounted at"), "round {round}: {said}");
        }
        assert_eq!(fs::read(desk.path("mnt/one.txt")).unwrap(), b"same", "round {round}");
        let about: serde_json::Value = serde_json::from_slice(&served[0].stdout).unwrap();
        pid = i32::try_from(about["pid"].as_i64().unwrap()).unwrap();
    }
    desk.hv(["umount", "mnt"]).ok();
    assert_eq!(entries(&desk.path("mnt")), Vec::<String>::new(), "another one was below");
}

#[test]
fn a_mount_holds_a_lease_while_it_lives() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let mount = Mount::new(&desk, "mnt", "HEAD~1");
    let leases = desk.on(["status", "--json"]).json()["leases"].clone();
    assert_eq!(leases.as_array().unwrap().len(), 1, "{leases}");
    assert_eq!((&leases[0]["commit"], &leases[0]["pid"]), (&mount.about["commit"], &mount.about["pid"]));
    let text = desk.on(["status"]).ok().out;
    assert!(text.contains(&format!("in use by process {}: mount ", mount.pid())), "{text}");
    assert!(text.contains(&mount.path.display().to_string()), "the lease does not say where: {text}");
    mount.end();
    assert_eq!(desk.on(["status", "--json"]).json()["leases"], serde_json::json!([]));
    assert_eq!(entries(&desk.path("vault/leases")), Vec::<String>::new());
}

#[test]
fn a_background_mount_holds_no_folder_and_no_pipe_of_who_started_it() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let mut command = desk.command(crate::cli::HV);
    command.args(["mount", "vault", "mnt", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Both pipes come to their end although the server lives on.
    let run: crate::cli::Run = command.output().unwrap().into();
    let pid = run.json()["pid"].as_u64().unwrap();
    assert!(is_running(pid));
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).unwrap();
    assert_eq!(cwd, std::path::Path::new("/"), "the folder it was started in cannot be unmounted");
    desk.hv(["umount", "mnt"]).ok();
}

#[test]
fn a_vault_that_cannot_be_written_is_listed_read_verified_and_mounted() {
    if !can_mount() {
        return;
    }
    let desk = Desk::new();
    desk.commit_file("f", noise(4, 300_000));
    fs::create_dir(desk.path("mnt")).unwrap();
    // Root may write anything, so the folder itself is made read-only for it by a mount of its own.
    let script = "mount --bind vault vault && mount -o remount,ro,bind vault && \
        ! touch vault/x && $HV -C vault log && $HV -C vault ls-tree && $HV -C vault status && \
        $HV -C vault verify --full && $HV -C vault cat :f | cmp - in/f && \
        $HV mount vault mnt@main && cmp mnt/f in/f && $HV umount mnt && \
        ! $HV -C vault commit -m no --delete f";
    let mut shell = desk.command("unshare");
    shell.args(["--mount", "--map-root-user", "sh", "-ec", script]).env("HV", crate::cli::HV);
    let run: crate::cli::Run = shell.output().unwrap().into();
    if run.err.contains("unshare: ") || run.err.contains("mount: ") {
        eprintln!("\n**** SKIPPED: no mount namespace here: {} ****\n", run.err);
        return;
    }
    assert!(run.ok().err.contains("ead-only file system"));
}

#[test]
fn a_vault_another_user_owns_is_mounted_without_a_lease() {
    if !can_mount() || rustix::process::geteuid().is_root() {
        return;
    }
    let desk = desk();
    for folder in ["", "leases", "locks"] {
        let path = desk.path("vault").join(folder);
        fs::set_permissions(path, fs::Permissions::from_mode(0o555)).unwrap();
    }
    Mount::new(&desk, "mnt", "main").end();
}

#[test]
fn what_a_branch_was_can_be_mounted() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    desk.commit_file("one.txt", "later");
    for (target, content) in [("mnt@main@{1}", "same"), ("mnt@@{1}", "same"), ("mnt@main@{now}", "later")] {
        let about = desk.hv(["mount", "vault", target, "--json"]).json();
        let mount = Guarded(&desk);
        assert_eq!(fs::read_to_string(desk.path("mnt/one.txt")).unwrap(), content, "{target}");
        assert!(!about["revision"].as_str().unwrap().contains("now"), "{about}");
        drop(mount);
    }
}

/// Unmounts at the end.
struct Guarded<'a>(&'a Desk);

impl Drop for Guarded<'_> {
    fn drop(&mut self) {
        self.0.hv(["umount", "mnt"]);
    }
}

/// What a mount reads is stored another way meanwhile: it goes on reading, and what it held is freed after it.
#[test]
fn a_mount_reads_on_while_what_it_shows_is_stored_again() {
    if !can_mount() {
        return;
    }
    let desk = Desk::new();
    let content = crate::cli::compression::weights(1 << 20);
    desk.commit_file("w.bin", &content);
    let mount = Mount::new(&desk, "mnt", "main");
    let mut open = File::open(mount.path.join("w.bin")).unwrap();
    let mut found = vec![0; 1000];
    open.read_exact(&mut found).unwrap();
    let said = desk.on(["optimize", "--json"]).json();
    assert!(
        said["saved_size"].as_i64().unwrap() > 0 && said["reclaimed_size"].as_i64().unwrap() < 0,
        "{said}"
    );
    open.read_to_end(&mut found).unwrap();
    assert!(found == content);
    drop(open);
    assert!(fs::read(mount.path.join("w.bin")).unwrap() == content);
    // A mount made now reads what is stored now.
    let later = Mount::new(&desk, "later", "main");
    assert!(fs::read(later.path.join("w.bin")).unwrap() == content);
    later.end();
    mount.end();
    let freed = desk.on(["gc", "--json"]).json();
    assert!(
        freed["reclaimed_chunk_size"].as_i64().unwrap() >= i64::try_from(content.len()).unwrap(),
        "{freed}"
    );
    assert!(desk.content(":w.bin") == content);
}
