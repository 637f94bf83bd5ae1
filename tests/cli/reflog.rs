//! `hv reflog`, `REF@{...}`, and what is left of a ref that is gone.

use super::Desk;

/// Commits one file at a time of the clock.
fn commit_at(desk: &Desk, content: &str, date: &str) -> String {
    desk.write("in/f", content);
    let args = ["commit", "-m", content, "--json", "--add", "f=in/f"];
    let outcome = desk.on_with(&[("GIT_COMMITTER_DATE", date)], &args).json();
    outcome["oid"].as_str().unwrap().to_owned()
}

#[test]
fn it_looks_like_gits_and_outlives_the_ref() {
    let desk = Desk::new();
    let first = desk.commit_file("f", "1");
    let second = desk.commit_file("f", "2");
    let initial = desk.on(["rev-parse", "HEAD~2"]).text();
    let wanted = format!(
        "{} main@{{0}}: commit: test\n{} main@{{1}}: commit: test\n{} main@{{2}}: commit (initial): Initial commit",
        &second[..7],
        &first[..7],
        &initial[..7]
    );
    assert_eq!(desk.on(["reflog"]).text(), wanted);
    assert_eq!(desk.on(["reflog", "main"]).text(), wanted);
    assert_eq!(desk.on(["reflog", "refs/heads/main"]).text(), wanted.replace("main@", "refs/heads/main@"));
    assert_eq!(desk.on(["reflog", "-n", "1"]).text(), wanted.lines().next().unwrap());
    desk.on(["reflog", "-n", "-1"]).fails(2, &[]);

    desk.on(["branch", "dev", "HEAD~1"]).ok();
    desk.on(["reset", "-r", "dev", "main"]).ok();
    desk.on(["branch", "-D", "dev"]).ok();
    let gone = format!(
        "0000000 dev@{{0}}: branch: deleted\n{} dev@{{1}}: reset: moving to main\n\
         {} dev@{{2}}: branch: Created from HEAD~1",
        &second[..7],
        &first[..7]
    );
    assert_eq!(desk.on(["reflog", "dev"]).text(), gone);
    // What is gone can be found, and made again.
    assert_eq!(desk.on(["rev-parse", "dev@{1}"]).text(), second);
    desk.on(["rev-parse", "dev"]).fails(3, &["not found"]);
    desk.on(["rev-parse", "dev@{0}"]).fails(3, &["deleted it", "transaction 6"]);
    let entry = &desk.on(["reflog", "dev", "--json"]).json()[0];
    assert_eq!(entry["ref_name"], "refs/heads/dev");
    assert_eq!((entry["old_head"].as_str(), entry["new_head"].as_str()), (Some(&*second), None));
    assert_eq!(entry["transaction"], 6);
    assert!(
        entry["actor"].as_str().unwrap().contains('<') && entry["timestamp"].as_str().unwrap().ends_with('Z')
    );

    desk.on(["reflog", "nowhere"]).fails(3, &["nowhere", "not found"]);
    desk.on(["branch", "twin"]).ok();
    desk.on(["tag", "twin"]).ok();
    desk.on(["reflog", "twin"]).fails(4, &["refs/heads/twin", "refs/tags/twin"]);
    assert!(desk.on(["reflog", "refs/tags/twin"]).text().contains("tag: twin"));
}

#[test]
fn a_branch_is_found_by_number_and_by_time() {
    let desk = Desk::bare();
    let date = [("GIT_COMMITTER_DATE", "2023-11-01 10:00:00 +0000")];
    let made = desk.command(super::HV).envs(date).args(["init", "vault"]).output().unwrap();
    assert!(made.status.success());
    let first = commit_at(&desk, "1", "2023-11-02T10:00:00Z");
    let second = commit_at(&desk, "2", "2023-11-03T10:00:00Z");
    let is = |revision: &str, id: &str| assert_eq!(desk.on(["rev-parse", revision]).text(), id, "{revision}");
    for revision in [
        "main@{1}",
        "@{1}",
        "HEAD@{1}",
        "@@{1}",
        "main@{0}~1",
        "refs/heads/main@{1}",
        "main@{2023-11-03T09:59:59Z}",
        "main@{2023-11-02 10:00:00+00:00}",
        "@{2023-11-02 12:00 +01:00}",
        "main@{1698919200}",
        "main@{@1698919200}",
        "main@{2023-11-03 11:59:59 +02:00}",
    ] {
        is(revision, &first);
    }
    for revision in ["main@{0}", "main@{now}", "@{yesterday}", "main@{2.hours.ago}", "main@{3 days ago}"] {
        is(revision, &second);
    }
    is("main@{yesterday}:f", &desk.on(["rev-parse", "HEAD:f"]).text());
    assert_eq!(desk.content("main@{2023-11-02 10:00:00Z}:f"), b"1");
    assert_eq!(desk.on(["log", "--oneline", "@{1}"]).text().lines().count(), 2);
    assert_eq!(desk.files("main@{1}"), ["f"]);
    desk.on(["branch", "old", "main@{2023-11-02 10:00Z}"]).ok();
    is("old", &first);
    desk.on(["tag", "then", "main@{1}"]).ok();
    is("then@{0}", &first);
    desk.on(["rev-parse", "main@{9}"]).fails(3, &["changed 3 times", "2023-11-01 10:00:00 +0000"]);
    desk.on(["rev-parse", "main@{2023-10-01}"])
        .fails(3, &["created 2023-11-01 10:00:00 +0000", "transaction 1"]);
    for bad in ["main@{soon}", "main@{-1}", "main@{}", "main@{", "nowhere@{1}", "HEAD~1@{1}", "main@{1}@{1}"]
    {
        desk.on(["rev-parse", "--", bad]).fails(3, &["not found"]);
    }
}

#[test]
fn damage_is_told_after_all_that_can_be_read() {
    let desk = Desk::new();
    for content in ["1", "2", "3", "4"] {
        desk.commit_file("f", content);
    }
    let record = desk.path("vault/log/000000/000000002.record");
    // Opened before: with no checkpoint after it, a lost record keeps a vault from being opened.
    let repository = hubvault::Repository::open(&desk.path("vault")).unwrap();
    std::fs::remove_file(&record).unwrap();
    let entries: Vec<_> = repository.reflog("main").unwrap().collect();
    assert_eq!(entries.len(), 4);
    assert!(entries[..3].iter().all(Result::is_ok));
    let error = entries[3].as_ref().unwrap_err();
    assert_eq!(error.code(), "damaged");
    assert!(error.to_string().contains("log/000000/000000002.record"), "{error}");
}
