//! Statements 1 to 6, 8 to 13, 15, 16, 19 to 22, 24 and 25: making a vault, committing, identity, listing.

use std::fs;

use hubvault::Repository;
use hubvault::ops::models::RepoEntry;
use hubvault::ops::{AddSource, CommitOperation, CommitOptions, InitOptions, OpsError};

use super::{Bench, actor, add, everything, message, path};
use crate::cli::Desk;

fn class(result: Result<impl Sized, OpsError>) -> &'static str {
    result.err().map_or("none", |error| error.python_class())
}

#[test]
fn s01_a_new_vault_has_main_and_an_initial_commit() {
    let bench = Bench::new();
    let info = bench.repository.repo_info(None).unwrap();
    assert_eq!(info.default_branch, "main");
    assert_eq!(info.refs, ["refs/heads/main"]);
    let commits: Vec<_> =
        bench.repository.list_repo_commits(None, false).unwrap().map(Result::unwrap).collect();
    assert_eq!(commits.len(), 1);
    assert_eq!((commits[0].commit_id, &*commits[0].title), (info.head, "Initial commit"));
    let tree = bench.repository.rev_parse("HEAD^{tree}").unwrap().to_string();
    assert_eq!(tree, "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    assert!(bench.repository.list_repo_files(None).unwrap().is_empty());
    // In an empty folder as in a new one.
    fs::create_dir(bench.path("empty")).unwrap();
    assert!(Repository::create_repo(&bench.path("empty"), false, &InitOptions::default(), &actor(9)).is_ok());
}

#[test]
fn s02_a_vault_is_not_made_twice() {
    let bench = Bench::new();
    bench.commit(&[add("f", "1")]);
    let before = bench.repository.repo_info(None).unwrap();
    let other = InitOptions { branch: "other".to_owned(), ..InitOptions::default() };
    let again = Repository::create_repo(&bench.path("vault"), false, &other, &actor(99));
    assert_eq!(class(again), "RepositoryAlreadyExistsError");
    let again = Repository::create_repo(&bench.path("vault"), true, &other, &actor(100)).unwrap();
    assert_eq!(again.repo_info(None).unwrap(), before);
}

#[test]
fn s03_a_folder_that_holds_other_things_is_left_alone() {
    let bench = Bench::new();
    fs::create_dir(bench.path("full")).unwrap();
    fs::write(bench.path("full/notes"), "mine").unwrap();
    let made = Repository::create_repo(&bench.path("full"), true, &InitOptions::default(), &actor(9));
    assert_eq!(class(made), "ValueError");
    assert_eq!(everything(&bench.path("full")).len(), 1);
    assert_eq!(fs::read_dir(bench.path("full")).unwrap().count(), 1, "not even a folder is left behind");
}

#[test]
fn s04_the_default_branch_has_the_name_that_was_asked_for() {
    let options = InitOptions { branch: "release/v1".to_owned(), ..InitOptions::default() };
    let bench = Bench::with(&options);
    assert_eq!(bench.repository.repo_info(None).unwrap().default_branch, "release/v1");
    let bad = InitOptions { branch: "../bad".to_owned(), ..InitOptions::default() };
    let made = Repository::create_repo(&bench.path("bad"), false, &bad, &actor(9));
    assert_eq!(class(made), "UnsupportedPathError");
    assert!(!bench.path("bad").exists());
}

#[test]
fn s05_a_threshold_of_nothing_is_refused() {
    let bench = Bench::new();
    let options = InitOptions { large_file_threshold: 0, ..InitOptions::default() };
    let made = Repository::create_repo(&bench.path("bad"), false, &options, &actor(9));
    assert_eq!(class(made), "ValueError");
    assert!(!bench.path("bad").exists());
}

#[test]
fn s06_where_no_vault_is_nothing_is_made() {
    let desk = Desk::bare();
    for words in [
        &["log"][..],
        &["status"],
        &["ls-tree"],
        &["cat", ":f"],
        &["branch", "x"],
        &["tag", "x"],
        &["commit", "-m", "x", "--delete", "f"],
        &["verify"],
        &["rev-parse", "HEAD"],
    ] {
        fs::create_dir_all(desk.path("vault")).unwrap();
        desk.on(words).fails(3, &["there is no vault here", "hv init"]);
        assert_eq!(fs::read_dir(desk.path("vault")).unwrap().count(), 0, "{words:?}");
    }
    assert_eq!(class(Repository::open(&desk.path("nowhere"))), "RepositoryNotFoundError");
    assert!(!desk.path("nowhere").exists());
}

#[test]
fn s08_the_head_is_what_was_returned_and_history_ends_at_the_beginning() {
    let bench = Bench::new();
    for n in 0..3 {
        let made = bench.try_commit(&[add("f", format!("{n}"))], &message(&format!("n{n}"))).unwrap();
        assert_eq!(made.oid.to_string(), bench.head());
    }
    let commits = bench.repository.list_repo_commits(None, false).unwrap();
    let titles: Vec<_> = commits.map(|commit| commit.unwrap().title).collect();
    assert_eq!(titles, ["n2", "n1", "n0", "Initial commit"]);
}

#[test]
fn s09_nothing_to_do_and_nothing_to_say_are_errors() {
    let bench = Bench::new();
    let before = bench.head();
    assert_eq!(class(bench.try_commit(&[], &message("x"))), "ConflictError");
    for empty in ["", "  ", "\n"] {
        assert_eq!(class(bench.try_commit(&[add("f", "1")], &message(empty))), "ValueError");
    }
    assert_eq!(bench.head(), before);
    // An operation of an unknown type does not compile in Rust; on the command line it is a wrong word.
    Desk::new().on(["commit", "-m", "x", "--move", "a=b"]).fails(2, &[]);
}

#[test]
fn s10_a_stale_parent_is_a_conflict_and_no_parent_is_the_newest() {
    let bench = Bench::new();
    let first = bench.head();
    let second = bench.commit(&[add("f", "1")]).oid.to_string();
    let stale = CommitOptions { parent_commit: Some(first), ..message("stale") };
    assert_eq!(class(bench.try_commit(&[add("f", "2")], &stale)), "ConflictError");
    assert_eq!(bench.head(), second);
    let fresh = CommitOptions { parent_commit: Some(second.clone()), ..message("fresh") };
    bench.try_commit(&[add("f", "3")], &fresh).unwrap();
    bench.commit(&[add("f", "4")]);
    assert_eq!(bench.repository.rev_parse("HEAD~2").unwrap().to_string(), second);
    let unknown = CommitOptions { parent_commit: Some("0".repeat(40)), ..message("unknown") };
    assert_eq!(class(bench.try_commit(&[add("f", "5")], &unknown)), "RevisionNotFoundError");
}

#[test]
fn s11_title_and_body_come_back() {
    let bench = Bench::new();
    bench.try_commit(&[add("f", "1")], &message("title\n\nbody\nmore")).unwrap();
    let described = CommitOptions { description: Some("said apart".to_owned()), ..message("other") };
    bench.try_commit(&[add("f", "2")], &described).unwrap();
    let commits = bench.repository.list_repo_commits(None, false).unwrap();
    let texts: Vec<_> = commits.take(2).map(|c| c.map(|c| (c.title, c.message)).unwrap()).collect();
    let text = |title: &str, body: &str| (title.to_owned(), body.to_owned());
    assert_eq!(texts, [text("other", "said apart"), text("title", "body\nmore")]);
}

#[test]
fn s12_messages_as_html_when_asked_for() {
    let bench = Bench::new();
    bench.try_commit(&[add("f", "1")], &message("a <b> & \"c\"\n\nx\ny's")).unwrap();
    let newest =
        |formatted| bench.repository.list_repo_commits(None, formatted).unwrap().next().unwrap().unwrap();
    assert_eq!(newest(false).formatted, None);
    let html = newest(true).formatted.unwrap();
    assert_eq!(html.title, "a &lt;b&gt; &amp; &quot;c&quot;");
    assert_eq!(html.message, "x<br />\ny&#x27;s");
}

#[test]
fn s13_what_is_not_there_cannot_be_deleted_or_copied() {
    let bench = Bench::new();
    bench.commit(&[add("d/f", "1")]);
    let before = bench.head();
    for missing in ["x", "x/y", "d/g", "d/f/g"] {
        let delete = CommitOperation::Delete { path_in_repo: path(missing) };
        assert_eq!(class(bench.try_commit(&[add("new", "1"), delete], &message("no"))), "EntryNotFoundError");
    }
    assert_eq!(bench.head(), before);
    assert_eq!(bench.repository.list_repo_files(None).unwrap(), ["d/f"]);
}

#[test]
fn s15_what_cannot_lie_side_by_side_is_a_conflict() {
    let bench = Bench::new();
    for (one, other) in
        [("x", "x/y"), ("x/y", "x"), ("Case.txt", "case.txt"), ("Dir/a", "dir/b"), ("Foo", "foo/x")]
    {
        let made = bench.try_commit(&[add(one, "1"), add(other, "2")], &message("no"));
        assert_eq!(class(made), "ConflictError", "{one} and {other}");
    }
}

#[test]
fn s16_bad_paths_are_refused() {
    let desk = Desk::new();
    desk.write("f", "1");
    for bad in [
        "/abs",
        "C:/abs",
        "bad?.txt",
        "...",
        "CON.txt",
        "../x",
        "a/../b",
        "foo.",
        "foo ",
        "a\nb",
        "COM1",
        ".git/config",
    ] {
        desk.refused(["--add", &format!("{bad}=f")], 2, &[]);
    }
    let bench = Bench::new();
    for bad in ["", ".", "/", "./."] {
        assert_eq!(
            class(hubvault::ops::RepoPath::new(bad).map_err(OpsError::from)),
            "UnsupportedPathError",
            "{bad}"
        );
        assert_eq!(class(bench.repository.get_paths_info([bad], None)), "UnsupportedPathError", "{bad}");
    }
}

/// Real git computes the same ids; the merge commits of this statement are in `git::merge`.
#[cfg(unix)]
#[test]
fn s19_ids_are_gits() {
    let desk = Desk::new();
    let head = desk.commit_file("dir-x/größe", "content");
    let git = |args: &[&str], input: &str| {
        use std::io::Write as _;
        let mut child = desk
            .command("git")
            .args(args)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
    };
    let blob = git(&["hash-object", "--stdin"], "content");
    assert_eq!(desk.on(["rev-parse", "HEAD:dir-x/größe"]).text(), blob);
    git(&["init", "-q", "repo"], "");
    let stored = git(&["-C", "repo", "hash-object", "-w", "--stdin"], "content");
    let tree = git(&["-C", "repo", "mktree"], &format!("100644 blob {stored}\tgröße\n"));
    assert_eq!(desk.on(["rev-parse", "HEAD:dir-x"]).text(), tree);
    let root = git(&["-C", "repo", "mktree"], &format!("040000 tree {tree}\tdir-x\n"));
    assert_eq!(desk.on(["rev-parse", "HEAD^{tree}"]).text(), root);
    let parent = desk.on(["rev-parse", "HEAD~1"]).text();
    let shown = desk.on(["log", "-n", "1", "--json"]).json();
    assert_eq!((shown[0]["id"].as_str(), shown[0]["parents"][0].as_str()), (Some(&*head), Some(&*parent)));
}

#[test]
fn s20_large_files_are_lfs_pointers() {
    let bench = Bench::with(&InitOptions { large_file_threshold: 1000, ..InitOptions::default() });
    bench.commit(&[add("big", vec![7; 1234])]);
    let found = bench.repository.get_paths_info(["big"], None).unwrap();
    let [RepoEntry::File(file)] = &found[..] else { panic!("{found:?}") };
    let lfs = file.lfs.unwrap();
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 1234\n", file.sha256);
    assert_eq!((lfs.sha256, lfs.size, lfs.pointer_size), (file.sha256, 1234, pointer.len() as u64));
    assert_eq!(file.etag(), file.sha256.to_string());
    let blob = hubvault::store::object::id_of(hubvault::store::object::Kind::Blob, pointer.as_bytes());
    assert_eq!(file.blob_id, blob);
    let json = serde_json::to_value(&found[0]).unwrap();
    assert_eq!(json["type"], "file");
    assert_eq!(json["oid"], blob.to_string());
    assert_eq!(json["lfs"]["oid"], file.sha256.to_string());
    assert_eq!(json["lfs"]["pointerSize"], pointer.len());
}

#[test]
fn s21_the_threshold_itself_is_large() {
    let bench = Bench::with(&InitOptions { large_file_threshold: 1000, ..InitOptions::default() });
    bench.commit(&[add("a", vec![1; 999]), add("b", vec![1; 1000]), add("c", vec![1; 1001])]);
    let found = bench.repository.get_paths_info(["a", "b", "c"], None).unwrap();
    let large: Vec<_> =
        found.iter().map(|entry| matches!(entry, RepoEntry::File(file) if file.lfs.is_some())).collect();
    assert_eq!(large, [false, true, true]);
}

#[test]
fn s22_public_ids_are_of_public_kinds() {
    let bench = Bench::with(&InitOptions { large_file_threshold: 1000, ..InitOptions::default() });
    bench.commit(&[add("small", "abc"), add("big", vec![7; 2000])]);
    for entry in bench.repository.list_repo_tree(None, true, None).unwrap() {
        let RepoEntry::File(file) = entry.unwrap() else { continue };
        assert_eq!(file.blob_id.to_string().len(), 40);
        assert_eq!(file.sha256.to_string().len(), 64);
        if file.path == "small" {
            let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
            assert_eq!(file.sha256.to_string(), known);
            assert_eq!(file.etag(), file.blob_id.to_string());
        }
    }
    // The same content by another way has the same ids.
    let local = bench.path("copy");
    fs::write(&local, "abc").unwrap();
    bench.commit(&[CommitOperation::Add {
        path_in_repo: Some(path("again")),
        source: AddSource::Local(local),
    }]);
    let found = bench.repository.get_paths_info(["small", "again"], None).unwrap();
    assert_eq!(found[0].oid(), found[1].oid());
}

#[test]
fn s24_a_folder_lists_its_children_or_all_below() {
    let bench = Bench::new();
    bench.commit(&[add("a", "1"), add("d/b", "2"), add("d/e/c", "3"), add("z", "4")]);
    let list = |path, recursive| -> Result<Vec<String>, OpsError> {
        let entries = bench.repository.list_repo_tree(path, recursive, None)?;
        Ok(entries.map(|entry| entry.unwrap().path().to_owned()).collect())
    };
    assert_eq!(list(None, false).unwrap(), ["a", "d", "z"]);
    assert_eq!(list(None, true).unwrap(), ["a", "d", "d/b", "d/e", "d/e/c", "z"]);
    assert_eq!(list(Some("d"), false).unwrap(), ["d/b", "d/e"]);
    assert_eq!(list(Some("d"), true).unwrap(), ["d/b", "d/e", "d/e/c"]);
    assert_eq!(class(list(Some("a"), false)), "UnsupportedPathError");
    assert_eq!(class(list(Some("missing"), false)), "EntryNotFoundError");
    let unknown = bench.repository.list_repo_tree(None, false, Some("nowhere"));
    assert_eq!(class(unknown), "RevisionNotFoundError");
    assert_eq!(bench.repository.list_repo_files(None).unwrap(), ["a", "d/b", "d/e/c", "z"]);
}

#[test]
fn s25_paths_info_answers_in_the_order_asked_and_leaves_out_what_is_missing() {
    let bench = Bench::new();
    bench.commit(&[add("a", "1"), add("d/b", "22")]);
    let found = bench.repository.get_paths_info(["d/b", "missing", "d", "a", "a/x"], None).unwrap();
    let found: Vec<_> = found.iter().map(|entry| (entry.path(), entry.size())).collect();
    assert_eq!(found, [("d/b", Some(2)), ("d", None), ("a", Some(1))]);
    assert_eq!(bench.repository.get_paths_info(["a"], None).unwrap().len(), 1);
    assert_eq!(class(bench.repository.get_paths_info(["a"], Some("nowhere"))), "RevisionNotFoundError");
}
