//! Statements 59, 60 and 62 to 65: failures, moved vaults, two writers, and the command line as a whole.

use std::fs;
#[cfg(unix)]
use std::process::Command;
use std::thread;

use hubvault::Repository;

use super::{Bench, actor, add, everything, message};
use crate::cli::Desk;

#[test]
fn s59_what_failed_never_happened() {
    // Every step of every kind of transaction, failing and cut off, is `crash::`; here a failure as a user meets it.
    let desk = Desk::new();
    desk.commit_file("f", "1");
    let before = (desk.head(), desk.on(["log", "--json"]).text(), desk.files("main"));
    desk.write("good", "2");
    desk.refused(["--add", "good=good", "--delete", "missing"], 3, &["missing"]);
    desk.refused(["--add", "good=good", "--add", "f/x=good"], 4, &["f/x"]);
    desk.on(["branch", "main"]).fails(4, &[]);
    desk.on(["tag", "t", "missing"]).fails(3, &[]);
    assert_eq!((desk.head(), desk.on(["log", "--json"]).text(), desk.files("main")), before);
    desk.on(["verify", "--full"]).ok();
    desk.commit_file("f", "3");
}

#[test]
fn s60_so_it_is_where_the_vault_was_moved_to() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    desk.write("good", "2");
    desk.refused(["--add", "good=good", "--delete", "missing"], 3, &["missing"]);
    let head = desk.head();
    fs::rename(desk.path("vault"), desk.path("elsewhere")).unwrap();
    let at = |words: &[&str]| desk.hv([&["-C", "elsewhere"], words].concat());
    assert_eq!(at(&["rev-parse", "HEAD"]).text(), head);
    at(&["verify", "--full"]).ok();
    at(&["commit", "-m", "next", "--add", "g=good"]).ok();
}

#[test]
fn s62_two_writers_both_land() {
    let bench = Bench::new();
    let vault = bench.path("vault");
    let writer = |name: u8| {
        let vault = vault.clone();
        move || {
            let repository = Repository::open(&vault).unwrap();
            for n in 0..10 {
                let operation = add(&format!("{name}/{n}"), vec![n]);
                let who = actor(name * 20 + n);
                repository.create_commit(&[operation], &message("w"), &who, &mut |_| ()).unwrap();
            }
        }
    };
    let threads = [3, 4].map(|name| thread::spawn(writer(name)));
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let now = Repository::open(&vault).unwrap();
    assert_eq!(now.list_repo_files(None).unwrap().len(), 20);
    assert_eq!(now.list_repo_commits(None, false).unwrap().count(), 21);
    // Two at once from two processes, many times: `processes::`.
}

#[cfg(unix)]
#[test]
fn s63_a_copy_or_an_archive_is_a_vault() {
    let desk = Desk::new();
    desk.commit_file("d/f", "1");
    let head = desk.head();
    let run = |program: &str, words: &[&str]| {
        let done = Command::new(program).args(words).current_dir(desk.folder.path()).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    run("cp", &["-r", "vault", "copied"]);
    // As archives do that leave out empty folders.
    run("tar", &["-cf", "vault.tar", "vault/HUBVAULT", "vault/log", "vault/packs"]);
    fs::create_dir(desk.path("unpacked")).unwrap();
    run("tar", &["-xf", "vault.tar", "-C", "unpacked", "--strip-components=1"]);
    desk.write("g", "2");
    for place in ["copied", "unpacked"] {
        let at = |words: &[&str]| desk.hv([&["-C", place], words].concat());
        assert_eq!(at(&["rev-parse", "HEAD"]).text(), head);
        at(&["commit", "-m", "more", "--add", "g=g"]).ok();
        at(&["verify", "--full"]).ok();
    }
    assert_eq!(desk.head(), head, "a copy is a vault of its own");
}

#[test]
fn s64_the_vault_is_named_and_a_commit_says_what_it_made() {
    let desk = Desk::new();
    desk.write("f", "1");
    let first = desk.hv(["init", "vault"]).ok();
    assert!(first.out.contains("Found a vault"), "{first:?}");
    let made = desk.hv(["-C", "vault", "commit", "-m", "a title", "f"]).ok();
    assert_eq!(made.out, format!("[main {}] a title\n A f\n 1 added\n", &desk.head()[..7]));
    let before = everything(&desk.path("vault/log")).len();
    desk.on(["commit", "-m", "nothing"]).fails(2, &["nothing to do"]);
    for bad in [&["--add", "f"][..], &["--add", "=f"], &["--add", "f="], &["--copy", "a"], &["--copy", "=b"]]
    {
        let words: Vec<&str> = ["commit", "-m", "x"].iter().chain(bad).copied().collect();
        desk.on(words).fails(2, &["="]);
    }
    desk.on(["commit", "f"]).fails(2, &["--message"]);
    assert_eq!(everything(&desk.path("vault/log")).len(), before);
}

#[test]
fn s65_refs_history_listings_copies_and_failures_look_as_they_should() {
    let desk = Desk::new();
    let first = desk.commit_file("f", "1");
    desk.on(["branch", "side"]).ok();
    desk.on(["tag", "v0"]).ok();
    assert_eq!(desk.on(["branch"]).text(), "* main\n  side");
    assert_eq!(desk.on(["tag"]).text(), "v0");
    let listed = desk.on(["ls-tree", "-r"]).text();
    let blob = desk.on(["rev-parse", "HEAD:f"]).text();
    assert_eq!(listed, format!("100644 blob {blob}\tf"));
    let log = desk.on(["log"]).text();
    assert!(log.starts_with(&format!("commit {first}\nAuthor: ")) && log.contains("\nDate:   "), "{log}");
    assert_eq!(desk.on(["log", "--oneline", "-n", "1"]).text(), format!("{} test", &first[..7]));
    // One path each, and nothing else.
    let copy = desk.on(["download", "f"]).text();
    assert_eq!(fs::read(desk.path(&copy)).unwrap(), b"1");
    let copies = desk.on(["snapshot", "--local-dir", "out"]).text();
    assert_eq!(fs::read(desk.path(&copies).join("f")).unwrap(), b"1");
    // A conflict is told by path and kind, and is no success.
    desk.commit_file("f", "2");
    let local = desk.write("theirs", "3");
    desk.on(["commit", "-r", "side", "-m", "x", "--add", &format!("f={}", local.display())]).ok();
    let merge = desk.on(["merge", "side"]);
    assert_eq!(merge.code, Some(4), "{merge:?}");
    assert!(format!("{}{}", merge.out, merge.err).contains("CONFLICT (modify/modify): "), "{merge:?}");
    let deleted = desk.on(["branch", "-D", "side"]).text();
    assert!(deleted.starts_with("Deleted branch side (was "), "{deleted}");
    assert_eq!(desk.on(["tag", "-d", "v0"]).text(), format!("Deleted tag 'v0' (was {}).", &first[..7]));
    // Damage is a failure that says what is wrong.
    let packs = desk.path("vault/packs");
    for index in fs::read_dir(&packs).unwrap().map(|entry| entry.unwrap().path()) {
        let mut bytes = fs::read(&index).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::remove_file(&index).unwrap();
        fs::write(&index, bytes).unwrap();
    }
    let verify = desk.on(["verify", "--full"]);
    assert_eq!(verify.code, Some(5), "{verify:?}");
    assert!(verify.out.contains("failed") && verify.out.contains("packs/"), "{verify:?}");
}
