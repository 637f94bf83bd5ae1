//! `hv op log`, `hv op show`, `hv undo`.

use super::Desk;

#[test]
fn every_transaction_is_listed_and_shown() {
    let desk = Desk::new();
    let head = desk.commit_file("f", "1");
    desk.on(["tag", "v1"]).ok();
    let log = desk.on(["op", "log"]).text();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[0].contains("tag: tags/v1 new at"), "{log}");
    assert!(
        lines[1].contains(&format!(
            "commit: main {}..{}",
            &desk.on(["rev-parse", "HEAD~"]).text()[..7],
            &head[..7]
        )),
        "{log}"
    );
    assert!(lines[2].contains("init: main new at") && lines[2].contains("HEAD -> main"), "{log}");
    assert_eq!(desk.on(["op", "log", "-n", "1"]).text(), lines[0]);
    let json = desk.on(["op", "log", "--json"]).json();
    assert_eq!(json[0]["refs"][0]["ref"], "refs/tags/v1");
    assert_eq!(json[1]["command"], "commit");
    assert_eq!(json[2]["default_branch"], "main");
    let shown = desk.on(["op", "show", "2"]).text();
    assert!(shown.starts_with("Transaction 2: commit\nActor:"), "{shown}");
    assert!(shown.contains("refs/heads/main") && shown.contains("commit: test"), "{shown}");
    assert_eq!(desk.on(["op", "show", "2", "--json"]).json(), json[1]);
    desk.on(["op", "show", "4"]).fails(3, &["transaction 4", "hv op log"]);
}

#[test]
fn undo_puts_back_and_undoing_that_does_it_again() {
    let desk = Desk::new();
    let first = desk.commit_file("f", "1");
    let second = desk.commit_file("f", "2");
    let before = desk.on(["op", "log"]).text();
    let dry = desk.on(["undo", "--dry-run"]).text();
    assert_eq!(dry, format!("Would undo transaction 3 (commit)\n  main would be at {}", &first[..7]));
    assert_eq!(desk.on(["op", "log"]).text(), before);
    let run = desk.on(["undo"]).ok();
    assert_eq!(run.out, format!("Undid transaction 3 (commit)\n  main is at {}\n", &first[..7]));
    let hints = "hint: `hv undo 4` takes this back\nhint: `hv undo 2` goes one further back\n";
    assert_eq!(run.err, hints);
    assert_eq!(desk.head(), first);
    assert_eq!(desk.on(["rev-parse", &second]).text(), second, "the commit stays");
    let outcome = desk.on(["undo", "--json"]).json();
    assert_eq!((&outcome["undone"], &outcome["transaction"]), (&4.into(), &5.into()));
    assert_eq!(desk.head(), second);
    assert!(desk.on(["reflog", "-n", "1"]).text().ends_with("main@{0}: undo: of transaction 4 (undo)"));
}

#[test]
fn what_moved_since_is_not_put_back() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    let head = desk.commit_file("f", "2");
    desk.on(["undo", "2"]).fails(4, &["refs/heads/main", "transaction 3 (commit)", "hv undo 3"]);
    desk.on(["undo", "1"]).fails(4, &["made the vault"]);
    desk.on(["undo", "9"]).fails(3, &["transaction 9"]);
    assert_eq!(desk.head(), head);
    // Other refs may have moved.
    desk.on(["branch", "dev"]).ok();
    desk.on(["undo", "3"]).ok();
    assert_eq!(
        desk.on(["rev-parse", "HEAD", "dev"]).text(),
        format!("{}\n{head}", desk.on(["rev-parse", "dev~1"]).text())
    );
}

#[test]
fn branches_that_went_or_came_come_back_or_go() {
    let desk = Desk::new();
    let head = desk.commit_file("f", "1");
    desk.on(["branch", "dev"]).ok();
    desk.on(["undo"]).ok();
    assert_eq!(desk.on(["branch"]).text(), "* main");
    desk.on(["undo"]).ok();
    desk.on(["branch", "-d", "dev"]).ok();
    desk.on(["undo"]).ok();
    assert_eq!(desk.on(["rev-parse", "dev"]).text(), head);
    desk.on(["branch", "-m", "main", "trunk"]).ok();
    assert_eq!(desk.on(["branch"]).text(), "  dev\n* trunk");
    let undone = desk.on(["undo", "--json"]).json();
    assert_eq!(undone["default_branch"], "main");
    assert_eq!(desk.on(["branch"]).text(), "  dev\n* main");
    desk.on(["branch", "--default", "dev"]).ok();
    assert_eq!(desk.on(["branch", "--show-current"]).text(), "dev");
    assert!(desk.on(["undo"]).text().ends_with("HEAD -> main"));
    assert_eq!(desk.on(["branch", "--show-current"]).text(), "main");
    // A branch that became the default since cannot be taken back.
    desk.on(["branch", "new"]).ok();
    let made = desk.on(["status", "--json"]).json()["transaction"].to_string();
    desk.on(["branch", "--default", "new"]).ok();
    desk.on(["undo", &made]).fails(4, &["refs/heads/new", "default branch"]);
}

#[test]
fn what_gc_removed_cannot_be_gone_back_to_and_is_remembered() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    let lost = desk.commit_file("f", "2");
    desk.on(["reset", "HEAD~1"]).ok();
    desk.on(["gc", "--prune", "now"]).ok();
    desk.on(["rev-parse", &lost]).fails(3, &["not found"]);
    desk.on(["undo", "4"]).fails(4, &[&lost, "refs/heads/main", "(`gc`, ", "transaction 5"]);
    desk.on(["undo"]).fails(
        4,
        &[
            "transaction 5",
            "moved no branch or tag",
            "hv op log",
            "can be undone is 2 (`commit`): `hv undo 2`",
        ],
    );
    assert!(desk.on(["op", "log", "-n", "1"]).text().ends_with("gc: moved nothing"));
    // The log remembers, and says what is gone.
    assert!(desk.on(["reflog"]).text().contains(&format!("{} main@{{1}}: commit: test", &lost[..7])));
    for revision in ["main@{1}", "main@{1}:f", "main@{1}~0"] {
        desk.on(["rev-parse", revision]).fails(3, &[&lost, "gc"]);
    }
    desk.on(["log", "main@{1}"]).fails(3, &[&lost, "gc"]);
}

#[test]
fn undo_goes_further_back_and_says_how() {
    let desk = Desk::new();
    let commits: Vec<String> = (0..4).map(|n| desk.commit_file("f", n.to_string())).collect();
    desk.on(["branch", "side"]).ok();
    desk.on(["commit", "-m", "x", "-r", "side", "--delete", "f"]).ok();
    desk.on(["branch", "-D", "side"]).ok();
    desk.on(["gc", "--prune", "now"]).ok();
    // What moved nothing, and what `gc` has made impossible, is passed over.
    desk.on(["undo"])
        .fails(4, &["transaction 9", "the newest that can be undone is 5 (`commit`): `hv undo 5`"]);
    // The hints, followed, go back commit by commit.
    let mut next = Some(5);
    for at in [2, 1, 0] {
        let number = next.unwrap().to_string();
        let outcome = desk.on(["undo", &number, "--json"]).json();
        assert_eq!(desk.head(), commits[at]);
        next = outcome["further_back"].as_u64();
    }
    assert_eq!(next, Some(2));
    assert_eq!(desk.on(["undo", "2", "--dry-run", "--json"]).json()["further_back"], serde_json::Value::Null);
}

#[test]
fn a_setting_that_is_put_back_says_its_value() {
    let desk = Desk::new();
    desk.on(["settings", "--compression", "max"]).ok();
    assert!(desk.on(["op", "log", "-n1"]).text().ends_with("settings: compression -> max"));
    assert!(desk.on(["op", "show", "2"]).text().ends_with("Setting: compression max"));
    assert_eq!(desk.on(["op", "show", "2", "--json"]).json()["compression"], "max");
    let undone = desk.on(["undo"]).text();
    assert_eq!(undone, "Undid transaction 2 (settings)\n  compression -> auto");
    assert_eq!(desk.on(["settings", "--json"]).json()["compression"], "auto");
}
