//! Who is written down as author and committer, and when: flags, `HUBVAULT_AUTHOR`, Git's environment, Git's
//! configuration, and nobody in particular.

use std::fs;

use super::Desk;

/// Author and committer (`Name <email>`) and the author's date of a commit made with these flags and variables.
fn made(desk: &Desk, environment: &[(&str, &str)], flags: &[&str]) -> (String, String) {
    let args = ["commit", "-m", "who", "--allow-empty"].iter().chain(flags).copied().collect::<Vec<_>>();
    desk.on_with(environment, &args).ok();
    let log = desk.on(["log", "-n1"]).text();
    let line = |start: &str| {
        log.lines()
            .find_map(|line| line.strip_prefix(start))
            .unwrap_or_else(|| panic!("{log}"))
            .trim()
            .to_owned()
    };
    (line("Author: "), line("Date: "))
}

#[test]
fn the_author_comes_from_the_first_that_says() {
    let desk = Desk::new();
    let who = |environment: &[(&str, &str)], flags: &[&str]| made(&desk, environment, flags).0;
    assert_eq!(who(&[], &[]), "hubvault <hubvault@localhost>");
    fs::write(desk.home_file(".gitconfig"), "[user]\n\tname = Con Fig\n\temail = con@fig\n").unwrap();
    if cfg!(unix) {
        assert_eq!(who(&[], &[]), "Con Fig <con@fig>");
        assert_eq!(who(&[("GIT_AUTHOR_NAME", "Env")], &[]), "Env <con@fig>");
        assert_eq!(who(&[("GIT_AUTHOR_EMAIL", "e@nv")], &[]), "Con Fig <e@nv>");
    }
    let git = [("GIT_AUTHOR_NAME", "Env"), ("GIT_AUTHOR_EMAIL", "e@nv")];
    assert_eq!(who(&git, &[]), "Env <e@nv>");
    let both = [git[0], git[1], ("HUBVAULT_AUTHOR", "Own Name <own@vault>")];
    assert_eq!(who(&both, &[]), "Own Name <own@vault>");
    assert_eq!(who(&both, &["--author", "Flag <f@lag>"]), "Flag <f@lag>");
    assert_eq!(who(&[git[0], git[1], ("HUBVAULT_AUTHOR", " ")], &[]), "Env <e@nv>");
}

#[test]
fn who_is_named_by_nothing_is_told_how_to_be() {
    let desk = Desk::new();
    desk.write("f", "1");
    let told = "nobody is set as author, so this was made by hubvault <hubvault@localhost>";
    let ways = ["git config --global user.name", "HUBVAULT_AUTHOR", "--author"];
    let run = desk.on(["commit", "-m", "x", "f"]).ok();
    assert!(run.err.contains(&format!("warning: {told}")), "{}", run.err);
    assert!(ways.iter().all(|way| run.err.contains(way)), "{}", run.err);
    // Not where nothing was made, nor of those who are named.
    let silent = |run: super::Run| assert!(!run.ok().err.contains("nobody is set"));
    silent(desk.on(["commit", "-m", "x", "f"]));
    silent(desk.on(["rm", "f", "--author", "A <a@b>"]));
    silent(desk.on_with(&[("HUBVAULT_AUTHOR", "A <a@b>")], &["upload", "f"]));
    let run = desk.on(["--json", "rm", "f"]).ok();
    let warning: serde_json::Value = serde_json::from_str(&run.err).unwrap();
    assert_eq!(warning["warning"]["file"], serde_json::Value::Null);
    assert!(warning["warning"]["detail"].as_str().unwrap().starts_with(told), "{warning}");
}

#[test]
fn what_is_missing_of_a_name_is_said_and_ways_that_there_are() {
    let desk = Desk::new();
    desk.write("f", "1");
    let git =
        |name: &'static str, email: &'static str| [("GIT_AUTHOR_NAME", name), ("GIT_AUTHOR_EMAIL", email)];
    let run = desk.on_with(&git("Ann", " "), &["commit", "-m", "x", "f"]).ok();
    assert!(run.err.contains("no e-mail address is set") && run.err.contains("user.email EMAIL"), "{run:?}");
    let run = desk.on_with(&git(" ", "a@b"), &["rm", "f"]).ok();
    assert!(run.err.contains("no name is set") && run.err.contains("user.name NAME"), "{run:?}");
    // Who says to be that is that.
    let run = desk.on_with(&git("hubvault", "hubvault@localhost"), &["commit", "-m", "x", "f"]).ok();
    assert!(!run.err.contains("warning"), "{run:?}");
    desk.on(["branch", "side"]).ok();
    desk.on(["rm", "f", "-r", "side"]).ok();
    let run = desk.on(["merge", "side", "--no-ff"]).ok();
    assert!(run.err.contains("nobody is set") && !run.err.contains("--author"), "{run:?}");
}

#[test]
fn a_git_that_is_not_there_is_no_matter() {
    let desk = Desk::new();
    let author = made(&desk, &[("PATH", "")], &[]).0;
    assert_eq!(author, "hubvault <hubvault@localhost>");
}

#[test]
fn what_names_nobody_is_refused() {
    let desk = Desk::new();
    for author in ["", "Nobody", "<>", " <a@b>", "Name <a@b"] {
        desk.refused(["--allow-empty", "--author", author], 2, &[]);
    }
    let run = desk.on_with(&[("HUBVAULT_AUTHOR", "Nobody")], &["commit", "-m", "x", "--allow-empty"]);
    run.fails(2, &["HUBVAULT_AUTHOR", "Name <email>"]);
}

#[test]
fn dates() {
    let desk = Desk::new();
    let when = |environment: &[(&str, &str)], flags: &[&str]| made(&desk, environment, flags).1;
    let shown = "Tue Nov 14 23:13:20 2023 +0100";
    for date in ["1700000000 +0100", "2023-11-14T23:13:20+01:00", "Tue, 14 Nov 2023 23:13:20 +0100"] {
        assert_eq!(when(&[], &["--date", date]), shown, "{date}");
    }
    assert_eq!(when(&[], &["--date", "@1700000000"]), "Tue Nov 14 22:13:20 2023 +0000");
    let variable = [("GIT_AUTHOR_DATE", "1700000000 +0100")];
    assert_eq!(when(&variable, &[]), shown);
    assert_eq!(when(&variable, &["--date", "@5"]), "Thu Jan 1 00:00:05 1970 +0000");
    for date in ["", "yesterday", "1700000000", "-1 +0000", "@99999999999999999999"] {
        desk.refused(["--allow-empty", &format!("--date={date}")], 2, &[]);
    }
    let run = desk.on_with(&[("GIT_AUTHOR_DATE", "soon")], &["commit", "-m", "x", "--allow-empty"]);
    run.fails(2, &["GIT_AUTHOR_DATE", "soon"]);
}

#[test]
fn a_history_can_be_made_again_exactly() {
    let fixed = [
        ("GIT_AUTHOR_NAME", "A"),
        ("GIT_AUTHOR_EMAIL", "a@b"),
        ("GIT_AUTHOR_DATE", "1700000000 +0100"),
        ("GIT_COMMITTER_NAME", "C"),
        ("GIT_COMMITTER_EMAIL", "c@d"),
        ("GIT_COMMITTER_DATE", "1700000060 -0230"),
    ];
    let heads = [0, 1].map(|_| {
        let desk = Desk::bare();
        desk.write("f", "1");
        let mut init = desk.command(super::HV);
        assert!(init.envs(fixed).args(["init", "vault"]).status().unwrap().success());
        desk.on_with(&fixed, &["commit", "-m", "same", "f"]).ok();
        desk.head()
    });
    assert_eq!(heads[0], heads[1]);
}
