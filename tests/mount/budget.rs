//! Memory and modes: what `hv mounts` says of a mount, and that `--cache-size` is kept.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use serde_json::Value;

use super::kernel::{Mount, can_mount};
use super::{desk, noise, sample};
use crate::cli::Desk;

const MIB: u64 = 1 << 20;
/// Code, threads, buffers and what the allocator keeps, beside the cache.
const REST: u64 = 48 * MIB;

pub(crate) fn about(desk: &Desk, mount: &Mount<'_>) -> Value {
    let listed = desk.hv(["mounts", "--json"]).json();
    let path = mount.path.display().to_string();
    let found = listed.as_array().unwrap().iter().find(|entry| entry["mountpoint"] == path.as_str());
    found.unwrap().clone()
}

fn peak(pid: u64) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[test]
fn random_reads_by_many_threads_stay_within_the_cache_size() {
    if !can_mount() {
        return;
    }
    let desk = Desk::new();
    let content = noise(5, 96 << 20);
    desk.commit_file("big.bin", &content);
    let mount = Mount::with(&desk, "mnt", "main", &["--no-passthrough", "--cache-size", "16MiB"]);
    let content = &content;
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let file = File::open(mount.path.join("big.bin")).unwrap();
            scope.spawn(move || {
                for word in noise(40 + thread, 4 * 150).chunks(4) {
                    let at = u32::from_le_bytes(word.try_into().unwrap()) as usize % (content.len() - 5000);
                    let mut buffer = [0; 5000];
                    file.read_exact_at(&mut buffer, at as u64).unwrap();
                    assert!(buffer == content[at..at + 5000], "at {at}");
                }
            });
        }
    });
    let about = about(&desk, &mount);
    assert_eq!((&about["mode"], &about["pid"]), (&"streaming".into(), &mount.about["pid"]));
    assert!(about["bytes_streamed"].as_u64().unwrap() > 0, "{about}");
    assert!(about["cache_bytes"].as_u64().unwrap() <= 16 * MIB, "{about}");
    let peak = peak(mount.pid());
    assert!(peak < 16 * MIB + REST, "{} MiB", peak / MIB);
    mount.end();
}

/// Opens cost a question and an answer each; they are asked for only where a file may be passed through.
#[test]
fn opens_are_answered_where_files_may_be_passed_through() {
    if !can_mount() {
        return;
    }
    let small = Desk::new();
    small.commit_file("a.txt", "a");
    small.commit_file("b.txt", "b");
    for (options, opens) in [(&[][..], 0), (&["--opens", "always"], 1), (&["--opens", "never"], 0)] {
        let mount = Mount::with(&small, "mnt", "main", options);
        assert_eq!(fs::read(mount.path.join("a.txt")).unwrap(), b"a");
        let about = about(&small, &mount);
        assert_eq!(about["opens"], opens, "{options:?}: {about}");
        mount.end();
    }
    let large = desk();
    let root = rustix::process::geteuid().is_root();
    let mount = Mount::new(&large, "mnt", "main");
    let about_large = about(&large, &mount);
    assert_eq!(about_large["opens"], u64::from(root), "{about_large}");
    assert_eq!(about_large["mode"], if root { "passthrough" } else { "streaming" }, "{about_large}");
    assert!(fs::read(mount.path.join("large.safetensors")).unwrap() == sample()["large.safetensors"]);
    let passed = about(&large, &mount)["files_passed_through"].as_u64().unwrap();
    assert_eq!(passed, u64::from(root));
    mount.end();
}

/// More files read at once than handles are kept for mounts without opens.
#[test]
fn hundreds_of_files_are_read_at_once_without_being_opened() {
    if !can_mount() {
        return;
    }
    let desk = Desk::new();
    for n in 0..700 {
        desk.write(&format!("in/{n:03}"), n.to_string());
    }
    desk.commit(["--add", ".=in"]);
    let mount = Mount::with(&desk, "mnt", "main", &["--opens", "never"]);
    let path = &mount.path;
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                let files: Vec<File> =
                    (0..700).map(|n| File::open(path.join(format!("{n:03}"))).unwrap()).collect();
                for n in (0..700).map(|n| (n * 37 + thread * 11) % 700) {
                    assert_eq!(fs::read(path.join(format!("{n:03}"))).unwrap(), n.to_string().as_bytes());
                }
                drop(files);
            });
        }
    });
    mount.end();
}

#[test]
fn all_mounts_are_ended_at_once_but_busy_ones() {
    if !can_mount() {
        return;
    }
    // In a mount namespace of its own, so that no other test's mount is ended.
    let desk = desk();
    let script = "mkdir one two && \"$1\" mount vault one@main && \"$1\" mount vault two@main && \"$1\" mounts && \
        (cd one && ! \"$1\" umount --all) && test -e one/one.txt && test ! -e two/one.txt && \
        \"$1\" umount --all && test -z \"$(\"$1\" mounts)\" && \
        \"$1\" mount vault one@main && \"$1\" mount vault two@main && ! \"$1\" umount one nowhere two && \
        test -z \"$(\"$1\" mounts)\"";
    let mut shell = desk.command("unshare");
    let run = shell.args(["--mount", "sh", "-ec", script, "sh", crate::cli::HV]).output().unwrap();
    let run = crate::cli::Run::from(run);
    if run.err.contains("unshare: ") {
        eprintln!("\n**** SKIPPED: no mount namespace here: {} ****\n", run.err);
        return;
    }
    let run = run.ok();
    assert!(run.out.contains("pid ") && run.err.contains("is in use by"), "{run:?}");
}
