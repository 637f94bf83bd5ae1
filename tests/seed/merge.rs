//! Statements 36 to 42: merging.

use hubvault::ops::merge::{ConflictType, Landing, MergeOptions, MergeResult, MergeStatus};
use hubvault::ops::{CommitOperation, CommitOptions, InitOptions, ObjectId, OpsError};

use super::{Bench, add, everything, message, path};

fn on(branch: &str) -> CommitOptions {
    CommitOptions { revision: Some(branch.to_owned()), ..message("test") }
}

fn delete(at: &str) -> CommitOperation {
    CommitOperation::Delete { path_in_repo: path(at) }
}

/// `main` and `dev` from one commit with these files.
fn fork(bench: &Bench, files: &[CommitOperation]) -> ObjectId {
    let base = bench.commit(files).oid;
    bench.repository.create_branch("dev", None, false, &bench.actor()).unwrap();
    base
}

fn put(bench: &Bench, branch: &str, operations: &[CommitOperation]) -> ObjectId {
    bench.try_commit(operations, &on(branch)).unwrap().oid
}

fn landing(landing: Landing) -> MergeOptions {
    MergeOptions { landing, ..MergeOptions::default() }
}

fn try_merge(bench: &Bench, source: &str, options: &MergeOptions) -> Result<MergeResult, OpsError> {
    bench.repository.merge(source, options, &bench.actor())
}

fn merge(bench: &Bench, source: &str) -> MergeResult {
    try_merge(bench, source, &MergeOptions::default()).unwrap()
}

fn files(bench: &Bench) -> Vec<String> {
    bench.repository.list_repo_files(None).unwrap()
}

#[test]
fn s36_a_descendant_source_fast_forwards() {
    let bench = Bench::new();
    let base = fork(&bench, &[add("f", "1")]);
    let ahead = put(&bench, "dev", &[add("g", "2")]);
    let result = merge(&bench, "dev");
    assert_eq!(result.status, MergeStatus::FastForward);
    assert!(result.fast_forward && !result.created_commit && result.commit.is_none());
    assert_eq!((result.target_head_before, result.head_after, result.source_head), (base, ahead, ahead));
    assert_eq!(bench.head(), ahead.to_string());
}

#[test]
fn s37_an_equal_or_older_source_changes_nothing() {
    let bench = Bench::new();
    let base = fork(&bench, &[add("f", "1")]);
    let head = put(&bench, "main", &[add("g", "2")]);
    let before = everything(&bench.path("vault"));
    for source in ["dev", "main", "HEAD", &base.to_string()] {
        let result = merge(&bench, source);
        assert_eq!(result.status, MergeStatus::AlreadyUpToDate, "{source}");
        assert_eq!((result.head_after, result.created_commit), (head, false));
    }
    assert_eq!(bench.head(), head.to_string());
    assert_eq!(everything(&bench.path("vault")), before);
}

#[test]
fn s38_changes_that_do_not_meet_give_a_commit_with_two_parents() {
    let bench = Bench::new();
    let base = fork(&bench, &[add("f", "1"), add("g", "1")]);
    let theirs = put(&bench, "dev", &[add("f", "2"), add("dev/new", "2")]);
    let ours = put(&bench, "main", &[add("g", "2")]);
    let result = merge(&bench, "dev");
    assert_eq!(result.status, MergeStatus::Merged);
    assert_eq!(result.base_commit, Some(base));
    let commit = result.commit.unwrap();
    assert_eq!(commit.title, "Merge dev into main");
    assert_eq!(commit.parents, [ours, theirs]);
    assert_eq!(bench.head(), commit.commit_id.to_string());
    assert_eq!(files(&bench), ["dev/new", "f", "g"]);
}

#[test]
fn s39_what_both_sides_changed_is_a_conflict_and_nothing_is_touched() {
    let bench = Bench::new();
    fork(&bench, &[add("both", "1"), add("gone", "1"), add("kept", "1"), add("same", "1")]);
    put(
        &bench,
        "dev",
        &[add("both", "dev"), add("gone", "dev"), add("new", "dev"), delete("kept"), add("same", "2")],
    );
    put(
        &bench,
        "main",
        &[add("both", "main"), delete("gone"), add("new", "main"), add("kept", "main"), add("same", "2")],
    );
    let before = everything(&bench.path("vault"));
    let head = bench.head();
    let result = merge(&bench, "dev");
    assert_eq!(result.status, MergeStatus::Conflict);
    let found: Vec<_> = result.conflicts.iter().map(|c| (&*c.path, c.conflict_type.as_str())).collect();
    let expected =
        [("both", "modify/modify"), ("gone", "delete/modify"), ("kept", "delete/modify"), ("new", "add/add")];
    assert_eq!(found, expected);
    let [both, gone, kept, new] = result.conflicts.as_slice() else { panic!("{:?}", result.conflicts) };
    assert!(both.base_oid.is_some() && both.target_oid.is_some() && both.source_oid.is_some());
    assert!(gone.target_oid.is_none() && kept.source_oid.is_none() && new.base_oid.is_none());
    assert_eq!(result.head_after, result.target_head_before);
    assert_eq!(bench.head(), head);
    assert_eq!(everything(&bench.path("vault")), before);
}

#[test]
fn s40_files_in_the_way_of_folders_and_names_that_clash_are_conflicts() {
    let bench = Bench::new();
    fork(&bench, &[add("f", "1")]);
    put(&bench, "dev", &[add("data/x", "dev"), add("Name.txt", "dev")]);
    put(&bench, "main", &[add("data", "main"), add("name.txt", "main")]);
    let before = everything(&bench.path("vault"));
    let result = merge(&bench, "dev");
    assert_eq!(result.status, MergeStatus::Conflict);
    let found: Vec<_> = result
        .conflicts
        .iter()
        .map(|c| (&*c.path, c.conflict_type, c.related_path.as_deref().unwrap_or_default()))
        .collect();
    let expected =
        [("Name.txt", ConflictType::CaseFold, "name.txt"), ("data", ConflictType::FileDirectory, "data/x")];
    assert_eq!(found, expected);
    assert_eq!(everything(&bench.path("vault")), before);
}

#[test]
fn s41_only_a_branch_that_is_where_it_should_be_is_merged_into() {
    let bench = Bench::new();
    let base = fork(&bench, &[add("f", "1")]);
    put(&bench, "dev", &[add("g", "2")]);
    bench.repository.create_tag("v1", None, None, false, &bench.actor()).unwrap();
    let into =
        |target: &str| landing(Landing { target_revision: Some(target.to_owned()), ..Landing::default() });
    for target in [&base.to_string()[..], "refs/tags/v1"] {
        let error = try_merge(&bench, "dev", &into(target)).unwrap_err();
        assert_eq!(error.python_class(), "UnsupportedPathError", "{error}");
    }
    let moved = put(&bench, "main", &[add("h", "2")]);
    let stale = landing(Landing { parent_commit: Some(base.to_string()), ..Landing::default() });
    let error = try_merge(&bench, "dev", &stale).unwrap_err();
    assert_eq!(error.python_class(), "ConflictError", "{error}");
    assert_eq!(bench.head(), moved.to_string());
    assert_eq!(try_merge(&bench, "dev", &into("refs/heads/main")).unwrap().status, MergeStatus::Merged);
}

#[test]
fn s42_large_files_are_merged_without_being_read() {
    let bench = Bench::with(&InitOptions { large_file_threshold: 100, ..InitOptions::default() });
    let large = |n: u8| vec![n; 5000];
    fork(&bench, &[add("old.bin", large(1)), add("f", "1")]);
    put(&bench, "dev", &[add("new.bin", large(2)), add("f", "2")]);
    put(&bench, "main", &[add("other.bin", large(3))]);
    let packs = everything(&bench.path("vault/packs"))
        .keys()
        .filter(|p| p.extension().is_some_and(|e| e == "pack"))
        .count();
    assert_eq!(merge(&bench, "dev").status, MergeStatus::Merged);
    let after = everything(&bench.path("vault/packs"))
        .keys()
        .filter(|p| p.extension().is_some_and(|e| e == "pack"))
        .count();
    assert_eq!(after, packs, "no content was stored again");
    for (path, branch) in [("new.bin", "dev"), ("old.bin", "dev"), ("other.bin", "HEAD^1")] {
        let id = |revision: &str| bench.repository.rev_parse(&format!("{revision}:{path}")).unwrap();
        assert_eq!(id("HEAD"), id(branch), "{path}");
    }
}
