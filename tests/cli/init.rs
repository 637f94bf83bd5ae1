//! `hv init`: repeatable, and harmless to whatever is there already.

use std::fs;

use super::{Desk, entries};

#[test]
fn a_new_vault_has_a_branch_with_a_commit_over_the_empty_tree() {
    let desk = Desk::bare();
    let said = desk.hv(["init", "a/b/vault"]).ok().out;
    assert!(said.starts_with("Initialized empty vault in ") && said.contains("vault"), "{said}");
    let tree = desk.hv(["-C", "a/b/vault", "rev-parse", "HEAD^{tree}"]).text();
    assert_eq!(tree, "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    assert_eq!(desk.hv(["-C", "a/b/vault", "branch"]).text(), "* main");
    assert!(desk.hv(["-C", "a/b/vault", "log", "--oneline"]).text().ends_with(" Initial commit"));
}

#[test]
fn again_changes_nothing() {
    let desk = Desk::new();
    desk.commit_file("a", "1");
    let (head, status) = (desk.head(), desk.on(["status", "--json"]).json());
    let said = desk.hv(["init", "vault", "-b", "other", "--large-file-threshold", "1"]).ok().out;
    assert!(said.contains("nothing was changed"), "{said}");
    assert_eq!(desk.head(), head);
    assert_eq!(desk.on(["status", "--json"]).json(), status);
    let told = desk.hv(["init", "vault", "--json"]).json();
    assert_eq!((&told["created"], &told["head"]), (&false.into(), &head.into()));
}

#[test]
fn options_hold() {
    let desk = Desk::bare();
    let told = desk.hv(["init", "vault", "-b", "trunk", "--large-file-threshold", "2kB", "--json"]).json();
    assert_eq!((&told["created"], &told["default_branch"]), (&true.into(), &"trunk".into()));
    assert_eq!(desk.on(["status", "--json"]).json()["large_file_threshold"], 2000);
    desk.commit_file("small", [b'x'; 1999]);
    desk.commit_file("large", [b'x'; 2000]);
    let listed = desk.on(["ls-tree", "--json"]).json();
    assert_eq!((&listed[0]["path"], listed[0]["lfs"].is_object()), (&"large".into(), true));
    assert_eq!((&listed[1]["path"], listed[1]["lfs"].is_object()), (&"small".into(), false));
}

#[test]
fn the_folder_is_the_argument_then_the_chosen_vault_then_the_current_one() {
    let desk = Desk::bare();
    desk.hv(["-C", "chosen", "init"]).ok();
    assert!(desk.path("chosen/HUBVAULT").exists());
    desk.hv(["-C", "chosen", "init", "named"]).ok();
    assert!(desk.path("named/HUBVAULT").exists());
    fs::create_dir(desk.path("here")).unwrap();
    let here = desk.command(super::HV).arg("init").current_dir(desk.path("here")).status().unwrap();
    assert!(here.success() && desk.path("here/HUBVAULT").exists());
    let by_variable = desk.command(super::HV).arg("init").env("HUBVAULT_DIR", "var").status().unwrap();
    assert!(by_variable.success() && desk.path("var/HUBVAULT").exists());
}

#[test]
fn a_folder_with_other_things_is_left_as_it_is() {
    let desk = Desk::bare();
    desk.write("full/notes.txt", "mine");
    desk.hv(["init", "full"]).fails(2, &["full", "notes.txt", "folder of its own"]);
    assert_eq!(entries(&desk.path("full")), ["notes.txt"]);
    // Folders that a vault would have too: `hv gc` would take what is in them for its own.
    for inside in ["cache/weights.bin", "tmp/notes.txt", "packs/a.pack", "log/app.log"] {
        desk.write(&format!("alike/{inside}"), "mine");
        desk.hv(["init", "alike"]).fails(2, &["alike", inside, "folder of its own"]);
        assert_eq!(fs::read(desk.path(&format!("alike/{inside}"))).unwrap(), b"mine");
        fs::remove_dir_all(desk.path("alike")).unwrap();
    }
    desk.write("file", "mine");
    desk.hv(["init", "file"]).fails(1, &["file"]);
    assert_eq!(fs::read(desk.path("file")).unwrap(), b"mine");
}

#[test]
fn a_vault_that_lost_its_marker_is_itself_again() {
    let desk = Desk::new();
    desk.write("a.txt", "content");
    desk.hv(["-C", "vault", "commit", "-m", "first", "a.txt"]).ok();
    let head = desk.hv(["-C", "vault", "rev-parse", "HEAD"]).ok().out;
    fs::remove_file(desk.path("vault/HUBVAULT")).unwrap();
    let said = desk.hv(["init", "vault"]).ok().out;
    assert!(said.contains("without its marker") && said.contains("10.00 MiB"), "{said}");
    assert_eq!(desk.hv(["-C", "vault", "rev-parse", "HEAD"]).ok().out, head);
    fs::remove_file(desk.path("vault/HUBVAULT")).unwrap();
    let said = desk.hv(["init", "vault", "--json"]).json();
    assert_eq!((&said["created"], &said["marker_restored"]), (&false.into(), &true.into()), "{said}");
    desk.hv(["-C", "vault", "verify", "--full"]).ok();
    assert!(desk.hv(["init", "vault"]).ok().out.contains("nothing was changed"));
}

#[test]
fn a_bad_branch_or_threshold_creates_nothing() {
    let desk = Desk::bare();
    for branch in ["a..b", "-x", "a b", "HEAD", "a.lock", ""] {
        desk.hv(["init", "vault", &format!("-b{branch}")]).fails(2, &[]);
        assert!(!desk.path("vault").exists(), "{branch}");
    }
    for size in ["0", "ten", "-1", "1XB"] {
        desk.hv(["init", "vault", &format!("--large-file-threshold={size}")]).fails(2, &[]);
        assert!(!desk.path("vault").exists(), "{size}");
    }
}
