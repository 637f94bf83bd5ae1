//! `hv log`: how much of a history, from where, and what a line says. How it looks is compared with Git in
//! `git`.

use super::Desk;

#[test]
fn newest_first_from_any_revision_and_not_more_than_asked_for() {
    let desk = Desk::new();
    let ids: Vec<String> = (0..5).map(|n| desk.commit_file("f", n.to_string())).collect();
    let shown = |args: &[&str]| -> Vec<String> {
        let log = desk.on(["log", "--json"].iter().chain(args)).json();
        log.as_array().unwrap().iter().map(|commit| commit["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = shown(&[]);
    assert_eq!((all.len(), &all[0], &all[4]), (6, &ids[4], &ids[0]));
    assert_eq!(shown(&["-n", "2"]), [ids[4].clone(), ids[3].clone()]);
    assert_eq!(shown(&["--max-count=1", "HEAD~3"]), [ids[1].clone()]);
    assert_eq!(shown(&[&ids[0][..7]]).len(), 2);
    assert_eq!(shown(&["-n0"]).len(), 0);
    desk.on(["log", "-n", "-1"]).fails(2, &[]);
    desk.on(["log", "HEAD~6"]).fails(3, &["HEAD~6"]);
}

#[test]
fn oneline() {
    let desk = Desk::new();
    let id = desk.commit_file("f", "1");
    let lines = desk.on(["log", "--oneline"]).text();
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!(lines[0], format!("{} test", &id[..7]));
    assert!(lines[1].ends_with(" Initial commit"));
}

#[test]
fn json_says_what_the_hub_says() {
    let desk = Desk::new();
    desk.write("f", "1");
    let flags = ["--author", "Ann <a@b>", "--date", "1700000000 +0100"];
    desk.on(["commit", "-m", "T", "--description", "body", "f"].iter().chain(&flags)).ok();
    let commit = desk.on(["log", "-n1", "--json"]).json()[0].clone();
    assert_eq!(commit["id"], desk.head());
    assert_eq!((&commit["title"], &commit["message"]), (&"T".into(), &"body".into()));
    assert_eq!(commit["date"], "2023-11-14T22:13:20.000Z");
    assert_eq!(commit["authors"][0]["user"], "Ann");
    assert_eq!(commit["parents"][0], desk.on(["rev-parse", "HEAD~"]).text());
}

#[test]
fn a_count_is_written_as_in_git_too() {
    let desk = Desk::new();
    for n in ["1", "2", "3"] {
        desk.commit_file("f", n);
    }
    let lines = |args: &[&str]| desk.on(args).ok().out.lines().count();
    assert_eq!(lines(&["log", "--oneline", "-1"]), 1);
    assert_eq!(lines(&["log", "-2", "--oneline", "main", "--", "f"]), 2);
    assert_eq!(lines(&["reflog", "-3"]), 3);
}
