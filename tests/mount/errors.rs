//! What `hv mount` says when it cannot, and how it reads its target.

use std::fs;

use super::desk;
use super::kernel::{Mount, can_mount};
use crate::cli::{Run, entries};

#[test]
fn every_refusal_is_one_sentence_that_says_what_to_do() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let mount = |args: &[&str]| desk.hv(["mount"].iter().chain(args));
    desk.write("full/file", "1");
    desk.write("file", "1");
    mount(&["vault", "absent"]).fails(6, &["absent does not exist", "mkdir -p"]);
    mount(&["vault", "full"]).fails(6, &["full is not empty"]);
    mount(&["vault", "file"]).fails(6, &["file is not a directory"]);
    mount(&["vault", "mnt@nowhere"]).fails(3, &["`nowhere` not found", "hv branch"]);
    mount(&["vault", "mnt", "--revision", "a..b"]).fails(3, &["a..b"]);
    mount(&["full", "mnt"]).fails(3, &["full", "no vault here", "hv init"]);
    mount(&["absent", "mnt"]).fails(3, &["absent", "no vault here"]);
    mount(&["vault"]).fails(3, &["no vault here", "hv mount VAULT MOUNTPOINT"]);
    mount(&["vault", "mnt@"]).fails(2, &["no revision after the `@`", "--revision"]);
    mount(&["vault", "@main"]).fails(2, &["no folder before the `@`"]);
    mount(&["vault", "mnt", "--cache-size", "much"]).fails(2, &["10MiB"]);
    assert_eq!(entries(&desk.path("mnt")), Vec::<String>::new());
    assert_eq!(desk.on(["status", "--json"]).json()["leases"], serde_json::json!([]));
    for flag in ["--foreground", "--json"] {
        let run = mount(&["vault", "absent", flag]).fails(6, &["mkdir -p"]);
        assert_eq!(run.err.lines().count(), 1, "{}", run.err);
    }
}

#[test]
fn a_second_mount_on_the_same_folder_is_refused_and_harms_nothing() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let first = Mount::new(&desk, "mnt", "main");
    desk.hv(["mount", "vault", "mnt@HEAD~1"]).fails(6, &["already mounted", "hv umount"]);
    assert_eq!(fs::read(first.path.join("one.txt")).unwrap(), b"same");
    first.end();
}

#[test]
fn the_last_at_sign_separates_the_revision_unless_it_is_given_apart() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    fs::create_dir(desk.path("a@b")).unwrap();
    let about = desk.hv(["mount", "vault", "a@b@HEAD~1", "--json"]).json();
    assert_eq!(about["revision"], "HEAD~1");
    assert_eq!(entries(&desk.path("a@b")), Vec::<String>::new());
    desk.hv(["umount", "a@b"]).ok();
    desk.hv(["mount", "vault", "a@b"]).fails(3, &["`b` not found"]);
    desk.hv(["mount", "vault", "a@b", "--revision", "main"]).ok();
    assert_eq!(fs::read(desk.path("a@b/one.txt")).unwrap(), b"same");
    desk.hv(["umount", "a@b"]).ok();
    desk.hv(["mount", "vault", "mnt@refs/heads/main"]).ok();
    desk.hv(["umount", "mnt/"]).ok();
}

#[test]
fn a_device_that_is_missing_or_closed_says_how_to_open_it() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    // In a mount namespace of its own, with another /dev/fuse or none: nobody else notices.
    let missing = "mkdir dev && mknod -m 666 dev/null c 1 3 && mount --bind dev /dev && $HV mount vault mnt";
    let mut shell = desk.command("unshare");
    shell.args(["--mount", "sh", "-ec", missing]).env("HV", crate::cli::HV);
    let run: Run = shell.output().unwrap().into();
    if run.err.contains("unshare: ") || run.err.contains("mount: ") || run.err.contains("mknod: ") {
        eprintln!("\n**** SKIPPED: no mount namespace here: {} ****\n", run.err);
        return;
    }
    run.fails(6, &["/dev/fuse does not exist", "modprobe fuse", "--device /dev/fuse"]);
}
