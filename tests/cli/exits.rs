//! What holds for every command: exit codes as `hv --help` states them, JSON that is JSON, and a terminal that
//! nothing from a vault can drive.

use std::fs;

use serde_json::Value;

use super::{Desk, Run, entries};

#[test]
fn exit_codes_are_those_of_the_help() {
    let desk = Desk::new();
    let help = desk.hv(["--help"]).ok().out;
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(
        "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict (somebody committed first), \
         5 damaged vault, 6 mounting is not possible here, 130 interrupted."
    ));
    let head = desk.commit_file("f", "1");
    desk.on(["status"]).ok();
    desk.on(["commit", "-m", "x", "--add", "a=absent"]).fails(1, &[]);
    desk.on(["commit", "-m", "x", "--no-such"]).fails(2, &[]);
    desk.on(["no-such"]).fails(2, &[]);
    desk.on(["log", "nowhere"]).fails(3, &[]);
    desk.hv(["-C", "absent", "log"]).fails(3, &["absent", "no vault", "hv init"]);
    desk.on(["branch", "main"]).fails(4, &[]);
    desk.on(["commit", "-m", "x", "--parent", "HEAD~1", "--delete", "f"]).fails(4, &[&head]);
    fs::write(desk.path("vault/HUBVAULT"), "not what was written").unwrap();
    desk.on(["log"]).fails(5, &["HUBVAULT"]);
    desk.hv(["mount", "vault", "absent-mountpoint"]).fails(5, &["HUBVAULT"]);
}

#[test]
fn no_arguments_teach() {
    let desk = Desk::bare();
    let run = desk.hv::<&str>([]);
    assert_eq!(run.code, Some(2));
    assert!(run.err.contains("Start here:"), "{}", run.err);
}

#[test]
fn errors_are_json_when_asked_for() {
    let desk = Desk::new();
    desk.commit_file("f", "1");
    let cases: [(&[&str], &str); 9] = [
        (&["log", "nowhere"], "revision-not-found"),
        (&["cat", ":absent"], "entry-not-found"),
        (&["cat", "main"], "usage"),
        (&["branch", "main"], "ref-exists"),
        (&["branch", "a..b"], "invalid-ref-name"),
        (&["commit", "-m", "", "--delete", "f"], "invalid-argument"),
        (&["commit", "-m", "x", "--delete", "../f"], "unsupported-path"),
        (&["commit", "-m", "x", "absent"], "local-file"),
        (&["-C", "absent", "status"], "not-a-vault"),
    ];
    for (args, code) in cases {
        let vault: &[&str] = if args[0] == "-C" { &[] } else { &["-C", "vault"] };
        let run = desk.hv([vault, &["--json"], args].concat());
        assert!(run.code != Some(0) && run.out.is_empty(), "{run:#?}");
        let error: Value = serde_json::from_str(&run.err).unwrap_or_else(|error| panic!("{error}: {run:#?}"));
        assert_eq!(error["error"]["code"], code, "{args:?}");
        assert!(error["error"]["message"].as_str().is_some_and(|message| message.len() > 10), "{error}");
    }
}

#[test]
fn every_report_is_json_when_asked_for() {
    let desk = Desk::new();
    desk.commit_file("d/f", "1");
    desk.on(["tag", "v1", "-m", "one"]).ok();
    let json = |args: &[&str]| desk.on(args.iter().chain(&["--json"])).json();
    assert_eq!(json(&["log"]).as_array().unwrap().len(), 2);
    assert_eq!(json(&["log", "--oneline", "-n", "0"]), Value::Array(Vec::new()));
    assert_eq!(json(&["ls-tree"])[0]["type"], "directory");
    assert_eq!(json(&["ls-tree", "-r"])[0]["path"], "d/f");
    assert_eq!(json(&["status"])["default_branch"], "main");
    assert_eq!(json(&["branch"])[0]["ref"], "refs/heads/main");
    assert_eq!(json(&["branch", "--show-current"])["name"], "main");
    assert_eq!(json(&["branch", "new"])["targetCommit"], desk.head());
    assert_eq!(json(&["tag"])[0]["name"], "v1");
    assert_eq!(json(&["tag", "v2"])["targetCommit"], desk.head());
    assert_eq!(json(&["rev-parse", "HEAD", "main"]), Value::from(vec![desk.head(), desk.head()]));
    assert_eq!(json(&["verify"])["ok"], true);
    assert_eq!(json(&["verify", "--full"])["full"], true);
    assert!(json(&["mounts"]).is_array());
    assert_eq!(json(&["init", "vault"])["created"], false);
}

/// No byte a terminal acts on, except newline and tab.
#[track_caller]
fn harmless(run: &Run) {
    for text in [&run.out, &run.err] {
        let bad = text.chars().find(|&c| c.is_control() && !matches!(c, '\n' | '\t' | '\r'));
        assert_eq!(bad, None, "{run:#?}");
        assert!(!text.replace("\r\n", "\n").contains('\r'), "{run:#?}");
    }
}

#[test]
fn nothing_from_a_vault_or_a_folder_drives_the_terminal() {
    let desk = Desk::new();
    let evil = "red\u{1b}[31m\u{9b}2J\u{7}bell\u{8}\u{7f}";
    desk.write("f", "1");
    // A C1 control is a name on every system; others are refused, and the refusal is harmless too.
    let name = "a\u{9b}2J";
    let named = desk.write(&format!("in/{name}"), "2");
    let commit = |args: &[&str]| {
        desk.on(["commit", "-m", evil, "--author", &format!("{evil} <{evil}@x>")].iter().chain(args))
    };
    let run = commit(&["--description", &format!("{evil}\r{evil}"), "f"]).ok();
    harmless(&run);
    let run = commit(&[&named.display().to_string()]).ok();
    harmless(&run);
    desk.on(["tag", "v", "-m", evil]).ok();
    for args in [
        &["log"][..],
        &["log", "--oneline"],
        &["log", "--json"],
        &["ls-tree"],
        &["ls-tree", "-l", "-r"],
        &["status"],
        &["branch", "-v"],
        &["tag"],
        &["verify", "--full"],
    ] {
        harmless(&desk.on(args).ok());
    }
    let name = format!(":{evil}");
    for args in
        [&["log", evil][..], &["cat", evil], &["cat", &name], &["branch", evil], &["ls-tree", "HEAD", evil]]
    {
        let run = desk.on(args);
        assert_ne!(run.code, Some(0));
        harmless(&run);
    }
    harmless(&commit(&["--add", &format!("{evil}=f")]));
    harmless(&commit(&[evil]));
}

#[test]
fn reading_commands_leave_the_vault_as_it_is() {
    let desk = Desk::new();
    desk.commit_file("d/f", "1");
    let state = || {
        let folders = ["", "log", "packs", "leases", "tmp"];
        folders.map(|folder| entries(&desk.path("vault").join(folder)))
    };
    let before = state();
    for args in
        [&["log"][..], &["ls-tree", "-r"], &["cat", ":d/f"], &["status"], &["branch"], &["verify", "--full"]]
    {
        desk.on(args).ok();
    }
    assert_eq!(state(), before);
}

#[cfg(unix)]
#[test]
fn a_line_feed_in_a_name_forges_no_second_line() {
    let desk = Desk::new();
    let error = desk.on(["rev-parse", "--", "a\nerror: the vault is damaged"]).fails(3, &["a\\nerror"]).err;
    assert_eq!(error.lines().count(), 1, "{error}");
}
