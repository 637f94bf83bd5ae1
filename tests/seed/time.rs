//! Statements 17, 18, 23 and 31 to 35: refs, what they were, and moving them back.

use hubvault::ops::OpsError;
use serde_json::{Value, json};

use super::{Bench, add, message};
use crate::cli::Desk;

fn class<T>(result: Result<T, OpsError>) -> &'static str {
    result.err().map_or("none", |error| error.python_class())
}

#[test]
fn s17_a_missing_branch_or_revision_is_not_found() {
    let bench = Bench::new();
    let options = hubvault::ops::CommitOptions { revision: Some("nowhere".to_owned()), ..message("no") };
    assert_eq!(class(bench.try_commit(&[add("f", "1")], &options)), "RevisionNotFoundError");
    let reset = |branch: &str, to: &str| bench.repository.reset_ref(branch, to, &bench.actor());
    assert_eq!(class(reset("main", "nowhere")), "RevisionNotFoundError");
    assert_eq!(class(reset("nowhere", "main")), "RevisionNotFoundError");
    assert_eq!(class(reset("refs/heads/main", "main")), "RevisionNotFoundError");
    bench.repository.create_tag("v1", None, None, false, &bench.actor()).unwrap();
    assert_eq!(class(reset("v1", "main")), "RevisionNotFoundError");
    assert_eq!(class(reset("../x", "main")), "UnsupportedPathError");
}

#[test]
fn s18_reset_moves_the_branch_and_keeps_the_commit() {
    let bench = Bench::new();
    let first = bench.commit(&[add("f", "1")]).oid;
    let second = bench.commit(&[add("f", "2"), add("g", "3")]).oid;
    let moved = bench.repository.reset_ref("main", &first.to_string(), &bench.actor()).unwrap();
    assert_eq!((moved.old, moved.new), (Some(second), Some(first)));
    assert_eq!(bench.head(), first.to_string());
    assert_eq!(bench.repository.list_repo_files(None).unwrap(), ["f"]);
    assert_eq!(bench.repository.list_repo_commits(None, false).unwrap().count(), 2);
    assert_eq!(bench.repository.list_repo_files(Some(&second.to_string())).unwrap(), ["f", "g"]);
}

#[test]
fn s23_a_commit_id_is_a_revision_everywhere() {
    let desk = Desk::new();
    let first = desk.commit_file("d/f", "1");
    desk.commit_file("d/f", "2");
    for args in [
        &["log", "--oneline", &*first][..],
        &["ls-tree", "-r", &first],
        &["cat", &format!("{first}:d/f")],
        &["rev-parse", &first],
        &["branch", "b", &first],
        &["tag", "t", &first],
        &["reset", &first],
    ] {
        desk.on(args).ok();
    }
    assert_eq!(desk.on(["rev-parse", "HEAD", "b", "t"]).text(), format!("{first}\n{first}\n{first}"));
}

#[test]
fn s31_branches_and_tags_are_made_anywhere_and_deleted() {
    let bench = Bench::new();
    let first = bench.commit(&[add("f", "1")]).oid;
    bench.commit(&[add("f", "2")]);
    let hub = &bench.repository;
    let at = first.to_string();
    assert_eq!(hub.create_branch("dev", Some(&at), false, &bench.actor()).unwrap(), first);
    assert_eq!(hub.create_tag("v1", None, Some("main~1"), false, &bench.actor()).unwrap(), first);
    assert_eq!(class(hub.create_branch("dev", None, false, &bench.actor())), "ConflictError");
    assert_eq!(class(hub.create_tag("v1", None, None, false, &bench.actor())), "ConflictError");
    assert_eq!(hub.create_branch("dev", None, true, &bench.actor()).unwrap(), first);
    assert_eq!(hub.create_tag("v1", None, None, true, &bench.actor()).unwrap(), first);
    assert_eq!(class(hub.delete_branch("main", true, &bench.actor())), "ConflictError");
    assert_eq!(class(hub.delete_branch("nowhere", true, &bench.actor())), "RevisionNotFoundError");
    assert_eq!(class(hub.delete_tag("nowhere", &bench.actor())), "RevisionNotFoundError");
    assert_eq!(hub.delete_branch("dev", true, &bench.actor()).unwrap().old, Some(first));
    assert_eq!(hub.delete_tag("v1", &bench.actor()).unwrap().old, Some(first));
    assert_eq!(hub.repo_info(None).unwrap().refs, ["refs/heads/main"]);
}

#[test]
fn s32_refs_are_listed_by_name_with_what_they_lead_to() {
    let bench = Bench::new();
    let head = bench.commit(&[add("f", "1")]).oid;
    for name in ["zeta", "alpha"] {
        bench.repository.create_branch(name, None, false, &bench.actor()).unwrap();
        bench.repository.create_tag(name, Some("said"), None, false, &bench.actor()).unwrap();
    }
    let info = |kind: &str, name: &str| json!({ "name": name, "ref": format!("refs/{kind}/{name}"), "targetCommit": head });
    let mut wanted = json!({
        "branches": [info("heads", "alpha"), info("heads", "main"), info("heads", "zeta")],
        "converts": [],
        "tags": [info("tags", "alpha"), info("tags", "zeta")],
    });
    let listed = |pulls| serde_json::to_value(bench.repository.list_repo_refs(pulls).unwrap()).unwrap();
    assert_eq!(listed(false), wanted);
    assert_eq!(bench.repository.list_repo_refs(false).unwrap().pull_requests, None);
    wanted["pullRequests"] = json!([]);
    assert_eq!(listed(true), wanted);
}

#[test]
fn s33_every_change_of_a_ref_is_one_entry() {
    let bench = Bench::new();
    let initial = bench.repository.rev_parse("HEAD").unwrap();
    let first = bench.commit(&[add("f", "1")]).oid;
    bench.repository.reset_ref("main", "HEAD~1", &bench.actor()).unwrap();
    let entries = bench.repository.list_repo_reflog("main", None).unwrap();
    let heads: Vec<_> = entries.iter().map(|entry| (entry.old_head, entry.new_head)).collect();
    assert_eq!(heads, [(Some(first), Some(initial)), (Some(initial), Some(first)), (None, Some(initial))]);
    let messages: Vec<_> = entries.iter().map(|entry| &*entry.message).collect();
    assert_eq!(messages, ["reset: moving to HEAD~1", "commit: test", "commit (initial): Initial commit"]);
    assert!(entries.iter().all(|entry| entry.ref_name == "refs/heads/main" && entry.checksum.len() == 71));
    assert_eq!(entries.iter().map(|entry| entry.transaction).collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(bench.repository.list_repo_reflog("main", Some(2)).unwrap(), entries[..2]);
    assert!(bench.repository.list_repo_reflog("main", Some(0)).unwrap().is_empty());
    Desk::new().on(["reflog", "-n", "-1"]).fails(2, &[]);
}

#[test]
fn s34_the_reflog_of_a_deleted_ref_ends_with_its_deletion() {
    let bench = Bench::new();
    let head = bench.commit(&[add("f", "1")]).oid;
    bench.repository.create_branch("dev", None, false, &bench.actor()).unwrap();
    bench.repository.create_tag("v1", None, None, false, &bench.actor()).unwrap();
    bench.repository.delete_branch("dev", true, &bench.actor()).unwrap();
    bench.repository.delete_tag("v1", &bench.actor()).unwrap();
    for name in ["refs/heads/dev", "refs/tags/v1", "dev", "v1"] {
        let entries = bench.repository.list_repo_reflog(name, None).unwrap();
        assert_eq!(entries.len(), 2, "{name}");
        assert_eq!((entries[0].old_head, entries[0].new_head), (Some(head), None));
        assert!(entries[0].message.ends_with(": deleted"), "{}", entries[0].message);
    }
}

#[test]
fn s35_a_short_name_of_two_refs_is_a_conflict() {
    let bench = Bench::new();
    bench.repository.create_branch("twin", None, false, &bench.actor()).unwrap();
    bench.repository.create_tag("twin", None, None, false, &bench.actor()).unwrap();
    assert_eq!(class(bench.repository.list_repo_reflog("twin", None)), "ConflictError");
    assert_eq!(bench.repository.list_repo_reflog("refs/heads/twin", None).unwrap().len(), 1);
    assert_eq!(bench.repository.list_repo_reflog("refs/tags/twin", None).unwrap().len(), 1);
    // Gone, the two are still two.
    bench.repository.delete_branch("twin", true, &bench.actor()).unwrap();
    assert_eq!(bench.repository.list_repo_reflog("twin", None).unwrap()[0].ref_name, "refs/tags/twin");
    bench.repository.delete_tag("twin", &bench.actor()).unwrap();
    assert_eq!(class(bench.repository.list_repo_reflog("twin", None)), "ConflictError");
    assert_eq!(class(bench.repository.list_repo_reflog("nowhere", None)), "RevisionNotFoundError");
    let json: Value = serde_json::to_value(bench.repository.list_repo_reflog("main", None).unwrap()).unwrap();
    assert_eq!(json[0]["timestamp"], "2023-11-14T22:13:20.000Z");
}
