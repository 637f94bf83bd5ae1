//! `hv download`, `hv snapshot` and `hv upload` beyond what the statements of `tests/seed/files.rs` ask for: being killed, two at
//! once, ignore files as Git reads them, what they print.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use super::{Desk, HV, entries, feed};
use crate::samples::noise;

#[test]
fn a_killed_download_leaves_whole_files_and_the_next_one_finishes() {
    let desk = Desk::new();
    for n in 0..3 {
        desk.write(&format!("in/d/{n}.bin"), noise(n, 24 << 20));
    }
    desk.write("in/a", "a");
    desk.commit(["--add", ".=in"]);
    let mut command = desk.command(HV);
    command.args(["-C", "vault", "snapshot", "--local-dir", "out"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let tmp = desk.path("out/.cache/hubvault/tmp");
    let mut tries = 0;
    let under_way = || fs::read_dir(&tmp).is_ok_and(|mut names| names.next().is_some());
    while tries < 5000 && !under_way() {
        std::thread::sleep(std::time::Duration::from_millis(1));
        tries += 1;
    }
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success(), "killed too late to show anything");
    let whole = |name: &str| {
        let path = desk.path("out").join(name);
        !path.exists() || fs::read(path).unwrap() == fs::read(desk.path("in").join(name)).unwrap()
    };
    assert!(["a", "d/0.bin", "d/1.bin", "d/2.bin"].into_iter().all(whole));
    // What it had put in place belongs to the download, also when the next one is of another revision.
    desk.commit(["--delete", "a", "--delete", "d/2.bin"]);
    desk.on(["snapshot", "--local-dir", "out"]).ok();
    assert_eq!(entries(&desk.path("out")), [".cache", "d"]);
    assert_eq!(entries(&desk.path("out/d")), ["0.bin", "1.bin"]);
    assert_eq!(entries(&desk.path("out/.cache/hubvault")), [".gitignore", "lock", "manifest"]);
    assert!(whole("d/0.bin") && whole("d/1.bin"));
}

#[test]
fn two_downloads_at_once_do_not_disturb_each_other() {
    let desk = Desk::new();
    for n in 0..40 {
        desk.write(&format!("in/{n}"), n.to_string().repeat(1000));
    }
    desk.commit(["--add", ".=in"]);
    for args in [&["snapshot"][..], &["snapshot", "--local-dir", "out"], &["download", "7"]] {
        let children: Vec<_> = (0..4)
            .map(|_| {
                let mut command = desk.command(HV);
                command.args(["-C", "vault"]).args(args).stdout(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        let outputs: Vec<_> = children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        assert!(outputs.iter().all(|output| output.status.success() && output.stdout == outputs[0].stdout));
    }
    let folder = PathBuf::from(desk.on(["snapshot"]).text());
    for folder in [folder, desk.path("out")] {
        assert_eq!(fs::read(folder.join("39")).unwrap(), "39".repeat(1000).as_bytes());
    }
}

#[test]
fn ignore_files_mean_what_they_mean_to_git() {
    let desk = Desk::new();
    let rules =
        "*.log\n!keep.log\n/top\nbuild/\n**/cache/**\n# note\n\\#file\na/*/z\n!a/b/z\nsp\\ \n[x-z]?.txt\n";
    let names = [
        "x.log",
        "keep.log",
        "top",
        "d/top",
        "build/a",
        "d/build/b",
        "d/build2",
        "cache/q",
        "d/cache/e/f",
        "#file",
        "a/b/z",
        "a/c/z",
        "a/b/c/z",
        "sp ",
        "xy.txt",
        "wy.txt",
        "d/e/deep.log",
        "d/e/keep.log",
        "d/own",
        "d/other",
    ];
    for name in names.into_iter().filter(|name| !name.ends_with(' ')) {
        desk.write(&format!("in/{name}"), "1");
    }
    desk.write("in/.gitignore", rules);
    desk.write("in/d/.gitignore", "own\n!e/deep.log\n");
    desk.on(["upload", "in", "--respect-ignore"]).ok();
    let git = |args: &[&str]| {
        let mut command = desk.command("git");
        command.args(["-C", "in"]).args(args);
        command
    };
    assert!(git(&["init", "-q"]).status().unwrap().success());
    let mut wanted: Vec<String> = feed(git(&["ls-files", "-co", "--exclude-standard", "-z"]), b"")
        .ok()
        .out
        .split_terminator('\0')
        .map(str::to_owned)
        .collect();
    wanted.sort();
    assert!(wanted.len() > 5 && wanted.len() < names.len(), "{wanted:?}");
    assert_eq!(desk.files("HEAD"), wanted);
    // `.hvignore` says the same for hubvault alone, and neither counts unless asked.
    desk.write("in/.hvignore", "wy.txt\n");
    desk.on(["upload", "in", "again", "--respect-ignore"]).ok();
    let files = desk.files("HEAD");
    assert!(files.contains(&"wy.txt".to_owned()) && !files.contains(&"again/wy.txt".to_owned()));
    desk.on(["upload", "in", "all"]).ok();
    assert!(desk.files("HEAD").contains(&"all/x.log".to_owned()));
}

#[test]
fn a_vault_that_cannot_be_written_is_downloaded_from() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    fs::remove_dir(desk.path("vault/cache")).unwrap();
    desk.write("vault/cache", "no folder can be made here");
    desk.on(["download", "f"]).fails(1, &["cache", "--local-dir"]);
    desk.on(["download", "f", "--local-dir", "out"]).ok();
    assert_eq!(fs::read(desk.path("out/f")).unwrap(), b"1");
}

#[cfg(unix)]
#[test]
fn modes_and_links_come_out_as_they_went_in() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    let desk = Desk::new();
    let run = desk.write("in/bin/run", "#!/bin/sh\n");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
    desk.write("in/bin/plain", "1");
    symlink("bin/run", desk.path("in/link")).unwrap();
    desk.commit(["--add", ".=in"]);
    let folder = PathBuf::from(desk.on(["snapshot"]).text());
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().mode() & 0o777;
    assert_eq!((mode("bin/run") & 0o700, mode("bin/plain") & 0o700), (0o700, 0o600));
    assert_eq!(fs::read_link(folder.join("link")).unwrap(), PathBuf::from("bin/run"));
    let other = desk.on(["download", "bin/run"]).text();
    assert_eq!(fs::metadata(&other).unwrap().mode() & 0o700, 0o700);
    // A copy is private: what is done to one is not done to another, nor to the vault.
    fs::write(&other, "mine").unwrap();
    assert_eq!(fs::read(folder.join("bin/run")).unwrap(), b"#!/bin/sh\n");
    assert_eq!(fs::metadata(folder.join("bin/run")).unwrap().nlink(), 1);
    desk.on(["verify", "--full"]).ok();
}

#[test]
fn what_was_asked_for_by_name_or_was_there_before_is_not_taken_away() {
    let desk = Desk::new();
    for name in ["a", "b", "c", "d/e", "README.md"] {
        desk.commit_file(name, name);
    }
    // One call after another into one folder.
    desk.on(["download", "a", "b", "--local-dir", "out"]).ok();
    desk.on(["download", "c", "d", "--local-dir", "out"]).ok();
    desk.on(["download", "d", "--local-dir", "out"]).ok();
    for name in ["a", "b", "c", "d/e"] {
        assert!(desk.path("out").join(name).exists(), "{name} was taken away");
    }
    // A file of the user's own that equals a committed one, and goes from the revision.
    desk.write("out/README.md", "README.md");
    desk.on(["snapshot", "--local-dir", "out"]).ok();
    desk.on(["rm", "README.md", "a", "-m", "x"]).ok();
    desk.on(["snapshot", "--local-dir", "out"]).ok();
    assert!(desk.path("out/README.md").exists() && desk.path("out/a").exists());
}

#[test]
fn what_was_changed_here_is_not_replaced_without_a_word() {
    let desk = Desk::new();
    let version = |n: u32| {
        for name in ["ours", "edited", "theirs"] {
            desk.write(&format!("in/{name}"), format!("{name} {n}"));
        }
        desk.commit(["--add", ".=in"]);
    };
    version(1);
    desk.write("out/theirs", "mine");
    let warned = |run: super::Run| -> serde_json::Value { run.json()["warnings"].clone() };
    let snapshot = || warned(desk.on(["snapshot", "--local-dir", "out", "--json"]));
    assert_eq!(
        snapshot(),
        serde_json::json!(["replaced what was changed here, or not from a vault: `theirs`"])
    );
    assert_eq!(snapshot(), serde_json::json!([]), "all of it is a copy now");
    version(2);
    assert_eq!(snapshot(), serde_json::json!([]), "a newer version takes the place of an older one");
    desk.write("out/edited", "by hand");
    version(3);
    assert_eq!(
        snapshot(),
        serde_json::json!(["replaced what was changed here, or not from a vault: `edited`"])
    );
    assert_eq!(fs::read(desk.path("out/edited")).unwrap(), b"edited 3");
}

/// Also when the download ends early, here because somebody's folder is where a file goes.
#[test]
fn what_was_replaced_is_said_before_why_the_rest_failed() {
    let desk = Desk::new();
    desk.write("in/a", "ours");
    desk.write("in/b", noise(1, 4 << 20));
    desk.commit(["--add", ".=in"]);
    for json in [false, true] {
        desk.write("out/a", "mine");
        desk.write("out/b/mine", "");
        let more = if json { &["--json"][..] } else { &[] };
        let run = desk.on([&["snapshot", "--local-dir", "out"], more].concat());
        assert_eq!(fs::read(desk.path("out/a")).unwrap(), b"ours");
        let warning = run.err.find("replaced what was changed here, or not from a vault: `a`");
        let error = run.err.find(if json { "\"error\"" } else { "error: " });
        assert!(run.code == Some(1) && warning.is_some() && warning < error, "{run:?}");
    }
}

#[cfg(unix)]
#[test]
fn an_executable_bit_that_changed_is_given_to_the_copy() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    let local = desk.write("run.sh", "#!/bin/sh\n");
    desk.commit(["run.sh"]);
    desk.on(["snapshot", "--local-dir", "out"]).ok();
    desk.on(["snapshot", "--local-dir", "out"]).ok();
    fs::set_permissions(&local, fs::Permissions::from_mode(0o755)).unwrap();
    desk.commit(["run.sh"]);
    desk.on(["snapshot", "--local-dir", "out"]).ok();
    let mode = fs::metadata(desk.path("out/run.sh")).unwrap().permissions().mode();
    assert!(mode & 0o111 != 0, "{mode:o}");
}

#[test]
fn notes_that_were_never_finished_are_in_nobodys_way() {
    let desk = Desk::new();
    desk.commit_file("a", "1");
    desk.on(["snapshot", "--local-dir", "out"]).ok();
    desk.write("out/.cache/hubvault/manifest.new", "half");
    desk.commit_file("b", "2");
    desk.on(["snapshot", "--local-dir", "out"]).ok();
    assert!(desk.path("out/b").exists() && !desk.path("out/.cache/hubvault/manifest.new").exists());
}

#[test]
fn a_snapshot_names_its_revision_with_or_without_an_option() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    desk.on(["tag", "v1"]).ok();
    desk.commit_file("f", "2");
    for words in [&["snapshot", "v1"][..], &["snapshot", "-r", "v1"]] {
        let folder = desk.on(words).text();
        assert_eq!(fs::read(std::path::Path::new(&folder).join("f")).unwrap(), b"1");
    }
    desk.on(["snapshot", "v1", "-r", "main"]).fails(2, &["cannot be used with"]);
}
