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
