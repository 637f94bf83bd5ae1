//! Passthrough for an ordinary user, by way of the helper `hubvault-passthrough`: that it works where it is
//! installed, that mounts stream where it is not or no longer there, and that it refuses whatever is not its task.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::kernel::until;
use super::sample;
use super::users::{as_nobody, nobody};
use crate::cli::{Desk, HV};

/// A desk of nobody's, with the helper beside `hv`, which has its capability unless told otherwise.
fn with_helper(capable: bool) -> Option<Desk> {
    let desk = nobody()?;
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    let program = Path::new(HV).with_file_name("hubvault-passthrough");
    let setcap = Command::new("setcap").arg("-h").output().is_ok();
    if !setcap || !program.exists() {
        assert!(!in_ci, "needs setcap (package libcap2-bin), and the helper, built with --workspace");
        eprintln!("\n**** SKIPPED: needs setcap, and the helper, built with --workspace ****\n");
        return None;
    }
    fs::copy(program, desk.path("hubvault-passthrough")).unwrap();
    if capable {
        let set = desk.command("setcap").args(["cap_sys_admin+ep", "hubvault-passthrough"]).status();
        assert!(set.unwrap().success());
    }
    Some(desk)
}

fn figures(desk: &Desk) -> serde_json::Value {
    let listed = as_nobody(desk, &["./hv", "mounts", "--json"]).json();
    let path = desk.path("mnt").display().to_string();
    listed.as_array().unwrap().iter().find(|entry| entry["mountpoint"] == path.as_str()).unwrap().clone()
}

fn read_all(desk: &Desk) {
    for (name, content) in sample() {
        let read = as_nobody(desk, &["cat", &format!("mnt/{name}")]).ok().bytes;
        assert!(read == content, "{name}");
    }
}

/// The helper of a mount, by its parent.
fn helper_of(pid: u64) -> Option<Pid> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| task.unwrap().path());
    let of_threads = threads.map(|task| fs::read_to_string(task.join("children")).unwrap_or_default());
    let all: Vec<i32> = std::iter::once(children)
        .chain(of_threads)
        .flat_map(|text| text.split_whitespace().map(|word| word.parse().unwrap()).collect::<Vec<i32>>())
        .collect();
    all.first().and_then(|pid| Pid::from_raw(*pid))
}

#[test]
fn an_ordinary_user_has_large_files_passed_through_by_the_helper() {
    let Some(desk) = with_helper(true) else { return };
    as_nobody(&desk, &["./hv", "mount", "vault", "mnt@main"]).ok();
    read_all(&desk);
    let about = figures(&desk);
    assert_eq!(about["mode"], "passthrough", "{about}");
    assert!(about["files_passed_through"].as_u64().unwrap() >= 1, "{about}");
    // It has one capability, put away, and nothing can be gained by it.
    let helper = helper_of(about["pid"].as_u64().unwrap()).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", helper.as_raw_nonzero())).unwrap();
    let field =
        |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned();
    let only_sys_admin = format!("{:016x}", 1u64 << 21);
    assert_eq!(field("CapPrm:"), only_sys_admin);
    for empty in ["CapEff:", "CapInh:", "CapAmb:"] {
        assert_eq!(field(empty), "0".repeat(16), "{empty}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    // Without the helper, what is opened from now on streams.
    let streamed = figures(&desk)["bytes_streamed"].as_u64().unwrap();
    kill_process(helper, Signal::KILL).unwrap();
    read_all(&desk);
    let about = figures(&desk);
    assert_eq!(about["mode"], "streaming", "{about}");
    assert!(about["bytes_streamed"].as_u64().unwrap() > streamed, "{about}");
    as_nobody(&desk, &["./hv", "umount", "mnt"]).ok();
    let pid = about["pid"].as_u64().unwrap();
    until("the serving process ends", || !super::kernel::is_running(pid));
}

#[test]
fn a_helper_without_its_capability_leaves_a_mount_that_streams() {
    let Some(desk) = with_helper(false) else { return };
    as_nobody(&desk, &["./hv", "mount", "vault", "mnt@main"]).ok();
    read_all(&desk);
    assert_eq!(figures(&desk)["mode"], "streaming");
    as_nobody(&desk, &["./hv", "umount", "mnt"]).ok();
}

#[test]
fn the_helper_ends_with_the_mount() {
    let Some(desk) = with_helper(true) else { return };
    as_nobody(&desk, &["./hv", "mount", "vault", "mnt@main"]).ok();
    read_all(&desk);
    let helper = helper_of(figures(&desk)["pid"].as_u64().unwrap()).unwrap();
    as_nobody(&desk, &["./hv", "umount", "mnt"]).ok();
    let raw = u64::try_from(helper.as_raw_nonzero().get()).unwrap();
    until("the helper ends", || !super::kernel::is_running(raw));
}

#[test]
fn the_helper_refuses_whatever_is_not_its_task() {
    let Some(desk) = with_helper(true) else { return };
    let script = fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mount/helper.py")).unwrap();
    let script = desk.write("helper.py", script);
    let run =
        as_nobody(&desk, &[super::posix::PYTHON, &script.display().to_string(), "./hubvault-passthrough"]);
    assert_eq!(run.ok().out, "all refused\n");
}
