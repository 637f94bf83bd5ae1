//! Parts of a revision, followed branches and whole vaults, through a real mount.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::kernel::{Guard, can_mount, until};
use super::{desk, noise, sample};
use crate::cli::{Desk, Run, entries};

/// A mount made with other words than `--revision`; ended when dropped.
pub(super) struct View<'a>(&'a Desk);

impl<'a> View<'a> {
    #[track_caller]
    pub(super) fn new(desk: &'a Desk, target: &str, options: &[&str]) -> (Self, serde_json::Value) {
        fs::create_dir_all(desk.path("mnt")).unwrap();
        let about = desk.hv(["mount", "vault", target, "--json"].iter().chain(options)).json();
        (Self(desk), about)
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        self.0.hv(["umount", "--force", "mnt"]);
    }
}

fn leases(desk: &Desk) -> usize {
    desk.on(["status", "--json"]).json()["leases"].as_array().unwrap().len()
}

#[test]
fn a_part_of_a_revision_is_mounted() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let (view, about) = View::new(&desk, "mnt@main", &["--path", "a/b/"]);
    assert_eq!(entries(&desk.path("mnt")), ["c"]);
    assert_eq!(fs::read(desk.path("mnt/c/d/deep.txt")).unwrap(), b"deep");
    assert_eq!(about["path"], "a/b");
    let listed = desk.hv(["mounts", "--json"]).json();
    let here = desk.path("mnt").display().to_string();
    let of_ours =
        listed.as_array().unwrap().iter().find(|mount| mount["mountpoint"] == here.as_str()).unwrap();
    assert_eq!((&of_ours["revision"], &of_ours["path"]), (&"main".into(), &"a/b".into()));
    drop(view);
    desk.hv(["mount", "vault", "mnt@main", "--path", "no/where"]).fails(3, &["`no/where` is not in main"]);
    desk.hv(["mount", "vault", "mnt@main", "--path", "../vault"]).fails(3, &["../vault"]);
    desk.hv(["mount", "vault", "mnt@main", "--path", "one.txt"]).fails(1, &["one.txt", "not a folder"]);
    desk.hv(["mount", "vault", "mnt", "--path", "a"]).fails(2, &["MOUNTPOINT@REVISION"]);
    desk.hv(["mount", "vault", "mnt@main", "--follow", "main"])
        .fails(2, &["--follow", "leave the revision out"]);
    desk.hv(["mount", "vault", "mnt", "--follow", "nowhere"]).fails(3, &["nowhere", "no such branch"]);
    desk.hv(["mount", "vault", "mnt", "--follow", "main", "--path", "x"]).fails(3, &["`x` is not in main"]);
    assert_eq!(leases(&desk), 0);
}

#[test]
fn a_whole_vault_is_browsed() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let first = desk.head();
    desk.on(["branch", "team/fast"]).ok();
    desk.on(["tag", "v1"]).ok();
    let (_view, about) = View::new(&desk, "mnt", &[]);
    assert_eq!((&about["revision"], &about["commit"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    let text = desk.hv(["mounts"]).ok().out;
    let source = format!("{} on {}\n", desk.path("vault").display(), desk.path("mnt").display());
    assert!(text.contains(&source), "{text}");
    let mnt = desk.path("mnt");
    assert_eq!(entries(&mnt), ["HEAD", "README.txt", "branches", "by-date", "commits", "tags"]);
    let tops = ["branches/main", "branches/team/fast", "tags/v1", "HEAD", &format!("commits/{first}")];
    let mut inodes = Vec::new();
    for top in tops {
        for (name, content) in sample() {
            assert!(fs::read(mnt.join(top).join(name)).unwrap() == content, "{top} {name}");
            inodes.push((fs::metadata(mnt.join(top).join(name)).unwrap().ino(), top == "HEAD"));
        }
    }
    inodes.retain(|(_, is_link)| !is_link);
    let count = inodes.len();
    inodes.sort_unstable();
    inodes.dedup();
    assert_eq!(inodes.len(), count, "two paths share a number");
    let error = fs::write(mnt.join("branches/main/one.txt"), "x").unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(fs::create_dir(mnt.join("tags/v2")).unwrap_err().kind(), io::ErrorKind::ReadOnlyFilesystem);
    // All of it moves on by itself.
    assert!(!mnt.join("branches/main/new").exists() && !mnt.join("tags/v2").exists());
    let open = fs::read_dir(mnt.join("branches/main")).unwrap();
    let second = desk.commit_file("new", "2");
    desk.on(["tag", "v2"]).ok();
    assert_eq!(fs::read(mnt.join("branches/main/new")).unwrap(), b"2");
    assert_eq!(fs::read(mnt.join("tags/v2/new")).unwrap(), b"2");
    assert_eq!(fs::read(mnt.join(format!("commits/{second}/new"))).unwrap(), b"2");
    assert!(!mnt.join("tags/v1/new").exists());
    assert!(
        !open.map(|entry| entry.unwrap().file_name()).any(|name| name == "new"),
        "half of another commit"
    );
    assert_eq!(entries(&mnt.join("tags")), ["v1", "v2"]);
    desk.on(["tag", "-d", "v1"]).ok();
    desk.on(["branch", "-D", "team/fast"]).ok();
    assert_eq!(entries(&mnt.join("tags")), ["v2"]);
    assert_eq!(entries(&mnt.join("branches")), ["main"]);
    assert!(!mnt.join("tags/v1").exists());
    let days = entries(&mnt.join("by-date"));
    let links = entries(&mnt.join("by-date").join(days.last().unwrap()));
    assert!(links.iter().any(|link| link.ends_with(&second[..7])), "{links:?}");
    let link = mnt
        .join("by-date")
        .join(days.last().unwrap())
        .join(links.iter().find(|l| l.ends_with(&second[..7])).unwrap());
    assert_eq!(fs::read(link.join("new")).unwrap(), b"2");
}

/// What `hv mounts` and `hv mounts --json` say of the mount on `mnt`.
fn listed(desk: &Desk) -> (String, serde_json::Value) {
    let here = desk.path("mnt").display().to_string();
    let all = desk.hv(["mounts", "--json"]).json();
    let json = all.as_array().unwrap().iter().find(|mount| mount["mountpoint"] == here.as_str()).unwrap();
    let text = desk.hv(["mounts"]).ok().out;
    let at = text.lines().position(|line| line.ends_with(&format!(" on {here}"))).unwrap();
    (text.lines().nth(at + 1).unwrap().to_owned(), json.clone())
}

#[test]
fn mounts_say_which_commit_is_shown_and_whether_it_is_followed() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let first = desk.head();
    let ways: [(&str, &[&str], bool); 4] = [
        ("mnt@main", &[], false),
        ("mnt@main", &["--mtime", "last-change"], false),
        ("mnt", &["--follow", "main"], true),
        ("mnt", &[], false),
    ];
    for (at, (target, options, follows)) in ways.into_iter().enumerate() {
        let before = desk.head();
        let (_view, about) = View::new(&desk, target, options);
        let after = desk.commit_file("n", at.to_string());
        let (text, json) = listed(&desk);
        assert_eq!((&json["follow"], &about["follow"]), (&follows.into(), &follows.into()), "{json}");
        let said = if target == "mnt" && !follows {
            assert_eq!(json["commit"], serde_json::Value::Null);
            "the whole vault, as it moves; ".to_owned()
        } else {
            let shown = if follows { &after } else { &before };
            assert_eq!(&json["commit"], shown);
            let word = if follows { "follows the branch, now at" } else { "stays at" };
            format!("{word} {}; ", &shown[..7])
        };
        assert!(text.trim_start().starts_with(&said), "{text}");
    }
    assert_ne!(first, desk.head());
}

/// The kernel keeps the name `branches` for good, and must not keep its time with it.
#[test]
fn the_time_of_a_folder_that_is_made_up_goes_on() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    let (_view, _) = View::new(&desk, "mnt", &[]);
    let time = || fs::metadata(desk.path("mnt/branches")).unwrap().modified().unwrap();
    let before = time();
    let a_second = std::time::Duration::from_millis(1100);
    std::thread::sleep(a_second);
    desk.commit_file("later", "1");
    std::thread::sleep(a_second);
    assert!(time() > before, "{before:?}");
}

#[test]
fn what_a_whole_vault_shows_is_not_collected_while_it_is_open_and_leases_are_few() {
    if !can_mount() {
        return;
    }
    let desk = Desk::new();
    let content = noise(3, 700_000);
    let lost = desk.commit_file("f", &content);
    desk.on(["reset", "main~1"]).ok();
    for n in 0..80 {
        desk.on(["tag", &format!("t{n:02}"), "main"]).ok();
    }
    let (_view, _) = View::new(&desk, "mnt", &[]);
    let mut open = File::open(desk.path(&format!("mnt/commits/{lost}/f"))).unwrap();
    for tag in entries(&desk.path("mnt/tags")) {
        assert_eq!(entries(&desk.path("mnt/tags").join(tag)), Vec::<String>::new());
    }
    let leases = leases(&desk);
    assert!((1..=66).contains(&leases), "{leases}");
    desk.on(["gc", "--prune=now"]).ok();
    let mut read = Vec::new();
    open.read_to_end(&mut read).unwrap();
    assert!(read == content);
}

#[test]
fn a_followed_branch_is_shown_as_it_moves() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    desk.on(["branch", "side"]).ok();
    let (view, about) = View::new(&desk, "mnt", &["--follow", "main"]);
    assert_eq!((&about["revision"], &about["follow"]), (&"main".into(), &true.into()));
    let mnt = desk.path("mnt");
    let inode = |name: &str| fs::metadata(mnt.join(name)).unwrap().ino();
    let (big, one) = (inode("big.bin"), inode("one.txt"));
    assert!(!mnt.join("new").exists());
    let mut open = File::open(mnt.join("one.txt")).unwrap();
    let mut all = File::open(mnt.join("a")).unwrap();
    desk.commit_file("one.txt", "changed");
    desk.commit_file("new", "new");
    desk.commit_file("a/b/more", "more");
    assert_eq!(fs::read(mnt.join("one.txt")).unwrap(), b"changed");
    assert_eq!(fs::read(mnt.join("new")).unwrap(), b"new");
    assert_eq!(fs::read(mnt.join("a/b/more")).unwrap(), b"more");
    assert_eq!(inode("big.bin"), big, "the kernel's pages of a file nobody changed are lost");
    assert_ne!(inode("one.txt"), one);
    let mut text = String::new();
    open.read_to_string(&mut text).unwrap();
    assert_eq!(text, "same", "an open file is another file suddenly");
    assert!(all.read(&mut [0]).is_err());
    drop((open, all));
    let read = |name: &str| fs::read(mnt.join(name)).unwrap();
    for (name, content) in sample() {
        assert!(name == "one.txt" || read(name) == content, "{name}");
    }
    // Of another branch nothing is seen; of one that goes, the last there was; and it goes on when it comes back.
    desk.commit(["--revision", "side", "--delete", "big.bin"]);
    assert!(mnt.join("big.bin").exists());
    desk.on(["branch", "--default", "side"]).ok();
    desk.on(["branch", "-D", "main"]).ok();
    assert_eq!(read("new"), b"new");
    desk.on(["branch", "main", "side"]).ok();
    assert!(!mnt.join("new").exists() && !mnt.join("big.bin").exists());
    assert_eq!(read("one.txt"), b"same");
    drop(view);
    // `hv umount` waits for the mount, not for the process that served it.
    until("the lease ends with its mount", || leases(&desk) == 0);
    let (_view, _) = View::new(&desk, "mnt", &["--follow", "main", "--path", "twins"]);
    assert_eq!(entries(&mnt), ["two.txt"]);
    desk.commit(["--revision", "main", "--delete", "twins"]);
    assert_eq!(entries(&mnt), Vec::<String>::new());
    desk.commit(["--revision", "main", "--copy", "one.txt=twins/back"]);
    assert_eq!(entries(&mnt), ["back"]);
}

/// Every commit replaces all files by others; no reader ever finds two of different commits in one listing.
#[test]
fn no_listing_of_a_followed_branch_is_half_old() {
    if !can_mount() {
        return;
    }
    let desk = Desk::new();
    let stage = |n: u32| {
        for file in 0..200 {
            desk.write(&format!("in{n}/{n:02}-{file:03}"), n.to_string());
        }
    };
    stage(0);
    desk.commit(["--add", ".=in0"]);
    let (_view, _) = View::new(&desk, "mnt", &["--follow", "main"]);
    let mnt = desk.path("mnt");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let (mut listings, mut last) = (0, 0);
                while !done.load(Relaxed) || listings == 0 {
                    let names = entries(&mnt);
                    let generation = &names[0][..2];
                    assert_eq!(names.len(), 200, "{:?} to {:?}", names[0], names.last());
                    assert!(names.iter().all(|name| name.starts_with(generation)), "{generation}");
                    let number: u32 = generation.parse().unwrap();
                    assert!(number >= last, "it went back from {last} to {number}");
                    (last, listings) = (number, listings + 1);
                }
            });
        }
        for n in 1..8 {
            stage(n);
            let old: Vec<String> = (0..200)
                .flat_map(|file| ["--delete".to_owned(), format!("{:02}-{file:03}", n - 1)])
                .collect();
            desk.commit([vec!["--add".to_owned(), format!(".=in{n}")], old].concat());
            assert!(entries(&mnt)[0].starts_with(&format!("{n:02}")), "not at once");
            assert_eq!(fs::read_to_string(mnt.join(format!("{n:02}-000"))).unwrap(), n.to_string());
        }
        done.store(true, Relaxed);
    });
    entries(&mnt);
    assert_eq!(leases(&desk), 1, "old commits are not given up");
}

#[test]
fn a_followed_branch_gives_its_old_commits_up() {
    if !can_mount() {
        return;
    }
    let desk = Desk::new();
    desk.commit_file("f", noise(1, 900_000));
    let (_view, _) = View::new(&desk, "mnt", &["--follow", "main"]);
    let mnt = desk.path("mnt");
    assert_eq!(fs::read(mnt.join("f")).unwrap().len(), 900_000);
    desk.on(["reset", "main~1"]).ok();
    desk.commit_file("g", noise(1, 10));
    assert_eq!(entries(&mnt), ["g"]);
    assert_eq!(leases(&desk), 1);
    let report = desk.on(["gc", "--prune=now", "--json"]).json();
    assert!(report["reclaimed_size"].as_i64().unwrap() > 800_000, "{report}");
    assert_eq!(fs::read(mnt.join("g")).unwrap(), noise(1, 10));
}

#[test]
fn file_times_say_when_each_file_was_last_changed() {
    if !can_mount() {
        return;
    }
    let desk = Desk::new();
    let at = |seconds: u64, name: &str, content: &str| {
        let local = desk.write(&format!("in/{name}"), content);
        let date = format!("@{seconds} +0000");
        let add = format!("{name}={}", local.display());
        let run = desk.on_with(&[("GIT_COMMITTER_DATE", &date)], &["commit", "-m", "x", "--add", &add]);
        run.ok();
    };
    at(1_600_000_000, "a/one", "1");
    at(1_600_000_100, "a/two", "2");
    at(1_600_000_200, "b", "3");
    at(1_600_000_300, "a/one", "4");
    at(1_600_000_400, "b", "5");
    let wanted = [("a/one", 300), ("a/two", 100), ("b", 400), ("a", 300)];
    let check = |options: &[&str], target: &str, top: &str| {
        let (_view, _) = View::new(&desk, target, options);
        for (name, seconds) in wanted {
            let Some(name) = name.strip_prefix(top) else { continue };
            let meta = fs::metadata(desk.path("mnt").join(name)).unwrap();
            assert_eq!((meta.mtime(), meta.ctime()), (1_600_000_000 + seconds, meta.mtime()), "{name}");
        }
    };
    check(&["--mtime=last-change"], "mnt@main", "");
    check(&["--mtime=last-change", "--path", "a"], "mnt@main", "a/");
    check(&["--mtime=last-change", "--follow", "main"], "mnt", "");
    let (_view, _) = View::new(&desk, "mnt", &["--mtime=last-change"]);
    let meta = fs::metadata(desk.path("mnt/branches/main/a/two")).unwrap();
    assert_eq!(meta.mtime(), 1_600_000_100);
    desk.hv(["umount", "mnt"]).ok();
    let (_view, _) = View::new(&desk, "mnt@main", &[]);
    assert_eq!(fs::metadata(desk.path("mnt/a/two")).unwrap().mtime(), 1_600_000_400);
}

#[test]
fn a_vault_that_is_moved_away_hangs_nothing() {
    if !can_mount() {
        return;
    }
    let desk = desk();
    for (target, options, file) in [
        ("mnt", &[][..], "branches/main/big.bin"),
        ("mnt", &["--follow", "main"][..], "big.bin"),
        ("mnt@main", &["--no-passthrough"][..], "big.bin"),
    ] {
        let (_view, _) = View::new(&desk, target, options);
        let path = desk.path("mnt").join(file);
        assert!(fs::metadata(&path).is_ok());
        fs::rename(desk.path("vault"), desk.path("elsewhere")).unwrap();
        let mut reader = desk.command("cat");
        let mut reader = Guard(reader.arg(&path).stdout(std::process::Stdio::null()).spawn().unwrap());
        until("the read ends", || {
            Path::new("/proc").join(reader.0.id().to_string()).join("stat").exists() && {
                let stat = fs::read_to_string(format!("/proc/{}/stat", reader.0.id())).unwrap_or_default();
                stat.contains(") Z") || stat.is_empty()
            }
        });
        assert!(!reader.0.wait().unwrap().success(), "{target}");
        fs::rename(desk.path("elsewhere"), desk.path("vault")).unwrap();
        assert!(fs::read(&path).is_ok(), "{target} {options:?}");
    }
    let log = fs::read_to_string(desk.home_file("hubvault/mount.log")).unwrap();
    let lines = log.lines().filter(|line| line.contains("cannot be read")).count();
    assert!((1..=3).contains(&lines), "one line for each of three mounts: {log}");
}

#[test]
fn an_ordinary_user_follows_and_browses() {
    let Some(desk) = super::users::nobody() else { return };
    let run = |words: &[&str]| -> Run { super::users::as_nobody(&desk, words) };
    run(&["./hv", "mount", "vault", "mnt", "--follow", "main"]).ok();
    assert_eq!(run(&["cat", "mnt/one.txt"]).ok().out, "same");
    run(&["./hv", "-C", "vault", "commit", "-m", "x", "--delete", "one.txt"]).ok();
    assert_ne!(run(&["cat", "mnt/one.txt"]).code, Some(0));
    run(&["./hv", "umount", "mnt"]).ok();
    run(&["./hv", "mount", "vault", "mnt"]).ok();
    assert_eq!(run(&["cat", "mnt/branches/main/twins/two.txt"]).ok().out, "same");
    run(&["./hv", "umount", "mnt"]).ok();
}
