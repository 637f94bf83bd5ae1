//! `hv rev-parse`: every way to name a revision, and what each failure says.

use hubvault::Repository;
use hubvault::ops::{Actor, CommitOptions, Signature, Timestamp};

use super::Desk;

#[test]
fn every_way_to_say_it() {
    let desk = Desk::new();
    let first = desk.commit_file("d/f", "1");
    let second = desk.commit_file("d/f", "2");
    desk.on(["branch", "a/b", &first]).ok();
    desk.on(["tag", "v1", &first, "-m", "x"]).ok();
    let is = |revision: &str, id: &str| assert_eq!(desk.on(["rev-parse", revision]).text(), id, "{revision}");
    for name in
        ["HEAD", "@", "main", "refs/heads/main", &second, &second[..4], &second[..39], "@^0", "HEAD~0"]
    {
        is(name, &second);
    }
    for name in
        ["HEAD~", "HEAD^", "@~1", "main^1", "a/b", "refs/heads/a/b", "v1^{}", "v1^{commit}", "v1~0", "@^{}~"]
    {
        is(name, &first);
    }
    let root = desk.on(["rev-parse", "HEAD~2"]).text();
    for name in ["HEAD~~", "HEAD^^", "HEAD~1^", "HEAD^~1", "v1~", "v1^", "refs/tags/v1~1"] {
        is(name, &root);
    }
    is("HEAD:d/f", "d8263ee9860594d2806b0dfd1bfd17528b0ba2a4");
    is("HEAD~:d/f", "56a6051ca2b02b04ef92d5150c9ef600403cb1de");
    is("v1:d/f", "56a6051ca2b02b04ef92d5150c9ef600403cb1de");
    is("HEAD:", &desk.on(["rev-parse", "HEAD^{tree}"]).text());
    is(":d", &desk.on(["rev-parse", "HEAD:d/"]).text());
    let both = desk.on(["rev-parse", "HEAD", "HEAD~"]).text();
    assert_eq!(both, format!("{second}\n{first}"));
}

#[test]
fn what_is_not_there_is_not_found() {
    let desk = Desk::new();
    let head = desk.commit_file("d/f", "1");
    let tree = desk.on(["rev-parse", "HEAD^{tree}"]).text();
    let blob = desk.on(["rev-parse", "HEAD:d/f"]).text();
    for name in [
        "nowhere",
        "",
        "refs/heads/nowhere",
        "refs/nothing",
        "HEAD~9",
        "HEAD^2",
        "HEAD^{blob}",
        "HEAD~x",
        "HEAD@{9}",
        "main..a",
        "^main",
        "abc",
        "0000",
        &"0".repeat(40),
        "ABCDEF",
        &format!("{head}0"),
        "HEAD~99999999999999999999",
    ] {
        desk.on(["rev-parse", "--", name]).fails(3, &["not found"]);
    }
    for path in ["absent", "d/absent", "d/f/below"] {
        desk.on(["rev-parse", &format!("HEAD:{path}")]).fails(3, &[path, "is not in"]);
    }
    // A tree or a file is something, and not a commit.
    for id in [&tree, &blob] {
        assert_eq!(&desk.on(["rev-parse", id]).text(), id);
        desk.on(["log", id]).fails(3, &[&id[..7], "not a commit"]);
    }
    // One that fails spoils the lot.
    desk.on(["rev-parse", "HEAD", "nowhere"]).fails(3, &["nowhere"]);
}

#[test]
fn a_time_is_shown_as_it_was_typed() {
    let desk = Desk::new();
    for words in
        [&["log", "main@{yesterday}"][..], &["cat", "main@{3.days.ago}:f"], &["diff", "@{2020-01-01 10:00}"]]
    {
        let typed = words[1].split(':').next().unwrap().trim_end_matches(":f");
        let run = desk.on(words).fails(3, &[typed, "was created"]);
        assert!(!run.err.contains("@{1"), "{}", run.err);
    }
    let json = desk.on(["--json", "log", "main@{yesterday}"]).fails(3, &[]);
    assert!(json.err.contains("main@{yesterday}"), "{}", json.err);
}

#[test]
fn what_could_be_two_things_is_not_guessed() {
    let desk = Desk::new();
    let first = desk.commit_file("f", "1");
    let second = desk.commit_file("f", "2");
    desk.on(["branch", "twin", &first]).ok();
    desk.on(["tag", "twin", &second]).ok();
    for args in [&["rev-parse", "twin"][..], &["log", "twin~1"], &["cat", "twin:f"], &["ls-tree", "twin"]] {
        desk.on(args).fails(3, &["twin", "ambiguous", "refs/heads/twin", "refs/tags/twin"]);
    }
    assert_eq!(
        desk.on(["rev-parse", "refs/heads/twin", "refs/tags/twin"]).text(),
        format!("{first}\n{second}")
    );
    // A branch whose name looks like the beginning of an id is the branch.
    desk.on(["branch", &second[..6], &first]).ok();
    assert_eq!(desk.on(["rev-parse", &second[..6]]).text(), first);
    assert_eq!(desk.on(["rev-parse", &second[..7]]).text(), second);
}

#[test]
fn a_short_id_that_fits_two_commits_asks_for_more_digits() {
    let desk = Desk::new();
    let repository = Repository::open(&desk.path("vault")).unwrap();
    let mut seen = std::collections::HashMap::new();
    // Four digits clash among a few hundred commits; the date makes them all different. Made by the library:
    // a program started for each would take a minute.
    let clash = (0..2000_u64).find_map(|n| {
        let time = Timestamp { seconds: i64::try_from(n).unwrap(), offset_minutes: 0 };
        let mut nonce = [0; 16];
        nonce[..8].copy_from_slice(&n.to_le_bytes());
        let actor = Actor { signature: Signature::new("A", "a@example.org", time).unwrap(), nonce };
        let options =
            CommitOptions { message: "x".to_owned(), allow_empty: true, ..CommitOptions::default() };
        let id = repository.create_commit(&[], &options, &actor, &mut |_| ()).unwrap().oid.to_string();
        seen.insert(id[..4].to_owned(), id.clone()).map(|other| (other, id))
    });
    let (one, two) = clash.unwrap();
    desk.on(["rev-parse", &one[..4]]).fails(3, &["ambiguous", "2 commits", "more digits"]);
    let same = one.bytes().zip(two.bytes()).take_while(|(a, b)| a == b).count();
    assert_eq!(desk.on(["rev-parse", &one[..=same]]).text(), one);
}
