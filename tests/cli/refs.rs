//! `hv branch` and `hv tag`: made, listed, refused.

use super::Desk;

#[test]
fn branches_are_made_anywhere_and_listed_with_a_mark() {
    let desk = Desk::new();
    let first = desk.commit_file("f", "1");
    let second = desk.commit_file("f", "2");
    assert_eq!(desk.on(["branch", "dev"]).ok().out, "");
    desk.on(["branch", "feature/old", "HEAD~1"]).ok();
    assert_eq!(desk.on(["branch"]).text(), "  dev\n  feature/old\n* main");
    let verbose = format!(
        "  dev         {} test\n  feature/old {} test\n* main        {0} test",
        &second[..7],
        &first[..7]
    );
    assert_eq!(desk.on(["branch", "-v"]).text(), verbose);
    assert_eq!(desk.on(["branch", "--show-current"]).text(), "main");
    assert_eq!(desk.on(["rev-parse", "feature/old"]).text(), first);
    let listed = desk.on(["branch", "--json"]).json();
    assert_eq!(listed[1]["name"], "feature/old");
    assert_eq!(listed[1]["ref"], "refs/heads/feature/old");
    assert_eq!(listed[1]["targetCommit"], first);
}

#[test]
fn names_that_exist_clash_or_are_none_are_refused() {
    let desk = Desk::new();
    for command in ["branch", "tag"] {
        desk.on([command, "a/b"]).ok();
        desk.on([command, "a/b"]).fails(4, &["a/b already exists"]);
        desk.on([command, "a"]).fails(4, &["refs/", "/a", "exists"]);
        desk.on([command, "a/b/c"]).fails(4, &["a/b"]);
        for bad in ["", "a..b", "x.lock", "a b", "a~1", "a:b", "-x", "a//b", "/a", "a/", ".a", "a@{b"] {
            desk.on([command, "--", bad]).fails(2, &[]);
        }
        desk.on([command, "new", "nowhere"]).fails(3, &["nowhere"]);
    }
    assert_eq!(desk.on(["branch", "--json"]).json().as_array().unwrap().len(), 2);
    assert_eq!(desk.on(["tag", "--json"]).json().as_array().unwrap().len(), 1);
}

#[test]
fn tags_are_light_or_say_something() {
    let desk = Desk::new();
    let first = desk.commit_file("f", "1");
    let second = desk.commit_file("f", "2");
    desk.on(["tag", "light", "HEAD~1"]).ok();
    let made = desk.on(["tag", "heavy", "-m", "message", "--json"]).json();
    assert_eq!(desk.on(["tag"]).text(), "heavy\nlight");
    assert_eq!(desk.on(["tag", "-l"]).text(), "heavy\nlight");
    assert_eq!(desk.on(["rev-parse", "light"]).text(), first);
    let tag = desk.on(["rev-parse", "heavy"]).text();
    assert!(tag != second && made["targetCommit"] == second, "{tag}");
    assert_eq!(made["ref"], "refs/tags/heavy");
    assert_eq!(desk.on(["rev-parse", "heavy^{commit}"]).text(), second);
    assert_eq!(desk.on(["tag", "--json"]).json()[0]["targetCommit"], second);
    // Whatever takes a revision takes either.
    assert_eq!(desk.content("heavy:f"), b"2");
    assert_eq!(desk.content("light:f"), b"1");
    desk.on(["branch", "from-tag", "heavy"]).ok();
    assert_eq!(desk.on(["rev-parse", "from-tag"]).text(), second);
    desk.on(["tag", "-m", "nameless"]).fails(2, &[]);
    // A tag stays where it is.
    desk.commit_file("f", "3");
    assert_eq!(desk.content("heavy:f"), b"2");
}

#[test]
fn refs_are_deleted_and_say_where_they_were() {
    let desk = Desk::new();
    let first = desk.commit_file("f", "1");
    desk.on(["branch", "merged", "HEAD~1"]).ok();
    desk.on(["branch", "feat"]).ok();
    let main = desk.commit_file("f", "2");
    desk.on(["reset", "-r", "feat", "main"]).ok();
    desk.on(["reset", "HEAD~1"]).ok();
    let root = desk.on(["rev-parse", "merged"]).text();
    assert_eq!(
        desk.on(["branch", "-d", "merged"]).text(),
        format!("Deleted branch merged (was {}).", &root[..7])
    );
    desk.on(["branch", "-d", "feat"]).fails(4, &["feat", "`main` does not have", "hv branch -D feat"]);
    let run = desk.on(["branch", "-D", "feat"]).ok();
    assert_eq!(run.out, format!("Deleted branch feat (was {}).\n", &main[..7]));
    assert!(run.err.contains("hv undo"), "{}", run.err);
    for flag in ["-d", "-D"] {
        desk.on(["branch", flag, "main"]).fails(4, &["default branch", "--default"]);
        desk.on(["branch", flag, "nowhere"]).fails(3, &["nowhere"]);
        desk.on(["branch", flag]).fails(2, &[]);
    }
    desk.on(["tag", "v0"]).ok();
    assert_eq!(desk.on(["tag", "-d", "v0"]).text(), format!("Deleted tag 'v0' (was {}).", &first[..7]));
    desk.on(["tag", "-d", "v0"]).fails(3, &["v0", "not found"]);
    assert_eq!(desk.on(["tag"]).text(), "");
    assert_eq!(desk.on(["branch"]).text(), "* main");
    assert_eq!(desk.on(["rev-parse", &main]).text(), main, "nothing but the name is gone");
}

#[test]
fn branches_are_renamed_and_moved() {
    let desk = Desk::new();
    let first = desk.commit_file("f", "1");
    desk.commit_file("f", "2");
    desk.on(["branch", "a", &first]).ok();
    // Into a folder of its own name, which Git could not hold beside it.
    desk.on(["branch", "-m", "a", "a/b"]).ok();
    assert_eq!(desk.on(["branch"]).text(), "  a/b\n* main");
    desk.on(["branch", "-m", "trunk"]).ok();
    assert_eq!(desk.on(["branch"]).text(), "  a/b\n* trunk");
    desk.on(["branch", "-m", "a/b", "trunk"]).fails(4, &["refs/heads/trunk already exists"]);
    desk.on(["branch", "-m", "nowhere", "x"]).fails(3, &["nowhere"]);
    desk.on(["branch", "-m", "a/b", "x..y"]).fails(2, &[]);
    assert!(
        desk.on(["reflog", "trunk"]).text().contains("Branch: renamed refs/heads/main to refs/heads/trunk")
    );
    desk.on(["branch", "-f", "a/b", "HEAD~2"]).ok();
    assert_eq!(desk.on(["rev-parse", "a/b"]).text(), desk.on(["rev-parse", "HEAD~2"]).text());
    desk.on(["branch", "-f", "fresh", &first]).ok();
    assert_eq!(desk.on(["rev-parse", "fresh"]).text(), first);
    desk.on(["branch", "--default", "nowhere"]).fails(3, &["nowhere"]);
}

#[test]
fn reset_moves_a_branch_and_says_where_it_is() {
    let desk = Desk::new();
    let first = desk.commit_file("f", "1");
    let second = desk.commit_file("f", "2");
    let run = desk.on(["reset", "HEAD~1"]).ok();
    assert_eq!(run.out, format!("HEAD is now at {} test\n", &first[..7]));
    assert!(run.err.contains("hint: `hv undo 4`"), "{}", run.err);
    assert_eq!(desk.content(":f"), b"1");
    assert_eq!(desk.content(&format!("{second}:f")), b"2");
    let run = desk.on(["reset", "HEAD"]).ok();
    assert_eq!(run.err, "", "nothing was done");
    let moved = desk.on(["reset", "HEAD@{1}", "--json"]).json();
    assert_eq!((moved["old"].as_str(), moved["new"].as_str()), (Some(&*first), Some(&*second)));
    desk.on(["tag", "v1"]).ok();
    for bad in ["refs/heads/main", "v1", "refs/tags/v1", "nowhere"] {
        desk.on(["reset", "-r", bad, "HEAD"]).fails(3, &[bad]);
    }
    desk.on(["reset", "nowhere"]).fails(3, &["nowhere"]);
    assert_eq!(desk.head(), second);
}

#[test]
fn a_tag_is_annotated_as_in_git() {
    let desk = Desk::new();
    desk.on(["tag", "-a", "v1", "-m", "First"]).ok();
    assert!(desk.on(["show", "v1"]).ok().out.contains("First"));
    desk.on(["tag", "-a", "v2"]).fails(2, &["--message"]);
}

#[test]
fn a_name_for_a_branch_and_a_tag_is_warned_of() {
    let desk = Desk::new();
    assert!(desk.on(["tag", "v1"]).ok().err.is_empty());
    for args in [["tag", "main"], ["branch", "v1"]] {
        let run = desk.on(args).ok();
        let full = |kind: &str| format!("refs/{kind}/{}", args[1]);
        assert!(run.err.starts_with("warning: ") && run.err.contains("ambiguous"), "{run:#?}");
        assert!(run.err.contains(&full("heads")) && run.err.contains(&full("tags")), "{run:#?}");
        desk.on(["rev-parse", args[1]]).fails(3, &["ambiguous"]);
        desk.on(["rev-parse", &full("tags")]).ok();
    }
    let run = desk.on(["tag", "-d", "main"]).ok();
    assert!(!run.err.contains("warning"), "{run:#?}");
    let run = desk.on(["--json", "tag", "main"]).ok();
    let said: serde_json::Value = serde_json::from_str(run.err.trim()).unwrap();
    assert!(said["warning"]["detail"].as_str().unwrap().contains("refs/tags/main"), "{run:#?}");
}

#[test]
fn a_pattern_is_not_removed_and_says_what_is() {
    let desk = Desk::new();
    desk.commit_file("x/a", "1");
    for pattern in ["x/*", "x/?", "*"] {
        desk.on(["rm", pattern]).fails(2, &[pattern, "pattern", "folder", "--delete"]);
    }
    desk.on(["rm", "x"]).ok();
}

#[test]
fn a_tag_that_is_moved_can_be_put_back() {
    let desk = Desk::new();
    let first = desk.commit_file("f", "1");
    desk.on(["tag", "v1"]).ok();
    desk.commit_file("f", "2");
    desk.on(["tag", "v1"]).fails(4, &["already exists"]);
    let moved = desk.on(["tag", "-f", "v1"]).ok();
    assert_eq!(moved.out.trim_end(), format!("Updated tag 'v1' (was {})", &first[..7]));
    assert!(moved.err.contains("hint: `hv undo "), "{}", moved.err);
    desk.on(["undo"]).ok();
    assert_eq!(desk.on(["rev-parse", "v1"]).text(), first);
    let new = desk.on(["tag", "-f", "v2", "--json"]).json();
    assert_eq!((&new["ref"], &new["old"]), (&"refs/tags/v2".into(), &serde_json::Value::Null));
    assert_eq!(desk.on(["rev-parse", "--short", "v2"]).text(), &desk.head()[..7]);
}

#[test]
fn a_branch_that_takes_a_tags_name_is_said_to_and_how_to_take_it_back() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    desk.on(["tag", "both"]).ok();
    let warned = |words: &[&str]| {
        let run = desk.on(words).ok();
        assert!(run.err.contains("`both` is a branch and a tag now"), "{run:?}");
        run.err
    };
    let made = warned(&["branch", "-f", "both"]);
    assert!(!made.contains("hint"), "{made}");
    let id = desk.commit_file("f", "2");
    let moved = warned(&["branch", "-f", "both", &id]);
    assert!(moved.contains("hint: `hv undo "), "{moved}");
    desk.on(["branch", "-D", "both"]).ok();
    desk.on(["branch", "other"]).ok();
    let renamed = warned(&["branch", "-m", "other", "both"]);
    assert!(renamed.contains("hint: `hv undo "), "{renamed}");
}
